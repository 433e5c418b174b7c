"""A study ready to run: its points, the runs of each, and their seeds."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal

from quoit.scenario.sweep.axes import Axis, changed, located
from quoit.scenario.sweep.schema import SweepFile

SEED_BITS = 53
"""Every reader of JSON keeps whole numbers of so many bits."""

Key = tuple[int, int]
"""Which run: (point, repeat), both from 0."""


@dataclass(frozen=True)
class Run:
    """One run of one point: all that a worker needs, in plain values."""

    point: int
    repeat: int
    seed: int
    base: dict[str, Any]

    @property
    def key(self) -> Key:
        return self.point, self.repeat


@dataclass(frozen=True)
class Study:
    """A checked sweep file with its base read. `base`: `chain`, or `network` (the file's content) and `until`."""

    name: str
    title: str
    seeds: tuple[int, ...]
    base: dict[str, Any]
    axes: tuple[Axis, ...]
    combine: Literal["product", "zip"]
    figures: tuple[str, ...]

    @property
    def repeats(self) -> int:
        """Runs of each point."""
        return len(self.seeds)

    @property
    def count(self) -> int:
        """Number of points."""
        return sum(1 for _ in self.places())

    def places(self) -> Iterator[tuple[int, ...]]:
        """Of each point in order: the number of its value on each axis. The last axis changes fastest."""
        if self.combine == "zip":
            return iter([(i,) * len(self.axes) for i in range(len(self.axes[0].values))])
        return itertools.product(*(range(len(axis.values)) for axis in self.axes))

    def runs(self) -> Iterator[Run]:
        """All runs, point by point."""
        for point, place in enumerate(self.places()):
            base = self.base_at(place)
            for repeat in range(self.repeats):
                yield Run(point, repeat, self.seed_of(point, repeat), base)

    def base_at(self, place: tuple[int, ...]) -> dict[str, Any]:
        """The base with the axes' values of a place. Raises PathFault."""
        base: dict[str, Any] = self.base
        for axis, i in zip(self.axes, place, strict=True):
            base = changed(base, located(base, axis.name), axis.values[i])
        return base

    def seed_of(self, point: int, repeat: int) -> int:
        """Of a run: from the sweep's seed and the point's number, and which of the point's seeds it is."""
        return derived(self.seeds[repeat], point)

    def digest(self) -> str:
        """Names all that decides what the runs give: two studies of one digest have the same runs."""
        axes = [[axis.name, list(axis.values)] for axis in self.axes]
        parts = [version("quoit"), list(self.seeds), self.base, axes, self.combine, list(self.figures)]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def seeds_of(file: SweepFile) -> tuple[int, ...]:
    """Seeds of the sweep's repeats: as listed, or derived from its one seed."""
    if isinstance(file.seeds, list):
        return tuple(file.seeds)
    return tuple(derived(file.seed, repeat, "repeat") for repeat in range(file.seeds))


def derived(seed: int, number: int, purpose: str = "point") -> int:
    """Another seed, of 53 bits, for one number."""
    digest = hashlib.sha256(f"quoit sweep\x1f{purpose}\x1f{seed}\x1f{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - SEED_BITS)
