"""How the parts of a twin find each other: what each says of itself, and what all conclude from it alike.

Before the start every part says again and again what it holds and what it was started with. When all elements are held,
the part that holds the first of them names the instant of the common start. From then on silence means that a part has
gone. A part without resources may come back to the twin's present; one with resources may not, for keys went with it.

No clocks and no bus here: times are given, and are of the monotonic clock that the parts of one machine share.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from quoit.scenario.parts import Holdings, Part

SILENT_NS = 5_000_000_000
"""A part that says nothing for so long has gone."""
LEAVE_NS = 1_000_000_000
"""Between a part's good-bye and its loss: a signal that ends all of them reaches them within that."""
HEAD_START_NS = 1_000_000_000
"""From the moment that all parts are there to the common start."""
WORDS: Mapping[str, str] = {
    "version": "version of quoit",
    "file": "network file",
    "seed": "--seed",
    "from": "--from",
    "until": "--until",
    "speed": "--speed",
    "clock": "machine (parts share the clock of one)",
    "keys": "root of keys (credentials of another run of the bus)",
}
"""What all parts must have alike, as a user knows it."""


class PartRefused(ValueError):
    """This part cannot take its place in the twin; the text says why and how to mend it."""


class State(StrEnum):
    """What a part is doing."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    """It has come to the end that all have."""
    LEAVING = "leaving"
    """It was ended before that."""


class Go(msgspec.Struct, frozen=True):
    """The common start: parts in the order of their numbers, which process each is, the instant, and what the clock
    shows then."""

    parts: tuple[str, ...]
    instances: tuple[str, ...]
    sim_ns: int
    wall_ns: int


class Hello(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a part says of itself. `instance` tells two processes of one name apart, `since_ns` says when it joined,
    `lives` which life of each part it knows of, its own among them, `wants` which news are wanted there, and `told` how
    many news it has told to each part."""

    part: str
    instance: str
    since_ns: int
    facts: dict[str, str]
    lives: dict[str, int] = {}
    state: State = State.WAITING
    go: Go | None = None
    late_s: float = 0.0
    faithful: bool = True
    wants: tuple[str, ...] = ()
    told: dict[str, int] = {}

    @property
    def life(self) -> int:
        """Which life of its part this is."""
        return self.lives.get(self.part, 0)


class Seen(msgspec.Struct):
    """Another part as it was last heard."""

    hello: Hello
    at_ns: int
    gone: bool = False


class Muster:
    """One part's view of all."""

    def __init__(self, own: Hello, holdings: Holdings) -> None:
        """`holdings`: of this network."""
        self.own = own
        self.seen: dict[str, Seen] = {}
        self.quarrels: dict[str, str] = {}
        self._holdings = holdings
        self._own = holdings.of(own.part)

    def hear(self, name: str, hello: Hello, at_ns: int) -> Seen | None:
        """A part (`name` is what its certificate says) said something. Returns it if it has come back to a new life.

        Of two that cannot both be in the twin, the one that came later has to go: PartRefused if that is this one.
        """
        if hello.instance == self.own.instance:
            return None
        if name != hello.part:
            self.quarrels[name] = f"{name} says that it is {hello.part}"
            return None
        why = self._quarrel(hello)
        if why is not None:
            if self._is_before(hello):
                raise PartRefused(why)
            self.quarrels[hello.part] = why
            return None
        return self._note(hello, at_ns)

    def _note(self, hello: Hello, at_ns: int) -> Seen | None:
        known = self.seen.get(hello.part)
        if known is not None and known.hello.instance != hello.instance:
            if not known.gone and hello.since_ns > known.hello.since_ns:
                return None  # it will hear the other one, and go
            if hello.since_ns < known.hello.since_ns:
                return None  # a word that was late
        new = self.seen[hello.part] = Seen(hello, at_ns)
        has_come = hello.state is State.RUNNING and hello.life > (0 if known is None else known.hello.life)
        return new if has_come else None

    def _is_before(self, other: Hello) -> bool:
        if (other.go is None) != (self.own.go is None):
            return other.go is not None
        return (other.since_ns, other.instance) < (self.own.since_ns, self.own.instance)

    def _quarrel(self, other: Hello) -> str | None:
        """Why the two cannot be parts of one twin, as it is told to the one that has to go."""
        for fact, mine in self.own.facts.items():
            theirs = other.facts.get(fact, mine)
            if theirs != mine and "" not in (theirs, mine):
                word = WORDS.get(fact, fact)
                return f"part {other.part} was started with another {word}: {theirs} there, {mine} here"
        both = self._holdings.described(self._own & self._holdings.of(other.part))
        if both and other.state in (State.WAITING, State.RUNNING):
            return f"{', '.join(both)} would be held twice: here and by part {other.part}, which is {other.state}"
        return None

    def missing(self) -> list[str]:
        """What has elements that no part is heard to hold: cells, and functions of cells."""
        held = self._own.union(*(self._holdings.of(name) for name, seen in self.seen.items() if not seen.gone))
        return self._holdings.described(frozenset(self._holdings.all) - held)

    def decide(self, now_ns: int, sim_ns: int) -> Go | None:
        """The common start if it is known or if this part is to name it; None while parts are missing."""
        for seen in self.seen.values():
            if seen.hello.go is not None and not seen.gone:
                return seen.hello.go
        if self.missing() or self._holdings.all[0] not in self._own:
            return None
        others = sorted(name for name, seen in self.seen.items() if not seen.gone)
        instances = (self.own.instance, *(self.seen[name].hello.instance for name in others))
        return Go((self.own.part, *others), instances, sim_ns, now_ns + HEAD_START_NS)

    def admit(self, go: Go) -> int:
        """Which life of this part begins: 0 at the common start, a later one where it comes back. PartRefused if the
        twin runs with other parts, or if this one holds what cannot come back."""
        own = self.own
        if own.instance in go.instances:
            return 0
        if own.part not in go.parts:
            raise PartRefused(f"the twin runs already, in the parts {', '.join(go.parts)}: {own.part} is none of them")
        if Part.named(own.part).has_resources:
            raise PartRefused(f"part {own.part} held resources, and what was in them is gone: start all parts anew")
        return 1 + self.life_of(own.part)

    def life_of(self, part: str) -> int:
        """The latest life of a part that anybody has told of."""
        return max((seen.hello.lives.get(part, 0) for seen in self.seen.values()), default=0)

    def silent(self, now_ns: int) -> list[Seen]:
        """Parts that have gone since the last call."""
        gone = [seen for seen in self.seen.values() if not seen.gone and _is_gone(seen, now_ns)]
        for seen in gone:
            seen.gone = True
        return gone


def _is_gone(seen: Seen, now_ns: int) -> bool:
    if seen.hello.state is State.FINISHED:
        return False
    return now_ns - seen.at_ns > (LEAVE_NS if seen.hello.state is State.LEAVING else SILENT_NS)
