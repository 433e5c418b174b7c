"""Path computation by labels, best first, towards the sender (the built-in `PathComputation`).

The search goes from the receiver to the sender, because noise that a fibre adds is weakened by all that lies behind
it: going backwards, that is known. What is still ahead is bounded from below by shortest-path trees of the plant as
built; dark fibres, occupied channels and noise only take paths away, so the search is exact, and as long as the
tree's own path is open and within limits, it is the answer without any search.

A label that comes to a site later costs no less. It is dropped when an earlier one is no worse in every metric that
has a limit. Noise needs two comparisons, now and with the most noise that can still come, because a lossier way
weakens what came before; and then an earlier label counts only if it visited no other sites, since a way that would
cross itself is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

from quoit.connectivity.pce import ComputedPath, Demand, Fibre, PlantState, Site
from quoit.connectivity.plant_graph import FAR, MICRO, Edge, PlantGraph, Way
from quoit.model.problem import Problem

MAX_LABELS = 200_000
"""A search that needs more gives up, and says so."""

Trail = tuple[int, "Trail"] | None
"""The fibres of a label from the sender's side on: the latest, and the rest."""


class _Label(NamedTuple):
    """A way from `site` to the receiver. Loss in microdecibels; noise is counted at the receiver; `visited` has a
    bit for each site that may not come (again)."""

    site: int
    loss: int
    latency: int
    switches: int
    noise: float
    visited: int
    trail: Trail


class _Limits(NamedTuple):
    loss: float
    latency: float
    switches: float
    noise: float


class _Case(NamedTuple):
    """One search: between which sites, what is closed, and the channel it is for, if any."""

    demand: Demand
    a: int
    b: int
    limits: _Limits
    blocked: frozenset[int]
    closed: int
    channel: int | None = None
    companion: int | None = None

    @property
    def noisy(self) -> bool:
        return self.channel is not None and self.demand.max_noise_cps is not None


