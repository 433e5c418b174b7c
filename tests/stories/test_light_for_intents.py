"""An intent needs a link that has no light: it is asked of the optical network, used, and given back."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from quoit.adapters.stores.memory import MemoryStore
from quoit.connectivity import api
from quoit.fabric.api import CONTROLLER, METERS, DisableLink, EnableLink, GetFlows, GetLinks
from quoit.model.problem import Problem
from quoit.orchestration.api import (
    INTENTS,
    KEY,
    OPTICAL,
    CreateIntent,
    EndIntent,
    Expression,
    GetIntent,
    GetReports,
    Intent,
    Report,
    ReviseIntent,
    Targets,
)
from quoit.planes.loop import LoopRecord
from quoit.runtime.trace import Event
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import NetworkFileFaults, loads
from quoit.scenario.fate import FATE, Strike
from quoit.scenario.host import Host, HostOptions

S = 10**9
ON_DEMAND = (Path(__file__).parents[2] / "examples" / "on-demand.yaml").read_text()


class Story:
    def __init__(self, text: str = ON_DEMAND) -> None:
        twin = assemble(loads(text), Parts(lambda kme: MemoryStore()))
        self.events: list[Event] = []
        twin.kernel.sinks.append(self.events.append)
        self.world = VirtualWorld(twin.kernel)
        self.world.begin()
        self.number = 0
        self.until(10)

    def until(self, seconds: float) -> None:
        self.world.run_until(round(seconds * S))

    def state(self, **targets: Any) -> str:
        self.number += 1
        name = str(uuid.UUID(int=self.number, version=4))
        wish = Expression(("alice-app", "carol-app"), KEY, Targets(targets.pop("rate", 100.0), **targets))
        self.world.ask(INTENTS, CreateIntent(name, "a wish", wish))
        return name

    def get(self, name: str) -> Intent:
        found: Intent = self.world.ask(INTENTS, GetIntent(name))
        return found

    def report(self, name: str) -> Report:
        found: Report = self.world.ask(INTENTS, GetReports(name)).reports[0]
        return found

    def end(self, name: str) -> None:
        self.world.ask(INTENTS, EndIntent(name), 60 * S)

    def said(self, name: str) -> str:
        return "\n".join(f"{d.step}: {d.text}" for d in self.get(name).decisions)

    def services(self) -> dict[str, Any]:
        return {row.service: row for row in self.world.ask(api.OTN, api.GetServices()).rows}

    def inventory(self) -> Any:
        return self.world.ask(api.CONTROLLER, api.GetInventory())

    def channels(self) -> dict[str, Any]:
        return {row.channel: row for row in self.inventory().channels}

    def link(self, name: str) -> Any:
        return next(row for row in self.world.ask(METERS, GetLinks()).rows if row.link == name)


@pytest.mark.realises("E3", "E4", "E5", "G2")
def test_an_intent_gets_light_from_the_optical_network_and_gives_it_back() -> None:
    story = Story()
    assert story.channels()["branch"].state == "off"
    assert story.link("branch").state == "unlit"
    assert story.world.ask(CONTROLLER, GetFlows()).waiting == ("branch",)
    assert not [j for j in story.inventory().cross_connects if j.channel == "branch"]
    wish = story.state()
    story.until(12)
    # The straight fibre has a customer's light, so the channel and its companion go the other way.
    row = story.services()["link-branch"]
    assert (row.lifecycle, row.enabled, row.spans) == (api.INSTALLED, True, ("n1", "n2"))
    assert row.noise_hz < 20_000
    companion = story.channels()["link-branch:companion"]
    assert (companion.state, companion.spans) == ("lit", ("n1", "n2"))
    assert story.channels()["branch"].state == "lit"
    assert "done: light for link branch: optical service link-branch over n1, n2 at 193.4000 THz" in story.said(wish)
    story.until(40)
    found = story.get(wish)
    assert found.state == "active", story.said(wish)
    assert "connectivity.otn/link-branch" in found.resources
    assert "alice-bob-carol" in story.said(wish)
    figures = {f.name: f for f in story.report(wish).figures}
    assert (figures["light"].target, figures["light"].measured, figures["light"].met) == (1.0, 1.0, True)
    assert story.link("branch").state == "up"
    blocks = story.link("branch").blocks
    story.end(wish)
    assert story.get(wish).state == "terminated"
    assert "light given back: link-branch" in story.said(wish)
    story.until(60)
    assert story.services() == {}
    assert story.channels()["branch"].state == "off"
    assert "link-branch:companion" not in story.channels()
    assert story.link("branch").state == "unlit"
    assert story.link("branch").blocks - blocks <= 1, "it makes no more key"
    assert story.world.ask(CONTROLLER, GetFlows()).waiting == ("branch",)
    assert not [j for j in story.inventory().cross_connects if j.channel == "branch"]
    assert not [e for e in story.events if e.event == "alarm.raised" and e.fields.get("about") == "branch"]
    # Another one gets it again, over the same devices.
    again = story.state()
    story.until(90)
    assert story.get(again).state == "active", story.said(again)
    assert story.link("branch").blocks > blocks + 1


@pytest.mark.realises("E4", "E5", "G2")
def test_a_refusal_says_what_binds_and_the_intent_gets_light_when_that_has_gone() -> None:
    story = Story(ON_DEMAND.replace("max_loss: 9 dB", "max_loss: 7 dB"))
    wish = story.state()
    story.until(18)
    found = story.get(wish)
    assert found.state == "inProgress"
    said = story.said(wish)
    assert "not-had: light between alice and carol" in said
    assert "noise" in said or "7 dB" in said, said
    assert story.services() == {}
    assert story.channels()["branch"].state == "off"
    assert said.count("light between") == 1, "what is refused each period is said once"
    # The customer goes: the straight fibre is quiet and short enough.
    story.world.ask(api.CONTROLLER, api.ExtinguishChannel("customer"))
    story.until(60)
    assert story.get(wish).state == "active", story.said(wish)
    assert story.services()["link-branch"].spans == ("straight",)


@pytest.mark.realises("G2")
def test_an_intents_care_is_a_closed_loop_with_records_and_names_those_of_its_links() -> None:
    story = Story(ON_DEMAND.replace("policies:", "loops: {noise: {}, works: {}}\npolicies:"))
    heard: list[LoopRecord] = []

    def hear(subject: str, msg: object) -> None:
        if isinstance(msg, LoopRecord) and subject.startswith("loop.intent:"):
            heard.append(msg)

    story.world.kernel.watchers.append(hear)
    wish = story.state()
    story.until(40)
    assert {record.loop for record in heard} == {f"intent:{wish}"}
    stages = [record.stage for record in heard]
    assert stages[:2] == ["execute", "decide"]
    assert {"monitor", "analyse", "decide", "execute", "verify"} == set(stages)
    assert heard[-1].stage == "monitor"
    assert heard[-1].fields["rate_bps"] == 100.0
    loops = "its links are looked after by the loops noise:trunk, works:trunk, noise:branch, works:branch"
    assert loops in story.said(wish)


@pytest.mark.realises("E5", "G2")
def test_two_intents_share_light_and_it_stays_with_the_last() -> None:
    story = Story()
    one, two = story.state(), story.state()
    story.until(40)
    assert [story.get(name).state for name in (one, two)] == ["active", "active"]
    story.end(one)
    story.until(42)
    assert story.services()["link-branch"].enabled
    assert "light given back" not in story.said(one)
    story.end(two)
    assert story.services() == {}


@pytest.mark.realises("E4", "G2")
def test_light_is_restored_by_the_optical_network_and_reports_say_how_it_stands() -> None:
    story = Story()
    wish = story.state()
    story.until(40)
    story.world.ask(api.CONTROLLER, api.ExtinguishChannel("customer"))
    story.world.ask(FATE, Strike("cut", "n2"))
    story.until(50)
    row = story.services()["link-branch"]
    assert (row.enabled, row.spans) == (True, ("straight",))
    story.world.ask(FATE, Strike("cut", "straight"))
    story.until(60)
    light = next(f for f in story.report(wish).figures if f.name == "light")
    assert (light.measured, light.met) == (0.0, False)
    assert "link-branch" in light.what


@pytest.mark.realises("E4", "E5")
def test_light_that_the_optical_network_closes_is_asked_for_again_and_others_services_are_left_alone() -> None:
    story = Story()
    wish = story.state()
    story.until(40)
    story.world.ask(api.OTN, api.CloseService("link-branch"))
    story.until(80)
    said = story.said(wish)
    assert "observed: the optical network has closed link-branch" in said
    assert story.services()["link-branch"].enabled
    assert said.count("light for link branch: optical service") == 2
    assert story.get(wish).state == "active", said
    story.end(wish)
    # A service of that name that is somebody else's is not taken for one of ours, nor closed.
    theirs = api.OpenService("link-branch", api.CLASSICAL, "north", "carol", launch_dbm=-40.0)
    story.world.ask(api.OTN, theirs)
    other = story.state(rate=1_000_000.0)
    story.until(100)
    assert story.services()["link-branch"].kind == api.CLASSICAL
    story.end(other)
    assert "link-branch" in story.services()


def test_targets_of_the_intent_bind_what_is_lit_and_a_revision_gives_light_back() -> None:
    story = Story()
    wish = story.state(most_transit=0)
    story.until(16)
    assert "no link that could have light leads from alice to carol within the targets" in story.said(wish)
    assert story.services() == {}
    wider = Expression(("alice-app", "carol-app"), KEY, Targets(100.0, most_transit=1))
    story.world.ask(INTENTS, ReviseIntent(wish, expression=wider), 60 * S)
    story.until(40)
    assert story.get(wish).state == "active"
    narrower = Expression(("alice-app", "carol-app"), KEY, Targets(100.0, avoid=("bob",)))
    story.world.ask(INTENTS, ReviseIntent(wish, expression=narrower), 60 * S)
    story.until(42)
    assert story.services() == {}


@pytest.mark.realises("E5", "G2")
def test_a_dark_link_without_a_loop_is_given_another_path_for_an_intent() -> None:
    demand = "on_demand: {max_loss: 9 dB, max_noise: 20000, companion: {launch: -36 dBm}}"
    plain = ON_DEMAND.replace(demand, "spans: [n1, n2]")
    story = Story(plain)
    wish = story.state(rate=2_000.0)
    story.until(20)
    assert story.get(wish).state == "active", story.said(wish)
    story.world.ask(api.CONTROLLER, api.ExtinguishChannel("customer"))
    story.world.ask(FATE, Strike("cut", "n1"))
    story.until(40)
    assert "optical service link-branch over straight" in story.said(wish)
    assert story.get(wish).state == "active", story.said(wish)
    story.end(wish)
    assert story.services() == {}
    assert story.channels()["branch"].spans == ("straight",), "a link keeps the path that it has"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("plant:\n", "plant_:\n"), "unknown key"),
        (("    on_demand:", "    initial_pool: 1 Mbit\n    on_demand:"), "has no key; leave out initial_pool"),
        (("  channels:\n", "  services: [{name: q, link: branch}]\n  channels:\n"), "lights branch from the start"),
        (("policies: {", "policies: {control: sdqkd, "), "leave it out, or control: direct"),
        (("max_noise: 20000", "max_noise: -1"), "max_noise"),
    ],
)
def test_files_whose_links_on_demand_make_no_sense_are_refused(change: tuple[str, str], says: str) -> None:
    with pytest.raises(NetworkFileFaults, match=says):
        loads(ON_DEMAND.replace(*change))


def test_a_link_on_demand_needs_a_plant() -> None:
    text = "quoit: 1\nname: n\nnodes: {a: {}, b: {}}\nspans: [{name: s, between: [a, b], length: 1 km}]\n"
    with pytest.raises(NetworkFileFaults, match="add a section plant"):
        loads(text + "links: [{name: l, between: [a, b], on_demand: {}}]\n")


def test_links_are_enabled_and_disabled_once_and_others_are_refused() -> None:
    story = Story()
    for order in (EnableLink("zz"), DisableLink("zz"), DisableLink("trunk")):
        with pytest.raises(Problem) as found:
            story.world.ask(CONTROLLER, order)
        assert found.value.code in ("no-such-element", "malformed")
    for _ in range(2):
        assert story.world.ask(CONTROLLER, EnableLink("branch", ("n1", "n2")), 60 * S).enabled
    story.until(20)
    assert story.channels()["branch"].spans == ("n1", "n2")
    for _ in range(2):
        assert not story.world.ask(CONTROLLER, DisableLink("branch"), 60 * S).enabled
    assert sum(e.event == "link.enabled" for e in story.events) == 1
    assert sum(e.event == "link.disabled" for e in story.events) == 1
    with pytest.raises(Problem):
        story.world.ask(api.CONTROLLER, api.ReleasePath("customer"))


async def _recorded(directory: Path) -> str:
    """A live run in which an intent is stated, has its light, and is ended; its digest."""
    options = HostOptions(directory, seed=7, from_ns=10 * S, until_ns=16 * S, serve=False)
    host = Host(ON_DEMAND, options)
    await host.start()
    name = str(uuid.UUID(int=1, version=4))
    wish = Expression(("alice-app", "carol-app"), KEY, Targets(100.0))
    await host.world.ask(INTENTS, CreateIntent(name, "a wish", wish))
    for _ in range(100):
        seen: Intent = await host.world.ask(INTENTS, GetIntent(name))
        if any("optical service link-branch over n1, n2" in decision.text for decision in seen.decisions):
            break
        await asyncio.sleep(0.05)
    else:
        raise AssertionError(seen)
    await host.world.ask(INTENTS, EndIntent(name))
    assert (await host.world.ask(api.OTN, api.GetServices())).rows == ()
    await host.world.ended()
    await host.stop()
    return host.digest.hexdigest()


@pytest.mark.realises("F8", "E5")
@pytest.mark.live
def test_light_that_was_asked_for_live_is_repeated_in_virtual_time_event_for_event(tmp_path: Path) -> None:
    live = asyncio.run(_recorded(tmp_path))
    command = [sys.executable, "-m", "quoit.cli.main", "replay", str(tmp_path / "journal.jsonl"), "--digest"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.splitlines()[-1] == live


@pytest.mark.realises("C2")
def test_who_asks_for_light_may_die_while_it_is_being_lit() -> None:
    story = Story()
    story.state()
    while not story.services():
        story.until(story.world.kernel.now / S + 0.001)
    assert not story.services()["link-branch"].enabled
    story.world.kernel.crash(OPTICAL)
    story.until(40)
    assert story.services()["link-branch"].enabled  # the optical network's own affair, and it goes on
