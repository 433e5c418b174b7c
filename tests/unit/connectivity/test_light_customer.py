"""A customer that keeps links in light: when it asks, what it orders, and when it lets others have their way.

Connectivity is a stub that answers as told, so that each decision is seen by itself.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quoit.connectivity import api
from quoit.connectivity.api import (
    ANNOUNCED,
    GIVEN_BACK,
    LIT,
    QUANTUM,
    Case,
    ChannelRow,
    CustomerLink,
    CustomerPlan,
    FindLight,
    GetInventory,
    GetWorks,
    InventoryRows,
    LightCustomer,
    LightFound,
    LightPlace,
    Noise,
    PathDown,
    PathUp,
    RetuneChannel,
    WorksRow,
    WorksRows,
)
from quoit.model.problem import Problem
from quoit.planes.loop_locks import ARBITER, Lock, LoopArbiter
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.kernel import Kernel
from quoit.runtime.trace import Event
from quoit.runtime.virtual import VirtualWorld
from quoit.runtime.wire import Message, message

S, MS = 10**9, 10**6
HOME = ("main",)
PLAN = CustomerPlan(
    (CustomerLink("link", "a", "b"), CustomerLink("other", "a", "b"), CustomerLink("kept", "a", "b", kept=True)),
    lead_ns=10 * S,
    verify_ns=5 * S,
    cooldown_ns=2 * S,
    budget=3,
)


class Plant(Element):
    """Answers as Connectivity's control does, with what the test has told it."""

    stratum, plane = Stratum.CONNECTIVITY, Plane.CONTROL

    def __init__(self) -> None:
        super().__init__(api.CONTROLLER, "here")
        self.rows = {n: ChannelRow(n, QUANTUM, "a", HOME, 1, 1, None, LIT) for n in ("link", "other", "kept")}
        self.ways: tuple[str, ...] = ("back", "ring")
        self.wishes: list[FindLight] = []
        self.orders: list[tuple[float, RetuneChannel]] = []
        self.known_noise_hz = 5.0
        self.switching_ns = 30 * MS
        self.refuses = False
        self.dark_moves = 0

    @handles(GetInventory)
    async def on_inventory(self, ctx: Context, msg: GetInventory) -> InventoryRows:
        return InventoryRows((), (), tuple(self.rows.values()), ())

    @handles(FindLight)
    async def on_find(self, ctx: Context, msg: FindLight) -> LightFound:
        self.wishes.append(msg)
        here = self.rows[msg.link].spans
        unheard_of = msg.quieter is not None and not self.known_noise_hz
        ways = [w for w in self.ways if (w,) != here and not unheard_of]
        if not ways:
            raise Problem("no-route", "no other light", reason="path", noise_hz=self.known_noise_hz)
        places = tuple(LightPlace((w,), 1, 5.0, 0.0) for w in ways)
        return LightFound(msg.link, LightPlace(here, 1, 4.0, self.known_noise_hz), places)

    @handles(RetuneChannel)
    async def on_retune(self, ctx: Context, msg: RetuneChannel) -> ChannelRow:
        self.orders.append((ctx.now / S, msg))
        if self.refuses:
            raise Problem("switching", f"{msg.channel} is being switched")
        ctx.publish(f"connectivity.path.{msg.channel}", PathDown(msg.channel, "main", ctx.now, planned=True))
        await ctx.sleep(self.switching_ns)
        row = self.rows[msg.channel] = ChannelRow(msg.channel, QUANTUM, "a", msg.spans, 1, 1, None, LIT)
        self.dark_moves -= 1
        if self.dark_moves < 0:
            ctx.publish(f"connectivity.path.{msg.channel}", PathUp(msg.channel, ctx.now))
        ctx.publish(f"connectivity.channel.{msg.channel}", row)
        return row


class Calendar(Element):
    stratum, plane = Stratum.CONNECTIVITY, Plane.MANAGEMENT

    def __init__(self) -> None:
        super().__init__(api.WORKS, "here")

    @handles(GetWorks)
    async def on_get(self, ctx: Context, msg: GetWorks) -> WorksRows:
        return WorksRows(())


