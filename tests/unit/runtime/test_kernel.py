"""The kernel: one order of events in every world, questions and deadlines, guards, devices, subjects."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quoit.model.problem import Problem
from quoit.runtime import seeds
from quoit.runtime.context import SAY, Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.kernel import Kernel, PlaneViolation, answer_of, matches
from quoit.runtime.trace import Digest, Event, digest_of
from quoit.runtime.virtual import VirtualWorld
from quoit.runtime.wire import Message, encode, message

MS = 1_000_000


@message("test.Ball")
class Ball(Message):
    hops: int


@message("test.Weigh")
class Weigh(Message):
    what: str
    after: int = 0


@message("test.Weight")
class Weight(Message):
    grams: int


@message("test.Gossip")
class Gossip(Message):
    text: str


@message("test.Poke")
class Poke(Message):
    pass


class Player(Element):
    """Throws balls on to players that its own random numbers choose, asks its neighbour, gossips."""

    stratum, plane = Stratum.FABRIC, Plane.RESOURCE
    subscribes = ("game.*",)

    def __init__(self, number: int, of: int) -> None:
        super().__init__(f"player{number}", f"place{number % 3}")
        self._number, self._of = number, of

    async def start(self, ctx: Context) -> None:
        ctx.tell(self.name, Ball(12), after=self._number % 2)

    @handles(Ball)
    async def on_ball(self, ctx: Context, msg: Ball) -> None:
        ctx.emit("ball", hops=msg.hops)
        if not msg.hops:
            return
        rng = ctx.rng("throws")
        ctx.tell(f"player{rng.integers(self._of)}", Ball(msg.hops - 1), after=int(rng.integers(3)))
        try:
            weight: Weight = await ctx.ask(f"player{(self._number + 1) % self._of}", Weigh("ball"), within=MS)
            ctx.emit("weighed", grams=weight.grams)
        except Problem as problem:
            ctx.emit("not weighed", code=problem.code, by=problem.fields["scale"])
        await ctx.sleep(int(rng.integers(4)))
        ctx.publish(f"game.{self._number}", Gossip(f"{msg.hops}"))

    @handles(Weigh)
    async def on_weigh(self, ctx: Context, msg: Weigh) -> Weight:
        if ctx.rng("scale").random() < 0.3:
            raise Problem("store-failed", "the scale is broken", scale=self.name)
        return Weight(ctx.now % 1000)

    @handles(Gossip)
    async def on_gossip(self, ctx: Context, msg: Gossip) -> None:
        ctx.emit("heard", text=msg.text)


def far(here: str, there: str) -> int:
    return 5 + sum(map(ord, here + there)) % 3


class Passing:
    """A post that hands frames to the other kernels of this process."""

    def __init__(self) -> None:
        self.kernels: list[Kernel] = []
        self.passed = 0

    def send(self, process: int, frame: tuple[Any, ...]) -> None:
        self.passed += 1
        self.kernels[process].receive(frame)


def alone(players: int) -> list[Event]:
    kernel = Kernel([Player(i, players) for i in range(players)], seed=3, latency=far)
    events: list[Event] = []
    kernel.sinks.append(events.append)
    world = VirtualWorld(kernel)
    world.begin()
    world.run_until(MS)
    return events


def note(events: list[Event], elements: set[str], event: Event) -> None:
    if event.by in elements:
        events.append(event)


def split(players: int, home: dict[str, int]) -> tuple[list[Event], int]:
    """The same game in three kernels; a place is not split, since within it messages take no time."""
    post = Passing()
    events: list[Event] = []
    for process in range(3):
        game = [Player(i, players) for i in range(players)]
        random.Random(process).shuffle(game)
        kernel = Kernel(game, seed=3, latency=far)
        here = {e.name for e in game if home[e.place] == process}
        kernel.sinks.append(partial(note, events, here))
        post.kernels.append(kernel)
    for process, kernel in enumerate(post.kernels):
        kernel.start()
        kernel.split(lambda e: home[e.place], process, post)
    while (due := min((k.next_due for k in post.kernels if k.next_due is not None), default=MS)) < MS:
        for kernel in post.kernels:
            kernel.run(due)
    assert not any(k.disorder for k in post.kernels)
    return events, post.passed


@pytest.mark.realises("F8", "G3")
@given(homes=st.tuples(*[st.integers(0, 2)] * 3))
@settings(max_examples=10, deadline=None)
def test_the_order_does_not_depend_on_how_elements_are_spread_over_processes(homes: tuple[int, int, int]) -> None:
    events, passed = split(7, {f"place{i}": home for i, home in enumerate(homes)})
    assert digest_of(events) == digest_of(alone(7))
    assert (passed > 0) == (len(set(homes)) > 1)
    assert {e.event for e in events} == {"ball", "weighed", "not weighed", "heard"}


class Recorder(Element):
    """Notes what it hears, and when."""

    stratum, plane = Stratum.FABRIC, Plane.RESOURCE

    def __init__(self, name: str, place: str = "here", subscribes: tuple[str, ...] = ()) -> None:
        super().__init__(name, place)
        self.subscribes = subscribes
        self.heard: list[tuple[int, str]] = []

    @handles(Gossip)
    async def on_gossip(self, ctx: Context, msg: Gossip) -> None:
        self.heard.append((ctx.now, msg.text))


class Speaker(Element):
    """Says at its start what it was given: (to, text, after)."""

    stratum, plane = Stratum.FABRIC, Plane.RESOURCE

    def __init__(self, name: str, lines: list[tuple[str, str, int]]) -> None:
        super().__init__(name, "here")
        self._lines = lines

    async def start(self, ctx: Context) -> None:
        for to, text, after in self._lines:
            ctx.tell(to, Gossip(text), after=after)


def test_events_of_one_instant_go_by_sender_then_by_count() -> None:
    listener = Recorder("z")
    kernel = Kernel([Speaker("b", [("z", "b1", 4), ("z", "b2", 4)]), listener, Speaker("a", [("z", "a1", 4)])])
    kernel.start()
    kernel.run(10)
    assert listener.heard == [(4, "a1"), (4, "b1"), (4, "b2")]


def test_an_earlier_due_time_goes_before_everything() -> None:
    listener = Recorder("z")
    kernel = Kernel([Speaker("a", [("z", "late", 9)]), Speaker("b", [("z", "soon", 3)]), listener])
    kernel.start()
    assert kernel.run(8) == 1
    assert listener.heard == [(3, "soon")]
    kernel.run(9)
    assert listener.heard == [(3, "soon"), (9, "late")]


@message("test.Rumour")
class Rumour(Message):
    """Other news on the same subject."""


class Herald(Element):
    """Publishes news of two kinds on one subject."""

    stratum, plane = Stratum.FABRIC, Plane.RESOURCE

    async def start(self, ctx: Context) -> None:
        ctx.publish("news.here", Rumour())
        ctx.publish("news.here", Gossip("heard"))


def test_news_reach_all_who_understand_them_whatever_else_their_subject_carried() -> None:
    listener = Recorder("z", subscribes=("news.*",))
    kernel = Kernel([Herald("a", "here"), listener])
    kernel.start()
    kernel.run(0)
    assert listener.heard == [(0, "heard")]


def test_two_elements_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="share a name"):
        Kernel([Recorder("x"), Recorder("x")])


class Scale(Element):
    """Weighs, slowly if asked, or refuses."""

    stratum, plane = Stratum.FABRIC, Plane.RESOURCE

    def __init__(self) -> None:
        super().__init__("scale", "there")

    @handles(Weigh)
    async def on_weigh(self, ctx: Context, msg: Weigh) -> Weight:
        await ctx.sleep(msg.after)
        if msg.what == "air":
            raise Problem("bad-size", "air weighs nothing", least=1)
        return Weight(len(msg.what))


class Buyer(Element):
    """Asks one scale several things at once, twice."""

    stratum, plane = Stratum.FABRIC, Plane.RESOURCE

    def __init__(self, *rounds: tuple[Weigh, ...]) -> None:
        super().__init__("buyer", "here")
        self._rounds = rounds
        self.got: list[tuple[int, list[Any]]] = []

    async def start(self, ctx: Context) -> None:
        for asked in self._rounds:
            replies = await ctx.ask_all([("scale", one) for one in asked], within=100)
            plain = [reply.code if isinstance(reply, Problem) else reply.grams for reply in replies]
            self.got.append((ctx.now, plain))


def test_several_questions_take_as_long_as_the_slowest_and_refusals_are_among_the_replies() -> None:
    slow, quick, refused, silent = Weigh("plum", 50), Weigh("fig", 10), Weigh("air", 20), Weigh("whale", 500)
    buyer = Buyer((slow, quick, refused, silent), (), (quick, quick))
    kernel = Kernel([buyer, Scale()])
    kernel.start()
    kernel.run(1_000)
    assert buyer.got == [(100, [3, "bad-size", 4, "deadline"]), (100, []), (110, [3, 3])]


def test_an_asker_that_crashes_hears_no_more_replies() -> None:
    buyer = Buyer((Weigh("plum", 50), Weigh("fig", 10)))
    kernel = Kernel([buyer, Scale()])
    kernel.start()
    kernel.run(20)
    kernel.crash("buyer")
    kernel.run(1_000)
    assert buyer.got == []


class Asker(Element):
    stratum, plane = Stratum.FABRIC, Plane.RESOURCE

    def __init__(self, ask: Weigh, to: str = "scale", within: int = 100) -> None:
        super().__init__("asker", "here")
        self._ask, self._to, self._within = ask, to, within
        self.got: list[tuple[int, Any]] = []

    async def start(self, ctx: Context) -> None:
        try:
            answer = await ctx.ask(self._to, self._ask, within=self._within)
        except Problem as problem:
            answer = problem
        self.got.append((ctx.now, answer))


def asked(ask: Weigh, to: str = "scale") -> tuple[int, Any]:
    asker = Asker(ask, to)
    kernel = Kernel([Scale(), asker], latency=lambda a, b: 7)
    kernel.start()
    kernel.run(1000)
    assert len(asker.got) == 1
    return asker.got[0]


def test_an_answer_takes_the_way_there_and_back() -> None:
    assert asked(Weigh("iron", after=20)) == (7 + 20 + 7, Weight(4))


def test_a_problem_crosses_to_the_asker_with_its_fields() -> None:
    at, problem = asked(Weigh("air"))
    assert (at, problem.code, dict(problem.fields)) == (14, "bad-size", {"least": 1})


def test_an_answer_that_comes_too_late_is_a_deadline_and_is_dropped() -> None:
    at, problem = asked(Weigh("iron", after=90))
    assert (at, problem.code) == (100, "deadline")


def test_asking_nobody_is_a_problem_at_once() -> None:
    at, problem = asked(Weigh("iron"), to="nobody")
    assert (at, problem.code) == (0, "no-such-element")


class Mute(Element):
    stratum, plane = Stratum.FABRIC, Plane.RESOURCE


def test_a_message_that_is_not_understood_is_refused_to_its_asker() -> None:
    asker = Asker(Weigh("iron"), to="mute")
    kernel = Kernel([Mute("mute", "here"), asker])
    kernel.start()
    kernel.run(1)
    assert asker.got[0][1].code == "internal"


class Vault(Element):
    stratum, plane = Stratum.ENGINE, Plane.RESOURCE
    only_resource_plane = True

    @handles(Poke)
    async def on_poke(self, ctx: Context, msg: Poke) -> None:
        ctx.emit("poked")


class Pokes(Element):
    stratum, plane = Stratum.FABRIC, Plane.RESOURCE

    async def start(self, ctx: Context) -> None:
        ctx.tell("vault", Poke())


class Manages(Pokes):
    plane = Plane.MANAGEMENT


class Watches(Pokes):
    plane = Plane.TELEMETRY


class Decides(Pokes):
    plane = Plane.CONTROL


@pytest.mark.realises("A1", "A2")
@pytest.mark.parametrize("kind", [Manages, Watches, Decides])
def test_other_planes_may_not_reach_what_is_open_to_the_resource_plane_only(kind: type[Element]) -> None:
    kernel = Kernel([Vault("vault", "x"), kind("p", "x")])
    with pytest.raises(PlaneViolation):
        kernel.start()


def test_the_resource_plane_may() -> None:
    kernel = Kernel([Vault("vault", "x"), Pokes("p", "x")])
    events: list[Event] = []
    kernel.sinks.append(events.append)
    kernel.start()
    kernel.run(0)
    assert [e.event for e in events] == ["poked"]


class Shelf:
    """A device that doubles numbers, and refuses odd ones."""

    def execute(self, batch: list[Any]) -> list[Any]:
        return [Problem("store-failed", "odd") if n % 2 else 2 * n for n in batch]


class Keeper(Element):
    stratum, plane = Stratum.SERVICE, Plane.RESOURCE

    def __init__(self, number: int) -> None:
        super().__init__("keeper", "here")
        self._number = number
        self.got: tuple[int, Any] | None = None

    async def start(self, ctx: Context) -> None:
        try:
            self.got = None
            value = await ctx.effect(Shelf(), self._number, 30)
        except Problem as problem:
            value = problem.code
        self.got = (ctx.now, value)


@pytest.mark.parametrize(("number", "value"), [(4, 8), (3, "store-failed")])
def test_a_device_takes_its_simulated_time_and_its_problems_are_raised(number: int, value: Any) -> None:
    keeper = Keeper(number)
    kernel = Kernel([keeper])
    kernel.start()
    kernel.run(29)
    assert keeper.got is None
    kernel.run(30)
    assert keeper.got == (30, value)


@pytest.mark.realises("F3")
def test_news_reach_subscribers_of_the_subject_after_their_path() -> None:
    class Crier(Element):
        stratum, plane = Stratum.FABRIC, Plane.TELEMETRY

        async def start(self, ctx: Context) -> None:
            ctx.publish("link.a.pool", Gossip("full"))

    near, distant = Recorder("near", "here", ("link.*.pool",)), Recorder("far", "there", ("link.>",))
    other, deaf = Recorder("other", "here", ("link.*.block",)), Mute("deaf", "here")
    deaf.subscribes = ("link.>",)
    kernel = Kernel([Crier("crier", "here"), near, distant, other, deaf], latency=lambda a, b: 9)
    seen: list[tuple[str, Message]] = []
    kernel.watchers.append(lambda subject, msg: seen.append((subject, msg)))
    kernel.start()
    kernel.run(100)
    assert (near.heard, distant.heard, other.heard) == ([(0, "full")], [(9, "full")], [])
    assert seen == [("link.a.pool", Gossip("full"))]


@pytest.mark.parametrize(
    ("pattern", "subject", "fits"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a.c", False),
        ("a.*", "a.b", True),
        ("a.*", "a", False),
        ("a.*", "a.b.c", False),
        ("*.b", "a.b", True),
        ("a.>", "a.b.c", True),
        ("a.>", "a", False),
        (">", "a", True),
        ("a.*.c", "a.b.c", True),
        ("a.*.c", "a.b.d", False),
        ("a.b.c", "a.b", False),
    ],
)
def test_subjects_match_as_nats_says(pattern: str, subject: str, fits: bool) -> None:
    assert matches(pattern, subject) is fits


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("abc"), st.integers(1, 3)), unique=True), st.randoms())
def test_a_digest_does_not_depend_on_arrival_within_an_instant(keys: list[tuple[int, str, int]], rng: Any) -> None:
    events = [Event(t, by, n, "e", {"x": n}) for t, by, n in keys]
    shuffled = events.copy()
    rng.shuffle(shuffled)
    shuffled.sort(key=lambda e: e.t)
    one, two = Digest(), Digest()
    for event in sorted(events, key=lambda e: (e.t, e.by, e.n)):
        one(event)
    for event in shuffled:
        two(event)
    assert one.hexdigest() == two.hexdigest() == digest_of(shuffled)


def test_a_digest_minds_every_field_but_drawn_identifiers() -> None:
    base = digest_of([Event(1, "a", 1, "e", {"bits": 3, "key_id": "x"})])
    assert base == digest_of([Event(1, "a", 1, "e", {"bits": 3, "key_id": "y"})])
    for other in (Event(2, "a", 1, "e", {"bits": 3}), Event(1, "b", 1, "e", {"bits": 3}),
                  Event(1, "a", 2, "e", {"bits": 3}), Event(1, "a", 1, "f", {"bits": 3}),
                  Event(1, "a", 1, "e", {"bits": 4})):  # fmt: skip
        assert digest_of([other]) != base


@pytest.mark.realises("F8")
def test_random_numbers_depend_on_names_and_not_on_the_order_of_use() -> None:
    first = {name: seeds.generator(5, name, "p").random(4) for name in ("a", "b", "c")}
    for name in ("c", "a", "b"):
        assert np.array_equal(seeds.generator(5, name, "p").random(4), first[name])
    others = [seeds.generator(6, "a", "p"), seeds.generator(5, "a", "q"), seeds.generator(5, "b", "p")]
    assert all(not np.array_equal(g.random(4), first["a"]) for g in others)


def test_key_streams_differ_by_every_part_of_their_coordinate() -> None:
    root = seeds.synthetic_root(1)
    names = [("l", 1), ("l", 2), ("m", 1), ("l", 11), ("l1", 1)]
    assert len({seeds.keystream(root, *name, nbytes=16) for name in names}) == len(names)
    assert seeds.keystream(root, "l", 1, nbytes=32)[:16] == seeds.keystream(root, "l", 1, nbytes=16)
    assert seeds.synthetic_root(2) != root


class Crashing(Element):
    stratum, plane = Stratum.FABRIC, Plane.RESOURCE

    @handles(Weigh)
    async def on_weigh(self, ctx: Context, msg: Weigh) -> Weight:
        return Weight(1 // len(msg.what))


def test_a_fault_of_a_handler_stops_a_strict_run_and_only_the_request_of_another() -> None:
    strict = VirtualWorld(Kernel([Crashing("c", "x")]))
    with pytest.raises(ZeroDivisionError):
        strict.ask("c", Weigh(""))
    lenient = VirtualWorld(Kernel([Crashing("c", "x")]))
    lenient.kernel.strict = False
    with pytest.raises(Problem) as refused:
        lenient.ask("c", Weigh(""))
    assert refused.value.code == "internal"
    assert lenient.ask("c", Weigh("x")) == Weight(1)


def test_handlers_that_never_wait_can_be_run_alone() -> None:
    class Plain:
        async def give(self) -> int:
            return 3

    assert answer_of(Plain().give()) == 3


@message("test.Slow")
class SlowAsk(Message):
    """Answered after a while, by a device or by another element."""

    by: str


class Device3:
    def execute(self, batch: list[Any]) -> list[Any]:
        return [3 for _ in batch]


class Mortal(Element):
    """Waits in each of the three ways that there are."""

    stratum, plane = Stratum.SERVICE, Plane.RESOURCE

    def __init__(self, name: str, log: list[str], generation: int = 1) -> None:
        super().__init__(name, "here")
        self.log = log
        self.generation = generation

    async def start(self, ctx: Context) -> None:
        self.log.append(f"start {self.generation}")

    @handles(SlowAsk)
    async def on_slow(self, ctx: Context, msg: SlowAsk) -> Answer:
        if msg.by == "sleep":
            await ctx.sleep(10)
        elif msg.by == "device":
            await ctx.effect(Device3(), 1, 10)
        elif msg.by == "ask":
            await ctx.ask("other", SlowAsk("sleep"), within=1_000)
        self.log.append(f"{msg.by} {self.generation}")
        return Answer(self.generation)


@message("test.Generation")
class Answer(Message):
    generation: int


def test_a_crash_ends_all_that_an_element_was_about_to_do() -> None:
    log: list[str] = []
    kernel = Kernel([Mortal("one", log), Mortal("other", [])])
    kernel.start()
    answers: list[Any] = []
    for by in ("sleep", "device", "ask"):
        kernel.ask_from_outside(1, "one", SlowAsk(by), answers.append)
    kernel.run(5)
    kernel.crash("one")
    kernel.ask_from_outside(7, "one", SlowAsk("lost"), answers.append)
    kernel.run(20)
    assert (log, answers) == (["start 1"], [])
    kernel.ask_from_outside(30, "one", SlowAsk("sleep"), answers.append)
    kernel.revive(Mortal("one", log, 2))
    kernel.run(50)
    assert log == ["start 1", "start 2", "sleep 2"]
    assert [a.generation for a in answers] == [2]


def test_a_carrier_may_lose_and_repeat_what_elements_say() -> None:
    log: list[str] = []
    kernel = Kernel([Mortal("one", log), Mortal("other", log)])

    def carrier(source: str, target: str, put: Any) -> Any:
        assert (source, target) == ("one", "other") or (source, target) == ("other", "one")

        def twice(due: int, entry: Any) -> None:
            put(due, entry)
            put(due + 1, entry)

        return twice

    kernel.carrier = carrier
    kernel.start()
    answers: list[Any] = []
    kernel.ask_from_outside(1, "one", SlowAsk("ask"), answers.append)
    kernel.run(5_000)
    assert log == ["start 1", "start 1", "sleep 1", "ask 1", "sleep 1"]
    assert len(answers) == 1


@pytest.mark.realises("F1", "F8")
def test_t1_a_frame_that_comes_too_late_is_handled_now_and_counted() -> None:
    class Hearer(Element):
        stratum, plane = Stratum.FABRIC, Plane.RESOURCE

        async def start(self, ctx: Context) -> None:
            ctx.tell(self.name, Gossip("own"), after=8 * MS)
            ctx.tell(self.name, Gossip("own, later"), after=9 * MS)

        @handles(Gossip)
        async def on_gossip(self, ctx: Context, msg: Gossip) -> None:
            ctx.emit("heard", text=msg.text)

    kernel = Kernel([Hearer("hearer", "here")])
    events: list[Event] = []
    kernel.sinks.append(events.append)
    kernel.start()
    kernel.run(8 * MS)
    for count, due in ((50, 5 * MS), (51, 9 * MS)):
        kernel.receive((due, 0, count, SAY, 0, 0, "test.Gossip", encode(Gossip(f"due at {due // MS}"))))
    kernel.run(9 * MS)
    assert [(e.t // MS, e.fields["text"]) for e in events] == [
        (8, "own"), (8, "due at 5"), (9, "own, later"), (9, "due at 9"),
    ]  # fmt: skip
    assert kernel.disorder == 1