class LabelSearch:
    """Exact paths under limits of loss, latency, switches, noise, spectrum and shared risk."""

    def __init__(self, sites: Iterable[Site], fibres: Iterable[Fibre], state: PlantState) -> None:
        self._graph = PlantGraph(sites, fibres)
        self._state = state
        self._named = {fibre.name: index for index, fibre in enumerate(self._graph.fibres)}
        self._standing: dict[str, set[int]] = {}
        for index, fibre in enumerate(self._graph.fibres):
            for risk in fibre.risks:
                self._standing.setdefault(risk, set()).add(index)

    # the port

    def path(self, demand: Demand) -> ComputedPath:
        found = self._best(demand)
        if found is None:
            raise self._refusal(demand)
        return found

    def alternatives(self, demand: Demand) -> Iterator[ComputedPath]:
        case = self._case(demand)
        for way in self._ways(case, dominance=False):
            found = self._with_channel(case, way)
            if found is not None:
                yield found

    def disjoint(self, demand: Demand) -> tuple[ComputedPath, ComputedPath]:
        """The cheaper one of the best pair is met first, and no pair that comes after costs less than twice its
        cheaper path: that ends the search."""
        best: tuple[int, ComputedPath, ComputedPath] | None = None
        for first in self.alternatives(demand):
            cost = _costs(demand, first)[0]
            if best is not None and 2 * cost >= best[0]:
                break
            away = frozenset((*first.fibres, *first.sites[1:-1], *first.risks))
            second = self._best(replace(demand, avoid=demand.avoid | away))
            if second is not None and (best is None or cost + _costs(demand, second)[0] < best[0]):
                best = (cost + _costs(demand, second)[0], first, second)
        if best is not None:
            return best[1], best[2]
        one = self.path(demand)
        detail = f"no two paths without shared risk from {demand.a} to {demand.b}; one path is {'-'.join(one.sites)}"
        raise Problem("no-route", detail, reason="disjoint", offered=list(one.fibres))

    # one path

    def _best(self, demand: Demand) -> ComputedPath | None:
        graph = self._graph
        way = graph.way(graph.numbered(demand.a), graph.numbered(demand.b), demand.objective, demand.quantum)
        if way is None:
            return None
        open_ = self._state.dark.isdisjoint(way.things) and demand.avoid.isdisjoint(way.things)
        open_ = open_ and _meets(demand, way)
        if open_ and not demand.channels:
            return way.path
        case = self._case(demand)
        if not open_:
            found = next(self._ways(case), None)
            if found is None:
                return None
            way = found
        # Without regard to channels nothing is better than this one.
        best = self._with_channel(case, way)
        return self._channel_by_channel(case) if best is None else best

    def _channel_by_channel(self, case: _Case) -> ComputedPath | None:
        best: tuple[tuple[int, int, float], ComputedPath] | None = None
        for channel, companion in _channel_pairs(case.demand):
            way = next(self._ways(case._replace(channel=channel, companion=companion)), None)
            if way is not None:
                found = self._lit(way.path, channel, companion)
                key = (*_costs(case.demand, found), found.noise_cps)
                if best is None or key < best[0]:
                    best = (key, found)
        return None if best is None else best[1]

    def _case(self, demand: Demand) -> _Case:
        graph, avoid = self._graph, demand.avoid
        a, b = graph.numbered(demand.a), graph.numbered(demand.b)
        blocked = {self._named[name] for name in (*self._state.dark, *avoid) if name in self._named}
        blocked.update(*(self._standing[name] for name in avoid if name in self._standing))
        if demand.quantum:
            blocked |= graph.amplified
        closed = graph.impassable | sum(1 << graph.number[name] for name in avoid if name in graph.number)
        return _Case(demand, a, b, _limits(demand), frozenset(blocked), closed & ~(1 << a | 1 << b))

    def _ways(self, case: _Case, dominance: bool = True) -> Iterator[Way]:
        """Ways from `a` to `b` in order of cost. With `dominance`, only the first one counts."""
        graph, demand = self._graph, case.demand
        by_loss = demand.objective == "loss"
        keep = self._keeper(case) if dominance else None
        queue = [(0, 0, 0, 0, _Label(case.b, 0, 0, 0, 0.0, case.closed | 1 << case.b, None))]
        made = count(1)
        while queue:
            _, _, hops, _, label = heappop(queue)
            if label.site == case.a:
                fibres = _fibres_of(label.trail)
                yield graph.described(graph.sites_along(case.a, fibres), fibres)
                continue
            if keep is not None and not keep(label):
                continue
            for bound, longer in self._onward(case, label):
                serial = next(made)
                if serial > MAX_LABELS:
                    detail = f"no answer within {MAX_LABELS} partial paths; loosen a limit or name fewer channels"
                    raise Problem("overloaded", detail)
                other = longer.latency if by_loss else longer.loss
                heappush(queue, (bound, other, hops + 1, serial, longer))

    def _onward(self, case: _Case, label: _Label) -> Iterator[tuple[int, _Label]]:
        """Labels with some fibres more, each with the least cost that a whole way over it has."""
        graph, limits, by_loss = self._graph, case.limits, case.demand.objective == "loss"
        quantum = case.demand.quantum
        aim = graph.tree(case.a, case.demand.objective, quantum).cost
        loss_ahead = aim if by_loss else graph.bound(case.a, "loss", quantum, limits.loss)
        latency_ahead = graph.bound(case.a, "latency", quantum, limits.latency) if by_loss else aim
        switches_ahead = graph.bound(case.a, "switches", quantum, limits.switches)
        for edge in graph.at[label.site]:
            longer = self._advanced(case, label, edge)
            if longer is None or aim[longer.site] == FAR:
                continue
            there = longer.site
            least_loss, least_latency = longer.loss + loss_ahead[there], longer.latency + latency_ahead[there]
            least_switches = longer.switches + switches_ahead[there]
            if there != case.a:
                least_loss += graph.transit[there]
                least_switches += graph.switch[there]
            if least_loss <= limits.loss and least_latency <= limits.latency and least_switches <= limits.switches:
                yield (least_loss if by_loss else least_latency), longer

    def _advanced(self, case: _Case, label: _Label, edge: Edge) -> _Label | None:
        """The label with this fibre more, and all that follow where there is no choice; None: the way is shut."""
        graph, blocked = self._graph, case.blocked
        here, loss, latency, switches, noise, visited, trail = label
        while True:
            if here != case.b:
                loss += graph.transit[here]
                switches += graph.switch[here]
            fibre, there, fibre_loss, fibre_latency = edge
            if visited >> there & 1 or fibre in blocked:
                return None
            if case.channel is not None:
                if not self._free(case, fibre, there, here):
                    return None
                if case.noisy:
                    noise += self._noise(case, fibre, here, loss)
                    if noise > case.limits.noise:
                        return None
            loss += fibre_loss
            latency += fibre_latency
            visited |= 1 << there
            trail = (fibre, trail)
            ways = graph.at[there]
            if there == case.a or len(ways) != 2:
                return _Label(there, loss, latency, switches, noise, visited, trail)
            edge = ways[0] if ways[1].fibre == fibre else ways[1]
            here = there

    def _keeper(self, case: _Case) -> Callable[[_Label], bool]:
        """Says whether a label is worth going on with, and remembers it."""
        demand, earlier = case.demand, dict[int, list[_Label]]()
        by_loss = demand.objective == "loss"
        watch_loss = not by_loss and (demand.max_loss_db is not None or case.noisy)
        watch_latency = by_loss and demand.max_latency_ns is not None
        watch_switches, noisy = demand.max_switches is not None, case.noisy
        most = self._most_noise(case) if noisy else 0.0

        def quieter(rival: _Label, label: _Label) -> bool:
            then = rival.noise + most * _kept(rival.loss) <= label.noise + most * _kept(label.loss)
            return then and rival.noise <= label.noise and not rival.visited & ~label.visited

        def keep(label: _Label) -> bool:
            rivals = earlier.setdefault(label.site, [])
            for rival in rivals:
                worse = (
                    (watch_loss and rival.loss > label.loss)
                    or (watch_latency and rival.latency > label.latency)
                    or (watch_switches and rival.switches > label.switches)
                )
                if not worse and (not noisy or quieter(rival, label)):
                    return False
            rivals.append(label)
            return True

        return keep

    # channels and noise

    def _free(self, case: _Case, fibre: int, there: int, here: int) -> bool:
        """Are the channels free for light from `there` to `here`, the companion in both directions?"""
        name, sites, state = self._graph.fibres[fibre].name, self._graph.sites, self._state
        along = state.free(name, sites[here].name)
        if not along >> (case.channel or 0) & 1:
            return False
        if case.companion is None:
            return True
        return bool((along & state.free(name, sites[there].name)) >> case.companion & 1)

    def _noise(self, case: _Case, fibre: int, here: int, loss: int) -> float:
        """What a fibre adds at the receiver, if this loss lies between."""
        name, site = self._graph.fibres[fibre].name, self._graph.sites[here].name
        return self._state.noise_cps(name, site, case.channel or 0, case.companion) * _kept(loss)

    def _most_noise(self, case: _Case) -> float:
        """More noise than any way can still gather."""
        return sum(max(self._noise(case, index, end, 0) for end in ends) for index, ends in enumerate(self._graph.ends))

    def _with_channel(self, case: _Case, way: Way) -> ComputedPath | None:
        """The path with the least noisy of the channels that are free along it; None: none will do."""
        demand, path = case.demand, way.path
        if not demand.channels:
            return path
        along = both = -1
        for name, there, here in zip(path.fibres, path.sites, path.sites[1:], strict=False):
            free = self._state.free(name, here)
            along &= free
            both &= free & self._state.free(name, there)
        found = [
            self._lit(path, channel, companion)
            for channel, companion in _channel_pairs(demand)
            if along >> channel & 1 and (companion is None or both >> companion & 1)
        ]
        best = min(found, key=lambda lit: lit.noise_cps, default=None)
        return None if best is None or best.noise_cps > case.limits.noise else best

    def _lit(self, path: ComputedPath, channel: int, companion: int | None) -> ComputedPath:
        """The path on a channel, with the noise that arrives at its end."""
        noise, loss = 0.0, 0
        for name, here in zip(reversed(path.fibres), reversed(path.sites[1:]), strict=True):
            if here != path.sites[-1]:
                loss += self._graph.transit[self._graph.number[here]]
            noise += self._state.noise_cps(name, here, channel, companion) * _kept(loss)
            loss += self._graph.loss[self._named[name]]
        return replace(path, noise_cps=noise, channel=channel, companion=companion)

    # why not

    def _refusal(self, demand: Demand) -> Problem:
        """Limits come back one by one; the first that takes the last path away is what binds."""
        kept: ComputedPath | None = None
        for reason, step, expected in _tightening(demand):
            found = self._best(step)
            if found is None:
                detail = f"no path from {demand.a} to {demand.b}: expected {expected}"
                offered = None if kept is None else _offer(reason, kept)
                if kept is not None and offered is not None:
                    detail += f"; the best path without this limit has {offered}, over {'-'.join(kept.sites)}"
                return Problem("no-route", detail, a=demand.a, b=demand.b, reason=reason, offered=offered)
            kept = found
        raise AssertionError("a demand whose every part can be met has a path")


