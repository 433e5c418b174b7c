"""The engine: one element that knows the world and lets devices see what they would see (draft 5.5)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from quoit.engine.air import S, Wander
from quoit.engine.api import (
    ENGINE,
    Chunk,
    CloseLink,
    DrawKey,
    DrawnKey,
    Emit,
    Joints,
    LightLevel,
    Line,
    OpenLink,
    RawChunk,
    RouteLight,
    SendTestLight,
    SetJoints,
    SpectrumSeen,
    TestLightSeen,
    WatchLight,
)
from quoit.engine.light import Lit, lines_on, lit_spans, noise_of
from quoit.engine.links.bb84 import LinkClick, link_clicks, with_background
from quoit.engine.links.exact import ClickModel, DetectedRecord, SentRecord, draw_detections
from quoit.engine.links.sampler import Channel, ChunkStream, Overheard, Sampler
from quoit.engine.physics.fibre import delay_s as delay_s_of
from quoit.engine.world import (
    BendSpan,
    Blind,
    CutSpan,
    Depolarise,
    Hijack,
    Intercept,
    Misalign,
    Mistune,
    SetRate,
    Shine,
    Split,
    Tamper,
    Tap,
    TrueChannel,
    TrueLink,
    World,
)
from quoit.model.problem import Problem
from quoit.model.secret import Secret
from quoit.model.spectrum import Slot
from quoit.runtime import seeds
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.wire import Message, message


@dataclass(frozen=True)
class ExactSource:
    """What the exact mode needs to draw single detections of prepare-and-measure pulses."""

    source_rate_hz: float
    p_z_sender: float
    p_z_receiver: float
    dead_time_s: float
    mu: tuple[float, ...]
    p_intensity: tuple[float, ...]
    receiver_eta: float
    p_dark: float
    misalignment: float
    background_s: float = 0.0

    def clicks(self, channel: Channel) -> ClickModel:
        """Gains and error rates per intensity over a channel, without the eavesdropper."""
        rows = self._rows(channel)
        return ClickModel(self.p_intensity, tuple(row.gain for row in rows), tuple(row.error for row in rows))

    def known(self, channel: Channel) -> tuple[float, ...]:
        """Share of each intensity's sifted bits that an eavesdropper knows."""
        return tuple(row.known for row in self._rows(channel))

    def _rows(self, channel: Channel) -> list[LinkClick]:
        eta = 0.0 if channel.loss_db is None else self.receiver_eta * 10 ** (-channel.loss_db / 10)
        p_d = with_background(self.p_dark, channel.noise_hz * self.background_s)
        return link_clicks(self.mu, eta, p_d, channel.drifted(self.misalignment), channel)


@dataclass(frozen=True)
class LinkPlan:
    """How the engine runs one link: whom the chunks go to, how long a chunk lasts, what draws it."""

    link: str
    sender: str
    receiver: str
    sampler: Sampler
    chunk_ns: int
    exact: ExactSource | None = None


@message("engine.RunLink")
class RunLink(Message):
    """The engine to itself: draw the next chunk of a link while it is open."""

    link: str
    turn: int


@message("engine.MoveAir")
class MoveAir(Message):
    """The engine to itself: weather, pointing and satellites have gone on."""

    span: str


@message("engine.DriftLink")
class DriftLink(Message):
    """The engine to itself: the polarisation or phase of a link's fibre has drifted."""

    link: str


@dataclass(frozen=True)
class DriftPlan:
    """Slow change of a link's error rate: rms and correlation time of an Ornstein-Uhlenbeck process, in steps."""

    link: str
    rms: float
    tau_s: float
    step_ns: int


class _Running:
    """A link that may be open: its plan, its stream of counts, how many chunks it has given.

    `turn` grows with each opening, so that a timer of an earlier opening dies out.
    """

    __slots__ = ("open", "plan", "pulses", "serial", "stream", "turn")

    def __init__(self, plan: LinkPlan, stream: ChunkStream) -> None:
        self.plan = plan
        self.stream = stream
        self.open = False
        self.turn = 0
        self.serial = 0
        self.pulses = 0


