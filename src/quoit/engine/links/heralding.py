"""Link protocols of entangled pairs, and their port: what one attempt between two neighbours' memories is like.

A `HeraldProtocol` gets what is known of a link, its length and its loss, and makes the elementary link of circuits
(`engine.program.Hop`): success, time of an attempt, state of a heralded pair. All physics is in `engine.equipment`'s
closed forms; the engine then samples attempts by that and by nothing else. Others come in by the entry points
`quoit.herald_protocols`: a class without arguments.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from quoit.engine.equipment import (
    SCHEMES,
    Heralded,
    Silent,
    clicks,
    from_source,
    measured_hop,
    published_source,
    timed_hop,
)
from quoit.engine.hardware import PROFILES, HardwareProfile
from quoit.engine.physics.bell_pairs import werner
from quoit.engine.program import Hop

GROUP = "quoit.herald_protocols"
"""Group of entry points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkGiven:
    """What a network file says of a link for entangled pairs; None for what it does not say. `attempt_s`: preparation
    of an attempt, or how long a memory listens."""

    scheme: str
    attempt_s: float
    profile: HardwareProfile | None = None
    success: float | None = None
    fidelity: float | None = None
    bright: float = 0.05
    emission: float | None = None
    absorption: float | None = None
    dark: float = 0.0

    def told(self, *keys: str) -> list[float]:
        """These numbers. ValueError if one is not said."""
        values = [getattr(self, key) for key in keys]
        if None in values:
            names = f"{', '.join(keys[:-1])}{' and ' * (len(keys) > 1)}{keys[-1]}"
            raise ValueError(f"scheme {self.scheme}: expected {names}")
        return values


class HeraldProtocol(Protocol):
    """How pairs are heralded. `photons`: how many of the photons that halve the path with a station in its middle must
    arrive; one that crosses all of it counts as two."""

    photons: int

    def hop(self, given: LinkGiven, length_km: float, loss_db: float) -> Hop:
        """An attempt, if the path loses so much now. Not before light may anybody know. ValueError names what neither
        the file nor the hardware's paper says."""
        ...

    def false_share(self, given: LinkGiven, length_km: float) -> float | None:
        """None if `hop` answers for every loss. Else its figures are those of the link as it was commissioned, and this
        is the share of heralds that nothing lies behind, which light that gets lost does not lessen."""
        ...


class AsTold:
    """Protocol `given`: success and fidelity as the file says."""

    photons = 2

    def hop(self, given: LinkGiven, length_km: float, loss_db: float) -> Hop:
        """`dark` is part of the success: ValueError if the told fidelity has no room for so much white noise."""
        success, fidelity = given.told("success", "fidelity")
        if given.dark >= success or fidelity > 1 - 0.75 * given.dark / success:
            raise ValueError(
                f"expected dark below success, and a fidelity that so much white noise leaves; found "
                f"dark {given.dark:g} of success {success:g}, fidelity {fidelity:g}"
            )
        return timed_hop("double_click", length_km, given.attempt_s, Heralded(success, werner(fidelity)))

    def false_share(self, given: LinkGiven, length_km: float) -> float | None:
        return given.dark / given.success if given.success else 0.0


class Clicks:
    """Single or double click at a station in the middle, by the devices of published hardware."""

    def __init__(self, scheme: str) -> None:
        self._scheme = scheme
        self.photons = SCHEMES[scheme].photons

    def hop(self, given: LinkGiven, length_km: float, loss_db: float) -> Hop:
        profile = given.profile
        if profile is None:
            raise ValueError(f"scheme {given.scheme}: expected hardware, one of {', '.join(sorted(PROFILES))}")
        try:
            found = clicks(profile, self._scheme, loss_db, given.bright)
        except Silent as silent:
            raise ValueError(f"{silent}: use scheme given") from silent
        own_s = given.attempt_s if profile.attempt_s is None else profile.attempt_s
        return timed_hop(self._scheme, length_km, own_s, found, profile.duty_factor)

    def false_share(self, given: LinkGiven, length_km: float) -> float | None:
        return None


class _Loading(ABC):
    """Memories load photons of a source. `shown`: scheme of the published hardware that does so."""

    photons = 2
    scheme = shown = shown_as = ""

    def hop(self, given: LinkGiven, length_km: float, loss_db: float) -> Hop:
        profile = given.profile
        if profile is None:
            emission, absorption, fidelity = given.told("emission", "absorption", "fidelity")
            found = from_source(
                self.scheme, loss_db, emission=emission, absorption=absorption, fidelity=fidelity, dark=given.dark
            )
            return timed_hop(self.scheme, length_km, given.attempt_s, found)
        if profile.scheme == self.shown:
            return self.published(given, profile, length_km)
        raise ValueError(
            f"hardware {profile.name} is {profile.scheme.replace('_', '-')}: expected none, with emission, absorption "
            f"and fidelity, or {self.shown_as}"
        )

    @abstractmethod
    def published(self, given: LinkGiven, profile: HardwareProfile, length_km: float) -> Hop:
        """As it was measured."""

    def false_share(self, given: LinkGiven, length_km: float) -> float | None:
        """Noise that a set-up showed over much fibre and not over little is taken to be of that kind."""
        profile = given.profile
        if profile is None:
            return None
        far = profile.pair_fibre_km is not None and length_km > profile.pair_fibre_km
        return profile.extra_depol if far else 0.0


class MidpointSource(_Loading):
    """A source of pairs in the middle loads both memories."""

    scheme, shown, shown_as = "midpoint_source", "pair_source", "a source of pairs"

    def published(self, given: LinkGiven, profile: HardwareProfile, length_km: float) -> Hop:
        (absorption,) = given.told("absorption")
        found = published_source(profile, length_km, given.attempt_s, absorption)
        return timed_hop(self.scheme, length_km, given.attempt_s, found, profile.availability or 1.0)


class SenderReceiver(_Loading):
    """One node's photon loads the other's memory, or visits both."""

    scheme, shown, shown_as = "sender_receiver", "sequential", "sequential hardware"

    def published(self, given: LinkGiven, profile: HardwareProfile, length_km: float) -> Hop:
        return measured_hop(profile, length_km)


BUILT_IN: Mapping[str, HeraldProtocol] = MappingProxyType(
    {
        "given": AsTold(),
        "single-click": Clicks("single_click"),
        "double-click": Clicks("double_click"),
        "midpoint-source": MidpointSource(),
        "sender-receiver": SenderReceiver(),
    }
)
"""Protocols of this package, by the names that network files use."""
