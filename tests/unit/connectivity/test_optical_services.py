"""Connectivity services of the optical network: their life, their light, restoration, joint planning, refusals."""

from __future__ import annotations

from typing import Any

import pytest

from quoit.adapters.stores.memory import MemoryStore
from quoit.connectivity import api
from quoit.fabric.api import METERS as LINK_METERS
from quoit.fabric.api import GetLinks
from quoit.model.problem import Problem
from quoit.runtime.trace import Event
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads
from quoit.scenario.fate import FATE, Strike

S, MS = 10**9, 10**6
# Three ways from a to c: straight, by b, by d.
NETWORK = """
quoit: 1
name: mesh
nodes: {a: {DOMAIN}, b: {DOMAIN}, c: {OTHER}, d: {OTHER}}
DOMAINS
spans:
  - {name: ac, between: [a, c], length: 20 km, attenuation: 0.2 dB/km, duct: main}
  - {name: ab, between: [a, b], length: 10 km, attenuation: 0.2 dB/km}
  - {name: bc, between: [b, c], length: 10 km, attenuation: 0.2 dB/km, duct: river}
  - {name: ad, between: [a, d], length: 20 km, attenuation: 0.2 dB/km}
  - {name: dc, between: [d, c], length: 20 km, attenuation: 0.2 dB/km}
plant:
  switches:
    - {node: a, insertion: 1 dB, switching: 20 ms}
    - {node: b, insertion: 2 dB, switching: 50 ms}
    - {node: c, kind: optical-switch, insertion: 1 dB, switching: 10 ms}
    - {node: d, insertion: 2 dB, switching: 50 ms}
PLANT
links:
  - {name: link, between: [a, c], spans: [ac], spectrum: {frequency: 193.4 THz}}
EVENTS
"""


class Mesh:
    """The network in virtual time, with what its services were told to be."""

    def __init__(
        self, plant: str = "", events: str = "", domains: bool = False, spans: dict[str, str] | None = None
    ) -> None:
        text = NETWORK.replace("PLANT", plant).replace("EVENTS", events)
        for name, more in (spans or {}).items():
            text = text.replace(f"{{name: {name}, ", f"{{name: {name}, {more}, ")
        both = ("domain: east", "domain: west") if domains else ("", "")
        text = text.replace("DOMAINS", DOMAINS if domains else "").replace("DOMAIN", both[0]).replace("OTHER", both[1])
        twin = assemble(loads(text), Parts(lambda kme: MemoryStore()))
        self.events: list[Event] = []
        self.news: list[tuple[float, Any]] = []
        twin.kernel.sinks.append(self.events.append)
        self.world = VirtualWorld(twin.kernel)
        twin.kernel.watchers.append(self._hear)
        self.world.begin()

    def _hear(self, subject: str, msg: Any) -> None:
        if isinstance(msg, api.ServiceRow | api.WorksRow):
            self.news.append((self.world.kernel.now / MS, msg))

    def run(self, seconds: float) -> None:
        self.world.run_until(round(seconds * S))

    def ask(self, msg: Any, to: str = api.OTN) -> Any:
        return self.world.ask(to, msg)

    def refused(self, msg: Any, to: str = api.OTN) -> Problem:
        with pytest.raises(Problem) as found:
            self.ask(msg, to)
        return found.value

    def service(self, name: str) -> Any:
        return next(row for row in self.ask(api.GetServices()).rows if row.service == name)

    def channels(self) -> dict[str, Any]:
        return {row.channel: row for row in self.ask(api.GetInventory(), api.CONTROLLER).channels}

    def cut(self, span: str, off: bool = False) -> None:
        self.world.ask(FATE, Strike("splice" if off else "cut", span))

    def told(self, service: str) -> list[tuple[str, bool]]:
        found = [(row.lifecycle, row.enabled) for _, row in self.news if getattr(row, "service", "") == service]
        return [one for n, one in enumerate(found) if n == 0 or found[n - 1] != one]


DOMAINS = "domains: [{name: east, prefix: 'urn:qkd:east'}, {name: west, prefix: 'urn:qkd:west'}]"


def lit(name: str = "cust", **more: Any) -> api.OpenService:
    given: dict[str, Any] = {"launch_dbm": -20.0}
    return api.OpenService(name, api.CLASSICAL, "a", "c", **(given | more))