class Engine(Element):
    """Draws what detectors see. Answers the resource plane only; the kernel enforces it."""

    stratum, plane = Stratum.ENGINE, Plane.RESOURCE
    realises = ("F1", "F3", "F4", "E1", "I2")
    only_resource_plane = True

    def __init__(
        self,
        world: World,
        plans: Iterable[LinkPlan],
        root: bytes,
        seed: int,
        drifts: Iterable[DriftPlan] = (),
    ) -> None:
        super().__init__(ENGINE, ENGINE)
        self._world = world
        self._drifts = {plan.link: (plan, Wander(plan.tau_s)) for plan in drifts}
        self._ordered: dict[str, float | None] = {}
        self._seen: dict[str, list[Any]] = {}
        self._lit: Lit | None = None
        self._root = root
        self._observers: dict[str, list[str]] = {}
        self._channels: dict[str, Channel] = {}
        self._links = {
            plan.link: _Running(plan, ChunkStream(plan.sampler, plan.chunk_ns / 1e9, _streams(seed, plan.link)))
            for plan in plans
        }

    async def start(self, ctx: Context) -> None:
        for name, span in self._world.spans.items():
            if span.air is not None and span.air.plan.moves:
                ctx.tell(ENGINE, MoveAir(name))
        for link in self._drifts:
            ctx.tell(ENGINE, DriftLink(link))

    def _running(self, link: str) -> _Running:
        if link not in self._links:
            raise Problem("no-such-element", f"the engine has no link {link!r}", link=link)
        return self._links[link]

    # -- what devices ask ----------------------------------------------------------------------------

    @handles(OpenLink)
    async def on_open(self, ctx: Context, msg: OpenLink) -> None:
        running = self._running(msg.link)
        if not running.open:
            running.open = True
            running.turn += 1
            ctx.tell(ENGINE, RunLink(msg.link, running.turn), after=running.plan.chunk_ns)

    @handles(CloseLink)
    async def on_close(self, ctx: Context, msg: CloseLink) -> None:
        self._running(msg.link).open = False

    @handles(RunLink)
    async def on_run(self, ctx: Context, msg: RunLink) -> None:
        running = self._links[msg.link]
        if not running.open or running.turn != msg.turn:
            return
        running.serial += 1
        plan = running.plan
        channel = self._channels.get(msg.link) or self._channel(msg.link)
        if plan.exact is None:
            counts = running.stream.next(channel)
            # The sender learns from the receiver what was detected, as it does in reality.
            share = self._world.links[msg.link].tampered
            tampered = share > 0 and bool(ctx.rng(f"tampering {msg.link}").random() < share)
            if channel.attacked and isinstance(plan.sampler, Overheard):
                self._overhear(ctx, running, plan.sampler.known(channel, counts, ctx.rng(f"overheard {msg.link}")))
            bright = channel.blinded
            ctx.tell(plan.receiver, Chunk(msg.link, running.serial, ctx.now, plan.chunk_ns, counts, tampered, bright))
        else:
            self._draw_exactly(ctx, running, plan.exact, channel)
        ctx.tell(ENGINE, msg, after=plan.chunk_ns)

    def _channel(self, link: str) -> Channel:
        """What a link's light meets, until the world is edited."""
        true = self._world.links[link]
        noise = noise_of(self._world, true, self._light())
        broad_hz = noise.raman_hz + noise.mixed_hz
        channel = Channel(
            self._world.loss_db(link),
            true.intercepted,
            true.rate_bps,
            noise.total_hz,
            broad_hz / (true.slot.width_mhz * 1e6) / 2 if true.slot is not None else 0.0,
            true.drift,
            true.split,
            true.blinded,
            self._world.tapped(link),
        )
        self._channels[link] = channel
        return channel

    def _overhear(self, ctx: Context, running: _Running, bits: int) -> None:
        """The truth about a chunk, for those who judge a run from outside."""
        ctx.emit("eve.learned", link=running.plan.link, chunk=running.serial, bits=bits)

    def _draw_exactly(self, ctx: Context, running: _Running, source: ExactSource, channel: Channel) -> None:
        plan = running.plan
        pulses = round(source.source_rate_hz * plan.chunk_ns / 1e9)

        def entropy(nbytes: int) -> bytes:
            return seeds.keystream(self._root, "raw", plan.link, running.serial, nbytes=nbytes)

        sent, detected = draw_detections(
            pulses,
            source.clicks(channel),
            p_z_sender=source.p_z_sender,
            p_z_receiver=source.p_z_receiver,
            entropy=entropy,
            rng=ctx.rng(f"detections {plan.link}"),
            first_pulse=running.pulses,
            intercept_fraction=channel.intercepted,
            dead_time_pulses=round(source.dead_time_s * source.source_rate_hz),
        )
        running.pulses += pulses
        if channel.attacked:
            key = (sent.bases == 0) & (detected.bases == 0)
            shares = np.array(source.known(channel))[sent.intensities[key]]
            learned = ctx.rng(f"overheard {plan.link}").random(len(shares)) < shares
            self._overhear(ctx, running, int(np.count_nonzero(learned)))
        head = (plan.link, running.serial, ctx.now, plan.chunk_ns, pulses)
        ctx.tell(plan.sender, _sender_record(head, sent))
        ctx.tell(plan.receiver, _receiver_record(head, detected, channel.blinded))

    @handles(DrawKey)
    async def on_draw_key(self, ctx: Context, msg: DrawKey) -> DrawnKey:
        if msg.link not in self._world.links:
            raise Problem("no-such-element", f"the engine has no link {msg.link!r}", link=msg.link)
        return DrawnKey(Secret(seeds.keystream(self._root, "key", msg.link, msg.block, nbytes=msg.bits // 8)))

    @handles(WatchLight)
    async def on_watch(self, ctx: Context, msg: WatchLight) -> None:
        if msg.span not in self._world.spans:
            raise Problem("no-such-element", f"the engine has no span {msg.span!r}", span=msg.span)
        self._observers.setdefault(msg.span, []).append(msg.observer)
        ctx.tell(msg.observer, LightLevel(msg.span, self._world.spans[msg.span].total_db, ctx.now))
        lines = self._lines(msg.span)
        if lines:
            ctx.tell(msg.observer, SpectrumSeen(msg.span, lines, ctx.now))

    @handles(Emit)
    async def on_emit(self, ctx: Context, msg: Emit) -> None:
        self._ordered[msg.channel] = msg.launch_dbm
        if not msg.spans:
            self._world.channels.pop(msg.channel, None)
        else:
            slot = Slot(msg.centre_mhz, msg.width_mhz)
            self._world.channels[msg.channel] = TrueChannel(msg.channel, msg.source, msg.spans, slot, msg.launch_dbm)
        self._relit(ctx)

    @handles(RouteLight)
    async def on_route(self, ctx: Context, msg: RouteLight) -> None:
        link = self._world.links[msg.link]
        link.spans = msg.spans
        if link.slot is not None:
            link.slot = Slot(msg.centre_mhz, link.slot.width_mhz)
        self._relit(ctx)

    @handles(SetJoints)
    async def on_joints(self, ctx: Context, msg: SetJoints) -> Joints:
        """A joint that stays as it is is not touched; one that changes is dark until its switch has settled."""
        switches = self._world.switches
        takes = 0
        changing = []
        for joint in msg.joints:
            switch = switches[joint.node]
            wanted = switch.joint(joint.port, joint.other, joint.centre_mhz) if joint.port else None
            if switch.joints.get(msg.channel) == wanted:
                continue
            switch.joints.pop(msg.channel, None)
            changing.append((switch, wanted))
            takes = max(takes, switch.switching_ns)
        if changing:
            self._relit(ctx)
            await ctx.sleep(takes)
            for switch, wanted in changing:
                if wanted is not None:
                    switch.joints[msg.channel] = wanted
            self._relit(ctx)
        return Joints(msg.channel, msg.joints, ctx.now)

    @handles(SendTestLight)
    async def on_test_light(self, ctx: Context, msg: SendTestLight) -> TestLightSeen:
        """Clicks are Poisson counts: of the light that passes, of noise in the filter, of the detector's own."""
        slot = Slot(msg.centre_mhz, msg.width_mhz)
        true = TrueLink(msg.channel, msg.spans, source=msg.source, slot=slot, isolation_db=msg.isolation_db)
        loss_db = self._world.loss_of(true)
        stray_hz = noise_of(self._world, true, self._light()).total_hz * msg.efficiency + msg.dark_hz
        arriving = 0.0 if loss_db is None else msg.photons * msg.efficiency * 10 ** (-loss_db / 10)
        rng = ctx.rng("test light")
        clicks = int(rng.poisson(arriving + stray_hz * msg.gates_ns * 1e-9))
        dark_clicks = int(rng.poisson(stray_hz * msg.dark_ns * 1e-9))
        delay_s = sum(delay_s_of(self._world.spans[name].length_km) for name in msg.spans)
        return TestLightSeen(clicks, dark_clicks, round(delay_s * 1e9))

    # -- what fate and attackers do ------------------------------------------------------------------

    @handles(CutSpan)
    async def on_cut(self, ctx: Context, msg: CutSpan) -> None:
        self._edited()
        self._world.spans[msg.span].cut = msg.cut
        self._show(ctx, msg.span)

    @handles(BendSpan)
    async def on_bend(self, ctx: Context, msg: BendSpan) -> None:
        self._edited()
        self._world.spans[msg.span].bend_db = msg.loss_db
        self._show(ctx, msg.span)

    @handles(Intercept)
    async def on_intercept(self, ctx: Context, msg: Intercept) -> None:
        self._edited()
        self._world.links[msg.link].intercepted = msg.fraction
        self._world.links[msg.link].spares_tests = msg.spares_tests

    @handles(Hijack)
    async def on_hijack(self, ctx: Context, msg: Hijack) -> None:
        self._edited()
        self._world.hijacked[msg.node] = msg.fraction

    @handles(Split)
    async def on_split(self, ctx: Context, msg: Split) -> None:
        self._edited()
        self._world.links[msg.link].split = msg.fraction

    @handles(Blind)
    async def on_blind(self, ctx: Context, msg: Blind) -> None:
        self._edited()
        self._world.links[msg.link].blinded = msg.on

    @handles(Tap)
    async def on_tap(self, ctx: Context, msg: Tap) -> None:
        self._edited()
        self._world.spans[msg.span].tapped_db = msg.loss_db
        self._show(ctx, msg.span)

    @handles(Misalign)
    async def on_misalign(self, ctx: Context, msg: Misalign) -> None:
        self._edited()
        self._world.links[msg.link].drift = msg.share

    @handles(Depolarise)
    async def on_depolarise(self, ctx: Context, msg: Depolarise) -> None:
        self._edited()
        self._world.links[msg.link].depolarised = msg.fraction

    @handles(Tamper)
    async def on_tamper(self, ctx: Context, msg: Tamper) -> None:
        self._world.links[msg.link].tampered = msg.fraction

    @handles(SetRate)
    async def on_rate(self, ctx: Context, msg: SetRate) -> None:
        self._edited()
        self._world.links[msg.link].rate_bps = msg.rate_bps

    @handles(Shine)
    async def on_shine(self, ctx: Context, msg: Shine) -> None:
        name = f"unannounced {msg.span}"
        if msg.launch_dbm is None:
            self._world.channels.pop(name, None)
        else:
            span, slot = self._world.spans[msg.span], Slot(msg.centre_mhz, msg.width_mhz)
            self._world.channels[name] = TrueChannel(name, span.a, (msg.span,), slot, msg.launch_dbm, bare=True)
        self._relit(ctx)

    @handles(Mistune)
    async def on_mistune(self, ctx: Context, msg: Mistune) -> None:
        channel = self._world.channels.get(msg.channel)
        if channel is not None and channel.launch_dbm is not None:
            told = self._ordered.setdefault(msg.channel, channel.launch_dbm)
            channel.launch_dbm = told if msg.launch_dbm is None else msg.launch_dbm
            self._relit(ctx)

    # -- what changes by itself ----------------------------------------------------------------------

    @handles(MoveAir)
    async def on_air(self, ctx: Context, msg: MoveAir) -> None:
        span = self._world.spans[msg.span]
        air = span.air
        assert air is not None
        was = span.total_db
        air.advance(ctx.now, lambda purpose: ctx.rng(f"{purpose} {msg.span}"))
        self._edited()
        if span.total_db != was:
            self._show(ctx, msg.span)
        due = air.next_ns(ctx.now)
        if due is not None:
            ctx.tell(ENGINE, msg, after=max(1, due - ctx.now))

    @handles(DriftLink)
    async def on_drift(self, ctx: Context, msg: DriftLink) -> None:
        plan, wander = self._drifts[msg.link]
        rng = ctx.rng(f"drift {msg.link}")
        self._world.links[msg.link].drift = plan.rms * wander.advance(plan.step_ns / S, rng)
        self._edited()
        ctx.tell(ENGINE, msg, after=plan.step_ns)

    def _relit(self, ctx: Context) -> None:
        """Classical light has changed: links that share its fibres notice, and so do monitors."""
        self._edited()
        for span in self._observers:
            self._show_lines(ctx, span)

    def _light(self) -> Lit:
        """All classical light, until the world is edited."""
        if self._lit is None:
            self._lit = lit_spans(self._world)
        return self._lit

    def _lines(self, span: str) -> tuple[Line, ...]:
        return tuple(
            Line(line.node, line.slot.centre_mhz, line.slot.width_mhz, round(line.dbm, 2), round(line.osnr_db, 1))
            for line in lines_on(self._light().get(span, []))
        )

    def _show_lines(self, ctx: Context, span: str) -> None:
        now = [(c.slot, s.hop.exit, s.in_dbm, s.out_dbm) for c, s in self._light().get(span, [])]
        if now == self._seen.get(span, []):
            return
        self._seen[span] = now
        lines = self._lines(span)
        for observer in self._observers.get(span, ()):
            ctx.tell(observer, SpectrumSeen(span, lines, ctx.now))

    def _edited(self) -> None:
        self._channels.clear()
        self._lit = None
        self._world.edition += 1

    def _show(self, ctx: Context, span: str) -> None:
        level = LightLevel(span, self._world.spans[span].total_db, ctx.now)
        for observer in self._observers.get(span, ()):
            ctx.tell(observer, level)
        if self._world.channels:
            for other in self._observers:  # a channel that is cut here is missing farther on, too
                self._show_lines(ctx, other)


def _streams(seed: int, link: str):  # type: ignore[no-untyped-def]
    return lambda epoch: seeds.generator(seed, ENGINE, f"counts {link} {epoch}")


def _sender_record(head: tuple[str, int, int, int, int], sent: SentRecord) -> RawChunk:
    return RawChunk(
        *head,
        indices=sent.indices.tobytes(),
        bases=sent.bases.tobytes(),
        bits=Secret(sent.bits.tobytes()),
        intensities=sent.intensities.tobytes(),
    )


def _receiver_record(head: tuple[str, int, int, int, int], detected: DetectedRecord, bright: bool) -> RawChunk:
    return RawChunk(
        *head,
        indices=detected.indices.tobytes(),
        bases=detected.bases.tobytes(),
        bits=Secret(detected.bits.tobytes()),
        bright=bright,
    )