@message("test.ErrorRate")
class ErrorRate(Message):
    """What a stratum's news of a link's error rate come to: it has risen, or is normal again."""

    link: str
    risen: bool


class Customer(LightCustomer):
    stratum = Stratum.FABRIC

    def __init__(self, plan: CustomerPlan) -> None:
        super().__init__("customer", "here", plan)
        self.unwanted: set[str] = set()

    @handles(ErrorRate)
    async def on_error_rate(self, ctx: Context, msg: ErrorRate) -> None:
        self.note_noise(ctx, msg.link, Noise(0.1, 0.02, ctx.now) if msg.risen else None)

    async def choose(self, ctx: Context, cases: list[Case]) -> list[Case]:
        for case in cases:
            if case.link in self.unwanted:
                self.say(ctx, case, "left", "nobody needs it")
        return sorted((c for c in cases if c.link not in self.unwanted), key=lambda c: c.link)

    async def qber(self, ctx: Context, link: str) -> float | None:
        return 0.1


class Room:
    """A customer, a plant, an arbiter; one second has passed."""

    def __init__(self, plan: CustomerPlan = PLAN) -> None:
        self.plant, self.customer = Plant(), Customer(plan)
        kernel = Kernel([LoopArbiter("here"), self.plant, Calendar(), self.customer])
        self.events: list[Event] = []
        kernel.sinks.append(self.events.append)
        self.world = VirtualWorld(kernel)
        self.world.begin()
        self.until(1)

    def until(self, seconds: float) -> None:
        self.world.run_until(round(seconds * S))

    def say(self, msg: Any) -> None:
        """News reaches the customer."""
        self.world.kernel.ask_from_outside(self.world.kernel.now, "customer", msg, lambda _: None)
        self.world.kernel.run(self.world.kernel.now)

    def dark(self, link: str = "link", planned: bool = False) -> None:
        self.say(PathDown(link, "main", self.world.kernel.now, planned))

    def noisy(self, link: str = "link", risen: bool = True) -> None:
        self.say(ErrorRate(link, risen))

    @property
    def moves(self) -> list[tuple[str, str]]:
        return [(order.channel, order.spans[0]) for _, order in self.plant.orders]

    def told(self, what: str) -> list[Event]:
        return [event for event in self.events if event.event == f"coordination.{what}"]


@pytest.mark.realises("D4")
def test_a_link_without_light_gets_other_light_once_and_its_lock_ends_with_the_case() -> None:
    room = Room()
    room.dark()
    room.until(2)
    assert room.moves == [("link", "back")]
    assert room.plant.orders[0][0] < 1.01
    assert len(room.told("helped")) == 1
    assert room.customer.cases == {}
    # Nothing is locked any more.
    room.world.ask(ARBITER, Lock("somebody", ("link link", "span main", "span back"), 0, S))


def test_darkness_by_order_is_no_reason() -> None:
    room = Room()
    room.dark(planned=True)
    room.until(5)
    assert room.moves == []


def test_light_that_comes_back_within_the_hold_off_is_left_alone() -> None:
    room = Room(CustomerPlan(PLAN.links, hold_off_ns=S))
    room.dark()
    room.until(1.5)
    room.say(PathUp("link", room.world.kernel.now))
    room.until(5)
    assert room.plant.wishes == []
    room.dark()
    room.until(7)
    assert room.plant.orders[0][0] == pytest.approx(6.0, abs=0.01)


def test_several_links_that_one_cut_takes_down_are_decided_on_together() -> None:
    room = Room()
    room.dark("other")
    room.dark("link")
    room.until(2)
    assert room.moves == [("link", "back"), ("other", "back")]
    assert [w.link for w in room.plant.wishes] == ["link", "other"]
    first, second = (at for at, _ in room.plant.orders)
    assert second - first < 1e-6, "the second does not wait for the first one's switches"


def test_what_the_optical_network_keeps_is_restored_there() -> None:
    room = Room()
    room.dark("kept")
    room.say(WorksRow("dig", HOME, 5 * S, 8 * S, ANNOUNCED, (), ()))
    room.until(6)
    assert "kept" not in [link for link, _ in room.moves]


