"""Where else a link's light could go: the questions that path computation is asked, and what of its answers will do.

A customer knows how its link fares and what its devices can; Connectivity knows fibres, channels and works. So the
customer says what other light must be like, and nothing of fibres (D4, E3).

Named approximations: of each wavelength the `WAYS` best paths are looked at; noise is that of planned powers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from quoit.connectivity.api import QUANTUM, ChannelRow, ComputePaths, FindLight, LightPlace, Limits, PathRow
from quoit.connectivity.inventory import Inventory, slot_of
from quoit.connectivity.routing import RASTER
from quoit.model.problem import Problem
from quoit.model.spectrum import Slot

WAYS = 4
NO_LIGHT = "no other light for {link}: expected a place {wish}; found {found}"


class OtherLight:
    """One search for one channel."""

    def __init__(self, inventory: Inventory, asked: FindLight, home: tuple[str, ...]) -> None:
        """`home`: the spans that the channel was given at first. Problems `malformed`, `no-such-element`."""
        self._channel: ChannelRow = inventory.channel(asked.link)
        if self._channel.kind != QUANTUM:
            raise Problem("malformed", f"expected the quantum channel of a link, found {asked.link!r}")
        if asked.more_loss_db < 0 or (asked.quieter is not None and asked.quieter < 0):
            raise Problem("malformed", "expected more_loss_db and quieter of at least 0")
        self._asked = asked
        own = self._channel.channel
        self._others = inventory.beside(row for name, row in inventory.channels.items() if name != own)
        self.here = self._place(self._channel.spans, self._channel.centre_mhz)
        self._most_db = self._place(home, self._channel.centre_mhz).loss_db + asked.more_loss_db
        self._avoid = self._at_risk() if asked.apart else ()

    def _at_risk(self) -> tuple[str, ...]:
        spans = self._channel.spans
        risks = {risk for span in spans for risk in self._others.spans[span].risks}
        return (*spans, *sorted(risks))

    def _place(self, spans: tuple[str, ...], centre_mhz: int) -> LightPlace:
        channel, isolation_db = self._channel, self._asked.isolation_db
        found = self._others.noise(channel.source, spans, Slot(centre_mhz, channel.width_mhz), isolation_db)
        return LightPlace(spans, centre_mhz, found.loss_db, found.raman_hz + found.leaked_hz + found.mixed_hz)

    def questions(self) -> Iterator[ComputePaths]:
        """One for each wavelength that the channel may have, its own first."""
        channel = self._channel
        sink = self._others.way(channel.source, channel.spans)[-1]
        for centre in dict.fromkeys((channel.centre_mhz, *self._asked.centres_mhz)):
            if (centre - RASTER.first_mhz) % RASTER.step_mhz:
                continue
            limits = Limits(avoid=self._avoid, centres_mhz=(centre,))
            yield ComputePaths(
                channel.source,
                sink,
                limits=limits,
                width_mhz=slot_of(channel).width_mhz,
                isolation_db=self._asked.isolation_db,
                count=WAYS,
                besides=(channel.channel,),
            )

    def places(self, rows: Iterable[PathRow]) -> tuple[LightPlace, ...]:
        """Of the paths that were found, those that will do. Problem `no-route` if none does."""
        found = [self._place(row.spans, row.centre_mhz) for row in rows]
        free = [place for place in found if place != self.here]
        near = [place for place in free if place.loss_db <= self._most_db]
        quiet = [place for place in near if self._is_quiet(place)]
        if not quiet:
            raise self._refusal(free, near)
        return tuple(sorted(quiet, key=lambda p: (round(p.loss_db, 6), p.noise_hz, p.spans, p.centre_mhz)))

    def _is_quiet(self, place: LightPlace) -> bool:
        quieter = self._asked.quieter
        return quieter is None or (self.here.noise_hz > 0 and _score(place) <= quieter * _score(self.here))

    def _refusal(self, free: list[LightPlace], near: list[LightPlace]) -> Problem:
        link = self._channel.channel
        if not free:
            wish = "that is free and has light"
            found, reason = ("none apart from its own" if self._asked.apart else "none but its own"), "path"
        elif not near:
            least = min(place.loss_db for place in free)
            wish, found, reason = f"of at most {self._most_db:.2f} dB", f"{least:.2f} dB at least", "loss"
        else:
            least = min(place.noise_hz for place in near)
            wish = f"with {self._asked.quieter:.3g} of its noise" if self._asked.quieter is not None else ""
            found = f"{least:.3g} noise photons per second at least, {self.here.noise_hz:.3g} where it is"
            reason = "noise"
        detail = NO_LIGHT.format(link=link, wish=wish, found=found)
        return Problem("no-route", detail, reason=reason, link=link, noise_hz=self.here.noise_hz)


def _score(place: LightPlace) -> float:
    """Noise photons per second for each photon that gets through, up to a factor that all places share."""
    return float(place.noise_hz * 10 ** (place.loss_db / 10))
