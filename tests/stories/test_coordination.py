"""The same noise, cut and works, coordinated by the Fabric itself and by Service for a fabric that is oblivious.

Times in transcripts are seconds of simulated time. The whole is deterministic by its seed.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from quoit.adapters.stores.memory import MemoryStore
from quoit.connectivity import api as connectivity
from quoit.connectivity.api import GetInventory
from quoit.fabric.api import CONTROLLER, METERS, CommissionNode, GetLinks, Links
from quoit.runtime.element import Element, Plane, Stratum
from quoit.runtime.kernel import Put
from quoit.runtime.trace import Digest, Event
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads
from quoit.scenario.fate import FATE, Strike
from quoit.scenario.host import Host, HostOptions
from quoit.service.api import CloseSession, OpenSession, Session

S = 10**9
EXAMPLES = Path(__file__).parents[2] / "examples"
EXAMPLE = (EXAMPLES / "coordination.yaml").read_text()
CHANGED = "by: fabric "
BOTH = pytest.mark.parametrize("by", ["fabric", "service"])


def by_service(text: str) -> str:
    assert CHANGED in text
    return text.replace(CHANGED, "by: service ")


def chosen(text: str, by: str) -> str:
    return text if by == "fabric" else by_service(text)


class Story:
    """A network in virtual time, with who said what to whom, and what coordination wrote down."""

    def __init__(self, text: str) -> None:
        twin = assemble(loads(text), Parts(lambda kme: MemoryStore()))
        self.events: list[Event] = []
        self.counts: Counter[str] = Counter()
        self.said: Counter[tuple[Element, Element]] = Counter()
        self.digest = Digest()
        self._elements = {element.name: element for element in twin.kernel.elements}
        twin.kernel.sinks += [self._take, self.digest]
        twin.kernel.carrier = self._carry
        self.world = VirtualWorld(twin.kernel)
        self.world.begin()

    def _take(self, event: Event) -> None:
        self.counts[event.event] += 1
        if event.event.split(".")[0] in ("coordination", "light", "link", "loop", "lock"):
            self.events.append(event)

    def _carry(self, sender: str, target: str, put: Put) -> Put:
        pair = self._elements[sender], self._elements[target]

        def counted(due: int, entry: Any) -> None:
            self.said[pair] += 1
            put(due, entry)

        return counted

    def until(self, seconds: float) -> None:
        self.world.run_until(round(seconds * S))

    def orders(self, stratum: Stratum) -> int:
        """What a stratum's control said to Connectivity's elements."""
        return sum(
            number
            for (sender, target), number in self.said.items()
            if (sender.stratum, sender.plane) == (stratum, Plane.CONTROL) and target.stratum is Stratum.CONNECTIVITY
        )

    def told(self, *names: str) -> list[dict[str, Any]]:
        return [{"t": e.t / S, **e.fields} for e in self.events if e.event in names]

    @property
    def moves(self) -> list[tuple[float, str, str]]:
        """Quantum light that was moved: when, whose, over which fibres."""
        return [(round(e["t"], 1), e["link"], "+".join(e["spans"])) for e in self.told("light.moved")]

    @property
    def transcript(self) -> list[str]:
        """What the coordinator wrote down, to a tenth of a second."""
        lines = []
        for event in self.events:
            kind, _, what = event.event.partition(".")
            if kind == "coordination":
                f = event.fields
                more = f": {'+'.join(f['spans'])}" if "spans" in f else f": {f['why']}" if "why" in f else ""
                lines.append(f"{event.t / S:.1f} {f['by']} {what} {f['link']}, {f['cause']}{more}")
        return lines

    def place_of(self, link: str) -> tuple[str, ...]:
        rows = self.world.ask(connectivity.CONTROLLER, GetInventory()).channels
        return next(row.spans for row in rows if row.channel == link)

    def state_of(self, link: str) -> str:
        links: Links = self.world.ask(METERS, GetLinks())
        return next(row.state for row in links.rows if row.link == link)


@pytest.mark.realises("D4", "A3", "E3")
def test_the_fabric_acts_on_what_its_links_are_like() -> None:
    story = Story(EXAMPLE)
    story.until(200)
    assert story.transcript == [
        # 30.0: a channel is lit on main; one whole reading later the link goes
        "30.0 fabric found direct, noise",
        "31.1 fabric ordered direct, noise: back",
        "31.2 fabric moved direct, noise: back",
        "42.0 fabric helped direct, noise",
        # 100.0: back is cut
        "100.0 fabric found direct, no light",
        "100.0 fabric ordered direct, no light: main",
        "100.1 fabric moved direct, no light: main",
        "100.1 fabric helped direct, no light",
        # 170.0 to 190.0: works on north, left 20 s before and come back to after
        "150.0 fabric found detour-1, planned works",
        "150.0 fabric ordered detour-1, planned works: main+south",
        "150.1 fabric moved detour-1, planned works: main+south",
        "150.1 fabric helped detour-1, planned works",
        "190.0 fabric found detour-1, works are over",
        "190.0 fabric ordered detour-1, works are over: north",
        "190.1 fabric moved detour-1, works are over: north",
        "190.1 fabric helped detour-1, works are over",
    ]
    assert story.counts["load.refused"] == story.counts["load.differs"] == 0
    # Nobody of Service has had to say a word of light.
    assert story.orders(Stratum.FABRIC) > 0
    assert not any(sender.name == "service.coordinator" for sender, _ in story.said)


@pytest.mark.realises("D4", "A3", "C5", "E3")
def test_service_acts_on_what_is_needed_for_a_fabric_that_is_oblivious() -> None:
    story = Story(by_service(EXAMPLE))
    story.until(200)
    enough = "1 of 1 demands are met without it; it would help no other"
    assert story.transcript == [
        # 30.0: the way over carol serves all that is asked for, and the noisy link is left alone
        "31.0 service found direct, noise",
        f"32.1 service left direct, noise: {enough}",
        # 50.0: more is asked for, and a stream runs low
        "50.8 service ordered direct, noise: back",
        "50.8 service moved direct, noise: back",
        "62.0 service helped direct, noise",
        # 100.0: back is cut, and what was asked for within the last minute is more than carol's way gives
        "100.0 service found direct, no light",
        "100.0 service ordered direct, no light: main",
        "100.1 service moved direct, no light: main",
        "100.1 service helped direct, no light",
        # Works on the ring: nobody needs it now
        "150.0 service found detour-1, planned works",
        f"150.0 service left detour-1, planned works: {enough}",
        "170.0 service found detour-1, no light",
        f"170.0 service left detour-1, no light: {enough}",
        "189.0 service found detour-1, planned works",
        f"189.0 service left detour-1, planned works: {enough}",
    ]
    # The fabric's control has not said a word to Connectivity, not even for the first path.
    assert story.orders(Stratum.FABRIC) == 0
    assert story.orders(Stratum.SERVICE) > 0
    assert story.state_of("detour-1") == "up"
    # What it costs to wait for a need: some requests of the sudden demand were refused.
    assert 0 < story.counts["load.refused"] < 0.2 * story.counts["load.served"]


LOOPS = """
loops:
  noise: {wavelengths: [1310 nm]}
  restore: {}
  works: {lead: 20s}
