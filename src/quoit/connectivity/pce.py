"""Path computation with what quantum light needs: the port, what it is asked and what it answers (E4, E3).

A path for a quantum channel is not a shortest path. It has a budget of loss, it may not meet an amplifier, every
switch costs, the classical channels that share its fibres put noise into it, its wavelength must be free from end
to end because nothing converts it, and often a classical channel must travel the very same fibres (distillation).
A pair of paths must share no risk: no duct, no site.

`PathComputation` is the port; computations are found by the entry points `quoit.path_computation`. The one that comes
along is `quoit.connectivity.label_search`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol

from quoit.model.problem import Problem

Objective = Literal["loss", "latency"]
MAX_CHANNEL_PAIRS = 4096
"""How many pairs of quantum and companion channels one demand may leave open."""


@dataclass(frozen=True)
class Site:
    """Where fibres meet. `transit_loss_db`: what light loses that passes through. `switch`: passing counts as one
    switch. `transit` False: light may end here and not pass."""

    name: str
    transit_loss_db: float = 0.0
    switch: bool = False
    transit: bool = True


@dataclass(frozen=True)
class Fibre:
    """A fibre or a beam between two sites, usable in both directions. `risks`: ducts and whatever else fails
    together. `amplified`: it has an amplifier, which no quantum channel survives."""

    name: str
    a: str
    b: str
    loss_db: float
    latency_ns: int = 0
    risks: frozenset[str] = frozenset()
    amplified: bool = False

    def __post_init__(self) -> None:
        if not self.loss_db >= 0 or self.latency_ns < 0:
            raise ValueError(f"{self.name}: expected loss and latency of at least 0; found {self.loss_db} dB, "
                             f"{self.latency_ns} ns")  # fmt: skip


class PlantState(Protocol):
    """What changes while the plant lives. Channels are numbers of the plant's grid."""

    @property
    def dark(self) -> frozenset[str]:
        """Fibres without light, or with works. Another object whenever it changes, the same one while it does not."""

    def free(self, fibre: str, towards: str) -> int:
        """Bit n is set if channel n is free for light that leaves the fibre at site `towards`."""

    def noise_cps(self, fibre: str, towards: str, channel: int, companion: int | None) -> float:
        """Noise photons per second that this fibre alone adds to `channel`, counted where the light leaves it.
        `companion`: the classical channel that would be lit as well."""


@dataclass(frozen=True)
class Companion:
    """A classical channel on the same fibres, in both directions: one of `channels`, at least `guard` grid
    channels away from the quantum one."""

    channels: tuple[int, ...]
    guard: int = 1


@dataclass(frozen=True)
class Demand:
    """A path for light that goes from site `a` to site `b`. Limits that are None do not bind.

    `channels`: permitted channels of the grid; empty: the path needs no channel of its own. `avoid`: names of fibres,
    risks, and sites that light may not pass. `max_noise_cps`: noise photons per second at the receiver, before its
    detector."""

    a: str
    b: str
    objective: Objective = "loss"
    max_loss_db: float | None = None
    max_latency_ns: int | None = None
    max_switches: int | None = None
    max_noise_cps: float | None = None
    channels: tuple[int, ...] = ()
    companion: Companion | None = None
    quantum: bool = True
    avoid: frozenset[str] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        pairs = len(self.channels) * len(self.companion.channels if self.companion else (0,))
        if self.a == self.b:
            raise Problem("malformed", f"expected two sites; found {self.a} twice")
        if pairs > MAX_CHANNEL_PAIRS:
            raise Problem("malformed", f"expected at most {MAX_CHANNEL_PAIRS} pairs of channels; found {pairs}")
        if (self.companion or self.max_noise_cps is not None) and not self.channels:
            raise Problem("malformed", "expected channels, since a companion or a limit of noise is asked for")


@dataclass(frozen=True)
class ComputedPath:
    """A path that meets its demand. `sites` from `a` to `b`, `fibres` between them. `noise_cps` at the receiver; 0
    where the demand names no channel. `risks`: all that its fibres stand on."""

    sites: tuple[str, ...]
    fibres: tuple[str, ...]
    loss_db: float
    latency_ns: int
    switches: int
    noise_cps: float
    channel: int | None
    companion: int | None
    risks: frozenset[str]


class PathComputation(Protocol):
    """The port. All answers are optimal for the demand's objective; ties go to the other metric, then to fewer
    fibres; what is still alike is ordered by names, so that every process finds the same.

    Raises Problem `no-route` with what binds (`reason`) and what could be had (`offered`), and `unknown-site`.
    """

    def path(self, demand: Demand) -> ComputedPath:
        """The best path."""

    def alternatives(self, demand: Demand) -> Iterator[ComputedPath]:
        """Paths in order of cost, the best first, each once; without end but the network's."""

    def disjoint(self, demand: Demand) -> tuple[ComputedPath, ComputedPath]:
        """Two paths of least total that share no fibre, no risk and no site between their ends."""