def test_where_there_is_no_other_light_it_is_said_once_and_tried_again() -> None:
    room = Room()
    room.plant.ways = ()
    room.dark()
    room.until(6)
    assert len(room.plant.wishes) == 3
    assert len(room.told("refused")) == 1
    room.plant.ways = ("ring",)
    room.until(8)
    assert room.moves == [("link", "ring")]


def test_an_order_that_is_refused_is_given_again() -> None:
    room = Room()
    room.plant.refuses = True
    room.dark()
    room.until(2)
    room.plant.refuses = False
    room.until(4)
    assert room.moves == [("link", "back"), ("link", "back")]
    assert len(room.told("helped")) == 1


def test_no_more_moves_than_the_budget() -> None:
    room = Room()
    room.plant.dark_moves = 99  # whatever is ordered, no light arrives
    room.dark()
    room.until(60)
    assert len(room.moves) == PLAN.budget
    assert "no more for now" in room.told("refused")[-1].fields["why"]


def test_fibres_that_were_lost_on_the_way_to_them_are_left_again() -> None:
    room = Room()
    room.plant.dark_moves = 1
    room.noisy()
    room.until(3)
    assert room.moves == [("link", "back"), ("link", "ring")]
    assert [event.fields["cause"] for event in room.told("ordered")] == ["noise", "no light"]


@pytest.mark.realises("D4")
def test_noise_is_left_for_where_the_error_rate_is_normal_after_one_whole_reading() -> None:
    room = Room()
    room.noisy()
    room.until(2.05)
    assert room.plant.wishes == []
    room.until(3)
    (wish,) = room.plant.wishes
    assert not wish.apart
    # 0.004 of (0.1 - 0.02), by the formula of noise clicks
    assert wish.quieter == pytest.approx(0.004 / (0.5 - 0.024) / (0.08 / 0.4))
    room.noisy(risen=False)
    assert len(room.told("helped")) == 1


def test_what_quieter_light_does_not_help_leaves_its_fibres() -> None:
    room = Room()
    room.noisy()
    room.until(12)
    assert [wish.apart for wish in room.plant.wishes] == [False, True]
    assert len(room.told("in_vain")) == 1


def test_where_connectivity_knows_of_no_light_the_fibres_are_left_at_once() -> None:
    room = Room()
    room.plant.known_noise_hz = 0.0
    room.noisy()
    room.until(3)
    assert [wish.apart for wish in room.plant.wishes] == [False, True]
    assert room.moves == [("link", "back")]


@pytest.mark.realises("D4")
def test_a_link_leaves_before_works_and_goes_home_after_them() -> None:
    room = Room()
    room.say(WorksRow("dig", HOME, 20 * S, 30 * S, ANNOUNCED, (), ()))
    room.until(9.9)
    assert room.moves == []
    room.until(11)
    assert room.moves == [("link", "back"), ("other", "back")]
    assert 10.0 <= room.plant.orders[0][0] < 10.01
    room.plant.ways = ("main", "ring")
    room.until(30)
    room.say(WorksRow("dig", HOME, 20 * S, 30 * S, GIVEN_BACK, (), ()))
    room.until(32)
    assert room.moves[2:] == [("link", "main"), ("other", "main")]
    room.until(60)
    assert len(room.moves) == 4


def test_home_is_gone_to_only_when_it_has_light_again() -> None:
    room = Room()
    room.say(WorksRow("dig", HOME, 2 * S, 4 * S, ANNOUNCED, (), ()))
    room.until(4)
    room.plant.ways = ("ring",)  # main is dark still
    room.say(WorksRow("dig", HOME, 2 * S, 4 * S, GIVEN_BACK, (), ()))
    room.until(7)
    assert ("link", "main") not in room.moves
    assert "to have light again" in room.told("refused")[0].fields["why"]
    room.plant.ways = ("main", "ring")
    room.until(10)
    assert ("link", "main") in room.moves


def test_whoever_has_locked_a_link_is_waited_for() -> None:
    room = Room()
    room.world.ask(ARBITER, Lock("loop.restore:link", ("link link",), PLAN.priority, 3 * S))
    room.dark()
    room.until(2.9)
    assert room.moves == []
    assert "locked by loop.restore:link" in room.told("refused")[0].fields["why"]
    room.until(6)
    assert room.moves == [("link", "back")]


