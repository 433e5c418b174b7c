"""What loops share that move the quantum channel of one link over the plant (E3, G2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from quoit.connectivity import api as connectivity
from quoit.connectivity.api import (
    ChannelReading,
    GetInventory,
    GetNoise,
    GetSpans,
    InventoryRows,
    PlannedNoise,
    RetuneChannel,
    Spans,
)
from quoit.orchestration.loops.calendar import works_ahead
from quoit.orchestration.loops.causes import Optics, share_of, worth
from quoit.orchestration.loops.places import Guards, Place, Places
from quoit.planes.loop import Action, ClosedLoop, LoopPlan
from quoit.planes.noise_clicks import qber_with
from quoit.runtime.context import Context

WITHIN = 10_000_000_000
"""For a question, ns."""
SWITCHED_WITHIN = 600_000_000_000
"""For an order to the plant: no switch takes longer."""
SOON_NS = 60_000_000_000
"""Works that begin within this time make a span no place to move to."""
TYPICAL = 0.02
"""Error rate that a path is valued with where none is known."""


@dataclass(frozen=True)
class LinkFacts:
    """A link as loops know it. `isolation_db`: of its filter. `optics` None: its noise cannot be reckoned as an error
    rate beforehand. `wavelengths_mhz`: where else its devices can be tuned to. `reading_ns`: interval of the fabric's
    readings."""

    link: str
    isolation_db: float
    guards: Guards
    optics: Optics | None = None
    wavelengths_mhz: tuple[int, ...] = ()
    reading_ns: int = 1_000_000_000


@dataclass(frozen=True)
class Candidate:
    """A place with what it would be like."""

    place: Place
    noise: PlannedNoise

    @property
    def loss_db(self) -> float:
        return self.noise.loss_db

    @property
    def noise_hz(self) -> float:
        return self.noise.raman_hz + self.noise.leaked_hz + self.noise.mixed_hz

    @property
    def score(self) -> float:
        """Noise photons per second over transmittance: noise clicks for each click of the signal, up to a factor."""
        return float(self.noise_hz / 10 ** (-self.loss_db / 10))


class ChannelLoop(ClosedLoop):
    """A loop that watches one link and may move its light."""

    def __init__(self, place: str, plan: LoopPlan, facts: LinkFacts, most_loss_db: float) -> None:
        """`most_loss_db`: how much more a new place may lose than the one the link was commissioned on."""
        super().__init__(place, plan)
        self.facts = facts
        self._most_loss_db = most_loss_db
        self._home_loss_db: float | None = None

    async def places(self, ctx: Context) -> Places:
        """Where the channel could be, by the inventory of now."""
        inventory: InventoryRows = await ctx.ask(connectivity.CONTROLLER, GetInventory(), within=WITHIN)
        return Places(inventory, self.facts.link, self.facts.guards)

    async def unusable(self, ctx: Context, soon_ns: int = SOON_NS) -> frozenset[str]:
        """Spans that are dark, or on which somebody works or soon will."""
        spans: Spans = await ctx.ask(connectivity.METERS, GetSpans(), within=WITHIN)
        works = await works_ahead(ctx)
        at_work = {span for work in works if work.start_ns <= ctx.now + soon_ns for span in work.spans}
        return frozenset(at_work | {row.span for row in spans.spans if row.state == "dark"})

    async def weigh(
        self, ctx: Context, places: Places, place: Place, seen: tuple[ChannelReading, ...] = (), besides: str = ""
    ) -> Candidate:
        """What a place would be like beside the channels of the inventory but one, and light that is seen."""
        channel, isolation_db = places.channel, self.facts.isolation_db
        question = GetNoise(
            channel.source, place.spans, place.centre_mhz, channel.width_mhz, isolation_db, besides, seen
        )  # fmt: skip
        return Candidate(place, await ctx.ask(connectivity.CONTROLLER, question, within=WITHIN))

    async def others(
        self, ctx: Context, places: Places, avoid: frozenset[str], seen: tuple[ChannelReading, ...] = ()
    ) -> list[Candidate]:
        """Free places that are not too lossy, other than the one the channel has."""
        own = Place(places.channel.spans, places.channel.centre_mhz)
        if self._home_loss_db is None:
            self._home_loss_db = (await self.weigh(ctx, places, own)).loss_db
        limit = self._home_loss_db + self._most_loss_db
        found = []
        for place in places.free(self.facts.wavelengths_mhz, avoid):
            if place != own:
                candidate = await self.weigh(ctx, places, place, seen)
                if candidate.loss_db <= limit:
                    found.append(candidate)
        return found

    def value(self, candidate: Candidate) -> float:
        """What a place is worth when nothing is known of the link's error rate but a typical one."""
        optics = self.facts.optics
        share = 0.0 if optics is None else share_of(candidate.noise_hz, candidate.loss_db, optics)
        return worth(qber_with(TYPICAL, share), candidate.loss_db)

    def move(self, places: Places, best: Candidate, why: str, **fields: Any) -> Action:
        """The action of moving there: it touches the link and all spans that it leaves or enters."""
        place, now = best.place, places.channel
        parts = []
        if place.spans != now.spans:
            parts.append(f"to {', '.join(place.spans)}")
        if place.centre_mhz != now.centre_mhz:
            parts.append(f"to {place.centre_mhz / 1e6:.4f} THz")
        touched = tuple(f"span {span}" for span in sorted({*now.spans, *place.spans}))
        told = {"spans": list(place.spans), "centre_mhz": place.centre_mhz, "loss_db": round(best.loss_db, 2)}
        return Action(
            f"move {now.channel} {' and '.join(parts)}: {why}", (f"link {now.channel}", *touched), {**told, **fields}
        )

    async def retune(self, ctx: Context, action: Action) -> str:
        """Carry such an action out. The link is dark until all switches have settled."""
        began = ctx.now
        order = RetuneChannel(self.facts.link, tuple(action.fields["spans"]), action.fields["centre_mhz"])
        await ctx.ask(connectivity.CONTROLLER, order, within=SWITCHED_WITHIN)
        return f"moved within {(ctx.now - began) / 1e6:.1f} ms"

    async def execute(self, ctx: Context, action: Action) -> str:
        return await self.retune(ctx, action)