def quantum(name: str = "q", **more: Any) -> api.OpenService:
    return api.OpenService(name, api.QUANTUM, "a", "c", "link", **more)


@pytest.mark.realises("E3", "E4")
def test_a_service_is_planned_then_lit_after_its_switches_and_gone_with_its_spectrum() -> None:
    mesh = Mesh()
    mesh.run(1)
    row = mesh.ask(lit())
    assert (row.lifecycle, row.enabled, row.spans) == (api.PLANNED, False, ("ac",))
    mesh.run(2)
    row = mesh.service("cust")
    assert (row.lifecycle, row.enabled) == (api.INSTALLED, True)
    installed = next(at for at, told in mesh.news if told.lifecycle == api.INSTALLED)
    assert 1020 <= installed < 1040  # the slower switch has settled, and some control
    assert mesh.channels()["cust"].launch_dbm == -20.0
    assert mesh.ask(lit()) == row  # asked for again: it is there
    mesh.ask(api.CloseService("cust"))
    assert "cust" not in mesh.channels()
    assert mesh.ask(api.GetServices()).rows == ()
    assert mesh.ask(api.CloseService("cust")) is None
    assert mesh.told("cust") == [
        (api.PLANNED, False),
        (api.INSTALLED, True),
        (api.PENDING_REMOVAL, False),
        (api.REMOVED, False),
    ]


def test_a_schedule_lights_and_removes() -> None:
    mesh = Mesh()
    mesh.ask(lit(start_ns=5 * S, end_ns=8 * S))
    mesh.run(4.9)
    assert mesh.service("cust").lifecycle == api.PLANNED
    assert "cust" not in mesh.channels()
    mesh.run(5.1)
    assert mesh.service("cust").enabled
    mesh.run(8.1)
    assert mesh.ask(api.GetServices()).rows == ()
    assert "cust" not in mesh.channels()


@pytest.mark.realises("E3", "E4")
def test_what_a_schedule_will_have_is_kept_for_it_from_whoever_overlaps_it_in_time() -> None:
    mesh = Mesh()
    here = {"spans": ("ac",), "limits": api.Limits(centres_mhz=(193_100_000,))}
    mesh.ask(lit("booked", start_ns=5 * S, end_ns=8 * S, **here))
    assert mesh.refused(lit("for-ever", **here)).code == "no-route"
    assert mesh.refused(lit("into-it", end_ns=6 * S, **here)).code == "no-route"
    assert mesh.refused(lit("within", start_ns=6 * S, end_ns=7 * S, **here)).code == "no-route"
    mesh.ask(lit("before", end_ns=5 * S, **here))
    mesh.ask(lit("after", start_ns=8 * S, **here))
    mesh.ask(lit("elsewhere", spans=("ac",)))
    assert mesh.service("elsewhere").centre_mhz != 193_100_000
    lit_at = {}
    for second in (2, 6.5, 9):
        mesh.run(second)
        lit_at[second] = sorted(row.service for row in mesh.ask(api.GetServices()).rows if row.enabled)
    assert lit_at == {2: ["before", "elsewhere"], 6.5: ["booked", "elsewhere"], 9: ["after", "elsewhere"]}


@pytest.mark.realises("E3")
def test_a_scheduled_neighbour_counts_for_a_quantum_channels_noise_before_it_is_lit() -> None:
    mesh = Mesh()
    mesh.ask(lit("bright", spans=("ac",), launch_dbm=0.0, start_ns=50 * S))
    quiet = api.Limits(max_noise_hz=2_000.0)
    mesh.ask(quantum(limits=quiet))
    mesh.run(1)
    assert mesh.service("q").spans == ("ab", "bc")
    mesh.ask(api.CloseService("q"))
    mesh.ask(quantum("brief", limits=quiet, end_ns=40 * S))
    mesh.run(2)
    assert mesh.service("brief").enabled
    assert mesh.service("brief").spans == ("ac",), "it has gone when the other one comes"