def test_who_is_stronger_takes_the_lock_and_the_case_rests() -> None:
    room = Room()
    room.noisy()
    room.until(3)  # moved, and waiting for help
    room.world.ask(ARBITER, Lock("loop.buffer", ("link link",), PLAN.priority + 1, 60 * S))
    room.until(5)
    assert [event.fields["why"] for event in room.told("preempted")] == ["locked by loop.buffer"]
    room.until(15)
    assert len(room.moves) == 1, "the lock is theirs"


@pytest.mark.realises("D4")
def test_what_nobody_wants_is_left_alone_and_looked_at_again() -> None:
    room = Room()
    room.customer.unwanted = {"link"}
    room.dark()
    room.until(5)
    assert room.moves == []
    assert len(room.told("left")) == 1
    room.customer.unwanted = set()
    room.until(6.1)
    assert room.moves == [("link", "back")]


@pytest.mark.realises("D4", "G2")
def test_a_noisy_link_that_somebody_else_has_moved_is_given_its_time() -> None:
    room = Room()
    room.noisy()
    room.until(1.5)
    room.say(ChannelRow("link", QUANTUM, "a", ("ring",), 1, 1, None, LIT))
    room.until(6.4)
    assert room.moves == []
    room.until(7)
    assert room.moves == [("link", "back")], "it did not help"


NEWS = st.lists(
    st.tuples(
        st.integers(0, 3_000),
        st.sampled_from(["down", "planned", "up", "noise", "well", "works", "given back", "moved", "lock", "no way"]),
        st.sampled_from(["link", "other"]),
    ),
    max_size=20,
)


@pytest.mark.realises("D4", "G2")
@settings(max_examples=150, deadline=None)
@given(NEWS)
def test_whatever_is_told_in_whatever_order_all_ends_well_and_unlocked(news: list[tuple[int, str, str]]) -> None:
    """Milliseconds to wait, what is told, of which link. At the end all is well: no case and no lock is left over, no
    link is beyond its budget, and nothing is ordered any more."""
    room = Room()
    now_ms = 1_000
    for wait, what, link in news:
        now_ms += wait
        room.until(now_ms / 1e3)
        _tell(room, what, link)
    room.plant.ways = ("main", "back", "ring")
    for link in ("link", "other"):
        room.say(PathUp(link, room.world.kernel.now))
        room.noisy(link, risen=False)
    room.say(WorksRow("dig", HOME, 0, 0, GIVEN_BACK, (), ()))
    room.until(now_ms / 1e3 + 700)
    assert room.customer.cases == {}
    ordered = len(room.moves)
    for link in ("link", "other"):
        at = [t for t, order in room.plant.orders if order.channel == link]
        assert all(len([u for u in at if 0 <= u - t < PLAN.budget_ns / S]) <= PLAN.budget for t in at)
        room.world.ask(ARBITER, Lock("somebody", (f"link {link}", "span main", "span back", "span ring"), 0, S))
    room.until(now_ms / 1e3 + 800)
    assert len(room.moves) == ordered


def _tell(room: Room, what: str, link: str) -> None:
    now = room.world.kernel.now
    if what in ("down", "planned"):
        room.dark(link, planned=what == "planned")
    elif what == "up":
        room.say(PathUp(link, now))
    elif what in ("noise", "well"):
        room.noisy(link, risen=what == "noise")
    elif what == "works":
        room.say(WorksRow("dig", HOME, now + 12 * S, now + 20 * S, ANNOUNCED, (), ()))
    elif what == "given back":
        room.say(WorksRow("dig", HOME, now, now, GIVEN_BACK, (), ()))
    elif what == "moved":
        room.say(ChannelRow(link, QUANTUM, "a", ("ring",), 1, 1, None, LIT))
    elif what == "lock":
        room.world.kernel.ask_from_outside(
            now, ARBITER, Lock("loop.x", (f"link {link}",), PLAN.priority + 1, 4 * S), lambda _: None
        )
    else:
        room.plant.ways = () if room.plant.ways else ("back", "ring")