def _limits(demand: Demand) -> _Limits:
    return _Limits(
        FAR if demand.max_loss_db is None else demand.max_loss_db * MICRO + 0.5,
        FAR if demand.max_latency_ns is None else demand.max_latency_ns,
        FAR if demand.max_switches is None else demand.max_switches,
        float("inf") if demand.max_noise_cps is None else demand.max_noise_cps,
    )


def _meets(demand: Demand, way: Way) -> bool:
    """Is the way within the limits that do not depend on a channel?"""
    limits, path = _limits(demand), way.path
    return way.loss <= limits.loss and path.latency_ns <= limits.latency and path.switches <= limits.switches


def _costs(demand: Demand, path: ComputedPath) -> tuple[int, int]:
    loss = round(path.loss_db * MICRO)
    return (loss, path.latency_ns) if demand.objective == "loss" else (path.latency_ns, loss)


def _kept(loss_micro_db: int) -> float:
    """The share of light that is left after this loss."""
    return float(10 ** (-loss_micro_db / (10 * MICRO)))


def _fibres_of(trail: Trail) -> list[int]:
    fibres = []
    while trail is not None:
        fibre, trail = trail
        fibres.append(fibre)
    return fibres


def _channel_pairs(demand: Demand) -> Iterator[tuple[int, int | None]]:
    for channel in demand.channels:
        if demand.companion is None:
            yield channel, None
            continue
        for other in demand.companion.channels:
            if abs(other - channel) >= max(demand.companion.guard, 1):
                yield channel, other


