"""The experiment on decoherence: what is measured is what the closed form says."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from quoit.engine.physics.bell_pairs import werner
from quoit.engine.physics.memories import t1t2_bell_fidelity

FILE = Path(__file__).parents[2] / "examples" / "decoherence.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("decoherence", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclass looks for the module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("wait_s", [0.0, 3e-3, 10e-3])
def test_teleportation_over_an_old_pair_is_as_good_as_the_closed_form(example: ModuleType, wait_s: float) -> None:
    """Each within 4 sigma: false alarm once in 16,000. A pair that did not age would be 6 sigma off at 3 ms."""
    row = example.experiment(wait_s, shots=300)
    assert abs(row.measured - row.expected) < 4 * row.sigma
    fresh = example.experiment(0.0, shots=1).expected
    assert wait_s == 0 or fresh - row.expected > 6 * row.sigma


def test_the_pair_ages_as_the_library_says(example: ModuleType) -> None:
    memory = example.MEMORY
    for wait_s in (0.0, 1e-3, 20e-3, 1.0):
        whole = t1t2_bell_fidelity(wait_s, memory.t1_s, memory.t2_s, memory.t1_s, memory.t2_s)
        assert example.pair_fidelity(1.0, wait_s, wait_s) == pytest.approx(whole)
    assert example.pair_fidelity(0.8, 0, 0) == pytest.approx(werner(0.8).phi_plus)
    assert example.pair_fidelity(0.8, 10, 10) == pytest.approx(1 / 2)  # both in |0>: half of it is Phi+


def test_the_table_has_a_line_for_each_waiting_time(example: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    example.main(2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(example.WAITS_MS)
    assert "no better than without entanglement" in lines[-1]
    assert "no better" not in lines[1]