@pytest.mark.realises("E3", "E4")
def test_quantum_light_meets_no_amplifier_and_classical_light_is_given_its_power_back() -> None:
    mesh = Mesh(spans={"bc": "amplified: true", "ad": "amplified: true"})
    assert mesh.ask(api.ComputePaths("a", "c", api.CLASSICAL, api.Limits(avoid=("main",)))).rows[0].spans == (
        "ab",
        "bc",
    )
    assert mesh.refused(api.ComputePaths("a", "c", limits=api.Limits(avoid=("main",)))).code == "no-route"
    problem = mesh.refused(api.RetuneChannel("link", ("ab", "bc")), api.CONTROLLER)
    assert (problem.code, "found one on span bc" in problem.detail) == ("malformed", True)
    mesh.ask(lit(spans=("ad", "dc")))
    mesh.run(2)
    seen = {row.span: row for row in mesh.ask(api.GetChannels(), api.METERS).rows if row.channel == "cust"}
    # -20 dBm, 4 dB of fibre; amplified, then 2 dB of the switch at d and 4 dB of fibre.
    assert seen["ad"].dbm == pytest.approx(-24.0, abs=0.3)
    assert seen["dc"].dbm == pytest.approx(-26.0, abs=0.3)
    assert {name: row.planned_dbm for name, row in seen.items()} == {
        name: pytest.approx(row.dbm, abs=0.1) for name, row in seen.items()
    }
    mesh.cut("ac")
    mesh.run(4)
    assert mesh.channels()["link"].spans == ("ac",)
    assert mesh.refused(api.RequestPath("link", "a", "c"), api.CONTROLLER).code == "no-route"


@pytest.mark.realises("E1", "E3")
def test_a_cut_moves_a_service_within_a_second_and_within_its_limits() -> None:
    mesh = Mesh()
    mesh.ask(lit(limits=api.Limits(max_loss_db=8.5)))
    mesh.run(2)
    mesh.cut("ac")
    mesh.run(3)
    row = mesh.service("cust")
    assert (row.enabled, row.spans, row.loss_db) == (True, ("ab", "bc"), pytest.approx(8.0))
    down = next(at for at, told in mesh.news if at > 2000 and not told.enabled)
    up = next(at for at, told in mesh.news if at > down and told.enabled)
    assert up - down < 1000
    mesh.cut("bc")  # what is left loses 12 dB
    mesh.run(4)
    row = mesh.service("cust")
    assert (row.lifecycle, row.enabled) == (api.INSTALLED, False)
    assert "8.5 dB" in row.note or "6.5 dB" in row.note
    mesh.cut("ac", off=True)
    mesh.run(5)
    assert (mesh.service("cust").enabled, mesh.service("cust").spans) == (True, ("ac",))


def test_a_loss_shorter_than_the_hold_off_moves_nothing_and_without_restoration_nothing_moves() -> None:
    mesh = Mesh()
    mesh.ask(lit("held", restoration=api.Restoration(hold_off_ns=500 * MS)))
    mesh.ask(lit("fixed", restoration=api.Restoration(enabled=False)))
    mesh.run(1)
    mesh.cut("ac")
    mesh.run(1.3)
    mesh.cut("ac", off=True)
    mesh.run(3)
    assert {mesh.service(n).spans for n in ("held", "fixed")} == {("ac",)}
    mesh.cut("ac")
    mesh.run(5)
    assert mesh.service("held").spans == ("ab", "bc")
    assert (mesh.service("fixed").spans, mesh.service("fixed").enabled) == (("ac",), False)


def test_a_revertive_service_returns_when_its_first_path_has_been_whole_for_long_enough() -> None:
    mesh = Mesh()
    mesh.ask(lit(restoration=api.Restoration(revertive=True, wait_ns=5 * S)))
    mesh.run(1)
    mesh.cut("ac")
    mesh.run(2)
    mesh.cut("ac", off=True)
    mesh.run(4)
    mesh.cut("ac")  # the wait begins anew
    mesh.run(4.5)
    mesh.cut("ac", off=True)
    mesh.run(9.4)
    assert mesh.service("cust").spans == ("ab", "bc")
    mesh.run(10)
    assert (mesh.service("cust").spans, mesh.service("cust").enabled) == (("ac",), True)


