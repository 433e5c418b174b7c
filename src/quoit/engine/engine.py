"""The engine: one element that knows the world and lets devices see what they would see (draft 5.5)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from quoit.engine.api import (
    ENGINE,
    Chunk,
    CloseLink,
    DrawKey,
    DrawnKey,
    LightLevel,
    OpenLink,
    RawChunk,
    WatchLight,
)
from quoit.engine.links.exact import ClickModel, DetectedRecord, SentRecord, draw_detections
from quoit.engine.links.sampler import Channel, ChunkStream, Sampler
from quoit.engine.world import BendSpan, CutSpan, Intercept, SetRate, Spoil, Tamper, World
from quoit.model.problem import Problem
from quoit.model.secret import Secret
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

    def clicks(self, loss_db: float | None) -> ClickModel:
        """Gains and error rates per intensity over a path, without the eavesdropper."""
        eta = 0.0 if loss_db is None else self.receiver_eta * 10 ** (-loss_db / 10)
        return ClickModel.two_detectors(self.mu, self.p_intensity, eta=eta, p_d=self.p_dark, e_d=self.misalignment)


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

    def __init__(self, world: World, plans: Iterable[LinkPlan], root: bytes, seed: int) -> None:
        super().__init__(ENGINE, ENGINE)
        self._world = world
        self._root = root
        self._observers: dict[str, list[str]] = {}
        self._channels: dict[str, Channel] = {}
        self._links = {
            plan.link: _Running(plan, ChunkStream(plan.sampler, plan.chunk_ns / 1e9, _streams(seed, plan.link)))
            for plan in plans
        }

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
            ctx.tell(plan.receiver, Chunk(msg.link, running.serial, ctx.now, plan.chunk_ns, counts, tampered))
        else:
            self._draw_exactly(ctx, running, plan.exact, channel)
        ctx.tell(ENGINE, msg, after=plan.chunk_ns)

    def _channel(self, link: str) -> Channel:
        """What a link's light meets, until the world is edited."""
        true = self._world.links[link]
        channel = Channel(self._world.loss_db(link), true.intercepted, true.rate_bps)
        self._channels[link] = channel
        return channel

    def _draw_exactly(self, ctx: Context, running: _Running, source: ExactSource, channel: Channel) -> None:
        plan = running.plan
        pulses = round(source.source_rate_hz * plan.chunk_ns / 1e9)

        def entropy(nbytes: int) -> bytes:
            return seeds.keystream(self._root, "raw", plan.link, running.serial, nbytes=nbytes)

        sent, detected = draw_detections(
            pulses,
            source.clicks(channel.loss_db),
            p_z_sender=source.p_z_sender,
            p_z_receiver=source.p_z_receiver,
            entropy=entropy,
            rng=ctx.rng(f"detections {plan.link}"),
            first_pulse=running.pulses,
            intercept_fraction=channel.intercepted,
            dead_time_pulses=round(source.dead_time_s * source.source_rate_hz),
        )
        running.pulses += pulses
        head = (plan.link, running.serial, ctx.now, plan.chunk_ns, pulses)
        ctx.tell(plan.sender, _sender_record(head, sent))
        ctx.tell(plan.receiver, _receiver_record(head, detected))

    @handles(DrawKey)
    async def on_draw_key(self, ctx: Context, msg: DrawKey) -> DrawnKey:
        self._running(msg.link)
        return DrawnKey(Secret(seeds.keystream(self._root, "key", msg.link, msg.block, nbytes=msg.bits // 8)))

    @handles(WatchLight)
    async def on_watch(self, ctx: Context, msg: WatchLight) -> None:
        if msg.span not in self._world.spans:
            raise Problem("no-such-element", f"the engine has no span {msg.span!r}", span=msg.span)
        self._observers.setdefault(msg.span, []).append(msg.observer)
        ctx.tell(msg.observer, LightLevel(msg.span, self._world.spans[msg.span].total_db, ctx.now))

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

    @handles(Tamper)
    async def on_tamper(self, ctx: Context, msg: Tamper) -> None:
        self._world.links[msg.link].tampered = msg.fraction

    @handles(SetRate)
    async def on_rate(self, ctx: Context, msg: SetRate) -> None:
        self._edited()
        self._world.links[msg.link].rate_bps = msg.rate_bps

    @handles(Spoil)
    async def on_spoil(self, ctx: Context, msg: Spoil) -> None:
        self._world.links[msg.link].spoiled = msg.fraction

    def _edited(self) -> None:
        self._channels.clear()
        self._world.edition += 1

    def _show(self, ctx: Context, span: str) -> None:
        level = LightLevel(span, self._world.spans[span].total_db, ctx.now)
        for observer in self._observers.get(span, ()):
            ctx.tell(observer, level)


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


def _receiver_record(head: tuple[str, int, int, int, int], detected: DetectedRecord) -> RawChunk:
    return RawChunk(
        *head,
        indices=detected.indices.tobytes(),
        bases=detected.bases.tobytes(),
        bits=Secret(detected.bits.tobytes()),
    )
