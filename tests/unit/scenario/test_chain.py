"""Chain files: all faults at once, hardware taken as published and no further."""

from __future__ import annotations

from pathlib import Path

import pytest

from quoit.engine.equipment import single_click_link
from quoit.engine.hardware import PROFILES
from quoit.engine.program import fidelity_of
from quoit.scenario.chain import check, demand_of, is_chain, load, loads, uniform

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "chain-compare.yaml"

BAD = """chain: 1
name: bad chain
hardware: siv-boston-2024
nodes:
  - {name: a, memories: 0}
  - {name: b, gates: 0.99}
hops:
  - {fibre: 35 parsec}
floor: 1.2
"""
CROSSED = """chain: 1
name: crossed
nodes:
  - {name: a, hardware: siv-boston-2024}
  - {name: a, hardware: siv-bostn-2024}
  - {name: c, hardware: nv-metro-2024}
  - {name: d}
  - {name: e, hardware: siv-boston-2024, t1: 1s, t2: 3s}
hops:
  - {fibre: 50 km, hardware: siv-boston-2024}
  - {fibre: 10 m, hardware: ca-innsbruck-2023}
  - {fibre: 10 m, hardware: siv-boston-2024, alpha: 0.1}
  - {fibre: 10 m, hardware: pair-source-nyc-2024}
  - {fibre: 10 km, hardware: siv-boston-2024, rate: 1 MHz}
floor: 0.6
"""


def faults_of(text: str, tmp_path: Path) -> list[tuple[int, str, str]]:
    file = tmp_path / "chain.yaml"
    file.write_text(text)
    return [(f.place.line, ".".join(map(str, f.loc)), f.text) for f in check(file)]


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    found = faults_of(BAD, tmp_path)
    assert [(line, loc) for line, loc, _ in found] == [
        (2, "name"), (5, "nodes.0.memories"), (6, "nodes.1.gates"), (8, "hops.0.fibre"), (9, "floor"),
    ]  # fmt: skip
    assert found[2][2] == "unknown key 'gates'; did you mean 'gate'?"


def test_hardware_is_not_stretched_beyond_what_was_shown(tmp_path: Path) -> None:
    found = faults_of(CROSSED, tmp_path)
    places = [(line, loc) for line, loc, _ in found]
    assert sorted(places) == places
    assert set(places) == {
        (5, "nodes.1"), (5, "nodes.1.hardware"), (6, "nodes.2"), (7, "nodes.3"), (8, "nodes.4"),
        *((10 + i, f"hops.{i}") for i in range(5)),
        (10, "hops"),
    }  # fmt: skip
    told = {loc: text for _, loc, text in found}
    assert told["nodes.1.hardware"].endswith("did you mean 'siv-boston-2024'?")
    assert told["nodes.2"] == "profile nv-metro-2024 does not say t2, gate, readout: give it here"
    assert told["nodes.3"].startswith("expected a profile")
    assert "T2 <= 2 T1" in told["nodes.4"]
    assert "was shown over 35 km" in told["hops.0"]
    assert told["hops.1"] == "profile ca-innsbruck-2023 does not say rate: give it here"
    assert "profile siv-boston-2024 is sequential" in told["hops.2"]
    assert "no memory to keep pairs in" in told["hops.3"]
    assert "below one pair an attempt" in told["hops.4"]


def test_the_example_is_good_and_as_published() -> None:
    assert is_chain(EXAMPLE)
    assert not is_chain(ROOT / "examples" / "two-nodes.yaml")
    assert check(EXAMPLE) == []
    asked = demand_of(load(EXAMPLE))
    assert asked.stations[0].decay.x_hz == pytest.approx(1 / 2.1)
    first, _, third = asked.links
    # 35 km of fibre at 1.468, there and back; ten pairs a second
    assert first.light_ns == pytest.approx(171_386, abs=2)
    assert first.success / first.cycle_ns * 1e9 == pytest.approx(10)
    profile = PROFILES["nv-delft-2018"]
    near = single_click_link(profile, 0.05)
    assert third.success == pytest.approx(near.p_success * 10 ** (-0.01), rel=1e-2)
    assert fidelity_of(third.state) == pytest.approx(near.pair.phi_plus, abs=2e-3)
    assert third.cycle_ns == pytest.approx((5.5e-6 + third.light_ns / 1e9) / 0.85 * 1e9, abs=2)
    assert third.stored_ns == third.light_ns


def test_a_shorter_fibre_is_taken_no_better_than_it_was_measured() -> None:
    text = EXAMPLE.read_text(encoding="utf-8").replace("{fibre: 35 km, fidelity: 0.95, rate: 10 Hz}", "{fibre: 5 km}")
    link = demand_of(loads(text)).links[0]
    assert fidelity_of(link.state) == pytest.approx(0.70, abs=0.005)
    assert link.success / link.cycle_ns * 1e9 == pytest.approx(1.0)


@pytest.mark.parametrize("hops", [1, 4, 9])
def test_a_uniform_chain_is_a_demand(hops: int) -> None:
    asked = demand_of(uniform(hops, 0.7))
    assert (len(asked.links), asked.floor, asked.width) == (hops, 0.7, 4)
