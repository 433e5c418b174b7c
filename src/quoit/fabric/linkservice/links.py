"""The link service: pairs between neighbours on request (CREATE), with OK or ERR for both ends.

After draft-dahlberg-ll-quantum-03 and Dahlberg et al., SIGCOMM 2019, doi:10.1145/3341302.3342070, whose distributed
queue is kept here by the link's first node; with the requests of PyPI `qlink-interface`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from quoit.fabric.api import AskFrame, CreatePairs, Frames, PairsAccepted, link_service
from quoit.fabric.linkservice import rules
from quoit.fabric.linkservice.codec import ErrorCode, FrameFault, WireAck, WireErr, decode_create, encode_answer
from quoit.fabric.linkservice.head import PairService
from quoit.fabric.linkservice.rules import Devices, Facts, refusal
from quoit.fabric.linkservice.state import LINK, Line
from quoit.fabric.linkservice.wire import create_of
from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import Plane, Stratum, handles

ROUNDING = 1e-9
"""Taken off a link's fidelity when control is asked for it: both compute it, in another order."""


@dataclass(frozen=True)
class LinkEnds:
    """A link of this node's: its two nodes, as the file names them, and what it promises."""

    link: str
    a: str
    b: str
    facts: Facts


class LinkService(PairService):
    """One node's link service. Between two nodes with several links, the one with the best pairs is used."""

    stratum, plane = Stratum.FABRIC, Plane.RESOURCE
    realises = ("D1", "D3", "D5")

    def __init__(
        self,
        node: str,
        stage: int,
        devices: Mapping[str, Devices],
        links: tuple[LinkEnds, ...],
        numbers: Mapping[str, int],
    ) -> None:
        """`devices`: of this node and its neighbours. `numbers`: node ids on the wire."""
        super().__init__(link_service(node), node, stage, devices[node])
        self._devices = devices
        self._numbers = numbers
        self._names = {number: name for name, number in numbers.items()}
        self._to: dict[str, Line] = {}
        for ends in sorted(links, key=lambda ends: (-ends.facts.fidelity(0), ends.link)):
            line = Line(LINK + ends.link, ends.a, ends.b, ends.facts, max(0.0, ends.facts.fidelity(0) - ROUNDING))
            self.add_line(line)
            self._to.setdefault(ends.b if ends.a == node else ends.a, line)

    def peer(self, node: str) -> str:
        return link_service(node)

    def devices(self, node: str) -> Devices:
        return self._devices[node]

    @handles(CreatePairs)
    async def on_create(self, ctx: Context, msg: CreatePairs) -> PairsAccepted:
        rules.check(msg)
        line = self._to.get(msg.remote)
        if line is None:
            near = ", ".join(sorted(self._to)) or "none"
            raise refusal("no-route", f"expected a neighbour of {self._node} ({near}), found {msg.remote[:64]!r}")
        return self.accept(ctx, msg, line)

    @handles(AskFrame)
    async def on_frame(self, ctx: Context, msg: AskFrame) -> Frames:
        """CREATE as octets; what cannot be read is answered with ERR CREATE, as the draft says."""
        own = self._numbers[self._node]
        try:
            order = create_of(decode_create(msg.frame), msg.client, self._names)
            accepted = await self.on_create(ctx, order)
        except FrameFault as fault:
            ctx.emit("pairs.malformed", node=self._node, why=str(fault))
            return Frames((encode_answer(WireErr(0, ErrorCode.CREATE, own)),))
        except Problem as problem:
            return Frames((encode_answer(WireErr(0, ErrorCode[rules.err_of(problem)], own)),))
        return Frames((encode_answer(WireAck(accepted.create_id)),))
