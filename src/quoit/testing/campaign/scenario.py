"""Seeded scenarios of the swarm: a network, what its applications want, and what befalls it."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass

MS = 1_000_000
QUIET_MS = 40_000
"""When the faults have ended."""
END_MS = 75_000
"""When service must be whole again."""


@dataclass(frozen=True)
class Wish:
    """At `at_ms` the application of node `master` opens keys for those of `slaves`, who take them `after_ms` later,
    each as often as it has entries there. With a `stranger`, another application at the first slave's KME tries too."""

    at_ms: int
    master: int
    slaves: tuple[int, ...]
    key_ids: tuple[str, ...]
    valid_ms: int
    after_ms: tuple[tuple[int, ...], ...]
    stranger: bool


@dataclass(frozen=True)
class Fault:
    """From `at_ms` to `until_ms`. `node` is a KME's; `other`, where it matters, the peer's or the link's number."""

    kind: str
    at_ms: int
    until_ms: int
    node: int = 0
    other: int = 0


KINDS = ("crash", "store fails", "put back", "cut", "one-way cut", "lossy", "quarantine", "fibre cut")


@dataclass(frozen=True)
class Scenario:
    """What a seed expands to."""

    seed: int
    nodes: int
    links: tuple[tuple[int, int], ...]
    wishes: tuple[Wish, ...]
    faults: tuple[Fault, ...]
    control_ms: int

    def text(self) -> str:
        """The network file. Links of given rate: what their physics does is tested elsewhere."""
        spans = "".join(f"  - {{between: [n{a}, n{b}], length: 20 km}}\n" for a, b in self.links)
        links = "".join(
            f"  - {{between: [n{a}, n{b}], protocol: rated, rate: 20 kbit/s, initial_pool: 40 kbit}}\n"
            for a, b in self.links
        )
        apps = "".join(
            f"  - {{sae: app{n}, kme: kme-n{n}}}\n  - {{sae: eve{n}, kme: kme-n{n}}}\n" for n in range(self.nodes)
        )
        nodes = ", ".join(f"n{n}: {{}}" for n in range(self.nodes))
        cuts = "".join(
            "  - {{at: {}ms, until: {}ms, cut: n{}--n{}}}\n".format(f.at_ms, f.until_ms, *self.links[f.other])
            for f in self.faults
            if f.kind == "fibre cut"
        )
        return (
            f"quoit: 1\nname: swarm\nseed: {self.seed}\nnodes: {{{nodes}}}\nspans:\n{spans}links:\n{links}"
            f"applications:\n{apps}policies: {{stream_low: 4 kbit, stream_high: 8 kbit, pool_reopen: 2 kbit,"
            f" patience: 1s, control_latency: {self.control_ms} ms}}\n" + (f"events:\n{cuts}" if cuts else "")
        )


def scenario(seed: int) -> Scenario:
    """What this seed stands for; the same for ever."""
    dice = random.Random(seed)
    nodes = dice.randint(2, 5)
    links = [(dice.randrange(n), n) for n in range(1, nodes)]
    others = [(a, b) for a in range(nodes) for b in range(a + 1, nodes) if (a, b) not in links]
    links += dice.sample(others, min(len(others), dice.randint(0, 2)))
    wishes = tuple(_wish(dice, nodes) for _ in range(dice.randint(10, 40)))
    # A few kinds at a time, often: that finds more than a little of everything (swarm testing).
    kinds = dice.sample(KINDS, dice.randint(1, 4))
    faults = tuple(_fault(dice, dice.choice(kinds), nodes, len(links)) for _ in range(dice.randint(1, 10)))
    return Scenario(seed, nodes, tuple(links), wishes, _one_fibre_cut_each(faults), dice.choice((2, 20, 80)))


def _wish(dice: random.Random, nodes: int) -> Wish:
    order = dice.sample(range(nodes), nodes)
    several = nodes > 2 and dice.random() < 0.25
    slaves = tuple(order[1 : 1 + (dice.randint(2, min(3, nodes - 1)) if several else 1)])
    key_ids = tuple(str(uuid.UUID(int=dice.getrandbits(128), version=4)) for _ in range(dice.randint(1, 4)))
    again = tuple(tuple(int(dice.expovariate(1 / 2_000)) for _ in range(dice.choice((0, 1, 1, 2, 3)))) for _ in slaves)
    stranger = dice.random() < 0.3
    valid = dice.choice((2_000, 10_000, 3_600_000))
    return Wish(dice.randint(1_000, QUIET_MS), order[0], slaves, key_ids, valid, again, stranger)


def _fault(dice: random.Random, kind: str, nodes: int, links: int) -> Fault:
    at = dice.randint(1_500, QUIET_MS - 2_000)
    until = min(QUIET_MS, at + dice.choice((50, 500, 3_000, 12_000)))
    node = dice.randrange(nodes)
    other = dice.randrange(links) if kind in ("quarantine", "fibre cut") else (node + dice.randrange(1, nodes)) % nodes
    return Fault(kind, at, until, node, other)


def _one_fibre_cut_each(faults: tuple[Fault, ...]) -> tuple[Fault, ...]:
    """A fibre is cut once: the network file refuses cuts of one span that overlap."""
    seen: set[int] = set()
    kept = []
    for fault in faults:
        if fault.kind == "fibre cut":
            if fault.other in seen:
                continue
            seen.add(fault.other)
        kept.append(fault)
    return tuple(kept)
