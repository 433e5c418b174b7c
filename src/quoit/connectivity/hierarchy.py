"""Path computation over all domains of an optical network: one domain's controller answers alone, several are
coordinated over their abstractions (RFC 8637: the MDSC as parent, PNCs as children)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from msgspec import structs

from quoit.connectivity.abstraction import Coordinator, Part, centre_of_path
from quoit.connectivity.api import (
    CLASSICAL,
    QUANTUM,
    ComputePaths,
    GetMembers,
    Limits,
    Member,
    Members,
    PathRow,
    Paths,
    pnc,
)
from quoit.connectivity.inventory import Inventory
from quoit.connectivity.planning import PlannedLight, PlannedState
from quoit.connectivity.routing import RASTER, Chosen, Computation, check, counted
from quoit.model.problem import Problem
from quoit.model.spectrum import Slot
from quoit.runtime.context import Context

WITHIN = 1_000_000_000


class Hierarchy:
    """Asks the controllers of domains. `domains`: the domain of each node."""

    def __init__(self, inventory: Inventory, domains: Mapping[str, str], computation: Computation) -> None:
        self._inventory = inventory
        self._domains = dict(domains)
        self._names = tuple(sorted(set(domains.values())))
        between = [s.name for s in inventory.spans.values() if domains[s.a] != domains[s.b]]
        self._coordinator = Coordinator(inventory, between, computation)

    async def paths(self, ctx: Context, question: ComputePaths, dark: Collection[str]) -> tuple[PathRow, ...]:
        """`dark`: spans between domains that cannot be used. Raises Problem as of `ComputePaths`."""
        check(question)
        for end in (question.a, question.b):
            if end not in self._domains:
                raise Problem("unknown-site", f"expected a node of the plant, found {end!r}", site=end)
        if len(self._names) == 1:
            answer: Paths = await ctx.ask(pnc(self._names[0]), question, within=WITHIN)
            return answer.rows
        if question.companion is not None:
            raise Problem("not-supported", "a companion is planned jointly within one domain; open it co-routed")
        return await self._over_domains(ctx, question, dark)

    async def _over_domains(self, ctx: Context, question: ComputePaths, dark: Collection[str]) -> tuple[PathRow, ...]:
        members: list[tuple[str, Member]] = []
        for domain in self._names:
            own = {n for n in (*self._coordinator.borders, question.a, question.b) if self._domains[n] == domain}
            found: Members = await ctx.ask(pnc(domain), GetMembers(tuple(sorted(own)), question), within=WITHIN)
            members += [(domain, row) for row in found.rows]
        others = counted(self._inventory, question)
        chosen = Chosen.of(question, others.guards.between(QUANTUM, CLASSICAL))
        light = PlannedLight(question.kind, question.width_mhz, question.isolation_db)
        state = PlannedState(others, RASTER, light, dark, chosen.channels)
        rows = []
        for path, parts in self._coordinator.paths(question, members, state, chosen):
            rows.append(await self._joined(ctx, question, parts, centre_of_path(path), others))
        return tuple(rows)

    async def _joined(
        self, ctx: Context, question: ComputePaths, parts: Iterable[Part], centre: int, others: Inventory
    ) -> PathRow:
        """The whole path: each domain says how its part runs on this wavelength."""
        nodes, spans, risks = [question.a], list[str](), set[str]()
        latency, switches = 0, -1
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
            latency += row.latency_ns if row is not None else self._latency_ns(part.span)
            switches += row.switches if row is not None else 0
            switches += part.a in self._inventory.switches
        switches += question.a not in self._inventory.switches
        noise = self._noise(question, tuple(spans), centre, others)
        limit = question.limits.max_noise_hz
        if limit is not None and noise > limit:
            detail = f"expected at most {limit:g} noise photons per second, found {noise:.4g} over {'-'.join(nodes)}"
            raise Problem("no-route", detail, reason="noise", offered=f"{noise:.4g} noise photons per second")
        loss = others.loss_db(question.a, tuple(spans))
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
