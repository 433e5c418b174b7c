"""Test sets at the borders of optical domains: they find out what a way across a domain does to weak light (E4, G1).

A test set sends pulses of a known mean photon number into the domain at one border node and counts clicks at another,
with light and without. The channel is switched through like a customer's and given up afterwards. Named approximations:
source and detector are exactly as stated (a real one is calibrated to some tenths of a dB: margins have to cover it);
dead time is taken out of the counts; two test sets are in step, so delays are told exactly.
"""

from __future__ import annotations

from math import ceil

from msgspec import structs

from quoit.connectivity.api import QUANTUM, TESTER, ChannelRow, ComputePaths, Limits, Paths, TestWay, WayTested, pnc
from quoit.connectivity.inventory import Inventory
from quoit.engine.api import ENGINE, Joint, Joints, SendTestLight, SetJoints, TestLightSeen
from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles

PHOTONS = 0.1
"""Per pulse: quantum channels beside it do not feel it."""
EFFICIENCY, DARK_HZ = 0.1, 100.0
"""Of the test set's detector: an InGaAs avalanche diode as they are sold."""
PULSE_HZ, GATE_NS = 10_000_000, 1
LEAST_NS = 100_000_000
"""So long at least it listens without light."""
WIDTH_MHZ = 25_000
ISOLATION_DB = 100.0
LEAST_CLICKS = 10
"""From so many on a delay can be told."""
MOST_PULSES, MOST_CLICKS, MOST_DB = 100_000_000, 1_000_000, 90.0
WITHIN = 1_000_000_000
SWITCHED_WITHIN = 600_000_000_000


class BorderTester(Element):
    """Tests ways across domains."""

    stratum, plane = Stratum.CONNECTIVITY, Plane.RESOURCE
    realises = ("E4", "G1")

    def __init__(self, place: str, inventory: Inventory) -> None:
        super().__init__(TESTER, place)
        self._inventory = inventory
        self._count = 0

    @handles(TestWay)
    async def on_test(self, ctx: Context, msg: TestWay) -> WayTested:
        if not 1 <= msg.clicks <= MOST_CLICKS:
            raise Problem("malformed", f"expected 1 to {MOST_CLICKS} clicks, found {msg.clicks}")
        question = ComputePaths(msg.a, msg.b, QUANTUM, Limits(centres_mhz=(msg.centre_mhz,)), WIDTH_MHZ)
        answer: Paths = await ctx.ask(pnc(msg.domain), question, within=WITHIN)
        spans = answer.rows[0].spans
        drop_db = self._inventory.insertion_db(msg.b)
        ends_db = self._inventory.insertion_db(msg.a) + drop_db
        wanted = msg.clicks / (PHOTONS * EFFICIENCY) * 10 ** (min(msg.loss_db + ends_db, MOST_DB) / 10)
        pulses = min(MOST_PULSES, ceil(wanted))
        self._count += 1
        channel = ChannelRow(
            f"test {self._count}", QUANTUM, msg.a, spans, msg.centre_mhz, WIDTH_MHZ, None, "lit"
        )  # fmt: skip
        await self._join(ctx, channel, True)
        try:
            lasts_ns = max(LEAST_NS, round(pulses / PULSE_HZ * 1e9))
            await ctx.sleep(2 * lasts_ns)
            order = SendTestLight(
                channel.channel, msg.a, spans, msg.centre_mhz, WIDTH_MHZ, ISOLATION_DB, pulses * PHOTONS,
                pulses * GATE_NS, lasts_ns, EFFICIENCY, DARK_HZ,
            )  # fmt: skip
            seen: TestLightSeen = await ctx.ask(ENGINE, order, within=WITHIN)
        finally:
            await self._join(ctx, channel, False)
        return WayTested(
            msg.domain, msg.a, msg.b, pulses * PHOTONS * EFFICIENCY, seen.clicks, seen.dark_clicks, lasts_ns,
            EFFICIENCY, DARK_HZ, seen.delay_ns if seen.clicks >= LEAST_CLICKS else None,
            ends_db, drop_db,
        )  # fmt: skip

    async def _join(self, ctx: Context, channel: ChannelRow, through: bool) -> None:
        """Have the switches on the way let the test channel through, or block it again."""
        joints = self._inventory.joints(channel)
        if not through:
            joints = tuple(structs.replace(joint, port="", other="") for joint in joints)
        if joints:
            wanted = tuple(Joint(j.node, j.port, j.other, channel.centre_mhz) for j in joints)
            settled: Joints = await ctx.ask(ENGINE, SetJoints(channel.channel, wanted), within=SWITCHED_WITHIN)
            assert settled.channel == channel.channel
