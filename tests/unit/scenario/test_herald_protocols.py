"""Link protocols of entangled pairs come by a port: quoit's own, and one from outside in a running network."""

from __future__ import annotations

import asyncio
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pytest

from quoit.engine.equipment import Heralded, timed_hop
from quoit.engine.hardware import PROFILES
from quoit.engine.links.heralding import BUILT_IN, GROUP, LinkGiven
from quoit.engine.physics.bell_pairs import werner
from quoit.engine.program import Hop, fidelity_of
from quoit.scenario.check import NetworkFileFaults, loads
from quoit.scenario.entanglement import herald_protocols
from shared_states import entangler, network

BOSTON = (Path(__file__).parents[3] / "examples" / "boston.yaml").read_text(encoding="utf-8")
TOLD = "success: 0.004, fidelity: 0.97"
HARDWARE = {"single-click", "double-click"}
LOAD: Any = EntryPoint.load


class Absorbed:
    """A protocol of somebody else's: pairs lose fidelity with loss, and half of the attempts succeed."""

    photons = 1

    def hop(self, given: LinkGiven, length_km: float, loss_db: float) -> Hop:
        (fidelity,) = given.told("fidelity")
        return timed_hop("double_click", length_km, given.attempt_s, Heralded(0.5, werner(fidelity - loss_db / 100)))

    def false_share(self, given: LinkGiven, length_km: float) -> float | None:
        return None


@pytest.fixture
def absorbed(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("absorbed", f"{__name__}:Absorbed", GROUP)
    monkeypatch.setattr(EntryPoint, "load", lambda self: Absorbed if self is point else LOAD(self))
    monkeypatch.setattr(
        "quoit.scenario.entanglement.entry_points",
        lambda group: [point] if group == GROUP else entry_points(group=group),
    )


@pytest.mark.realises("F7")
def test_a_protocol_from_outside_makes_the_pairs_of_a_network(absorbed: None) -> None:
    """12 km at 0.3 dB/km: pairs of 0.99 - 0.036, which control promises and the ledger holds; and it is in the list of
    those who mistype it."""
    text = BOSTON.replace(TOLD, "scheme: absorbed, fidelity: 0.99")
    net = network(text)

    async def story() -> float:
        unit = await net.application("alice").request(["bob"], fidelity=0.9)
        assert 0.9 <= (unit.fidelity or 0) <= 0.954
        node, _, index = unit.addresses[0].rpartition("/")
        return entangler(net).ledger.observe((node, int(index)), net.now_ns).fidelity()

    assert asyncio.run(story()) == pytest.approx(0.954, abs=0.01)
    with pytest.raises(NetworkFileFaults, match="did you mean 'absorbed'"):
        loads(text.replace("absorbed", "absorbd"))


def test_a_protocol_that_nobody_brings_is_refused_with_those_there_are() -> None:
    with pytest.raises(NetworkFileFaults, match="link protocol is called 'triple-click'; did you mean"):
        loads(BOSTON.replace(TOLD, "scheme: triple-click"))


def test_a_name_of_quoits_own_cannot_be_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("given", "elsewhere:Given", GROUP)
    monkeypatch.setattr("quoit.scenario.entanglement.entry_points", lambda group: [point])
    with pytest.raises(ValueError, match=r"link protocol given \(elsewhere:Given\) has the name of one of quoit's own"):
        herald_protocols()


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("length_km", [0.01, 10.0, 34.0])
def test_every_protocol_keeps_the_port(name: str, length_km: float) -> None:
    """No herald before light, success and fidelity as probabilities, more loss never more success; and what its closed
    forms do not know of loss, it says."""
    given = LinkGiven(
        scheme=name, attempt_s=1e-6, profile=PROFILES["nv-delft-2018"] if name in HARDWARE else None, success=0.1,
        fidelity=0.9, emission=0.3, absorption=0.3, dark=1e-6,
    )  # fmt: skip
    protocol = BUILT_IN[name]
    near, far = (protocol.hop(given, length_km, loss) for loss in (0.2 * length_km, 0.2 * length_km + 10))
    for hop in (near, far):
        assert hop.cycle_ns >= hop.stored_ns >= hop.light_ns > 0
        assert 0 < hop.success <= 1
        assert 0.25 <= fidelity_of(hop.state) <= 1
    false = protocol.false_share(given, length_km)
    assert (far.success < near.success) == (false is None)
    assert false is None or 0 <= false < 1
    assert protocol.photons in (1, 2)
