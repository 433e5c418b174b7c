"""Other light for a link: what a customer wishes, and where it could be had."""

from __future__ import annotations

from quoit.runtime.wire import Message, message


@message("connectivity.FindLight")
class FindLight(Message):
    """Where else could the quantum channel of `link` go? Reserves nothing.

    `centres_mhz`: other centres that its devices can be tuned to; one that is not on the raster of the flexible grid is
    not looked at. `more_loss_db`: what another place may lose more than the one that was asked for at first. `apart`:
    it shares no span and no risk with where the channel is. `quieter`: its noise for each photon that gets through is
    at most this share of what it is now. `isolation_db`: of the link's filter.

    Answered with `LightFound`. Problems: `no-route` (`reason`: what bound the search), `no-such-element`, `switching`,
    `not-supported` where there is no optical network's controller.
    """

    link: str
    centres_mhz: tuple[int, ...] = ()
    more_loss_db: float = 6.0
    apart: bool = False
    quieter: float | None = None
    isolation_db: float = 100.0


class LightPlace(Message):
    """A path and a centre for a channel: what it loses there from add to drop, and the noise photons per second in its
    filter at the receiver's input, as planned."""

    spans: tuple[str, ...]
    centre_mhz: int
    loss_db: float
    noise_hz: float


@message("connectivity.LightFound")
class LightFound(Message):
    """Where the channel of `link` is, and where else it could be, the least lossy first."""

    link: str
    here: LightPlace
    places: tuple[LightPlace, ...]
