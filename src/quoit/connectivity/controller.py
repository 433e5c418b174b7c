"""Connectivity's control: gives quantum and classical channels paths and spectrum over the plant (E1, E3, A3)."""

from __future__ import annotations

from math import isfinite

from msgspec import structs

from quoit.connectivity.api import (
    CHANNEL_NEWS,
    CLASSICAL,
    CONTROLLER,
    GONE,
    LIT,
    METERS,
    OFF,
    OTN,
    PLANT,
    QUANTUM,
    SWITCHING,
    ChannelRow,
    ComputePaths,
    CrossConnect,
    ExtinguishChannel,
    FindLight,
    GetInventory,
    GetNoise,
    GetSpectrum,
    InventoryRows,
    LightChannel,
    LightFound,
    Limits,
    Path,
    PathRow,
    Paths,
    PlannedNoise,
    ReleasePath,
    RequestPath,
    RetuneChannel,
    SetCrossConnect,
    SetLaunchPower,
    Spectrum,
)
from quoit.connectivity.inventory import Inventory, is_unlit, slot_of
from quoit.connectivity.other_light import OtherLight
from quoit.connectivity.plant import Light, SetChannel, SetJoint
from quoit.model.problem import Problem
from quoit.model.spectrum import Slot
from quoit.planes.graph import Graph
from quoit.planes.telemetry import StartMeter, StopMeter
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles

WITHIN = 600_000_000_000
"""For an order to the plant: no switch takes longer."""
PLAN_WITHIN = 2_000_000_000
MOST_DBM = 30.0
"""1 W: more burns connectors."""
BAND_MHZ = (180_000_000, 475_000_000)
"""1665 to 631 nm."""


