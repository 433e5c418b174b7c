"""Routes over several optical domains of which only their grey abstraction is known (RFC 8453, RFC 8637).

The parent's search runs over members and the spans between domains; children then say how their parts run on the
wavelength that was found. Named approximations: each domain offers one way between two of its ends, the best by itself,
so a pair of diverse paths through one domain may be missed; a member's noise is that of its worse direction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from quoit.connectivity.api import ComputePaths, Member
from quoit.connectivity.inventory import Inventory
from quoit.connectivity.pce import ComputedPath, Fibre, Site
from quoit.connectivity.planning import PlannedState, fibres_of
from quoit.connectivity.routing import RASTER, Chosen, Computation, channel_of


@dataclass(frozen=True)
class Part:
    """What a path over several domains is made of: a span between domains, or a way through `domain`."""

    a: str
    b: str
    domain: str = ""
    span: str = ""


class _Abstract:
    """The state of members and of the spans between domains."""

    def __init__(self, members: dict[str, Member], between: PlannedState) -> None:
        self._between = between
        self._masks = {n: sum(1 << channel_of(c) for c in m.centres_mhz) for n, m in members.items()}
        self._noise = {
            (name, channel_of(c)): noise
            for name, m in members.items()
            for c, noise in zip(m.centres_mhz, m.noise_hz, strict=True)
        }

    @property
    def dark(self) -> frozenset[str]:
        return self._between.dark

    def free(self, fibre: str, towards: str) -> int:
        mask = self._masks.get(fibre)
        return self._between.free(fibre, towards) if mask is None else mask

    def noise_cps(self, fibre: str, towards: str, channel: int, companion: int | None) -> float:
        if fibre in self._masks:
            return self._noise[fibre, channel]
        return self._between.noise_cps(fibre, towards, channel, companion)


class Coordinator:
    """Searches over abstractions. `between`: names of the spans that join domains."""

    def __init__(self, inventory: Inventory, between: Iterable[str], computation: Computation) -> None:
        self._inventory = inventory
        self._fibres = [f for f in fibres_of(inventory) if f.name in set(between)]
        self._computation = computation

    def latency_ns(self, span: str) -> int:
        """Of a span between domains."""
        return next(fibre.latency_ns for fibre in self._fibres if fibre.name == span)

    @property
    def borders(self) -> frozenset[str]:
        """Nodes at which spans between domains end."""
        return frozenset(end for fibre in self._fibres for end in (fibre.a, fibre.b))

    def paths(
        self, question: ComputePaths, members: Sequence[tuple[str, Member]], state: PlannedState, chosen: Chosen
    ) -> list[tuple[ComputedPath, tuple[Part, ...]]]:
        """One path, or two that share no risk, with their parts. Raises Problem `no-route`.

        `members`: each with its domain. `state`: of the spans between domains.
        """
        named = {f"{domain}:{m.a}:{m.b}": (domain, m) for domain, m in members}
        fibres = [Fibre(name, m.a, m.b, m.loss_db, m.latency_ns, frozenset(m.risks)) for name, (_, m) in named.items()]
        nodes = {end for fibre in (*fibres, *self._fibres) for end in (fibre.a, fibre.b)} | {question.a, question.b}
        sites = [Site(n, self._inventory.insertion_db(n), n in self._inventory.switches) for n in sorted(nodes)]
        search = self._computation(
            sites, [*fibres, *self._fibres], _Abstract({n: m for n, (_, m) in named.items()}, state)
        )
        insertion = sum(self._inventory.insertion_db(node) for node in (question.a, question.b))
        demand = chosen.demand(question, insertion, question.a, question.b)
        found = search.disjoint(demand) if question.disjoint else (search.path(demand),)
        return [(path, tuple(self._parts(path, named))) for path in found]

    @staticmethod
    def _parts(path: ComputedPath, named: dict[str, tuple[str, Member]]) -> Iterable[Part]:
        for a, b, fibre in zip(path.sites, path.sites[1:], path.fibres, strict=False):
            yield Part(a, b, named[fibre][0]) if fibre in named else Part(a, b, span=fibre)


def centre_of_path(path: ComputedPath) -> int:
    """Its wavelength as a frequency in MHz."""
    assert path.channel is not None
    return RASTER.centre_mhz(path.channel)