@pytest.mark.realises("E3", "E4")
def test_a_quantum_channel_and_its_companion_are_planned_jointly_and_move_together() -> None:
    mesh = Mesh()
    mesh.ask(quantum(companion=api.Companion(launch_dbm=-30.0)))
    mesh.run(1)
    row, channels = mesh.service("q"), mesh.channels()
    assert (row.channel, row.centre_mhz, row.enabled) == ("link", 193_400_000, True)
    beside = channels["q:companion"]
    assert beside.spans == channels["link"].spans == ("ac",)
    assert abs(beside.centre_mhz - 193_400_000) >= 137_500  # half of both, and the guard
    assert row.noise_hz > 0
    mesh.cut("ac")
    mesh.run(3)
    channels = mesh.channels()
    assert channels["q:companion"].spans == channels["link"].spans == ("ab", "bc")
    (reading,) = mesh.world.ask(LINK_METERS, GetLinks()).rows
    assert reading.state != "dark"
    mesh.ask(api.CloseService("q"))
    assert "q:companion" not in mesh.channels()
    assert mesh.channels()["link"].spans == ("ab", "bc")


@pytest.mark.realises("E3")
def test_classical_light_keeps_off_quantum_channels_that_could_not_bear_it() -> None:
    mesh = Mesh()
    mesh.ask(quantum(limits=api.Limits(max_noise_hz=2_000.0)))
    mesh.run(1)
    mesh.ask(lit(launch_dbm=0.0))
    mesh.run(2)
    assert mesh.service("cust").spans == ("ab", "bc")  # the straight fibre is the quantum channel's
    straight = lit("other", launch_dbm=0.0, spans=("ac",))
    problem = mesh.refused(straight)
    assert (problem.code, problem.fields["reason"], problem.fields["neighbour"]) == ("no-route", "neighbour", "link")
    assert {row.service for row in mesh.ask(api.GetServices()).rows} == {"q", "cust"}
    mesh.ask(lit("faint", launch_dbm=-60.0, spans=("ac",)))


def test_services_apart_share_no_risk_and_co_routed_ones_all() -> None:
    mesh = Mesh()
    mesh.ask(lit("one"))
    mesh.ask(lit("two", apart_from="one"))
    mesh.ask(lit("with", coroute="two"))
    mesh.run(1)
    assert mesh.service("one").spans == ("ac",)
    assert mesh.service("two").spans == mesh.service("with").spans == ("ab", "bc")
    mesh.cut("ab")
    mesh.run(2)
    assert mesh.service("two").spans == mesh.service("with").spans == ("ad", "dc")
    mesh.cut("ad")
    mesh.run(3)
    assert not mesh.service("two").enabled  # ac would share its risk with `one`
    assert mesh.service("one").enabled


