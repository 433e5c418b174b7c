"""Routes through one optical domain: questions of customers as demands of path computation, and back (E3, E4).

Joint planning is one search: a quantum channel and its classical companion get a wavelength each on the same fibres,
and the noise of the companion counts against the quantum channel's limit. A classical channel alone is planned so that
no quantum service beside it gets more noise than its own limit.

Named approximations: wavelengths are those of the 100 GHz grid of ITU-T G.694.1 in the C band, unless others are named;
a companion is counted from both ends, though it is lit from one; noise is that of planned powers (`planning`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Protocol

from quoit.connectivity.api import CLASSICAL, LIT, QUANTUM, ChannelRow, ComputePaths, PathRow
from quoit.connectivity.inventory import Inventory, slot_of
from quoit.connectivity.pce import Companion, ComputedPath, Demand, Fibre, Objective, PathComputation, PlantState, Site
from quoit.connectivity.planning import Grid, PlannedLight, PlannedState, fibres_of, sites_of
from quoit.model.problem import Problem
from quoit.model.spectrum import ANCHOR_MHZ, C_BAND_MHZ, CENTRE_STEP_MHZ, Slot

FIRST_MHZ, LAST_MHZ = 180_000_000, 475_000_000
RASTER = Grid(ANCHOR_MHZ - (ANCHOR_MHZ - FIRST_MHZ) // CENTRE_STEP_MHZ * CENTRE_STEP_MHZ, CENTRE_STEP_MHZ,
              (LAST_MHZ - FIRST_MHZ) // CENTRE_STEP_MHZ)  # fmt: skip
"""All centres that the flexible grid has, by number."""
GRID_STEP_MHZ = 100_000
GRID = tuple(
    centre for n in range(-18, 30) if C_BAND_MHZ[0] < (centre := ANCHOR_MHZ + n * GRID_STEP_MHZ) < C_BAND_MHZ[1]
)
"""Centres of the 100 GHz grid in the C band."""
WIDE_GRID, COMPANION_GRID = GRID[::2], GRID[::6]
"""Centres for a quantum channel and for its companion where both are open: all pairs of the grid would be thousands of
searches, and Raman noise changes slowly with the distance between them."""
CANDIDATE = "(candidate)"
"""Name of a channel that is only thought of."""
MOST_PATHS = 16
PROTECTED_TRIES = 256
"""Ways and wavelengths that a classical channel is tried on for the sake of quantum ones beside it."""


class Computation(Protocol):
    """Makes a path computation of a plant: what the entry points `quoit.path_computation` name."""

    def __call__(self, sites: Iterable[Site], fibres: Iterable[Fibre], state: PlantState) -> PathComputation: ...


def channel_of(centre_mhz: int) -> int:
    """Number of a centre on the raster. Problem `malformed` for others."""
    number, off = divmod(centre_mhz - RASTER.first_mhz, RASTER.step_mhz)
    if off or not 0 <= number < RASTER.size:
        raise Problem("malformed", f"expected a centre on the raster of 6.25 GHz around 193.1 THz, found {centre_mhz} "
                      "MHz")  # fmt: skip
    return number


def objective_of(text: str) -> Objective:
    """Problem `malformed` for any but loss and latency."""
    if text == "loss":
        return "loss"
    if text == "latency":
        return "latency"
    raise Problem("malformed", f"expected an objective of loss or latency, found {text!r}")


class Now:
    """The state of the plant that a computation looks at; questions change it."""

    def __init__(self, state: PlantState) -> None:
        self.state = state

    @property
    def dark(self) -> frozenset[str]:
        return self.state.dark

    def free(self, fibre: str, towards: str) -> int:
        return self.state.free(fibre, towards)

    def noise_cps(self, fibre: str, towards: str, channel: int, companion: int | None) -> float:
        return self.state.noise_cps(fibre, towards, channel, companion)


@dataclass(frozen=True)
class Chosen:
    """What a question leaves open: numbers of channels on the raster, of a companion, and the guard between them."""

    channels: tuple[int, ...]
    companions: tuple[int, ...]
    guard: int

    @classmethod
    def of(cls, question: ComputePaths, guard_mhz: int) -> Chosen:
        grid = GRID if question.companion is None else WIDE_GRID
        channels = tuple(channel_of(centre) for centre in question.limits.centres_mhz or grid)
        if question.companion is None:
            return cls(channels, (), 1)
        apart_mhz = (question.width_mhz + question.companion.width_mhz) / 2 + guard_mhz
        return cls(channels, tuple(channel_of(c) for c in COMPANION_GRID), int(-(-apart_mhz // RASTER.step_mhz)))

    def demand(self, question: ComputePaths, insertion_db: float, a: str, b: str) -> Demand:
        """The demand between two nodes; what their own switches take comes off the budget of loss."""
        limits, quantum = question.limits, question.kind == QUANTUM
        budget = None if limits.max_loss_db is None else limits.max_loss_db - insertion_db
        companion = Companion(self.companions, self.guard) if self.companions else None
        return Demand(
            a,
            b,
            objective_of(limits.objective),
            budget,
            limits.max_latency_ns,
            limits.max_switches,
            limits.max_noise_hz if quantum else None,
            self.channels,
            companion,
            quantum,
            frozenset(limits.avoid),
        )


class _Jointly(PlannedState):
    """The state for a quantum channel and its companion: what is free is free for either of them, with the guards of
    both, which is less than there is."""

    def __init__(
        self, inventory: Inventory, grid: Grid, light: PlannedLight, dark: Iterable[str], only: Iterable[int]
    ) -> None:
        super().__init__(inventory, grid, light, dark, only)
        beside = PlannedLight(CLASSICAL, light.companion_width_mhz)
        self._beside = PlannedState(inventory, grid, beside, dark, only)

    def free(self, fibre: str, towards: str) -> int:
        return super().free(fibre, towards) & self._beside.free(fibre, towards)


class Router:
    """Answers questions over one domain's inventory, by the computation that was chosen."""

    def __init__(self, inventory: Inventory, computation: Computation, domain: Collection[str] | None = None) -> None:
        """`domain`: names of the spans that routes may use; None: all. Channels are those of the whole plant."""
        self._inventory = inventory
        self._now = Now(PlannedState(inventory, RASTER, only=()))
        fibres = [fibre for fibre in fibres_of(inventory) if domain is None or fibre.name in domain]
        self._computation = computation(sites_of(inventory), fibres, self._now)

    @property
    def inventory(self) -> Inventory:
        return self._inventory

    def paths(self, question: ComputePaths, dark: Collection[str]) -> tuple[PathRow, ...]:
        """Raises Problem as of `ComputePaths`."""
        check(question)
        others = self._beside(question)
        chosen = Chosen.of(question, others.guards.between(QUANTUM, CLASSICAL))
        self._now.state = self._state(question, others, dark, chosen)
        insertion = sum(others.insertion_db(node) for node in (question.a, question.b))
        demand = chosen.demand(question, insertion, question.a, question.b)
        if question.kind == CLASSICAL and question.protect:
            return self._harmless(question, demand, others, dict(question.protect))
        if question.disjoint:
            found: Iterable[ComputedPath] = self._computation.disjoint(demand)
        elif question.count > 1:
            best = self._computation.path(demand)  # refuses, if there is none, with what binds
            found = list(islice(self._computation.alternatives(demand), question.count)) or [best]
        else:
            found = [self._computation.path(demand)]
        return tuple(self._row(path, others, question) for path in found)

    def free_on(
        self, path: PathRow, question: ComputePaths, dark: Collection[str]
    ) -> tuple[tuple[int, ...], tuple[float, ...]]:
        """Centres that are free all along a path, and the noise on each: the worse of both directions, Hz."""
        others = self._beside(question)
        chosen = Chosen.of(question, others.guards.between(QUANTUM, CLASSICAL))
        state = self._state(question, others, dark, chosen)
        mask = -1
        for span in path.spans:
            mask &= state.free(span, "")
        free = tuple(c for c in chosen.channels if mask >> c & 1)
        back = (path.nodes[-1], tuple(reversed(path.spans)))
        noise = []
        for number in free:
            slot = Slot(RASTER.centre_mhz(number), question.width_mhz)
            ways = ((path.nodes[0], path.spans), back)
            worst = 0.0
            for (source, spans), end in zip(ways, (path.nodes[-1], path.nodes[0]), strict=True):
                found = others.noise(source, spans, slot, question.isolation_db)
                total = found.raman_hz + found.leaked_hz + found.mixed_hz
                worst = max(worst, total * 10 ** (others.insertion_db(end) / 10))  # before the last switch
            noise.append(worst)
        return tuple(RASTER.centre_mhz(number) for number in free), tuple(noise)

    # -- inside --------------------------------------------------------------------------------------

    def _beside(self, question: ComputePaths) -> Inventory:
        """The plant with the channels that a question counts with."""
        return counted(self._inventory, question)

    @staticmethod
    def _state(question: ComputePaths, others: Inventory, dark: Collection[str], chosen: Chosen) -> PlannedState:
        companion = question.companion
        light = PlannedLight(question.kind, question.width_mhz, question.isolation_db)
        if companion is None:
            return PlannedState(others, RASTER, light, dark, chosen.channels)
        light = replace(light, companion_width_mhz=companion.width_mhz, companion_dbm=companion.launch_dbm)
        return _Jointly(others, RASTER, light, dark, (*chosen.channels, *chosen.companions))

    def _harmless(
        self, question: ComputePaths, demand: Demand, others: Inventory, protected: Mapping[str, float]
    ) -> tuple[PathRow, ...]:
        """The best path and wavelength that leaves all quantum channels beside it within their limits."""
        worst = ""
        best = self._computation.path(demand)
        tries = 0
        for way in self._computation.alternatives(demand):
            for centre, path in self._each_channel(demand, way):
                tries += 1
                harmed = self._harmed(question, path, centre, others, protected)
                if harmed is None:
                    return (self._row(path, others, question),)
                worst = worst or harmed
            if tries >= PROTECTED_TRIES:
                break
        detail = (
            f"no path from {question.a} to {question.b} at {question.launch_dbm:g} dBm: expected quantum channels "
            f"beside it to keep their limits of noise; {worst} would not, over {'-'.join(best.sites)}"
        )
        raise Problem("no-route", detail, reason="neighbour", neighbour=worst, offered=list(best.fibres))

    def _each_channel(self, demand: Demand, way: ComputedPath) -> Iterator[tuple[int, ComputedPath]]:
        mask = -1
        for span, here in zip(way.fibres, way.sites[1:], strict=True):
            mask &= self._now.free(span, here)
        for number in demand.channels:
            if mask >> number & 1:
                yield RASTER.centre_mhz(number), replace(way, channel=number)

    @staticmethod
    def _harmed(
        question: ComputePaths, path: ComputedPath, centre: int, others: Inventory, protected: Mapping[str, float]
    ) -> str | None:
        """The first quantum channel that would have more noise than it may."""
        row = ChannelRow(
            CANDIDATE, CLASSICAL, question.a, path.fibres, centre, question.width_mhz, question.launch_dbm, LIT
        )
        with_it = others.beside((*others.channels.values(), row))
        for name, limit in protected.items():
            channel = others.channels.get(name)
            if channel is None or not set(channel.spans) & set(path.fibres):
                continue
            isolation = question.isolation_db
            noise = with_it.noise(channel.source, channel.spans, slot_of(channel), isolation)
            if noise.raman_hz + noise.leaked_hz + noise.mixed_hz > limit:
                return name
        return None

    def _row(self, path: ComputedPath, others: Inventory, question: ComputePaths) -> PathRow:
        assert path.channel is not None
        return PathRow(
            path.sites,
            path.fibres,
            others.loss_db(question.a, path.fibres),
            path.latency_ns,
            path.switches,
            path.noise_cps if question.kind == QUANTUM else 0.0,
            RASTER.centre_mhz(path.channel),
            None if path.companion is None else RASTER.centre_mhz(path.companion),
            tuple(sorted(path.risks)),
        )


def counted(inventory: Inventory, question: ComputePaths) -> Inventory:
    """The plant with the channels that a question counts with: those that are there, but for the ones that would move,
    and those that will be."""
    if not question.besides and not question.reserved:
        return inventory
    there = (row for name, row in inventory.channels.items() if name not in question.besides)
    return inventory.beside((*there, *question.reserved))


def check(question: ComputePaths) -> None:
    """Problem `malformed` for what makes no sense by itself."""
    if question.kind not in (QUANTUM, CLASSICAL):
        raise Problem("malformed", f"expected kind quantum or classical, found {question.kind!r}")
    if not 1 <= question.count <= MOST_PATHS:
        raise Problem("malformed", f"expected 1 to {MOST_PATHS} paths, found {question.count}")
    if question.width_mhz <= 0 or (question.companion is not None and question.companion.width_mhz <= 0):
        raise Problem("malformed", "expected widths above 0")
    if question.companion is not None and question.kind != QUANTUM:
        raise Problem("malformed", "expected a companion of a quantum channel only")
    if question.limits.max_noise_hz is not None and question.kind != QUANTUM:
        raise Problem("malformed", "expected a limit of noise for a quantum channel only")
