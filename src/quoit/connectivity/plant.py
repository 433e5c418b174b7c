"""The plant: spans, switches and transmitters, the light on them, and the paths that use them (E1, E3).

It sees what equipment sees: power meters at the ends of spans, optical channel monitors, the state of its switches.
Quantum light is far below all of them.
"""

from __future__ import annotations

from quoit.connectivity.api import (
    OFF,
    PATH_NEWS,
    PLANT,
    QUANTUM,
    SPAN_NEWS,
    SPECTRUM_NEWS,
    ChannelRow,
    CrossConnect,
    Path,
    PathDown,
    PathLoss,
    PathUp,
    SpanLight,
    SpanSpectrum,
    SpectralLine,
)
from quoit.connectivity.inventory import Inventory
from quoit.engine.api import (
    ENGINE,
    Emit,
    Joint,
    Joints,
    LightLevel,
    RouteLight,
    SetJoints,
    SpectrumSeen,
    WatchLight,
)
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.wire import Message, message

LOSS_STEP_DB = 0.1
"""A power meter's resolution: smaller changes are not news."""
AIR_STEP_DB = 0.5
"""The same for a beacon's receiver at a telescope."""
WITHIN = 600_000_000_000


@message("connectivity.Light")
class Light(Message):
    """The controller's order to the plant: this path is in use from now on."""

    path: Path


@message("connectivity.SetChannel")
class SetChannel(Message):
    """The controller's order: make a channel so, with these cross-connects. Answered when all has settled."""

    channel: ChannelRow
    joints: tuple[CrossConnect, ...]
    remove: bool = False


@message("connectivity.SetJoint")
class SetJoint(Message):
    """The controller's order: set one cross-connect, around this frequency."""

    joint: CrossConnect
    centre_mhz: int


@message("connectivity.Settled")
class Settled(Message):
    """An order has been carried out."""

    channel: str
    at_ns: int