class ConnectivityController(Element):
    """Plans paths of least loss, keeps the inventory, and orders the plant. One change of a channel at a time."""

    stratum, plane = Stratum.CONNECTIVITY, Plane.CONTROL
    realises = ("A3", "D4", "E1", "E3")

    def __init__(
        self, place: str, inventory: Inventory, pinned: frozenset[str] = frozenset(), otn: bool = False
    ) -> None:
        """`pinned`: spans in use by channels that are not in the inventory, such as those of entangled pairs. `otn`:
        whether paths are to be asked of the optical network's controller; else this element plans them."""
        super().__init__(CONTROLLER, place)
        self._pinned = pinned
        self._requested: set[str] = set()
        self._home: dict[str, tuple[str, ...]] = {}  # the spans that a link was given at first
        self._metered: set[str] = set()
        self._inventory = inventory
        self._otn = otn
        self._graph = Graph((span.name, span.a, span.b) for span in inventory.spans.values())

    async def start(self, ctx: Context) -> None:
        self._switch_meters(ctx)
        for channel in list(self._inventory.channels.values()):
            if channel.kind == CLASSICAL and channel.launch_dbm is not None:
                await self._order(ctx, channel, self._inventory.joints(channel))

    @handles(RequestPath)
    async def on_request(self, ctx: Context, msg: RequestPath) -> Path:
        spans, centre_mhz = msg.spans, 0
        channel = self._inventory.channels.get(msg.link)
        if not spans and self._otn:
            spans, centre_mhz = await self._asked(ctx, msg, channel)
        spans = spans or self._plan(msg)
        moves = channel is not None and (channel.spans != spans or centre_mhz not in (0, channel.centre_mhz))
        if moves or (channel is not None and is_unlit(channel)):
            await self.on_retune(ctx, RetuneChannel(msg.link, spans, centre_mhz))
        path = Path(msg.link, spans, self._inventory.loss_db(msg.a, spans), True)
        ctx.tell(PLANT, Light(path))
        self._requested.add(msg.link)
        self._home.setdefault(msg.link, spans)
        self._switch_meters(ctx)
        return path

    @handles(ReleasePath)
    async def on_release(self, ctx: Context, msg: ReleasePath) -> ChannelRow:
        old = self._inventory.channel(msg.link)
        self._refuse_switching(old)
        if old.kind != QUANTUM:
            raise Problem("malformed", f"expected the quantum channel of a link, found {msg.link!r}")
        self._requested.discard(msg.link)
        if is_unlit(old):
            return old
        return await self._order(ctx, structs.replace(old, state=OFF), self._inventory.changed_joints(old, None))

    async def _asked(self, ctx: Context, msg: RequestPath, channel: ChannelRow | None) -> tuple[tuple[str, ...], int]:
        """A path from the optical network, as its customer; at the present wavelength, if that will do."""
        width = channel.width_mhz if channel is not None else ComputePaths(msg.a, msg.b).width_mhz
        own = () if channel is None else (channel.centre_mhz,)
        besides = (msg.link,) if channel is not None else ()
        for centres in dict.fromkeys((own, ())):
            question = ComputePaths(msg.a, msg.b, QUANTUM, Limits(centres_mhz=centres), width, besides=besides)
            try:
                paths: Paths = await ctx.ask(OTN, question, within=PLAN_WITHIN)
            except Problem as problem:
                if not centres or problem.code not in ("no-route", "malformed"):
                    raise
                continue
            return paths.rows[0].spans, paths.rows[0].centre_mhz
        raise AssertionError("the last question is answered or refused")

    def _plan(self, msg: RequestPath) -> tuple[str, ...]:
        def cost(name: str) -> float | None:
            span = self._inventory.spans[name]
            return None if span.amplified else span.loss_db

        found = self._graph.route(msg.a, msg.b, cost)
        if found is None:
            raise Problem("no-route", f"no fibre path from {msg.a} to {msg.b}", a=msg.a, b=msg.b)
        return found[1]

    @handles(FindLight)
    async def on_find(self, ctx: Context, msg: FindLight) -> LightFound:
        if not self._otn:
            raise Problem("not-supported", "expected an optical network's controller, which a section plant brings")
        channel = self._inventory.channel(msg.link)
        self._refuse_switching(channel)
        search = OtherLight(self._inventory, msg, self._home.get(msg.link, channel.spans))
        rows = list[PathRow]()
        for question in search.questions():
            try:
                answer: Paths = await ctx.ask(OTN, question, within=PLAN_WITHIN)
            except Problem as problem:
                if problem.code != "no-route":
                    raise
                continue
            rows += answer.rows
        return LightFound(msg.link, search.here, search.places(rows))

    # -- channels ------------------------------------------------------------------------------------

    @handles(LightChannel)
    async def on_light(self, ctx: Context, msg: LightChannel) -> ChannelRow:
        self._check_power(msg.launch_dbm)
        self._check_slot(Slot(msg.centre_mhz, msg.width_mhz))
        old = self._inventory.channels.get(msg.channel)
        new = ChannelRow(
            msg.channel, CLASSICAL, msg.source, msg.spans, msg.centre_mhz, msg.width_mhz, msg.launch_dbm, LIT
        )
        self._inventory.way(msg.source, msg.spans)
        if old is not None:
            self._refuse_switching(old)
            if (old.kind, old.source, old.spans, slot_of(old)) != (CLASSICAL, new.source, new.spans, slot_of(new)):
                raise Problem("channel-exists", f"{old.channel} is at {slot_of(old)} along {', '.join(old.spans)}")
        self._inventory.refuse_conflicts(new)
        return await self._order(ctx, new, self._inventory.joints(new))

    @handles(ExtinguishChannel)
    async def on_extinguish(self, ctx: Context, msg: ExtinguishChannel) -> ChannelRow:
        old = self._classical(msg.channel)
        new = structs.replace(old, launch_dbm=None, state=OFF)
        if not msg.remove:
            return await self._order(ctx, new, ())
        await self._order(ctx, new, self._inventory.changed_joints(old, None), remove=True)
        gone = structs.replace(new, state=GONE)
        self._tell(ctx, gone)
        del self._inventory.channels[msg.channel]
        self._inventory.overridden = {k: v for k, v in self._inventory.overridden.items() if k[1] != msg.channel}
        return gone

    @handles(SetLaunchPower)
    async def on_power(self, ctx: Context, msg: SetLaunchPower) -> ChannelRow:
        self._check_power(msg.launch_dbm)
        return await self._order(
            ctx, structs.replace(self._classical(msg.channel), launch_dbm=msg.launch_dbm, state=LIT), ()
        )

    @handles(RetuneChannel)
    async def on_retune(self, ctx: Context, msg: RetuneChannel) -> ChannelRow:
        old = self._inventory.channel(msg.channel)
        self._refuse_switching(old)
        new = structs.replace(old, spans=msg.spans or old.spans, centre_mhz=msg.centre_mhz or old.centre_mhz)
        if is_unlit(old):
            new = structs.replace(new, state=LIT)
        self._check_slot(slot_of(new))
        ends = (self._inventory.way(old.source, old.spans)[-1], self._inventory.way(new.source, new.spans)[-1])
        if ends[0] != ends[1]:
            raise Problem("malformed", f"expected spans that lead to {ends[0]!r}, found them to end at {ends[1]!r}")
        self._inventory.refuse_amplifiers(new)
        self._inventory.refuse_conflicts(new)
        return await self._order(ctx, new, self._inventory.changed_joints(None if is_unlit(old) else old, new))

    @handles(SetCrossConnect)
    async def on_cross_connect(self, ctx: Context, msg: SetCrossConnect) -> CrossConnect:
        channel = self._inventory.channel(msg.channel)
        self._refuse_switching(channel)
        row = next((row for row in self._inventory.node_rows() if row.node == msg.node), None)
        if row is None or msg.node not in self._inventory.switches:
            raise Problem("no-such-element", f"expected a node with a switch, found {msg.node!r}", node=msg.node)
        for port in {msg.port, msg.other} - {""}:
            if port not in row.ports:
                raise Problem("malformed", f"expected a port of {msg.node} ({', '.join(row.ports)}), found {port!r}")
        if bool(msg.port) != bool(msg.other) or (msg.port and msg.port == msg.other):
            raise Problem("malformed", "expected two different ports to join, or none to block the channel")
        joint = CrossConnect(msg.node, msg.channel, msg.port, msg.other)
        self._tell(ctx, structs.replace(channel, state=SWITCHING))
        try:
            await ctx.ask(PLANT, SetJoint(joint, channel.centre_mhz), within=WITHIN)
            self._inventory.overridden[msg.node, msg.channel] = joint
        finally:
            self._tell(ctx, channel)
        return joint

    async def _order(
        self, ctx: Context, new: ChannelRow, joints: tuple[CrossConnect, ...], remove: bool = False
    ) -> ChannelRow:
        """Have the plant make a channel so; control takes it as being switched meanwhile."""
        known = self._inventory.channels.get(new.channel)
        self._tell(ctx, structs.replace(new, state=SWITCHING))
        try:
            await ctx.ask(PLANT, SetChannel(new, joints, remove), within=WITHIN)
        except Problem:
            if known is None:
                del self._inventory.channels[new.channel]
            else:
                self._tell(ctx, known)
            raise
        for joint in joints:
            self._inventory.overridden.pop((joint.node, joint.channel), None)
        self._tell(ctx, new)
        return new

    def _tell(self, ctx: Context, row: ChannelRow) -> None:
        self._inventory.channels[row.channel] = row
        ctx.publish(f"{CHANNEL_NEWS}.{row.channel}", row)
        self._switch_meters(ctx)

    def _switch_meters(self, ctx: Context) -> None:
        """Meters are on where a path was asked for or a classical channel is lit, and off elsewhere."""
        used = set(self._pinned)
        for row in self._inventory.channels.values():
            if row.channel in self._requested or (row.kind == CLASSICAL and row.state == LIT):
                used.update(row.spans)
        for span in sorted(used - self._metered):
            ctx.tell(METERS, StartMeter(span))
        for span in sorted(self._metered - used):
            ctx.tell(METERS, StopMeter(span))
        self._metered = used

    def _classical(self, name: str) -> ChannelRow:
        channel = self._inventory.channel(name)
        self._refuse_switching(channel)
        if channel.kind == QUANTUM:
            raise Problem("malformed", f"{name} is a quantum channel: its link's modules switch its light")
        return channel

    @staticmethod
    def _refuse_switching(channel: ChannelRow) -> None:
        if channel.state == SWITCHING:
            raise Problem("switching", f"{channel.channel} is being switched", channel=channel.channel)

    @staticmethod
    def _check_power(dbm: float) -> None:
        if not isfinite(dbm) or dbm > MOST_DBM:
            raise Problem("malformed", f"expected a launch power of at most {MOST_DBM:g} dBm, found {dbm}")

    @staticmethod
    def _check_slot(slot: Slot) -> None:
        if slot.width_mhz <= 0 or slot.lower_mhz < BAND_MHZ[0] or slot.upper_mhz > BAND_MHZ[1]:
            raise Problem("malformed", f"expected a slot within 180 to 475 THz and wider than 0, found {slot}")

    # -- questions -----------------------------------------------------------------------------------

    @handles(GetInventory)
    async def on_inventory(self, ctx: Context, msg: GetInventory) -> InventoryRows:
        return self._inventory.rows()

    @handles(GetNoise)
    async def on_noise(self, ctx: Context, msg: GetNoise) -> PlannedNoise:
        slot = Slot(msg.centre_mhz, msg.width_mhz)
        self._check_slot(slot)
        return self._inventory.noise(msg.source, msg.spans, slot, msg.isolation_db, msg.besides, msg.seen)

    @handles(GetSpectrum)
    async def on_spectrum(self, ctx: Context, msg: GetSpectrum) -> Spectrum:
        if msg.guard_mhz < 0:
            raise Problem("malformed", f"expected a guard of 0 MHz or more, found {msg.guard_mhz}")
        return self._inventory.spectrum(msg.spans, msg.guard_mhz)