def _tightening(demand: Demand) -> Iterator[tuple[str, Demand, str]]:
    """(what binds, the demand up to it, what was expected), from no limit to all."""
    step = Demand(demand.a, demand.b, demand.objective, quantum=False)
    yield "unreachable", step, "a way that has light"
    step = replace(step, avoid=demand.avoid)
    yield "avoid", step, f"a path that avoids {', '.join(sorted(demand.avoid))}"
    step = replace(step, quantum=demand.quantum)
    yield "amplifier", step, "a path without amplifiers"
    step = replace(step, max_loss_db=demand.max_loss_db)
    yield "loss", step, f"at most {demand.max_loss_db} dB"
    step = replace(step, max_latency_ns=demand.max_latency_ns)
    yield "latency", step, f"at most {demand.max_latency_ns} ns"
    step = replace(step, max_switches=demand.max_switches)
    yield "switches", step, f"at most {demand.max_switches} switches"
    step = replace(step, channels=demand.channels, companion=demand.companion)
    yield "spectrum", step, f"one of {len(demand.channels)} channels free from end to end"
    yield "noise", demand, f"at most {demand.max_noise_cps} noise photons per second"


def _offer(reason: str, kept: ComputedPath) -> str | None:
    """What the path before this limit has."""
    return {
        "loss": f"{kept.loss_db:.3f} dB",
        "latency": f"{kept.latency_ns} ns",
        "switches": f"{kept.switches} switches",
        "noise": f"{kept.noise_cps:.4g} noise photons per second",
    }.get(reason)
