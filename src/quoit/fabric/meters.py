"""The fabric's telemetry: readings of all links, their trends, and the table an operator looks at (C6, G1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from quoit.connectivity.api import CHANNEL_NEWS, PATH_NEWS, ChannelRow, PathDown, PathUp
from quoit.fabric import api
from quoit.fabric.api import (
    BlockCredited,
    BlockMade,
    EndReading,
    GetLinks,
    LinkAuth,
    LinkCalm,
    LinkFinding,
    LinkQuarantined,
    LinkReading,
    LinkReleased,
    LinkRow,
    Links,
    LinkSuspect,
    PoolLevel,
    PoolReading,
)
from quoit.fabric.detection import SILENT_NS, Battery, BatteryPlan, Cause, Finding, LinkDetector
from quoit.fabric.guard import KeyInQuarantine
from quoit.fabric.light_news import LightNews
from quoit.fabric.reporting import LinkPaused
from quoit.model.quantity import format_duration
from quoit.planes.management import ALARM_NEWS, Alarm
from quoit.planes.telemetry import GetMeters, MeterBoard, Meters, StartMeter, StopMeter, TelemetryPlan
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.wire import Message, message


@dataclass(frozen=True)
class MeterPlan:
    """What the meters must know of a link: its ends, what its tests need, hold time. `over`: links for entangled pairs
    that it goes over. `rests_on`: what its key's secrecy does. Then the fibres it uses; whether it makes key only when
    it is asked for; further detectors by name."""

    link: str
    a: str
    b: str
    tests: BatteryPlan
    hold_ns: int
    over: tuple[str, ...] = ()
    rests_on: str = ""
    spans: tuple[str, ...] = ()
    on_demand: bool = False
    detectors: tuple[tuple[str, Callable[[], LinkDetector]], ...] = ()


class _Meter:
    __slots__ = ("asleep", "battery", "blocks", "calm_ns", "cause", "chsh", "contradicted", "dark", "failed", "heard",
                 "parked", "paused", "plan", "pool", "qber", "quarantined", "quarantined_ns", "secret", "sifted",
                 "silent", "suspect")  # fmt: skip

    def __init__(self, plan: MeterPlan) -> None:
        self.plan = plan
        further = [(name, make()) for name, make in plan.detectors]
        self.battery = Battery(plan.tests, further)
        self.qber: float | None = None
        self.chsh: float | None = None
        self.sifted = 0.0
        self.secret = 0.0
        self.pool = 0
        self.blocks = 0
        self.failed = 0
        self.calm_ns = 0
        self.suspect = False
        self.cause = ""
        self.contradicted = False
        self.quarantined = False
        self.quarantined_ns = 0
        self.dark = False
        self.asleep = plan.on_demand
        self.parked = False
        self.paused: set[str] = set()
        self.heard: LinkReading | None = None
        self.silent = False

    @property
    def idle(self) -> bool:
        """Whether no key is to be made, so that no block is awaited."""
        return self.asleep or self.dark or self.suspect or self.quarantined or self.parked or bool(self.paused)

    def silent_for(self, now_ns: int) -> int:
        """How long no reading has been told of, in ns, if that is too long for a link in use; else 0."""
        if self.heard is None or self.paused or self.asleep:
            return 0
        missing = now_ns - self.heard.at_ns
        return missing if missing > max(SILENT_NS, MISSED * self.heard.took_ns) else 0

    @property
    def state(self) -> str:
        if self.asleep:
            return "unlit"
        if self.dark:
            return "dark"
        if self.quarantined or self.suspect:
            return "quarantined"
        return "up" if self.blocks else "starting"

    def row(self) -> LinkRow:
        """What an operator sees."""
        p = self.plan
        made = self.sifted, self.secret, self.pool, self.blocks, self.failed
        return LinkRow(p.link, p.a, p.b, self.state, self.qber, *made, p.over, self.chsh, p.rests_on)


MISSED = 3
"""Readings that may be missing before an end counts as silent."""
LISTEN_NS = 10**9
UNDER_WAY_NS = 10**9
"""So long after a quarantine news of a block may still be on its way."""

METRICS = ("quoit_link_qber", "quoit_link_sifted_bps", "quoit_link_secret_bps", "quoit_pool_bits")


@message("fabric.LookForSilence")
class LookForSilence(Message):
    """The meters to themselves: which links have told nothing for too long?"""


class FabricMeters(Element):
    """Collects what both ends of links report, and says what has changed and what it looks like.

    That, and the table of links, are supervision and always on; windows, thresholds and series are of links in use.
    """

    stratum, plane = Stratum.FABRIC, Plane.TELEMETRY
    realises = ("C6", "G1", "I2")
    subscribes = (
        f"{PATH_NEWS}.*",
        f"{api.LINK_NEWS}.*.pool",
        f"{api.LINK_NEWS}.*.quarantined",
        f"{api.LINK_NEWS}.*.released",
        f"{api.LINK_NEWS}.*.auth",
        f"{ALARM_NEWS}.{Stratum.CONNECTIVITY}.*",
        f"{CHANNEL_NEWS}.*",
    )

    def __init__(
        self,
        place: str,
        plans: tuple[MeterPlan, ...],
        channels: dict[str, tuple[str, ...]],
        telemetry: TelemetryPlan | None = None,
    ) -> None:
        """`channels`: the fibres of each classical channel."""
        super().__init__(api.METERS, place)
        self._board = MeterBoard(self.stratum, METRICS, telemetry or TelemetryPlan())
        self._meters = {plan.link: _Meter(plan) for plan in plans}
        self._light = LightNews({plan.link: plan.spans for plan in plans}, channels)

    @handles(StartMeter)
    async def on_start_meter(self, ctx: Context, msg: StartMeter) -> None:
        self._board.start(ctx, msg.resource)
        meter = self._meters.get(msg.resource)
        if meter is not None and meter.asleep:
            meter.asleep, meter.heard = False, None  # its silence was wanted

    @handles(StopMeter)
    async def on_stop_meter(self, ctx: Context, msg: StopMeter) -> None:
        self._board.stop(ctx, msg.resource)
        meter = self._meters.get(msg.resource)
        if meter is not None:
            meter.asleep = meter.plan.on_demand

    @handles(GetMeters)
    async def on_get_meters(self, ctx: Context, msg: GetMeters) -> Meters:
        return self._board.meters()

    @handles(LinkReading)
    async def on_reading(self, ctx: Context, msg: LinkReading) -> None:
        meter = self._meters[msg.link]
        meter.sifted = msg.sifted_bps
        self._board.read(ctx, "quoit_link_sifted_bps", msg.link, msg.sifted_bps)
        if msg.tested:
            meter.qber = msg.errors / msg.tested
            self._board.read(ctx, "quoit_link_qber", msg.link, meter.qber)
        meter.heard = msg
        if meter.silent:
            self._heard_again(ctx, meter)
        ends = meter.battery.ends
        why = ends.near(msg)
        if ends.overdue:
            if meter.idle:
                ends.idle()
            else:
                why = why or ends.why_overdue()
        if why is not None:
            self._disagree(ctx, meter, why)
        if meter.dark or meter.suspect:
            meter.battery.skip(msg.block)
            if meter.suspect and not meter.dark:
                self._wait_for_calm(ctx, meter, msg)
            return
        for finding in meter.battery.add(msg):
            self._found(ctx, meter, finding)

    @handles(EndReading)
    async def on_end(self, ctx: Context, msg: EndReading) -> None:
        meter = self._meters[msg.link]
        self._disagree(ctx, meter, meter.battery.ends.far(msg))

    @handles(BlockCredited)
    async def on_credited(self, ctx: Context, msg: BlockCredited) -> None:
        meter = self._meters[msg.link]
        self._disagree(ctx, meter, meter.battery.ends.credited(msg))

    def _disagree(self, ctx: Context, meter: _Meter, why: str | None) -> None:
        """A link that is suspect for another reason stays so; that its ends disagree is told beside it."""
        if why is None:
            return
        meter.calm_ns = 0
        first = meter.battery.trend.last_trusted
        if not meter.suspect:
            self._found(ctx, meter, Finding(Cause.DISAGREEMENT, first, why))
        elif meter.cause != Cause.DISAGREEMENT and not meter.contradicted:
            meter.contradicted = True
            self._found(ctx, meter, Finding(Cause.DISAGREEMENT, first, why, void=False))

    # -- silence -------------------------------------------------------------------------------------

    async def start(self, ctx: Context) -> None:
        ctx.tell(self.name, LookForSilence(), after=LISTEN_NS)

    @handles(LookForSilence)
    async def on_look(self, ctx: Context, msg: LookForSilence) -> None:
        """Who tells nothing is heard of by nobody: it has to be looked for. The ends go on guarding themselves."""
        ctx.tell(self.name, msg, after=LISTEN_NS)
        for meter in self._meters.values():
            missing_ns = meter.silent_for(ctx.now)
            if missing_ns and not meter.silent:
                meter.silent = True
                why = f"no reading for {format_duration(missing_ns)}"
                self._found(ctx, meter, Finding(Cause.SILENCE, meter.battery.trend.last_trusted, why, void=False))

    def _heard_again(self, ctx: Context, meter: _Meter) -> None:
        if not meter.silent_for(ctx.now):
            meter.silent = False
            block = meter.battery.trend.last_trusted
            self._found(ctx, meter, Finding(Cause.SILENCE, block, "readings again", void=False, over=True))

    @handles(LinkPaused)
    async def on_paused(self, ctx: Context, msg: LinkPaused) -> None:
        meter = self._meters[msg.link]
        if msg.on:
            meter.paused.add(msg.end)
        else:
            meter.paused.discard(msg.end)
            meter.heard = None  # the next reading begins anew
        meter.battery.ends.idle()

    @handles(LinkAuth)
    async def on_auth(self, ctx: Context, msg: LinkAuth) -> None:
        meter = self._meters[msg.link]
        meter.parked = msg.parked
        meter.battery.ends.idle()

    def _found(self, ctx: Context, meter: _Meter, finding: Finding) -> None:
        """Tell what was found. What makes blocks void is told once, until the link is calm again."""
        if finding.void and meter.suspect:
            return
        link, cause = meter.plan.link, str(finding.cause)
        explained = self._light.explains(link, ctx.now)
        ctx.emit(
            "link.finding",
            link=link,
            cause=cause,
            why=finding.why,
            explained=explained,
            void=finding.void,
            over=finding.over,
        )
        news = LinkFinding(link, cause, finding.why, ctx.now, explained, finding.void, finding.over)
        ctx.publish(f"{api.LINK_NEWS}.{link}.finding", news)
        if finding.void:
            why = f"{finding.why}; {explained}" if explained else finding.why
            self._suspect(ctx, meter, finding.first_block, meter.qber or 0.0, why, cause)

    def _suspect(self, ctx: Context, meter: _Meter, first_block: int, qber: float, why: str, cause: str) -> None:
        trend = meter.battery.trend
        expected = trend.baseline if trend.baseline is not None else meter.plan.tests.ceiling
        meter.suspect = True
        meter.cause = cause
        meter.calm_ns = 0
        link = meter.plan.link
        ctx.emit("link.suspect", link=link, qber=round(qber, 5), expected=round(expected, 5), why=why)
        news = LinkSuspect(link, first_block, qber, expected, ctx.now, why, cause)
        ctx.publish(f"{api.LINK_NEWS}.{link}.suspect", news)

    def _wait_for_calm(self, ctx: Context, meter: _Meter, msg: LinkReading) -> None:
        if not meter.battery.calm(msg):
            meter.calm_ns = 0
            return
        if not meter.calm_ns:
            meter.calm_ns = ctx.now
        if ctx.now - meter.calm_ns >= meter.plan.hold_ns:
            meter.suspect = False
            meter.battery.rearm()
            if meter.contradicted:
                meter.contradicted = False
                self._found(ctx, meter, Finding(Cause.DISAGREEMENT, msg.block, "the ends agree", void=False, over=True))
            ctx.publish(f"{api.LINK_NEWS}.{msg.link}.calm", LinkCalm(msg.link, msg.block, ctx.now))

    @handles(BlockMade)
    async def on_block(self, ctx: Context, msg: BlockMade) -> None:
        meter = self._meters[msg.link]
        meter.blocks += 1
        verdict = "made" if msg.secret_bits else "failed"
        ctx.count("quoit_link_blocks_total", (msg.link, verdict))
        meter.secret = msg.secret_bits / (msg.took_ns / 1e9)
        self._board.read(ctx, "quoit_link_secret_bps", msg.link, meter.secret)
        ctx.gauge("quoit_link_block_bits", (msg.link,), msg.secret_bits)
        if msg.chsh is not None:
            meter.chsh = msg.chsh
            ctx.gauge("quoit_link_chsh", (msg.link,), msg.chsh)
        ctx.publish(f"{api.LINK_NEWS}.{msg.link}.block", msg)
        self._disagree(ctx, meter, meter.battery.ends.made(msg))
        if msg.secret_bits and meter.quarantined and msg.made_ns - meter.quarantined_ns > UNDER_WAY_NS:
            ctx.tell(api.UPKEEP, KeyInQuarantine(msg.link, msg.block))
        if not msg.secret_bits:
            meter.failed += 1
            if not (meter.dark or meter.suspect) and msg.qber > meter.plan.tests.ceiling:
                # The blocks before it may have been touched as well, since the last reading that was good.
                first = min(msg.block, meter.battery.trend.last_trusted)
                meter.qber = msg.qber
                self._found(ctx, meter, Finding(meter.battery.why_errors(), first, "block failed"))

    @handles(PoolLevel)
    async def on_pool(self, ctx: Context, msg: PoolLevel) -> None:
        self._meters[msg.link].pool = msg.bits

    @handles(PoolReading)
    async def on_pool_reading(self, ctx: Context, msg: PoolReading) -> None:
        self._board.read(ctx, "quoit_pool_bits", msg.link, msg.bits)

    @handles(LinkQuarantined)
    async def on_quarantined(self, ctx: Context, msg: LinkQuarantined) -> None:
        meter = self._meters[msg.link]
        meter.quarantined, meter.quarantined_ns = True, msg.at_ns
        ctx.gauge("quoit_link_quarantined", (msg.link,), 1.0)

    @handles(LinkReleased)
    async def on_released(self, ctx: Context, msg: LinkReleased) -> None:
        meter = self._meters[msg.link]
        meter.quarantined = False
        meter.battery.ends.idle()
        ctx.gauge("quoit_link_quarantined", (msg.link,), 0.0)

    @handles(PathDown)
    async def on_down(self, ctx: Context, msg: PathDown) -> None:
        meter = self._meters.get(msg.link)
        if meter is not None:
            meter.dark = True
            meter.secret = 0.0

    @handles(PathUp)
    async def on_up(self, ctx: Context, msg: PathUp) -> None:
        meter = self._meters.get(msg.link)
        if meter is not None:
            meter.dark = False
            meter.battery.ends.idle()
            meter.battery.lit_again(ctx.now)

    @handles(Alarm)
    async def on_alarm(self, ctx: Context, msg: Alarm) -> None:
        self._light.note_alarm(msg)

    @handles(ChannelRow)
    async def on_channel(self, ctx: Context, msg: ChannelRow) -> None:
        self._light.note_channel(msg, ctx.now)
        meter = self._meters.get(msg.channel)
        if meter is not None:
            meter.battery.moved()

    @handles(GetLinks)
    async def on_get(self, ctx: Context, msg: GetLinks) -> Links:
        return Links(tuple(meter.row() for meter in self._meters.values()))
