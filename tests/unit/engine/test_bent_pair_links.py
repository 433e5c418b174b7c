"""What a bend does to pairs: fewer of them, and of those that are heralded the false ones are a larger share."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from quoit.engine.channels import PairLink, state_now, success_now
from quoit.engine.equipment import Heralded, clicks, from_source, timed_hop
from quoit.engine.hardware import PROFILES
from quoit.engine.physics.bell_pairs import werner
from quoit.engine.program import fidelity_of
from quoit.engine.world import BendSpan, TrueLink, TrueSpan, World
from quoit.scenario.check import NetworkFileFaults, loads
from quoit.scenario.entanglement import EntanglementSide, span_finder
from shared_states import edit_world, entangler, network

BOSTON = (Path(__file__).parents[3] / "examples" / "boston.yaml").read_text(encoding="utf-8")
TOLD = "success: 0.004, fidelity: 0.97"
HOP = timed_hop("double_click", 10.0, 1e-6, Heralded(0.1, werner(0.9)))


def bent(extra_db: float, link: PairLink) -> tuple[float, float]:
    """Success and fidelity with so much more loss than as commissioned."""
    world = World({"s": TrueSpan("s", 4.0, bend_db=extra_db)}, {"ab": TrueLink("ab", ("s",))})
    return success_now(world, link, HOP), fidelity_of(state_now(world, link, HOP))


def test_told_figures_without_false_heralds_lose_success_alone() -> None:
    assert bent(0.0, PairLink("ab", 4.0, 2)) == pytest.approx((0.1, 0.9))
    assert bent(10.0, PairLink("ab", 4.0, 2)) == pytest.approx((0.01, 0.9))
    assert bent(10.0, PairLink("ab", 4.0, 1)) == pytest.approx((0.1 * 10**-0.5, 0.9))


@pytest.mark.parametrize("extra_db", [0.0, 3.0, 10.0, 60.0])
def test_false_heralds_stay_as_many(extra_db: float) -> None:
    """A tenth of the heralds as commissioned is white: genuine pairs are then of (0.9 - 0.025) / 0.9."""
    success, fidelity = bent(extra_db, PairLink("ab", 4.0, 2, false=0.1))
    genuine = 0.09 * 10 ** (-extra_db / 10)
    clean = (0.9 - 0.1 / 4) / 0.9
    assert success == pytest.approx(genuine + 0.01)
    assert fidelity == pytest.approx((genuine * clean + 0.01 / 4) / (genuine + 0.01))


def side(link: str) -> PairLink:
    """The engine's view of boston's first link, declared so."""
    file = loads(BOSTON.replace(TOLD, link))
    return EntanglementSide(file, span_finder(file), seed=1)._true_link(file.pair_links[0])


@pytest.mark.parametrize("extra_db", [0.0, 5.0, 20.0])
def test_devices_closed_forms_are_asked_again(extra_db: float) -> None:
    """Of single and double click, and of sources: 12 km at 0.3 dB/km, as commissioned, and bent."""
    nv = PROFILES["nv-delft-2018"]
    source = {"emission": 0.4, "absorption": 0.3, "fidelity": 0.96, "dark": 1e-4}
    keys = "emission: 0.4, absorption: 0.3, fidelity: 0.96, dark: 0.0001"
    cases = {
        "scheme: single-click, hardware: nv-delft-2018": clicks(nv, "single_click", 3.6 + extra_db, 0.05),
        "scheme: double-click, hardware: nv-delft-2018": clicks(nv, "double_click", 3.6 + extra_db),
        f"scheme: sender-receiver, {keys}": from_source("sender_receiver", 3.6 + extra_db, **source),
        f"scheme: midpoint-source, {keys}": from_source("midpoint_source", 3.6 + extra_db, **source),
    }
    for text, expected in cases.items():
        link = side(text)
        assert link.at_loss is not None
        success, state = link.at_loss(link.base_db + extra_db)
        assert (success, *state) == pytest.approx((expected.p_success, *expected.state))


def test_the_noise_that_boston_showed_over_its_loop_grows_in_the_dark() -> None:
    link = side("scheme: sender-receiver, hardware: siv-boston-2024")
    assert (link.at_loss, link.false) == (None, PROFILES["siv-boston-2024"].extra_depol)


def test_more_noise_than_the_told_fidelity_leaves_room_for_is_refused() -> None:
    assert side("success: 0.004, fidelity: 0.9, dark: 0.0002").false == pytest.approx(0.05)
    with pytest.raises(NetworkFileFaults, match="expected dark below success"):
        loads(BOSTON.replace(TOLD, "success: 0.004, fidelity: 0.97, dark: 0.0004"))


def mean_fidelity(text: str, extra_db: float) -> float:
    net = network(text)
    edit_world(net, BendSpan("harvard--mit", extra_db))
    alice, found = net.application("alice"), []

    async def story() -> None:
        for _ in range(5):
            unit = await alice.request(["bob"], number=6, fidelity=0.5)
            for address in unit.addresses:
                node, _, index = address.rpartition("/")
                found.append(entangler(net).ledger.observe((node, int(index)), net.now_ns).fidelity())
            await alice.close_unit(unit.unit_id)

    asyncio.run(story())
    return float(np.mean(found))


@pytest.mark.realises("F2")
def test_pairs_over_a_bent_fibre_are_whiter_in_the_ledger() -> None:
    """Thirty pairs by a fibre as commissioned and thirty with 10 dB more; a tenth of the heralds is false, then more
    than half are. Every one is read from the ledger: the means are exact, since pairs are mixtures."""
    text = BOSTON.replace(TOLD, "success: 0.04, fidelity: 0.9, dark: 0.004")
    text = text.replace("0.006, fidelity: 0.97", "0.006, fidelity: 0.6")  # so that nobody goes around
    means = [mean_fidelity(text, extra_db) for extra_db in (0.0, 10.0)]
    clean = (0.9 - 0.1 / 4) / 0.9
    assert means[0] == pytest.approx(0.9, abs=0.01)
    assert means[1] == pytest.approx((0.09 * clean + 0.1 / 4) / 0.19, abs=0.01)
