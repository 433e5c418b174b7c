"""Access control: who may enter, and how much each may ask for (C6; draft 4.2)."""

from __future__ import annotations

from dataclasses import dataclass

from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.service.agreements import CheckAccess, Granted, access
from quoit.service.directory import Attachment, need_leave


@dataclass(frozen=True)
class Contract:
    """What was agreed with an application: `rate_bps` in all (None: any), the highest priority it may ask for."""

    attachment: Attachment
    rate_bps: float | None
    most_priority: int


class AccessControl(Element):
    """Knows the contracts of its domain's applications. Instances share nothing, so any of them can answer."""

    stratum, plane = Stratum.SERVICE, Plane.CONTROL
    realises = ("C6", "G3")
    separable = True

    def __init__(self, place: str, domain: str, contracts: tuple[Contract, ...], instance: int = 0) -> None:
        super().__init__(access(domain, instance), place)
        self._contracts = {contract.attachment.sae: contract for contract in contracts}

    @handles(CheckAccess)
    async def on_check(self, ctx: Context, msg: CheckAccess) -> Granted:
        contract = self._contracts.get(msg.caller)
        if contract is None:
            raise Problem("not-authorised", "this application has no contract with this domain")
        need_leave(contract.attachment, msg.peer)
        if msg.priority > contract.most_priority:
            detail = f"priority: expected at most {contract.most_priority}, found {msg.priority}"
            raise Problem("not-authorised", detail, most_priority=contract.most_priority)
        return Granted(contract.rate_bps)
