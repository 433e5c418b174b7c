"""L2: an error rate rises; find out why, move the quantum light to a quieter place, and name the cause (G2, C6).

The fabric's own loop has quarantined the link by then and voided what may be compromised; keys go another way. This
loop ends the reason for it. It looks at what has changed lately: channels lit or raised, light that nobody ordered,
spans that lose more. Noise of light: another free wavelength or path, where by the formulas the error rate is normal
again; if there is none, the channels that make it are lowered as far as the policy allows. More loss: a path that loses
less. Neither: somebody measures, so another path that shares no span with this one, and fresh key for what is void.

It has helped when the fabric has released the link: its error rate has been normal for the hold time.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log10
from typing import Any

from quoit.connectivity import api as connectivity
from quoit.connectivity.api import (
    CHANNEL_NEWS,
    SPAN_NEWS,
    SPECTRUM_NEWS,
    ChannelReadings,
    ChannelRow,
    GetChannels,
    GetSpans,
    SetLaunchPower,
    SpanLight,
    Spans,
    SpanSpectrum,
)
from quoit.fabric import api as fabric
from quoit.fabric.api import GetLinks, LinkReleased, LinkRow, Links, LinkSuspect
from quoit.orchestration.loops.causes import (
    Cause,
    Suspect,
    Verdict,
    judge,
    more_loss_db,
    raised_by,
    strangers,
    told,
    worth,
)
from quoit.orchestration.loops.channel import SWITCHED_WITHIN, WITHIN, Candidate, ChannelLoop, LinkFacts
from quoit.orchestration.loops.places import Place, Places
from quoit.planes.loop import Action, Finding, LoopPlan
from quoit.planes.loop_locks import LOCK_NEWS
from quoit.planes.management import Severity
from quoit.planes.noise_clicks import NORMAL_STEP, noise_share, qber_with
from quoit.runtime.context import Context
from quoit.runtime.element import Stratum, handles

LATELY_NS = 60_000_000_000
"""What changed longer before is in the error rate that is expected."""
MARGIN_DB = 0.5
"""By which a channel is lowered more than the formula says."""


@dataclass(frozen=True)
class NoisePolicy:
    """`most_loss_db`: what another place may lose more. `lower_db`: by how much classical channels may be lowered."""

    most_loss_db: float = 6.0
    lower_db: float = 0.0


@dataclass(frozen=True)
class Seen:
    """What there is to see once a link is suspect."""

    row: LinkRow
    places: Places
    spans: Spans
    channels: ChannelReadings


class NoiseLoop(ChannelLoop):
    """Watches the error rate of one link."""

    stratum, realises = Stratum.FABRIC, ("G2", "C6", "E3")

    def __init__(self, place: str, plan: LoopPlan, facts: LinkFacts, policy: NoisePolicy) -> None:
        super().__init__(place, plan, facts, policy.most_loss_db)
        self.subscribes = (
            LOCK_NEWS,
            f"{fabric.LINK_NEWS}.{facts.link}.suspect",
            f"{fabric.LINK_NEWS}.{facts.link}.released",
            f"{CHANNEL_NEWS}.*",
            f"{SPECTRUM_NEWS}.*",
            f"{SPAN_NEWS}.*",
        )
        self._policy = policy
        self._suspect: LinkSuspect | None = None
        self._channels: dict[str, ChannelRow] = {}
        self._changed: dict[str, tuple[int, ChannelRow | None]] = {}
        self._light_ns: dict[str, int] = {}
        self._loss_ns: dict[str, int] = {}
        self._learned = False
        self._verdict: Verdict | None = None
        self._alarm = ""

    # -- news ----------------------------------------------------------------------------------------

    @handles(LinkSuspect)
    async def on_suspect(self, ctx: Context, msg: LinkSuspect) -> None:
        self._suspect = msg

    @handles(LinkReleased)
    async def on_released(self, ctx: Context, msg: LinkReleased) -> None:
        self._suspect = None
        self._clear(ctx)

    @handles(ChannelRow)
    async def on_channel(self, ctx: Context, msg: ChannelRow) -> None:
        """Remembers how a channel was before it changed; one that is only being switched has not changed yet."""
        before = self._channels.get(msg.channel)
        if msg.state == connectivity.SWITCHING:
            return
        at, first = self._changed.get(msg.channel, (ctx.now, before))
        self._changed[msg.channel] = (ctx.now, first if ctx.now - at < LATELY_NS else before)
        self._channels[msg.channel] = msg

    @handles(SpanSpectrum)
    async def on_spectrum(self, ctx: Context, msg: SpanSpectrum) -> None:
        self._light_ns[msg.span] = ctx.now

    @handles(SpanLight)
    async def on_light(self, ctx: Context, msg: SpanLight) -> None:
        self._loss_ns[msg.span] = ctx.now

    def _lately(self, changed: dict[str, int]) -> set[str]:
        since = (self._suspect.at_ns if self._suspect is not None else 0) - LATELY_NS
        return {name for name, at in changed.items() if at >= since}

    # -- monitor, analyse ----------------------------------------------------------------------------

    async def monitor(self, ctx: Context) -> Seen | None:
        if not self._learned:
            await self._learn_channels(ctx)
            self._learned = True
        if self._suspect is None:
            return None
        links: Links = await ctx.ask(fabric.METERS, GetLinks(), within=WITHIN)
        row = next(row for row in links.rows if row.link == self.facts.link)
        spans: Spans = await ctx.ask(connectivity.METERS, GetSpans(), within=WITHIN)
        channels: ChannelReadings = await ctx.ask(connectivity.METERS, GetChannels(), within=WITHIN)
        return Seen(row, await self.places(ctx), spans, channels)

    async def _learn_channels(self, ctx: Context) -> None:
        inventory = await ctx.ask(connectivity.CONTROLLER, connectivity.GetInventory(), within=WITHIN)
        self._channels = {row.channel: row for row in inventory.channels} | self._channels
        self._changed.clear()  # what was lit from the start is in the error rate that the fabric has learned

    async def analyse(self, ctx: Context, seen: Seen | None) -> Finding | None:
        suspect = self._suspect
        if seen is None or suspect is None or seen.row.state == "dark" or seen.places.blocked:
            return None
        if ctx.now < suspect.at_ns + self.facts.reading_ns:
            return None  # the reading that was suspect may have begun before what made it so
        channel = seen.places.channel
        qber = suspect.qber if seen.row.qber is None else seen.row.qber
        here = await self.weigh(ctx, seen.places, Place(channel.spans, channel.centre_mhz))
        suspects = (*await self._raised(ctx, seen, here), *await self._strange(ctx, seen, here))
        more_db, worse = more_loss_db(seen.spans.spans, channel.spans)
        if not set(worse) & self._lately(self._loss_ns):
            more_db, worse = 0.0, ()
        verdict = judge(qber, suspect.expected, suspects, here.loss_db, self.facts.optics, more_db, worse)
        self._verdict = verdict
        cause = str(verdict.cause)
        if verdict.suspects:
            cause = f"{cause}: {', '.join(s.name for s in verdict.suspects)}"
        noise_hz = sum(s.noise_hz for s in suspects)
        evidence: dict[str, Any] = {"qber": round(qber, 5), "expected": round(suspect.expected, 5)}
        evidence |= {"why": verdict.text, "noise_hz": round(noise_hz, 1)}
        if verdict.explained is not None:
            evidence["explained"] = round(verdict.explained, 3)
        self._raise(ctx, cause, evidence)
        return Finding(self.facts.link, cause, evidence)

    async def _raised(self, ctx: Context, seen: Seen, here: Candidate) -> list[Suspect]:
        """Channels that were lit or raised lately, with what each puts into the link's slot."""
        lately = self._lately({name: at for name, (at, _) in self._changed.items()})
        found = []
        for name in sorted(lately):
            now = self._channels[name]
            new = raised_by(self._changed[name][1], now, seen.places.channel.spans)
            if new <= 0:
                continue
            noise_hz = new * (here.noise_hz - (await self.weigh(ctx, seen.places, here.place, besides=name)).noise_hz)
            text = f"{name} at {now.centre_mhz / 1e6:.4f} THz sends {now.launch_dbm:g} dBm into {now.spans[0]}"
            found.append(
                Suspect(name, f"{text}, lit or raised at {self._changed[name][0] / 1e9:.1f} s", noise_hz, name)
            )
        return found

    async def _strange(self, ctx: Context, seen: Seen, here: Candidate) -> list[Suspect]:
        """Light that nobody ordered, on spans where the light has changed lately."""
        lately = self._lately(self._light_ns)
        found = []
        for line in strangers(seen.channels.rows, seen.places.channel.spans):
            if line.span in lately:
                with_it = await self.weigh(ctx, seen.places, here.place, (line,))
                name, text = told(line)
                found.append(Suspect(name, text, with_it.noise_hz - here.noise_hz, None))
        return found

    async def helped(self, ctx: Context, finding: Finding, seen: Any) -> bool:
        return self._suspect is None

    # -- decide, execute -----------------------------------------------------------------------------

    async def decide(self, ctx: Context, finding: Finding) -> Action | None:
        verdict, suspect = self._verdict, self._suspect
        if verdict is None or suspect is None:
            return None
        places = await self.places(ctx)
        avoid = await self.unusable(ctx)
        if verdict.cause is Cause.UNEXPLAINED:
            avoid |= set(places.channel.spans)
        readings: ChannelReadings = await ctx.ask(connectivity.METERS, GetChannels(), within=WITHIN)
        seen = tuple(row for row in readings.rows if row.dbm is not None and row.channel is None)
        here = await self.weigh(ctx, places, Place(places.channel.spans, places.channel.centre_mhz), seen)
        best = self._best(await self.others(ctx, places, avoid, seen), here, verdict, suspect)
        if best is not None:
            expected = round(self._qber_at(best, here, verdict, suspect), 5)
            return self.move(places, best, finding.cause, expected_qber=expected)
        return self._lower(verdict, suspect) if verdict.cause is Cause.LIGHT else None

    def _qber_at(self, candidate: Candidate, here: Candidate, verdict: Verdict, suspect: LinkSuspect) -> float:
        """What the error rate would be: the noise that was measured, scaled by the formulas."""
        if verdict.cause is not Cause.LIGHT or here.score <= 0:
            return suspect.expected
        return qber_with(suspect.expected, verdict.noise_share * candidate.score / here.score)

    def _best(
        self, others: list[Candidate], here: Candidate, verdict: Verdict, suspect: LinkSuspect
    ) -> Candidate | None:
        """The place that makes most key, of those where the error rate is normal again."""
        good = [c for c in others if self._qber_at(c, here, verdict, suspect) <= suspect.expected + NORMAL_STEP]
        if verdict.cause is Cause.LOSS:
            good = [c for c in good if c.loss_db < here.loss_db + verdict.more_db]
        return max(good, key=lambda c: worth(self._qber_at(c, here, verdict, suspect), c.loss_db), default=None)

    def _lower(self, verdict: Verdict, suspect: LinkSuspect) -> Action | None:
        """Lower the channels that make the noise, if that is enough and allowed."""
        enough = noise_share(suspect.expected + NORMAL_STEP, suspect.expected)
        by_db = 10 * log10(verdict.noise_share / enough) + MARGIN_DB
        names = [s.channel for s in verdict.suspects]
        if by_db > self._policy.lower_db or None in names or not names:
            return None
        powers = {n: round((self._channels[n].launch_dbm or 0.0) - by_db, 2) for n in names if n is not None}
        touched = tuple(f"channel {name}" for name in powers)
        what = f"lower {', '.join(powers)} by {by_db:.1f} dB: {verdict.cause}"
        return Action(what, (f"link {self.facts.link}", *touched), {"launch_dbm": powers})

    async def execute(self, ctx: Context, action: Action) -> str:
        powers: dict[str, float] = action.fields.get("launch_dbm", {})
        if not powers:
            return await self.retune(ctx, action)
        for name, dbm in powers.items():
            await ctx.ask(connectivity.CONTROLLER, SetLaunchPower(name, dbm), within=SWITCHED_WITHIN)
        return f"lowered to {', '.join(f'{dbm:g} dBm' for dbm in powers.values())}"

    # -- alarm ---------------------------------------------------------------------------------------

    def _raise(self, ctx: Context, cause: str, evidence: dict[str, Any]) -> None:
        if cause == self._alarm:
            return
        self._clear(ctx)
        self._alarm = cause
        text = f"QBER {100 * evidence['qber']:.2f} %, {100 * evidence['expected']:.2f} % expected; {evidence['why']}"
        severity = Severity.CRITICAL if cause == str(Cause.UNEXPLAINED) else Severity.MAJOR
        self.alarms.raise_(ctx, self.facts.link, cause, severity, text)

    def _clear(self, ctx: Context) -> None:
        if self._alarm:
            self.alarms.clear(ctx, self.facts.link, self._alarm)
            self._alarm = ""
