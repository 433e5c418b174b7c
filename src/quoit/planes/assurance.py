"""Assurance graph: how well a service is, and what of what it stands on makes it ill (RFC 9417, RFC 9418).

A subservice is anything that can be well or ill: a key session, a route, a link, a pool, a fibre. Its own symptoms
come from measurements; its health is the least of its own and of all that it depends on with impact. Informational
dependencies are shown and weigh nothing; behind a buffer, an illness counts half. Causes of an illness are the
symptoms at the far end of the dependencies: a symptom whose subservice depends on something that is at least as ill
is explained by it, not a cause.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

WELL = 100
"""RFC 9418: 100 is healthy, 0 is broken."""


class Impact(StrEnum):
    """How a dependency counts (RFC 9418, dependency-type; its list is open, and *buffered* is ours).

    Buffered: a store lies between, such as a pool of key between a dark link and those who draw from it. What is
    behind it takes half of its illness away: the service is in danger and not yet ill.
    """

    IMPACTING = "impacting"
    BUFFERED = "buffered"
    INFORMATIONAL = "informational"


@dataclass(frozen=True)
class Symptom:
    """What is wrong with a subservice by itself. `weight`: points of health that it takes, 1 to 100."""

    about: str
    name: str
    text: str
    weight: int
    since_ns: int


@dataclass(frozen=True)
class Standing:
    """A subservice: health 0 to 100, its own symptoms, and those that cause what ails it."""

    name: str
    kind: str
    health: int
    symptoms: tuple[Symptom, ...]
    causes: tuple[Symptom, ...]


class Assurance:
    """The graph. Dependencies that would close a circle are refused: nothing explains itself."""

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}
        self._needs: dict[str, dict[str, Impact]] = {}
        self._symptoms: dict[str, dict[str, Symptom]] = {}

    def add(self, name: str, kind: str) -> None:
        """A subservice; adding it again changes its kind."""
        self._kinds[name] = kind
        self._needs.setdefault(name, {})
        self._symptoms.setdefault(name, {})

    def remove(self, name: str) -> None:
        """A subservice that is no more; dependencies on it end."""
        for table in (self._kinds, self._needs, self._symptoms):
            table.pop(name, None)
        for needs in self._needs.values():
            needs.pop(name, None)

    def depends(self, name: str, on: Iterable[str], impact: Impact = Impact.IMPACTING) -> None:
        """What `name` stands on, in this manner, from now on: replaces what was said before.

        Raises KeyError for a subservice that was not added, ValueError for a circle."""
        wanted = list(on)
        for other in wanted:
            if name in self._below(other):
                raise ValueError(f"{name} cannot depend on {other}, which depends on it")
        kept = {other: how for other, how in self._needs[name].items() if how is not impact}
        self._needs[name] = kept | dict.fromkeys(wanted, impact)

    def ail(self, about: str, name: str, text: str, weight: int, now_ns: int) -> None:
        """A symptom appears, or goes on with another text or weight. Raises ValueError for a weight outside 1..100."""
        if not 1 <= weight <= WELL:
            raise ValueError(f"expected a weight of 1 to {WELL}; found {weight}")
        standing = self._symptoms[about].get(name)
        since_ns = now_ns if standing is None else standing.since_ns
        self._symptoms[about][name] = Symptom(about, name, text, weight, since_ns)

    def heal(self, about: str, name: str) -> bool:
        """A symptom is over; says whether there was one."""
        return self._symptoms[about].pop(name, None) is not None

    def standing(self, name: str, healths: dict[str, int] | None = None) -> Standing:
        """`healths`: those of everything, if they are known already. Raises KeyError for what is not in the graph."""
        healths = {} if healths is None else healths
        health = self._health(name, healths)
        own = tuple(sorted(self._symptoms[name].values(), key=_order))
        causes = () if health == WELL else tuple(sorted(self._causes(name, healths), key=_order))
        return Standing(name, self._kinds[name], health, own, causes)

    def all(self) -> tuple[Standing, ...]:
        """Every subservice, by name."""
        healths = self.healths()
        return tuple(self.standing(name, healths) for name in sorted(self._kinds))

    def healths(self) -> dict[str, int]:
        """Health of every subservice."""
        healths: dict[str, int] = {}
        for name in self._kinds:
            self._health(name, healths)
        return healths

    def kind(self, name: str) -> str:
        """KeyError for what is not in the graph."""
        return self._kinds[name]

    def __contains__(self, name: object) -> bool:
        return name in self._kinds

    def below(self, name: str) -> frozenset[str]:
        """All that a subservice depends on in whatever way, however far, without itself. KeyError as above."""
        return frozenset(self._below(name) - {name})

    def needs(self, name: str) -> tuple[tuple[str, Impact], ...]:
        """What a subservice depends on, by name."""
        return tuple(sorted(self._needs[name].items()))

    def _below(self, name: str) -> set[str]:
        """`name` and all that it depends on, however far."""
        found, ahead = {name}, [name]
        while ahead:
            for other in self._needs[ahead.pop()]:
                if other not in found:
                    found.add(other)
                    ahead.append(other)
        return found

    def _own(self, name: str) -> int:
        return max(0, WELL - sum(symptom.weight for symptom in self._symptoms[name].values()))

    def _weighing(self, name: str) -> Iterator[str]:
        return (other for other, how in self._needs[name].items() if how is not Impact.INFORMATIONAL)

    def _health(self, name: str, healths: dict[str, int]) -> int:
        if name not in healths:
            health = self._own(name)
            for other, how in self._needs[name].items():
                if how is Impact.IMPACTING:
                    health = min(health, self._health(other, healths))
                elif how is Impact.BUFFERED:
                    health = min(health, (WELL + self._health(other, healths)) // 2)
            healths[name] = health
        return healths[name]

    def _causes(self, name: str, healths: dict[str, int]) -> set[Symptom]:
        """Symptoms of the ones below that are at least as ill as this one; where none is, its own."""
        worse = [other for other in self._weighing(name) if healths[other] <= self._own(name) and healths[other] < WELL]
        if not worse:
            return set(self._symptoms[name].values())
        return {cause for other in worse for cause in self._causes(other, healths)}


def _order(symptom: Symptom) -> tuple[int, str, str]:
    return -symptom.weight, symptom.about, symptom.name
