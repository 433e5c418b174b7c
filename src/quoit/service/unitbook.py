"""The units of shared states that one entanglement management entity knows, and how they change."""

from __future__ import annotations

from dataclasses import dataclass, field

from quoit.fabric.api import FreeSlots, memory
from quoit.model.problem import Problem
from quoit.model.unit import UnitState, advance
from quoit.runtime.context import Context
from quoit.service.api import UNIT_NEWS, Unit, UnitsChanged
from quoit.service.directory import Attachment
from quoit.service.planning import Centre, Plan, Planner
from quoit.service.states import Assemble, Assembled, Holding, StateReady, Wanted

WITHIN = 5_000_000_000
MOST_UNITS = 10_000
"""That an EME keeps, ended ones included."""
ENDED = (UnitState.FAILED, UnitState.EXPIRED, UnitState.CONSUMED)
YOUNG = (UnitState.REQUESTED, UnitState.ROUTED)


@dataclass
class StatesUnit:
    """A unit as one EME knows it. `here`: memories of each of its applications; those that are `ready`, those that are
    `used` up, and which state each is of (`index`). `held`: qubits of the turn under way, by application and state,
    that are not its application's yet. `lead`: the originator's EME. `asleep`: until when it was promised, while its
    states are being made anew and its applications cannot get at them."""

    unit_id: str
    endpoints: tuple[str, ...]
    lifecycle: str
    originator: str
    saes: tuple[str, ...]
    created_ns: int
    wanted: Wanted
    lead: str
    state: UnitState = UnitState.REQUESTED
    why: str | None = None
    problem: str | None = None
    here: dict[str, tuple[int, ...]] = field(default_factory=dict)
    ready: dict[str, set[int]] = field(default_factory=dict)
    used: dict[str, set[int]] = field(default_factory=dict)
    index: dict[int, int] = field(default_factory=dict)
    held: dict[str, dict[int, StateReady]] = field(default_factory=dict)
    outcomes: dict[str, dict[int, int]] = field(default_factory=dict)
    fidelity: float | None = None
    fidelity_at_ns: int | None = None
    expires_ns: int | None = None
    estimate: float | None = None
    estimate_least: float | None = None
    estimate_at_ns: int | None = None
    tested: int = 0
    centre_slots: tuple[int, ...] = ()
    asleep: Asleep | None = None
    lead_side: LeadSide | None = None


@dataclass(frozen=True)
class Asleep:
    """What a unit had before its states were to be made anew."""

    expires_ns: int | None
    fidelity: float | None


@dataclass
class LeadSide:
    """What the originator's EME alone knows of a unit. `parties` by seat. `holding`: who holds which state of the turn
    under way. `results` of the last tests, as many as were asked for, and what had been `promised` of each; `tests` in
    all, and how many turns were `spared` from delivery since there were enough. `made`: the order by which its states
    were made, `over` which links for each of its pairs, how often they were `rebound` since, and, while that is under
    way (`remaking`), the answer."""

    parties: tuple[Attachment, ...]
    until_ns: int | None
    links: tuple[str, ...] = ()
    plan: Plan | None = None
    fault: Problem | None = None
    others: tuple[str, ...] = ()
    circuits: tuple[str, ...] = ()
    done: set[str] = field(default_factory=set)
    route: tuple[str, ...] = ()
    tries: int = 0
    turn: int = 0
    holding: dict[int, dict[str, Holding]] = field(default_factory=dict)
    results: list[float] = field(default_factory=list)
    promised: list[float] = field(default_factory=list)
    tests: int = 0
    spared: int = 0
    made: Assemble | None = None
    over: tuple[tuple[str, ...], ...] = ()
    rebound: int = 0
    remaking: bool = False
    remade: Assembled | None = None