class Plant(Element):
    """Carries out control's orders, watches the light of all spans and says which paths suffer."""

    stratum, plane = Stratum.CONNECTIVITY, Plane.RESOURCE
    realises = ("E1", "E3", "I2", "G1")

    def __init__(self, place: str, inventory: Inventory) -> None:
        super().__init__(PLANT, place)
        self._spans = dict(inventory.spans)
        self._insertion_db = {node: switch.insertion_db for node, switch in inventory.switches.items()}
        self._level: dict[str, float | None] = {
            span.name: None if span.windows else span.loss_db for span in self._spans.values()
        }
        self._paths: dict[str, Path] = {}
        self._dark: dict[str, str] = {}
        self._switching: set[str] = set()

    async def start(self, ctx: Context) -> None:
        for span in self._spans:
            ctx.tell(ENGINE, WatchLight(span, PLANT))

    # -- orders --------------------------------------------------------------------------------------

    @handles(Light)
    async def on_light(self, ctx: Context, msg: Light) -> None:
        self._paths[msg.path.link] = msg.path
        for span in msg.path.spans:
            if self._level[span] is None and msg.path.link not in self._dark:
                self._mark_dark(ctx, msg.path.link, span)
        if msg.path.link in self._dark:  # it had been given up, or there is no light yet
            self._judge(ctx, msg.path.link, msg.path, msg.path.spans[0], None)

    @handles(SetChannel)
    async def on_channel(self, ctx: Context, msg: SetChannel) -> Settled:
        channel = msg.channel
        if channel.kind == QUANTUM:
            order = self._let_go if channel.state == OFF else self._reroute
            return await order(ctx, channel, msg.joints)
        await self._join(ctx, channel.channel, msg.joints, channel.centre_mhz)
        spans = () if msg.remove else channel.spans
        emit = Emit(channel.channel, channel.source, spans, channel.centre_mhz, channel.width_mhz, channel.launch_dbm)
        ctx.tell(ENGINE, emit)
        what = "light.off" if channel.launch_dbm is None else "light.on"
        ctx.emit(what, channel=channel.channel, centre_mhz=channel.centre_mhz, launch_dbm=channel.launch_dbm)
        return Settled(channel.channel, ctx.now)

    @handles(SetJoint)
    async def on_joint(self, ctx: Context, msg: SetJoint) -> Settled:
        joint = msg.joint
        self._switch(ctx, joint.channel)
        await self._join(ctx, joint.channel, (joint,), msg.centre_mhz)
        if joint.port:
            self._settle(ctx, joint.channel)
        return Settled(joint.channel, ctx.now)

    async def _reroute(self, ctx: Context, channel: ChannelRow, joints: tuple[CrossConnect, ...]) -> Settled:
        """Move a link's light. It is dark from the first switch that lets go until the last one holds."""
        link = channel.channel
        self._switch(ctx, link)
        ctx.tell(ENGINE, RouteLight(link, channel.spans, channel.centre_mhz))
        await self._join(ctx, link, joints, channel.centre_mhz)
        old = self._paths.get(link)
        if old is not None:
            self._paths[link] = Path(link, channel.spans, self._loss_db(channel), True)
        self._settle(ctx, link)
        ctx.emit("light.moved", link=link, spans=list(channel.spans), centre_mhz=channel.centre_mhz)
        return Settled(link, ctx.now)

    async def _let_go(self, ctx: Context, channel: ChannelRow, joints: tuple[CrossConnect, ...]) -> Settled:
        """A link gives its path up: it is dark until it has one again."""
        link = channel.channel
        self._switch(ctx, link)
        await self._join(ctx, link, joints, channel.centre_mhz)
        self._paths.pop(link, None)
        self._switching.discard(link)
        ctx.emit("light.released", link=link, spans=list(channel.spans))
        return Settled(link, ctx.now)

    def _loss_db(self, channel: ChannelRow) -> float:
        at = channel.source
        total = self._insertion_db.get(at, 0.0)
        for span in (self._spans[name] for name in channel.spans):
            at = span.b if at == span.a else span.a
            total += span.loss_db + self._insertion_db.get(at, 0.0)
        return total

    async def _join(self, ctx: Context, channel: str, joints: tuple[CrossConnect, ...], centre_mhz: int) -> None:
        if joints:
            wanted = tuple(Joint(joint.node, joint.port, joint.other, centre_mhz) for joint in joints)
            settled: Joints = await ctx.ask(ENGINE, SetJoints(channel, wanted), within=WITHIN)
            for joint in settled.joints:
                ctx.emit("light.switched", channel=channel, node=joint.node, port=joint.port, other=joint.other)

    def _switch(self, ctx: Context, link: str) -> None:
        if link in self._paths:
            self._switching.add(link)
            if link not in self._dark:
                self._mark_dark(ctx, link, self._paths[link].spans[0])

    def _settle(self, ctx: Context, link: str) -> None:
        self._switching.discard(link)
        path = self._paths.get(link)
        if path is not None:
            self._judge(ctx, link, path, path.spans[0], None)

    # -- readings ------------------------------------------------------------------------------------

    @handles(LightLevel)
    async def on_level(self, ctx: Context, msg: LightLevel) -> None:
        was = self._level[msg.span]
        if self._trifle(msg.span, was, msg.loss_db):
            return
        self._level[msg.span] = msg.loss_db
        ctx.publish(f"{SPAN_NEWS}.{msg.span}", SpanLight(msg.span, msg.loss_db, ctx.now))
        if was == msg.loss_db:
            return
        ctx.emit("light.lost" if msg.loss_db is None else "light.changed", span=msg.span, loss_db=msg.loss_db)
        for link, path in self._paths.items():
            if msg.span in path.spans:
                self._judge(ctx, link, path, msg.span, was)

    def _trifle(self, span: str, was: float | None, now: float | None) -> bool:
        """Whether a path through air has changed less than anybody wants to hear."""
        if self._spans[span].medium == "fibre" or was is None or now is None or was == now:
            return False
        return abs(now - was) < AIR_STEP_DB

    @handles(SpectrumSeen)
    async def on_spectrum(self, ctx: Context, msg: SpectrumSeen) -> None:
        lines = tuple(SpectralLine(li.node, li.centre_mhz, li.width_mhz, li.dbm, li.osnr_db) for li in msg.lines)
        told = [f"{li.centre_mhz / 1e6:g} THz {li.dbm:g} dBm at {li.node}" for li in lines]
        ctx.emit("light.spectrum", span=msg.span, lines=told)
        ctx.publish(f"{SPECTRUM_NEWS}.{msg.span}", SpanSpectrum(msg.span, lines, ctx.now))

    def _judge(self, ctx: Context, link: str, path: Path, span: str, was: float | None) -> None:
        levels = [self._level[name] for name in path.spans]
        if None in levels or link in self._switching:
            if link not in self._dark:
                self._mark_dark(ctx, link, span)
            return
        if link in self._dark:
            del self._dark[link]
            ctx.publish(f"{PATH_NEWS}.{link}", PathUp(link, ctx.now))
        loss = sum(level for level in levels if level is not None)
        if self._insertion_db:  # what the switches take is in the path's planned loss
            loss += path.loss_db - sum(self._spans[name].loss_db for name in path.spans)
        if was is None or abs(loss - path.loss_db) >= LOSS_STEP_DB:
            ctx.gauge("quoit_link_loss_db", (link,), loss)
            ctx.publish(f"{PATH_NEWS}.{link}", PathLoss(link, loss, path.loss_db, ctx.now))

    def _mark_dark(self, ctx: Context, link: str, span: str) -> None:
        self._dark[link] = span
        planned = link in self._switching or (self._level[span] is None and not self._spans[span].due(ctx.now))
        ctx.publish(f"{PATH_NEWS}.{link}", PathDown(link, span, ctx.now, planned))
