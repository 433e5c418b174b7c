"""What sessions have reserved of the links' rates, and which routes would carry one more. Pure bookkeeping (C5, C6).

A session's routes share no node between their ends. On every link of a route its rate is set aside; what links are
believed to make is told by their last blocks, and only `RESERVABLE` of that is given away, since tags cost key too and
a block can be a poor one. A session may take rates from sessions of lower priority, the lowest first, and from as few
of them as it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from msgspec.structs import replace

from quoit.fabric.api import ReserveFlows
from quoit.model.problem import Problem
from quoit.planes.disjoint import Route, disjoint_routes

RESERVABLE = 0.9
GUARD_S = 10.0
"""How many seconds of a reserved rate are kept in every pool on the way."""
MOST_PATHS = 4


@dataclass(frozen=True)
class Reservation:
    """One session's request and the routes that it has now."""

    asked: ReserveFlows
    routes: tuple[Route, ...]

    @property
    def links(self) -> frozenset[str]:
        return frozenset(link for _, links in self.routes for link in links)


class Reservations:
    """Sessions and their routes. `edges`: (link, node, node). `able(link)`: bit/s that the link makes now; 0 for one
    that must not be used."""

    def __init__(self, edges: Iterable[tuple[str, str, str]], able: Callable[[str], float]) -> None:
        self.edges = tuple(edges)
        self._able = able
        self.held: dict[str, Reservation] = {}

    def reserved_bps(self, link: str, floor: int = -1) -> float:
        """Set aside on a link by sessions of a priority above `floor`."""
        return sum(one.asked.rate_bps for one in self.held.values() if link in one.links and one.asked.priority > floor)

    def guarded_bits(self, link: str) -> int:
        """What the link's pool keeps for sessions."""
        return int(self.reserved_bps(link) * GUARD_S)

    def reserve(self, asked: ReserveFlows) -> tuple[Reservation, tuple[str, ...]]:
        """Find routes, and set the rate aside. Returns the sessions that lost theirs, too. A session that is known
        gives back what it had first. Problem `malformed`, `no-route` or `not-admitted`; then nothing has changed."""
        if not 1 <= asked.paths <= MOST_PATHS or asked.rate_bps <= 0:
            detail = f"expected 1 to {MOST_PATHS} paths and a rate above 0; found {asked.paths}, {asked.rate_bps} bit/s"
            raise Problem("malformed", detail)
        before = self.held.pop(asked.session, None)
        try:
            routes, losers = self._routes(asked)
        except Problem:
            if before is not None:
                self.held[asked.session] = before
            raise
        for loser in losers:
            del self.held[loser]
        found = self.held[asked.session] = Reservation(asked, routes)
        return found, losers

    def release(self, session: str) -> Reservation | None:
        """Forget a session."""
        return self.held.pop(session, None)

    def using(self, link: str) -> tuple[str, ...]:
        """Sessions whose routes run over a link."""
        return tuple(session for session, one in self.held.items() if link in one.links)

    def repair(self, session: str) -> Reservation:
        """Routes anew after something changed: the good ones stay if ways that avoid them are left for the others,
        else all are looked for together, without taking from others; what cannot be found is missing."""
        one = self.held.pop(session)
        good = tuple(route for route in one.routes if all(self._able(link) > 0 for link in route[1]))
        missing = one.asked.paths - len(good)
        inner = frozenset(node for nodes, _ in good for node in nodes[1:-1])
        direct = frozenset(link for _, links in good for link in links)
        apart = replace(one.asked, avoid=(*one.asked.avoid, *sorted(inner)))
        routes = (*good, *self._free_routes(apart, missing, without=direct)) if missing else good
        if len(routes) < one.asked.paths:
            anew = self._free_routes(one.asked, one.asked.paths)
            routes = anew if len(anew) > len(routes) else routes
        repaired = self.held[session] = Reservation(one.asked, routes)
        return repaired

    def _routes(self, asked: ReserveFlows) -> tuple[tuple[Route, ...], tuple[str, ...]]:
        for floor in (-1, asked.priority - 1):
            routes = self._free_routes(asked, asked.paths, floor)
            if len(routes) == asked.paths:
                return routes, self._losers(asked, routes)
        raise self._refusal(asked)

    def _free_routes(
        self, asked: ReserveFlows, number: int, floor: int = -1, without: frozenset[str] = frozenset()
    ) -> tuple[Route, ...]:
        """Routes over links with enough rate left, where only sessions of a priority above `floor` count. Of several
        routes the least sum of hops is looked for, and then each must keep `most_transit`: a set of evenly long ones
        can be missed."""
        avoid = frozenset(asked.avoid) - {asked.src, asked.dst}
        edges = [edge for edge in self.edges if avoid.isdisjoint(edge[1:]) and edge[0] not in without]

        def cost(link: str) -> float | None:
            left = self._able(link) * RESERVABLE - self.reserved_bps(link, floor)
            return 1.0 if left >= asked.rate_bps else None

        most = asked.most_transit
        found = disjoint_routes(edges, asked.src, asked.dst, number, cost)
        return tuple(route for route in found if most is None or len(route[0]) - 2 <= most)

    def _losers(self, asked: ReserveFlows, routes: tuple[Route, ...]) -> tuple[str, ...]:
        """Sessions that must go so that these routes fit: the lowest priority first, the youngest first."""
        losers: list[str] = []
        for link in dict.fromkeys(link for _, links in routes for link in links):
            room = self._able(link) * RESERVABLE - asked.rate_bps
            users = [s for s in self.using(link) if s not in losers]
            over = sum(self.held[s].asked.rate_bps for s in users) - room
            users.reverse()  # `held` is in the order of reservation, and sorting keeps it among equals
            for session in sorted(users, key=lambda s: self.held[s].asked.priority):
                if over <= 0:
                    break
                over -= self.held[session].asked.rate_bps
                losers.append(session)
        return tuple(losers)

    def _refusal(self, asked: ReserveFlows) -> Problem:
        """What could be had: the best rate with all other wishes, or which wish cannot be met at any rate."""
        left = {self._able(link) * RESERVABLE - self.reserved_bps(link) for link, _, _ in self.edges}
        for rate in sorted((rate for rate in left if rate > 0), reverse=True):
            if len(self._free_routes(replace(asked, rate_bps=rate), asked.paths)) == asked.paths:
                detail = f"{asked.rate_bps:.0f} bit/s are asked, the network can give {rate:.0f} bit/s on such routes"
                return Problem("not-admitted", detail, offered_bps=rate)
        wish = f"{asked.paths} routes without common nodes" if asked.paths > 1 else "a route"
        if asked.most_transit is not None:
            wish += f" over at most {asked.most_transit} trusted nodes"
        if asked.avoid:
            wish += f" that avoids {', '.join(asked.avoid)}"
        return Problem("no-route", f"expected {wish} from {asked.src} to {asked.dst}; found none with key now")