class UnitBook(Planner):
    """The part of an entanglement management entity that keeps units."""

    def __init__(
        self, name: str, node: str, domain: str, apps: tuple[Attachment, ...], centres: tuple[Centre, ...]
    ) -> None:
        super().__init__(name, node, domain, apps, centres)
        self._units: dict[str, StatesUnit] = {}
        self._unit_of: dict[int, tuple[str, str]] = {}

    def _remember(self, unit: StatesUnit) -> None:
        """Keep a unit; the oldest that have ended are forgotten when there are many. Problem `overloaded`."""
        if len(self._units) >= MOST_UNITS:
            ended = [old.unit_id for old in self._units.values() if old.state in ENDED]
            if not ended:
                raise Problem("overloaded", f"{MOST_UNITS} units are alive here")
            for unit_id in ended[: MOST_UNITS // 10]:
                del self._units[unit_id]
        self._units[unit.unit_id] = unit

    def _found(self, caller: str, unit_id: str) -> StatesUnit:
        unit = self._units.get(unit_id)
        if unit is None:
            raise Problem("unknown-unit")
        if caller not in unit.saes:
            raise Problem("foreign-unit")
        return unit

    def _step(self, ctx: Context, unit: StatesUnit, state: UnitState, why: str | None = None) -> None:
        was, unit.state = unit.state, advance(unit.state, state)
        unit.why = why
        more = {} if unit.problem is None else {"problem": unit.problem}
        ctx.emit("unit.states", unit_id=unit.unit_id, state=str(state), why=why, eme=self.name, **more)
        parties = tuple(sae for sae in unit.saes if sae in self._apps)
        news = UnitsChanged(self.name, (unit.unit_id,), parties, (str(was), str(state)), ctx.now, why)
        ctx.publish(f"{UNIT_NEWS}.{self.name}", news)

    async def _release(self, ctx: Context, unit: StatesUnit) -> None:
        """Give the unit's memories at this node back."""
        slots = {slot for own in unit.here.values() for slot in own} | set(unit.centre_slots)
        for own in unit.used.values():
            slots -= own
        for slot in slots:
            self._memory.pop(slot, None)
            self._unit_of.pop(slot, None)
        unit.centre_slots = ()
        for sae in unit.here:
            unit.used[sae] = set(unit.here[sae])
        if slots:
            await ctx.ask(memory(self._node), FreeSlots(self.name, tuple(sorted(slots))), within=WITHIN)

    def is_centre_of(self, unit_id: str, slot: int) -> bool:
        unit = self._units.get(unit_id)
        return unit is not None and slot in unit.centre_slots

    async def give_up(self, ctx: Context, unit_id: str, slot: int) -> None:
        unit = self._units.get(unit_id)
        if unit is not None and slot in unit.centre_slots:
            unit.centre_slots = tuple(s for s in unit.centre_slots if s != slot)
            await ctx.ask(memory(self._node), FreeSlots(self.name, (slot,)), within=WITHIN)

    def _shown(self, unit: StatesUnit, caller: str) -> Unit:
        ready = unit.ready.get(caller, set()) - unit.used.get(caller, set())
        own = sorted(ready, key=unit.index.__getitem__)
        return Unit(
            unit_id=unit.unit_id,
            endpoints=tuple(f"{text.partition('?=')[0]}?=nonce={unit.unit_id}" for text in unit.endpoints),
            lifecycle=unit.lifecycle,
            originator=unit.originator,
            state=str(unit.state),
            size_bits=unit.wanted.number,
            created_ns=unit.created_ns,
            expires_ns=unit.expires_ns,
            key_id=unit.unit_id,
            route=() if unit.lead_side is None else unit.lead_side.route,
            why=unit.why,
            problem=unit.problem,
            kind=unit.wanted.kind,
            addresses=tuple(f"{self._node}/{slot}" for slot in own),
            outcomes=tuple(bit for _, bit in sorted(unit.outcomes.get(caller, {}).items())),
            fidelity=None if unit.fidelity is None else round(unit.fidelity, 6),
            fidelity_at_ns=unit.fidelity_at_ns,
            estimate=None if unit.estimate is None else round(unit.estimate, 6),
            estimate_least=None if unit.estimate_least is None else round(unit.estimate_least, 6),
            estimate_at_ns=unit.estimate_at_ns,
            tested=unit.tested,
        )
