"""What rests on which pairs, and the order to have it rest on others: asked of entanglement management entities."""

from __future__ import annotations

from quoit.runtime.wire import Message, message


@message("service.GetBindings")
class GetBindings(Message):
    """Which states of units opened here came over `link`, made at `since_ns` or later, and are still whole?
    `kept`: what the link's pairs keep of the correlations that control promised, 0 to 1, as measured. Answered with
    `Bindings`."""

    link: str
    since_ns: int = 0
    kept: float = 1.0


class BindingRow(Message):
    """A QUI and what it is bound to. `entity`: who opened the unit. `qui`: the unit's identifier and the seat of the
    pair's far end; the same through all bindings, which `generation` counts. `fidelity`: of the unit's worst state now,
    reckoned with what its pairs kept; `needed`: what was asked for. `expires_ns`: until when that was promised.
    `fixed`: why it cannot be bound to other pairs; empty if it can."""

    unit_id: str
    entity: str
    qui: str
    generation: int
    circuit: str
    links: tuple[str, ...]
    made_ns: int
    fidelity: float
    needed: float
    expires_ns: int | None
    fixed: str = ""


@message("service.Bindings")
class Bindings(Message):
    rows: tuple[BindingRow, ...]


@message("service.RebindUnit")
class RebindUnit(Message):
    """Have a unit's states made anew, of pairs that come as control finds best now, into the same memories: identifier,
    addresses and parties stay. `why`: told to its applications meanwhile.

    Answered with `UnitRebound` when the new states are whole. Problems that leave the unit as it is: `unknown-unit`,
    `not-rebindable`, `no-route`, `link-suspect`, `fidelity-unreachable`. If it goes wrong later the unit has failed.
    """

    unit_id: str
    why: str


@message("service.UnitRebound")
class UnitRebound(Message):
    """A unit rests on other pairs: over these links, with this fidelity at least, promised until `expires_ns`."""

    unit_id: str
    generation: int
    links: tuple[str, ...]
    fidelity: float
    expires_ns: int | None
