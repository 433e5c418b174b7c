"""Every simulator keeps the port's promises, and agrees with quoit's own in each figure that it gives.

SeQUeNCe and QuNetSim run in environments of their own, which `quoit simulators install NAME` makes in the directory of
QUOIT_SIMULATORS; without one its tests skip and say so.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

import pytest

from quoit.adapters.simulators.environments import directory_of
from quoit.adapters.simulators.known import qunetsim, sequence
from quoit.adapters.simulators.process import WorkerSimulator
from quoit.engine.simulators.native import NativeSimulator
from quoit.engine.simulators.port import GROUP, Simulator
from quoit.testing.simulators import SimulatorContract, WorkerContract, found_simulators


class TestNative(SimulatorContract):
    factor = 1.0

    def make(self) -> Simulator:
        return NativeSimulator()


class TestSequence(WorkerContract):
    def make(self) -> WorkerSimulator:
        return sequence(directory_of(None))


class TestQuNetSim(WorkerContract):
    def make(self) -> WorkerSimulator:
        return qunetsim(directory_of(None))


@pytest.mark.realises("F2", "F7")
def test_all_come_by_the_same_way_in(tmp_path: Path) -> None:
    names = {entry.name for entry in entry_points(group=GROUP)}
    assert names >= {"native", "sequence", "qunetsim"}
    assert set(found_simulators(tmp_path)) == names
