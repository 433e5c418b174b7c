"""Path computation over all domains of an optical network: one domain's controller answers alone, several are
coordinated over their abstractions (RFC 8637: the MDSC as parent, PNCs as children)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from msgspec import structs

from quoit.connectivity.abstraction import Coordinator, Part, centre_of_path
from quoit.connectivity.api import (
    CLASSICAL,
    LIT,
    MOST_PREFERENCE,
    QUANTUM,
    ChannelRow,
    ComputePaths,
    DomainPreference,
    Excess,
    GetMembers,
    Limits,
    Member,
    Members,
    PathRow,
    Paths,
    pnc,
)
from quoit.connectivity.inventory import Inventory, slot_of
from quoit.connectivity.planning import PlannedLight, PlannedState
from quoit.connectivity.routing import CANDIDATE, COMPANION_GRID, RASTER, WIDE_GRID, Chosen, Computation, check, counted
from quoit.model.problem import Problem
from quoit.model.spectrum import Slot
from quoit.runtime.context import Context

WITHIN = 1_000_000_000
COMPANION_TRIES = 4
"""Wavelengths of a quantum channel over several domains that are tried for the sake of its companion."""
ROUNDING_DB = 1e-6


class Hierarchy:
    """Asks the controllers of domains. `domains`: the domain of each node."""

    def __init__(self, inventory: Inventory, domains: Mapping[str, str], computation: Computation) -> None:
        self._inventory = inventory
        self._domains = dict(domains)
        self._names = tuple(sorted(set(domains.values())))
        between = [s.name for s in inventory.spans.values() if domains[s.a] != domains[s.b]]
        self._coordinator = Coordinator(inventory, between, computation)
        self._preferences: dict[str, DomainPreference] = {}

    # -- local preference --------------------------------------------------------------------------------

    def prefer(self, domain: str, preference: int, excess: tuple[Excess, ...]) -> DomainPreference:
        """Problems `no-such-element`, `malformed`."""
        if domain not in self._names:
            raise Problem("no-such-element", f"expected one of {', '.join(self._names)}; found {domain!r}")
        if not 0 <= preference <= MOST_PREFERENCE:
            raise Problem("malformed", f"expected a preference of 0 to {MOST_PREFERENCE}, found {preference}")
        self._preferences.pop(domain, None)
        if preference < MOST_PREFERENCE:
            self._preferences[domain] = DomainPreference(domain, preference, excess)
        return self._preference(domain)

    @property
    def preferences(self) -> tuple[DomainPreference, ...]:
        """Of all domains, by name."""
        return tuple(self._preference(domain) for domain in self._names)

    def _preference(self, domain: str) -> DomainPreference:
        return self._preferences.get(domain) or DomainPreference(domain, MOST_PREFERENCE)

    def levels(self, *ends: str) -> tuple[int, ...]:
        """The preferences that a way between these nodes can have, the best first. That of a way is the least of the
        domains that it crosses; those of its ends it cannot avoid, so they do not count."""
        own = {self._domains.get(end) for end in ends}
        return tuple(sorted({row.preference for row in self.preferences if row.domain not in own}, reverse=True)) or (
            MOST_PREFERENCE,
        )

    def _excess_db(self, domain: str, a: str, b: str) -> float:
        rows = self._preference(domain).excess
        return next((row.loss_db for row in rows if {row.a, row.b} == {a, b}), 0.0)

    # -- paths -------------------------------------------------------------------------------------------

    async def paths(
        self, ctx: Context, question: ComputePaths, dark: Collection[str], level: int | None = None
    ) -> tuple[PathRow, ...]:
        """`dark`: spans between domains that cannot be used. `level`: only through domains that are preferred so much;
        None: through the most preferred that will do. Raises Problem as of `ComputePaths`."""
        check(question)
        for end in (question.a, question.b):
            if end not in self._domains:
                raise Problem("unknown-site", f"expected a node of the plant, found {end!r}", site=end)
        if len(self._names) == 1:
            answer: Paths = await ctx.ask(pnc(self._names[0]), question, within=WITHIN)
            return answer.rows
        search = self._over_domains if question.companion is None else self._with_companion
        refused: Problem | None = None
        for least in self.levels(question.a, question.b) if level is None else (level,):
            try:
                return await search(ctx, question, dark, least)
            except Problem as problem:
                if problem.code != "no-route":
                    raise
                refused = problem
        assert refused is not None
        raise refused

    async def _with_companion(
        self, ctx: Context, question: ComputePaths, dark: Collection[str], least: int
    ) -> tuple[PathRow, ...]:
        """A quantum channel over several domains, and on its fibres the companion that disturbs it least. Where that is
        too much, another wavelength of the quantum channel is tried, a few times."""
        left = list(question.limits.centres_mhz or WIDE_GRID)
        refused: Problem | None = None
        for _ in range(COMPANION_TRIES):
            limits = structs.replace(question.limits, centres_mhz=tuple(left))
            alone = structs.replace(question, companion=None, limits=limits)
            try:
                rows = await self._over_domains(ctx, alone, dark, least)
            except Problem as problem:
                raise refused or problem from problem
            try:
                return tuple(self._beside(question, row) for row in rows)
            except Problem as problem:
                refused = problem
            left.remove(rows[0].centre_mhz)
            if not left:
                break
        assert refused is not None
        raise refused

    def _beside(self, question: ComputePaths, row: PathRow) -> PathRow:
        """The row with its companion: counted from both ends, though it is lit from one."""
        companion, others = question.companion, counted(self._inventory, question)
        assert companion is not None
        own, guard = Slot(row.centre_mhz, question.width_mhz), others.guards.between(QUANTUM, CLASSICAL)
        best: tuple[float, int] | None = None
        for centre in COMPANION_GRID:
            slot = Slot(centre, companion.width_mhz)
            if slot.overlaps(own, guard) or not _is_free(others, row.spans, slot):
                continue
            ways = ((row.nodes[0], row.spans), (row.nodes[-1], tuple(reversed(row.spans))))
            light = [
                ChannelRow(
                    f"{CANDIDATE}{n}", CLASSICAL, end, spans, centre, companion.width_mhz, companion.launch_dbm, LIT
                )
                for n, (end, spans) in enumerate(ways)
            ]
            noise = self._noise(question, row.spans, row.centre_mhz, others.beside((*others.channels.values(), *light)))
            best = min(best or (noise, centre), (noise, centre))
        if best is None:
            raise Problem(
                "no-route", f"no wavelength for a companion is free over {'-'.join(row.nodes)}", reason="spectrum"
            )
        limit = question.limits.max_noise_hz
        if limit is not None and best[0] > limit:
            raise _too_noisy(limit, best[0], row.nodes)
        return structs.replace(row, noise_hz=best[0], companion_mhz=best[1])

    async def _over_domains(
        self, ctx: Context, question: ComputePaths, dark: Collection[str], least: int
    ) -> tuple[PathRow, ...]:
        members: list[tuple[str, Member]] = []
        ends = {self._domains[question.a], self._domains[question.b]}
        for domain in self._names:
            if self._preference(domain).preference < least and domain not in ends:
                continue
            own = {n for n in (*self._coordinator.borders, question.a, question.b) if self._domains[n] == domain}
            found: Members = await ctx.ask(pnc(domain), GetMembers(tuple(sorted(own)), question), within=WITHIN)
            for row in found.rows:
                loss_db = row.loss_db + self._excess_db(domain, row.a, row.b)
                members.append((domain, structs.replace(row, loss_db=loss_db)))
        told = {(domain, frozenset((row.a, row.b))): row for domain, row in members}
        others = counted(self._inventory, question)
        chosen = Chosen.of(question, others.guards.between(QUANTUM, CLASSICAL))
        light = PlannedLight(question.kind, question.width_mhz, question.isolation_db)
        state = PlannedState(others, RASTER, light, dark, chosen.channels)
        rows = []
        for path, parts in self._coordinator.paths(question, members, state, chosen):
            rows.append(await self._joined(ctx, question, parts, centre_of_path(path), others, dict(told)))
        return tuple(rows)

    async def _joined(
        self, ctx: Context, question: ComputePaths, parts: Iterable[Part], centre: int, others: Inventory,
        told: Mapping[tuple[str, frozenset[str]], Member],
    ) -> PathRow:  # fmt: skip
        """The whole path: each domain says how its part runs on this wavelength. What that loses is what was `told`,
        and measured beside."""
        nodes, spans, risks = [question.a], list[str](), set[str]()
        latency, switches, excess_db = 0, -1, 0.0
        for part in parts:
            if part.span:
                row = None
                spans.append(part.span)
                risks |= set(self._inventory.spans[part.span].risks)
                nodes.append(part.b)
            else:
                row = await self._part(ctx, question, part, centre)
                spans += row.spans
                risks |= set(row.risks)
                nodes += row.nodes[1:]
                member = told[part.domain, frozenset((part.a, part.b))]
                ends_db = sum(self._inventory.insertion_db(node) for node in (part.a, part.b))
                excess_db += member.loss_db - (row.loss_db - ends_db)
            latency += row.latency_ns if row is not None else self._latency_ns(part.span)
            switches += row.switches if row is not None else 0
            switches += part.a in self._inventory.switches
        switches += question.a not in self._inventory.switches
        noise = self._noise(question, tuple(spans), centre, others)
        limit = question.limits.max_noise_hz
        if limit is not None and noise > limit:
            raise _too_noisy(limit, noise, nodes)
        loss = others.loss_db(question.a, tuple(spans))
        if abs(excess_db) > ROUNDING_DB:
            loss += excess_db
        return PathRow(tuple(nodes), tuple(spans), loss, latency, switches, noise, centre, None, tuple(sorted(risks)))

    async def _part(self, ctx: Context, question: ComputePaths, part: Part, centre: int) -> PathRow:
        limits = question.limits
        free = Limits(limits.objective, avoid=limits.avoid, centres_mhz=(centre,))
        asked = structs.replace(question, a=part.a, b=part.b, limits=free, count=1, disjoint=False)
        answer: Paths = await ctx.ask(pnc(part.domain), asked, within=WITHIN)
        return answer.rows[0]

    def _latency_ns(self, span: str) -> int:
        return self._coordinator.latency_ns(span)

    @staticmethod
    def _noise(question: ComputePaths, spans: tuple[str, ...], centre: int, others: Inventory) -> float:
        if question.kind != QUANTUM:
            return 0.0
        slot = Slot(centre, question.width_mhz)
        found = others.noise(question.a, spans, slot, question.isolation_db)
        return found.raman_hz + found.leaked_hz + found.mixed_hz


def _is_free(others: Inventory, spans: tuple[str, ...], slot: Slot) -> bool:
    """Whether a classical channel may have this slot all along."""
    return not any(
        slot.overlaps(slot_of(channel), others.guards.between(CLASSICAL, channel.kind))
        for _, channel in others.taken(spans)
    )


def _too_noisy(limit: float, noise: float, nodes: Iterable[str]) -> Problem:
    detail = f"expected at most {limit:g} noise photons per second, found {noise:.4g} over {'-'.join(nodes)}"
    return Problem("no-route", detail, reason="noise", offered=f"{noise:.4g} noise photons per second")
