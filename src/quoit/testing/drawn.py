"""Readings of one link as its receiver would tell them, drawn a second at a time, without a twin around them.

For long runs of detectors: the sampler, the protocol's readings and the tests are those of a twin.
"""

from __future__ import annotations

from collections.abc import Iterator

from quoit.engine.links.sampler import Channel, ChunkStream
from quoit.fabric.api import LinkReading
from quoit.fabric.detection import BatteryPlan
from quoit.fabric.links.bb84 import DecoyBB84
from quoit.fabric.links.profile import BUILT_IN, BB84Profile, with_overrides
from quoit.runtime import seeds

S = 10**9


def protocol(profile: str, **changes: object) -> DecoyBB84:
    """Decoy BB84 with a built-in profile. ValueError for one of another protocol."""
    found = with_overrides(BUILT_IN[profile], changes)
    if not isinstance(found, BB84Profile):
        raise ValueError(f"profile {profile} is not one of decoy BB84")
    return DecoyBB84(found)


def plan(link: DecoyBB84) -> BatteryPlan:
    """What its tests must know of the link."""
    return BatteryPlan(link.profile.qber_abort, link.shares)


def readings(link: DecoyBB84, channels: Iterator[Channel], seed: int) -> Iterator[LinkReading]:
    """One reading a second, over the channel that each second has."""
    stream = ChunkStream(link.sampler(), 1.0, lambda epoch: seeds.generator(seed, "drawn", f"counts {epoch}"))
    for number, channel in enumerate(channels, 1):
        tested, errors, sifted, raw, clicks, _ = link.reading(stream.next(channel))
        yield LinkReading("link", tested, errors, sifted, raw, number * S, number, S, clicks)