def test_paths_are_told_in_order_or_as_a_disjoint_pair_and_refusals_say_what_binds() -> None:
    mesh = Mesh()
    rows = mesh.ask(api.ComputePaths("a", "c", count=3)).rows
    assert [row.spans for row in rows] == [("ac",), ("ab", "bc"), ("ad", "dc")]
    assert [row.loss_db for row in rows] == pytest.approx([6.0, 8.0, 12.0])
    assert (rows[1].switches, rows[1].risks) == (1, ("river",))
    pair = mesh.ask(api.ComputePaths("a", "c", disjoint=True)).rows
    assert [row.spans for row in pair] == [("ac",), ("ab", "bc")]
    lim = api.Limits
    for limits, reason in (
        (lim(max_loss_db=5.0), "loss"),
        (lim(max_latency_ns=10), "latency"),
        (lim(avoid=("main",), max_switches=0), "switches"),
        (lim(avoid=("main", "b", "d")), "avoid"),
    ):
        problem = mesh.refused(api.ComputePaths("a", "c", limits=limits))
        assert (problem.code, problem.fields["reason"]) == ("no-route", reason)
    noisy = Mesh("  channels: [{name: x, from: a, spans: [ac], frequency: 195 THz, launch: 0 dBm}]")
    only = api.Limits(max_noise_hz=100.0, avoid=("b", "d"))
    assert noisy.refused(api.ComputePaths("a", "c", limits=only)).fields["reason"] == "noise"
    assert mesh.refused(api.ComputePaths("a", "z")).code == "unknown-site"


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        (lit(end_ns=1), "malformed"),
        (lit(spans=("ab",)), "malformed"),
        (lit(spans=("nope",)), "no-such-element"),
        (lit(coroute="nope"), "no-such-element"),
        (lit("link"), "channel-exists"),
        (lit(companion=api.Companion()), "malformed"),
        (lit(limits=api.Limits(max_noise_hz=1.0)), "malformed"),
        (lit(limits=api.Limits(centres_mhz=(193_100_001,))), "malformed"),
        (lit(limits=api.Limits("cheap")), "malformed"),
        (lit(width_mhz=0), "malformed"),
        (lit(""), "malformed"),
        (api.OpenService("q", api.QUANTUM, "a", "c", "nope"), "no-such-element"),
        (api.OpenService("q", api.QUANTUM, "a", "b", "link"), "malformed"),
        (api.OpenService("x", "strange", "a", "c"), "malformed"),
        (api.OpenService("x", api.CLASSICAL, "a", "z"), "unknown-site"),
        (lit(restoration=api.Restoration(hold_off_ns=-1)), "malformed"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(wish: api.OpenService, code: str) -> None:
    mesh = Mesh()
    mesh.run(1)
    assert mesh.refused(wish).code == code
    mesh.run(2)
    assert mesh.ask(api.GetServices()).rows == ()
    assert set(mesh.channels()) == {"link"}


def test_a_name_is_taken_by_another_wish_and_a_link_by_another_service() -> None:
    mesh = Mesh()
    mesh.ask(lit())
    assert mesh.refused(lit(launch_dbm=-10.0)).code == "channel-exists"
    mesh.ask(quantum())
    assert mesh.refused(quantum("again")).code == "channel-exists"


def test_moving_a_service_leaves_what_it_shall_avoid_or_its_wavelength() -> None:
    mesh = Mesh()
    mesh.ask(quantum())
    mesh.run(1)
    row = mesh.ask(api.MoveService("q", avoid=("main",)))
    assert (row.spans, row.centre_mhz, row.enabled) == (("ab", "bc"), 193_400_000, True)
    row = mesh.ask(api.MoveService("q", retune=True))
    assert row.spans == ("ab", "bc")
    assert row.centre_mhz != 193_400_000
    before = mesh.channels()["link"]
    assert mesh.refused(api.MoveService("q", avoid=("river", "d"))).code == "no-route"
    assert mesh.channels()["link"] == before
    assert mesh.ask(api.MoveService("q", avoid=("river",), dry=True)).spans == ("ab", "bc")
    assert mesh.channels()["link"] == before
    assert mesh.refused(api.MoveService("nope")).code == "no-such-element"


def test_a_channel_that_another_order_moves_is_followed() -> None:
    mesh = Mesh()
    mesh.ask(quantum())
    mesh.run(1)
    mesh.ask(api.RetuneChannel("link", ("ad", "dc")), api.CONTROLLER)
    mesh.run(2)
    row = mesh.service("q")
    assert (row.spans, row.loss_db, row.enabled) == (("ad", "dc"), pytest.approx(12.0), True)


def test_a_path_without_spans_is_asked_of_the_optical_network() -> None:
    mesh = Mesh()
    mesh.run(1)
    mesh.cut("ac")
    mesh.run(2)
    path = mesh.ask(api.RequestPath("link", "a", "c"), api.CONTROLLER)
    assert path.spans == ("ab", "bc")
    assert mesh.channels()["link"].spans == ("ab", "bc")


def test_the_services_of_a_file_are_there_from_the_start() -> None:
    mesh = Mesh(
        """  services:
    - {name: q, link: link, max_loss: 12 dB, companion: {launch: -30 dBm}, restoration: {hold_off: 10ms}}
    - {name: one, from: a, to: c, launch: -30 dBm, apart_from: q}
    - {name: late, from: c, to: a, at: 3s, until: 6s}
"""
    )
    mesh.run(1)
    found = {row.service: (row.lifecycle, row.spans) for row in mesh.ask(api.GetServices()).rows}
    assert found["q"] == (api.INSTALLED, ("ac",))
    assert found["one"] == (api.INSTALLED, ("ab", "bc"))
    assert found["late"][0] == api.PLANNED
    mesh.run(4)
    assert mesh.service("late").enabled


@pytest.mark.realises("E4")
def test_two_domains_show_each_other_grey_and_are_joined_on_one_wavelength() -> None:
    mesh = Mesh(domains=True)
    question = api.ComputePaths("a", "c")
    (member,) = mesh.ask(api.GetMembers(("a", "b"), question), api.pnc("east")).rows
    assert (member.a, member.b, member.loss_db) == ("a", "b", pytest.approx(2.0))
    assert "ab" not in repr(member).replace("'a'", "")  # how it runs is not told
    assert member.risks[0].startswith("east#")
    rows = mesh.ask(question).rows
    assert [row.spans for row in rows] == [("ac",)]
    rows = mesh.ask(api.ComputePaths("a", "c", limits=api.Limits(avoid=("main", "d")))).rows
    assert (rows[0].spans, rows[0].nodes) == (("ab", "bc"), ("a", "b", "c"))
    assert (rows[0].loss_db, rows[0].switches) == (pytest.approx(8.0), 1)
    pair = mesh.ask(api.ComputePaths("a", "c", disjoint=True)).rows
    assert {row.spans for row in pair} == {("ac",), ("ab", "bc")}
    mesh.ask(lit())
    mesh.run(1)
    mesh.cut("ac")
    mesh.run(2)
    assert (mesh.service("cust").spans, mesh.service("cust").enabled) == (("ab", "bc"), True)


@pytest.mark.realises("E3", "E4")
def test_a_companion_goes_with_its_quantum_channel_over_several_domains() -> None:
    mesh = Mesh(domains=True)
    faint = api.Companion(launch_dbm=-30.0)
    mesh.ask(quantum(companion=faint, limits=api.Limits(avoid=("main", "d"))))
    mesh.run(1)
    row, channels = mesh.service("q"), mesh.channels()
    assert (row.enabled, row.spans) == (True, ("ab", "bc"))
    beside = channels["q:companion"]
    assert (beside.spans, beside.centre_mhz) == (("ab", "bc"), row.companion_mhz)
    assert abs(beside.centre_mhz - row.centre_mhz) >= 137_500
    lit_one_way = mesh.ask(api.GetNoise("a", row.spans, row.centre_mhz, row.width_mhz), api.CONTROLLER)
    there = lit_one_way.raman_hz + lit_one_way.leaked_hz + lit_one_way.mixed_hz
    assert 0 < there < row.noise_hz < 4 * there, "the plan counts it from both ends"
    mesh.ask(api.CloseService("q"))
    few = api.Limits(max_noise_hz=10.0, avoid=("main", "d"))
    problem = mesh.refused(quantum(companion=faint, limits=few))
    assert (problem.code, problem.fields["reason"]) == ("no-route", "noise")
    assert mesh.ask(quantum(companion=api.Companion(launch_dbm=-80.0), limits=few)).companion_mhz is not None


def test_one_domain_and_two_find_paths_of_the_same_cost() -> None:
    alone, coordinated = Mesh(), Mesh(domains=True)
    for a, b in (("a", "b"), ("a", "c"), ("b", "d"), ("d", "a")):
        one, two = (m.ask(api.ComputePaths(a, b)).rows[0] for m in (alone, coordinated))
        assert (one.loss_db, one.latency_ns, one.switches) == (
            pytest.approx(two.loss_db), two.latency_ns, two.switches
        )  # fmt: skip


# -- works -------------------------------------------------------------------------------------------------


def works(**more: Any) -> api.AnnounceWorks:
    given: dict[str, Any] = {"start_ns": 10 * S, "end_ns": 20 * S, "lead_ns": 2 * S}
    return api.AnnounceWorks("dig", ("ac",), **(given | more))


def states(mesh: Mesh) -> list[str]:
    found = [row.state for _, row in mesh.news if isinstance(row, api.WorksRow)]
    return list(dict.fromkeys(found))


@pytest.mark.realises("E1", "E3")
def test_works_drain_first_and_give_back() -> None:
    mesh = Mesh()
    mesh.ask(quantum(restoration=api.Restoration(revertive=True, wait_ns=S)))
    mesh.ask(lit())
    mesh.run(1)
    assert mesh.ask(works(), api.WORKS).state == api.ANNOUNCED
    mesh.run(7.9)
    assert {mesh.service(n).spans for n in ("q", "cust")} == {("ac",)}
    assert mesh.ask(api.ComputePaths("a", "c")).rows[0].spans == ("ab", "bc")  # nobody new comes on it
    mesh.run(9)
    assert {mesh.service(n).spans for n in ("q", "cust")} == {("ab", "bc")}
    mesh.run(10.5)
    mesh.cut("ac")
    mesh.run(15)
    assert all(mesh.service(n).enabled for n in ("q", "cust"))
    mesh.cut("ac", off=True)
    mesh.run(22)
    assert states(mesh) == [api.ANNOUNCED, api.DRAINING, api.DOWN, api.GIVEN_BACK]
    assert mesh.service("q").spans == ("ac",)
    assert mesh.service("cust").spans == ("ab", "bc")  # it did not ask to be back
    (row,) = mesh.ask(api.GetWorks(), api.WORKS).rows
    assert row.moved == ("q", "cust")


def test_a_service_that_has_not_begun_gives_way_without_being_lit() -> None:
    mesh = Mesh()
    mesh.ask(quantum())
    mesh.ask(lit(start_ns=30 * S))
    mesh.run(1)
    mesh.ask(works(end_ns=60 * S), api.WORKS)
    mesh.run(12)
    assert (mesh.service("cust").lifecycle, mesh.service("cust").spans) == (api.PLANNED, ("ab", "bc"))
    assert "cust" not in mesh.channels()
    mesh.run(31)
    assert mesh.service("cust").enabled


def test_works_that_would_cut_somebody_off_are_refused_or_forced() -> None:
    mesh = Mesh("  channels: [{name: old, from: a, spans: [ac], frequency: 195 THz, launch: -10 dBm}]")
    mesh.ask(quantum(limits=api.Limits(max_loss_db=6.5)))
    mesh.run(1)
    problem = mesh.refused(works(), api.WORKS)
    assert (problem.code, problem.fields["stuck"]) == ("cannot-give-way", ["old", "q"])
    assert mesh.ask(api.ComputePaths("a", "c")).rows[0].spans == ("ac",)  # nothing is kept free
    mesh.ask(works(force=True), api.WORKS)
    mesh.run(11)
    assert mesh.channels()["old"].state == "off"  # nobody looks into a laser
    mesh.run(21)
    assert (mesh.channels()["old"].state, mesh.channels()["old"].launch_dbm) == ("lit", -10.0)
    assert mesh.service("q").enabled


def test_works_are_held_while_somebody_is_on_the_fibre_and_end_early_when_told() -> None:
    mesh = Mesh()
    mesh.run(1)
    problem = mesh.refused(works(), api.WORKS)  # the link itself, which no service moves
    assert problem.fields["stuck"] == ["link"]
    mesh.ask(quantum())
    mesh.run(2)
    mesh.ask(works(), api.WORKS)
    mesh.cut("bc")
    mesh.cut("dc")
    mesh.run(11)
    assert states(mesh) == [api.ANNOUNCED, api.DRAINING, api.HELD]
    mesh.cut("bc", off=True)
    mesh.run(11.1)
    mesh.ask(api.MoveService("q"))
    mesh.run(12)
    assert states(mesh)[-1] == api.DOWN
    assert mesh.ask(api.EndWorks("dig"), api.WORKS).state == api.GIVEN_BACK
    assert mesh.ask(api.ComputePaths("a", "c")).rows[0].spans == ("ac",)
    mesh.run(25)
    assert states(mesh)[-1] == api.GIVEN_BACK


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (works(end_ns=5 * S), "malformed"),
        (works(lead_ns=-1), "malformed"),
        (api.AnnounceWorks("dig", ("nope",), S, 2 * S), "no-such-element"),
        (api.AnnounceWorks("dig", (), S, 2 * S), "malformed"),
        (api.EndWorks("nope"), "no-such-element"),
    ],
)
def test_works_that_make_no_sense_are_refused(asked: Any, code: str) -> None:
    assert Mesh().refused(asked, api.WORKS).code == code


def test_a_file_without_a_plant_has_no_optical_controller() -> None:
    spans, links = "spans: [{between: [a, b], length: 1 km}]", "links: [{between: [a, b]}]"
    text = f"quoit: 1\nname: n\nnodes: {{a: {{}}, b: {{}}}}\n{spans}\n{links}\n"
    twin = assemble(loads(text), Parts(lambda kme: MemoryStore()))
    names = {e.name for e in twin.kernel.elements}
    assert api.OTN not in names
    assert api.WORKS in names, "works of the quantum side have a calendar all the same"
