"""The learned detector: trained the same way twice, quiet on quiet links, and it may only add suspicion.

False-alarm probability of the clean run: the threshold was set above 200,000 clean seconds by a factor e^3 in the odds;
20,000 seconds of another seed pass it with less than 1e-2, and the seed is fixed.
"""

from __future__ import annotations

import json
import tomllib
from importlib import import_module
from itertools import chain, repeat
from pathlib import Path

import pytest

from quoit.engine.links.sampler import Channel
from quoit.fabric.detection import Cause, Seen
from quoit.fabric.learned import CAUSES, LEARN_READINGS, LearnedDetector, Model, shipped
from quoit.testing import learned as training
from quoit.testing.learned import CASES, QUIET_S, delays, false_alarms, watched

ROOT = Path(__file__).parents[3]


def test_it_is_found_by_its_entry_point() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    module, _, name = project["project"]["entry-points"]["quoit.detectors"]["learned"].partition(":")
    assert getattr(import_module(module), name) is LearnedDetector


def test_the_shipped_model_is_small_data_of_the_right_shape() -> None:
    model = shipped()
    assert len(model.weights) == len(model.offsets) == len(CAUSES)
    assert {len(row) for row in model.weights} == {9}
    told = json.loads(training.SHIPPED.read_text())["trained"]
    assert told == {
        "episodes": training.EPISODES,
        "seed": training.SEED,
        "clean_s": training.CLEAN_S,
        "profile": "bb84-gys",
    }


@pytest.mark.parametrize("name", CASES)
def test_each_case_is_found(name: str) -> None:
    """Within ten minutes, by the learned detector; by whichever name."""
    channel, cause = CASES[name]
    assert delays(channel, cause, 77)["learned"][0] < 600


def test_it_is_quiet_on_a_quiet_link() -> None:
    assert false_alarms(20_000, 4_321) == {"cusum": 0, "learned": 0}


def test_what_it_finds_is_told_once_with_the_block_since_when() -> None:
    detector = LearnedDetector()
    quiet, tapped = Channel(1.0), Channel(1.0, intercepted=0.3)
    found = []
    link = training.protocol("bb84-gys")
    for findings in watched(link, chain(repeat(quiet, QUIET_S), repeat(tapped, 40)), 5, detector):
        found += [f for f in findings if f.why.startswith("learned: ")]
    (one,) = found
    assert one.cause is Cause.EAVESDROPPING
    assert one.void
    assert QUIET_S - 5 <= one.first_block <= QUIET_S


def test_nothing_is_said_before_it_knows_the_link() -> None:
    loud = Model(tuple((0.0,) * 9 for _ in CAUSES), (-100.0, 0.0, 0.0, 0.0, 0.0), 0.0)
    detector = LearnedDetector(loud)
    seen = Seen(1000, 20, 5000, 4000, 1.0, 0.02, 1.0, 1.0, 1)
    assert [detector.add(seen) for _ in range(LEARN_READINGS)] == [None] * LEARN_READINGS
    assert detector.add(seen) is not None
    assert detector.add(seen._replace(baseline_qber=None)) is None


def test_training_twice_gives_the_same_model(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn", reason="needs scikit-learn: pip install 'quoit[learned]'")
    first = training.train(number=10, clean_s=3_000, seed=3)
    assert training.train(number=10, clean_s=3_000, seed=3) == first
    assert first["classes"] == list(CAUSES)