"""


@pytest.mark.realises("D4", "G2")
@BOTH
def test_closed_loops_and_a_coordinator_never_act_twice(by: str) -> None:
    """Whoever comes first has the lock; the other one finds it well again. What Service leaves alone a loop may do."""
    story = Story(chosen(EXAMPLE, by) + LOOPS)
    story.until(200)
    moved = [(t, link) for t, link, _ in story.moves]
    near = [(a, b) for a, b in pairwise(moved) if a[1] == b[1] and b[0] - a[0] < 15]
    assert near == [], "no link is moved twice for one reason"
    assert [link for _, link in moved] == ["direct", "direct", "detour-1", "detour-1"]
    assert story.counts["load.refused"] == 0
    assert {row.state for row in story.world.ask(METERS, GetLinks()).rows} == {"up"}


QUIET = EXAMPLE.split("events:")[0].replace("at: 170s, until: 190s", "at: 900s, until: 910s")


@pytest.mark.realises("D4", "C5")
def test_a_session_of_two_routes_makes_service_bring_a_link_back_at_once() -> None:
    """One route would do for the rate; two without common nodes are only there with both."""
    story = Story(by_service(QUIET))
    story.until(30)
    story.world.ask(FATE, Strike("cut", "main"))
    story.until(35)
    assert story.moves == [], "nobody needs it"
    asked = OpenSession("alice-app", "bob-app", str(uuid.UUID(int=1)), 20_000.0, paths=2)
    with pytest.raises(Exception, match="routes without common nodes"):
        story.world.ask("kme-alice", asked)
    # An application that finds no routes has no session; one that loses a route has.
    story.world.ask(FATE, Strike("splice", "main"))
    story.until(45)
    session: Session = story.world.ask("kme-alice", asked)
    assert session.routes == 2
    story.until(55)
    story.world.ask(FATE, Strike("cut", "main"))
    story.until(56)
    assert [(link, spans) for _, link, spans in story.moves] == [("direct", "back")]
    story.until(62)
    story.world.ask("kme-alice", CloseSession("alice-app", asked.session_id))
    story.until(64)
    story.world.ask(FATE, Strike("cut", "back"))
    story.until(70)
    assert len(story.moves) == 1, "the session is over, and nobody needs the link"


@pytest.mark.realises("D4", "I2")
@BOTH
def test_who_measures_is_left_behind_on_her_fibre_or_not_at_all(by: str) -> None:
    """No light explains the errors, so other fibres are tried. She is modelled to follow, and the budget ends it."""
    text = chosen(QUIET, by).replace("lead: 20s", "verify: 8s\n  cooldown: 2s\n  budget: 2")
    heavy = "{from: alice-app, to: bob-app, rate: 800 kbit/s, key_size: 32000 bit}"
    story = Story(text + f"events: [{{at: 5s, load: {heavy}}}]")
    story.until(20)
    story.world.ask(FATE, Strike("intercept", "direct", 0.3))
    story.until(60)
    assert [spans for _, link, spans in story.moves if link == "direct"] == ["back", "main"]
    assert story.state_of("direct") == "quarantined", "whatever was tried, no key of it is used"
    assert any("no more for now" in line for line in story.transcript)


@pytest.mark.realises("D4", "C4")
def test_service_lights_the_links_of_a_fabric_that_is_controlled_by_agents() -> None:
    text = by_service(QUIET).replace("policies:\n", "policies:\n  control: sdqkd\n  fabric_controllers: 2\n")
    story = Story(text)
    story.until(20)
    assert story.orders(Stratum.FABRIC) == 0
    assert {row.state for row in story.world.ask(METERS, GetLinks()).rows} == {"up"}
    story.world.ask(FATE, Strike("cut", "main"))
    story.until(22)
    assert story.told("coordination.left")[0]["link"] == "direct"


@pytest.mark.realises("D4")
def test_service_lights_the_links_of_a_node_that_joins_later() -> None:
    text = (EXAMPLES / "zero-touch.yaml").read_text() + "plant: {}\ncoordination: {by: service}\n"
    story = Story(text)
    story.until(10)
    assert story.state_of("bob--carol") == "starting"
    story.world.ask(CONTROLLER, CommissionNode("carol"))
    story.until(20)
    assert story.state_of("bob--carol") == "up"
    assert story.orders(Stratum.FABRIC) == 0


@pytest.mark.realises("D4", "F8")
@pytest.mark.live
@BOTH
def test_both_are_the_same_live(by: str, tmp_path: Path) -> None:
    """The channel is lit at 4 s here, so that the machine keeps up; links have made their first blocks by then."""
    text = chosen(EXAMPLE, by).replace("at: 30s, until: 90s", "at: 6s").replace("at: 50s, until: 80s", "at: 2s")
    text = text.replace("rate: 864 kbit/s", "rate: 640 kbit/s")
    story = Story(text)
    story.until(9)
    assert [(link, spans) for _, link, spans in story.moves] == [("direct", "back")]

    async def live() -> str:
        host = Host(text, HostOptions(tmp_path, until_ns=9 * S, serve=False, deterministic_keys=True))
        await host.start()
        await host.world.ended()
        await host.stop()
        return host.digest.hexdigest()

    assert asyncio.run(live()) == story.digest.hexdigest()
