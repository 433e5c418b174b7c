"""The fabric's half of a link protocol: what a device makes of the counts of its chunks. A port.

An implementation is built from a device profile. A `LinkProtocol` is a source, a channel and a receiver; a
`PairProtocol` takes pairs of memories, which circuits deliver. It knows how to sum chunks into a block, when a block
is full, what the telemetry of a chunk is and how many secret bits a block gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import add
from typing import NamedTuple, Protocol, runtime_checkable

from quoit.engine.links.pairs import Settings
from quoit.engine.links.sampler import Counts, Sampler


class Reading(NamedTuple):
    """Telemetry of one chunk: test detections and errors among them, sifted and raw detections. `clicks`: the sifted
    ones by intensity of the pulse, strongest first, of protocols that have intensities. `games`: rounds of a Bell test
    and those won, of protocols that have one."""

    tested: int
    errors: int
    sifted: int
    raw: int
    clicks: tuple[int, ...] = ()
    games: tuple[int, ...] = ()

    def plus(self, other: Reading) -> Reading:
        """Of two chunks together."""
        clicks = tuple(map(add, self.clicks, other.clicks)) if self.clicks else other.clicks
        return Reading(
            self.tested + other.tested,
            self.errors + other.errors,
            self.sifted + other.sifted,
            self.raw + other.raw,
            clicks,
            tuple(map(add, self.games, other.games)) if self.games else other.games,
        )


@dataclass(frozen=True)
class BlockVerdict:
    """What a block gives. `secret_bits` is net of authentication and a multiple of 8; 0 with `why`. `chsh`: the
    estimate of S, of protocols that test it."""

    secret_bits: int
    qber: float
    sifted_bits: int
    leak_bits: int
    why: str | None = None
    chsh: float | None = None


class RawBlock(NamedTuple):
    """Chunks on their way to a block: the sums of their counts, how many, how long they took."""

    total: Counts
    chunks: int
    duration_ns: int

    def plus(self, counts: Counts, duration_ns: int) -> RawBlock:
        """With one chunk more."""
        total = tuple(map(add, self.total, counts)) if self.total else counts
        return RawBlock(total, self.chunks + 1, self.duration_ns + duration_ns)


EMPTY = RawBlock((), 0, 0)


class Distillation(Protocol):
    """What a receiver makes of counts.

    `security_label` says what the key's secrecy rests on. `post_time_ns` is how long distillation of a
    block takes after its last detection. `watches_current`: its detectors' supply current is monitored. `shares`: mean
    photon number times probability of each intensity, strongest first; empty where there are none.
    """

    security_label: str
    post_time_ns: int
    expected_qber: float
    watches_current: bool
    shares: tuple[float, ...]

    def reading(self, counts: Counts) -> Reading:
        """Telemetry of a chunk."""
        ...

    def full(self, block: RawBlock) -> bool:
        """Whether these chunks make a block."""
        ...

    def judge(self, block: RawBlock) -> BlockVerdict:
        """Parameter estimation and key length of a block."""
        ...


class LinkProtocol(Distillation, Protocol):
    """Both halves of a link protocol for one device profile."""

    def sampler(self) -> Sampler:
        """The engine's half."""
        ...

    def chunk_ns(self, loss_db: float, telemetry_ns: int) -> int:
        """Chunk length: telemetry's interval, or a fraction of it when blocks fill faster than that."""
        ...


@runtime_checkable
class PairProtocol(Distillation, Protocol):
    """The same for a link whose pairs a circuit delivers. Its counts are those of `engine.links.pairs`."""

    least_fidelity: float

    def settings(self) -> Settings:
        """The engine's half: in which settings the ends read."""
        ...
