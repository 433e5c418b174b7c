"""L4: an optical domain gives less than it announces; have routes prefer others, until it does again (G2, E4).

Routes over several domains rest on what their controllers announce: loss, latency and noise of ways between border
nodes, and nothing of how these run. So each period the loop has test light sent across the domain, over every way that
it announces, and compares. One test decides nothing. A figure is *missed* in a test if what was counted is, by
Chernoff's bound, less likely than one in a thousand were the way as bad as announcement and margin allow; the domain is
found wanting when one figure of one way has been missed so many times in a row (`windows`). Tests are independent, so
a domain that keeps its announcements within the margin is found wanting with a probability of at most
0.001^windows for each way, figure and period. It is *kept* if the counts say as surely that the loss is below
announcement and margin, and no figure was missed; in between, neither series goes on.

Lowered at once, raised slowly: after `back` tests in a row in which all was kept, by one step. Test light does not
depend on whether anybody uses the domain, so one that is avoided can show that it is good again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log, log10
from typing import Any

from quoit.connectivity.api import (
    MOST_PREFERENCE,
    OTN,
    TESTER,
    ComputePaths,
    Excess,
    GetMembers,
    GetServices,
    Member,
    Members,
    MoveService,
    PreferDomain,
    ServiceRow,
    Services,
    TestWay,
    WayTested,
    pnc,
)
from quoit.model.problem import Problem
from quoit.orchestration.loops.channel import SWITCHED_WITHIN, WITHIN
from quoit.planes.loop import Action, ClosedLoop, Finding, LoopPlan
from quoit.planes.management import Severity
from quoit.runtime.context import Context
from quoit.runtime.element import Stratum

WANTING = "gives less than it announces"
AGAIN = "gives what it announces again"
CHANCE = 1e-3
"""Of missing a figure in one test, for a way that is at the edge of what is allowed."""
LOSS, NOISE, LATENCY = "loss", "noise", "latency"
TRIES, TRY_AGAIN_NS = 5, 1_000_000_000
MOST_DB = 100.0
"""Shown where nothing arrived at all."""
STRAY_HZ = 1_000.0
"""Noise photons per second that nobody has to announce."""


@dataclass(frozen=True)
class Benchmark:
    """What is tested and how. `borders`: the domain's nodes at which spans to others end; `inside`: its spans.
    `clicks`: that a test of a way would give if it were as announced.
    `margin_db` on loss, `noise_factor` and `latency_ns` on the other figures. `lowest`, `step`: of the preference."""

    domain: str
    borders: tuple[str, ...]
    inside: frozenset[str]
    clicks: int
    windows: int
    back: int
    margin_db: float
    noise_factor: float
    latency_ns: int
    lowest: int
    step: int


@dataclass(frozen=True)
class Judged:
    """One way in one test: figures that were missed, whether its loss was surely kept, and what it lost more than was
    announced, as counted (dB; infinite if nothing arrived)."""

    a: str
    b: str
    missed: tuple[str, ...]
    kept: bool
    excess_db: float


def too_few(counted: int, expected: float, chance: float = CHANCE) -> bool:
    """Whether a Poisson count is too low for chance, where so much is expected at least.

    Chernoff: P(K <= k) <= exp(k - m - k ln(k / m)) for k < m.
    """
    return counted < expected and _exponent(counted, expected) > -log(chance)


def too_many(counted: int, expected: float, chance: float = CHANCE) -> bool:
    """Whether a Poisson count is too high for chance, where so much is expected at most: the same bound for k > m."""
    return counted > expected and _exponent(counted, max(expected, 1e-9)) > -log(chance)


def _exponent(counted: int, expected: float) -> float:
    return expected - counted + (counted * log(counted / expected) if counted else 0.0)


def judge(bench: Benchmark, told: Member, seen: WayTested, centre_mhz: int) -> Judged:
    """Compare what was counted with what was announced of this way."""
    announced = seen.per_loss * 10 ** (-(told.loss_db + seen.ends_db) / 10)
    least = announced * 10 ** (-bench.margin_db / 10)
    noise_hz = told.noise_hz[told.centres_mhz.index(centre_mhz)] * 10 ** (-seen.drop_db / 10)
    stray_hz = (noise_hz * bench.noise_factor + STRAY_HZ) * seen.efficiency + seen.dark_hz
    missed = []
    if too_few(seen.clicks, least):
        missed.append(LOSS)
    if too_many(seen.dark_clicks, stray_hz * seen.dark_ns * 1e-9):
        missed.append(NOISE)
    if seen.delay_ns is not None and seen.delay_ns > told.latency_ns + bench.latency_ns:
        missed.append(LATENCY)
    excess_db = 10 * log10(announced / seen.clicks) if seen.clicks else float("inf")
    return Judged(told.a, told.b, tuple(missed), not missed and too_many(seen.clicks, least), excess_db)


@dataclass
class Series:
    """Tests in a row. `missed`: by way and figure; `kept`: in how many all was kept; `excess`: dB of the tests of a way
    that missed its loss, one after the other."""

    missed: dict[tuple[str, str, str], int] = field(default_factory=dict)
    kept: int = 0
    excess: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    def note(self, ways: tuple[Judged, ...]) -> None:
        """One test more of all ways."""
        now = {(way.a, way.b, figure) for way in ways for figure in way.missed}
        self.missed = {key: self.missed.get(key, 0) + 1 for key in sorted(now)}
        self.kept = self.kept + 1 if ways and all(way.kept for way in ways) else 0
        self.excess = {
            (way.a, way.b): [*self.excess.get((way.a, way.b), []), way.excess_db] for way in ways if LOSS in way.missed
        }

    def worst(self) -> tuple[str, str, str, int]:
        """Way, figure and length of the longest series of misses; of length 0 without any."""
        found = max(self.missed.items(), key=lambda item: item[1], default=(("", "", ""), 0))
        return (*found[0], found[1])

    def lost(self) -> tuple[Excess, ...]:
        """What ways lose more than announced: the median of their series. A way that is dark is left to those who
        restore paths."""
        found = []
        for (a, b), values in self.excess.items():
            middle = sorted(values)[len(values) // 2]
            if middle != float("inf"):
                found.append(Excess(a, b, round(middle, 2)))
        return tuple(found)


class DomainLoop(ClosedLoop):
    """Benchmarks one domain and keeps routes' preference for it."""

    stratum, realises = Stratum.CONNECTIVITY, ("G2", "E4")

    def __init__(self, place: str, plan: LoopPlan, bench: Benchmark) -> None:
        super().__init__(place, plan)
        self._bench = bench
        self._series = Series()
        self._preference = MOST_PREFERENCE
        self._counted: tuple[Excess, ...] = ()
        self._stay: frozenset[str] = frozenset()
        self._done = False

    # -- monitor -------------------------------------------------------------------------------------

    async def monitor(self, ctx: Context) -> tuple[Judged, ...]:
        """A test of every way that the domain announces between its borders."""
        bench = self._bench
        ask = GetMembers(bench.borders, ComputePaths("", ""))
        told: Members = await ctx.ask(pnc(bench.domain), ask, within=WITHIN)
        found = []
        for member in told.rows:
            if not member.centres_mhz:
                continue  # full: nothing is offered on it
            centre = member.centres_mhz[-1]
            order = TestWay(bench.domain, member.a, member.b, centre, member.loss_db, bench.clicks)
            try:
                seen: WayTested = await ctx.ask(TESTER, order, within=SWITCHED_WITHIN)
            except Problem as problem:
                if problem.code != "no-route":
                    raise
                continue  # it was taken back meanwhile
            found.append(judge(bench, member, seen, centre))
        self._series.note(tuple(found))
        if found:
            worst = max(way.excess_db for way in found)
            worst = min(worst, MOST_DB)
            ctx.gauge("quoit_domain_excess_db", (bench.domain,), worst)
            ctx.emit("domain.tested", domain=bench.domain, ways=len(found), excess_db=round(worst, 3))
        return tuple(found)

    # -- analyse, decide, execute --------------------------------------------------------------------

    async def analyse(self, ctx: Context, seen: tuple[Judged, ...]) -> Finding | None:
        bench, series = self._bench, self._series
        a, b, figure, times = series.worst()
        if times >= bench.windows:
            lost = {f"{row.a} to {row.b}": row.loss_db for row in series.lost()}
            text = f"{figure} of its way {a} to {b} was missed in {times} tests"
            self.alarms.raise_(ctx, bench.domain, WANTING, Severity.MAJOR, text)
            if self._preference == bench.lowest and not self._worse_than_told():
                return None
            return Finding(bench.domain, WANTING, {"figure": figure, "way": [a, b], "tests": times, "excess_db": lost})
        if series.kept < bench.back:
            return None
        if self._preference == MOST_PREFERENCE:
            self.alarms.clear(ctx, bench.domain, WANTING)  # nothing was done about it, and it is over
            return None
        return Finding(bench.domain, AGAIN, {"tests": series.kept, "preference": self._preference})

    def _worse_than_told(self) -> bool:
        """Whether a way loses more by now than routes count with."""
        told = {(row.a, row.b): row.loss_db for row in self._counted}
        return any(row.loss_db > told.get((row.a, row.b), 0.0) + self._bench.margin_db for row in self._series.lost())

    async def decide(self, ctx: Context, finding: Finding) -> Action | None:
        bench, now, self._done = self._bench, self._preference, False
        if finding.cause == WANTING:
            fields = {"preference": bench.lowest, "excess": [[e.a, e.b, e.loss_db] for e in self._series.lost()]}
            what = f"lower the preference of {bench.domain} from {now} to {bench.lowest}: {finding.cause}"
        else:
            up = min(MOST_PREFERENCE, now + bench.step)
            fields = {"preference": up, "excess": []}
            what = f"raise the preference of {bench.domain} from {now} to {up}: {finding.cause}"
        links = [f"link {row.channel}" for row in await self._across(ctx)] if finding.cause == WANTING else []
        return Action(what, (f"domain {bench.domain}", *links), fields)

    async def execute(self, ctx: Context, action: Action) -> str:
        bench, preference = self._bench, int(action.fields["preference"])
        lowered = preference <= self._preference
        excess = tuple(Excess(a, b, loss_db) for a, b, loss_db in action.fields["excess"])
        await ctx.ask(OTN, PreferDomain(bench.domain, preference, excess), within=WITHIN)
        self._preference, self._counted, self._done = preference, excess, True
        if not lowered:
            self._series.kept = 0
            if preference == MOST_PREFERENCE:
                self.alarms.clear(ctx, bench.domain, WANTING)
            return f"routes prefer it by {preference}"
        before = [row.service for row in await self._across(ctx)]
        for service in before:
            await self._move(ctx, service)
        left = {row.service for row in await self._across(ctx)}
        moved = [service for service in before if service not in left]
        stay = [service for service in before if service in left]
        self._stay = frozenset(stay)
        return f"{_told(moved)} left it" + (f"; {_told(stay)} have no other way" if stay else "")

    async def _move(self, ctx: Context, service: str) -> None:
        """Have its path computed anew. One that is being moved by somebody else just then is asked again."""
        for _ in range(TRIES):
            try:
                await ctx.ask(OTN, MoveService(service), within=SWITCHED_WITHIN)
            except Problem as problem:
                ctx.emit("loop.not_moved", loop=self.plan.name, service=service, code=problem.code)
                if problem.code == "switching":
                    await ctx.sleep(TRY_AGAIN_NS)
                    continue
            return

    async def helped(self, ctx: Context, finding: Finding, seen: Any) -> bool:
        """Nothing that could be elsewhere is left in the domain; or, if it was raised, that stands. Before anything was
        done: the finding is over by itself."""
        if not self._done:
            return await super().helped(ctx, finding, seen)
        return finding.cause == AGAIN or {row.service for row in await self._across(ctx)} <= self._stay

    async def _across(self, ctx: Context) -> list[ServiceRow]:
        """Services whose path goes through the domain."""
        answer: Services = await ctx.ask(OTN, GetServices(), within=WITHIN)
        return [row for row in answer.rows if not self._bench.inside.isdisjoint(row.spans)]


def _told(services: list[str]) -> str:
    return f"{len(services)} service(s) ({', '.join(services)})" if services else "no service"
