"""The true state of the world: spans, what travels on them, and who tampers with it.

Only the engine reads it; only the scenario's events and attacks edit it. Nobody is told.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from quoit.runtime.wire import Message, message


@dataclass
class TrueSpan:
    """A fibre as it really is. `bend_db` is loss added by events."""

    name: str
    loss_db: float
    bend_db: float = 0.0
    cut: bool = False

    @property
    def total_db(self) -> float | None:
        """Loss now; None if no light passes."""
        return None if self.cut else self.loss_db + self.bend_db


@dataclass
class TrueLink:
    """The quantum channel of one link as it really is.

    `intercepted` is the fraction of pulses that an eavesdropper measures and sends on (intercept-resend).
    `tampered` is the probability with which somebody on the classical channel alters a message of a round.
    `rate_bps` overrides the key rate of a link whose rate is given instead of modelled; None: as given.
    `spoiled`: of a link for entangled pairs, the probability with which a pair is in truth white noise, beyond what
    its hardware's profile says.
    """

    name: str
    spans: tuple[str, ...]
    intercepted: float = 0.0
    tampered: float = 0.0
    rate_bps: float | None = None
    spoiled: float = 0.0


@dataclass
class World:
    """All spans and links of a scenario."""

    spans: dict[str, TrueSpan] = field(default_factory=dict)
    links: dict[str, TrueLink] = field(default_factory=dict)
    edition: int = 0
    """Grows whenever the light of a link may have changed."""

    def loss_db(self, link: str) -> float | None:
        """End-to-end loss of a link's path, dB; None if a span of it is dark."""
        total = 0.0
        for name in self.links[link].spans:
            loss = self.spans[name].total_db
            if loss is None:
                return None
            total += loss
        return total

    def links_on(self, span: str) -> list[str]:
        """Links whose path uses `span`."""
        return [link.name for link in self.links.values() if span in link.spans]


@message("world.CutSpan")
class CutSpan(Message):
    """Cut a fibre, or (`cut` false) splice it again."""

    span: str
    cut: bool = True


@message("world.BendSpan")
class BendSpan(Message):
    """Set the loss that a bend adds to a fibre, dB."""

    span: str
    loss_db: float


@message("world.Intercept")
class Intercept(Message):
    """An eavesdropper measures and resends this fraction of a link's pulses (0: she has gone)."""

    link: str
    fraction: float


@message("world.Tamper")
class Tamper(Message):
    """Somebody alters a classical message of this fraction of a link's rounds (0: no more). A round is a chunk."""

    link: str
    fraction: float


@message("world.SetRate")
class SetRate(Message):
    """Change the rate of a link whose rate is given; None: back to what the network file says."""

    link: str
    rate_bps: float | None


@message("world.Spoil")
class Spoil(Message):
    """From now on this fraction of what a link for entangled pairs delivers is white noise (0: no more): a device that
    drifts, or a profile that promised too much. Heralds look as ever."""

    link: str
    fraction: float
