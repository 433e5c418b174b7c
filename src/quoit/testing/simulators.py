"""The conformance suite of the port `Simulator`: whoever writes a simulator, or a player of one, proves it by these.

    class TestMine(SimulatorContract):
        def make(self) -> Simulator:
            return WorkerSimulator("mine", lambda: worker_command(PYTHON, PLAYER))

`make` gives a fresh simulator, which the suite closes. It is compared with quoit's own on every case of
`engine.simulators.suite`, shortened by `factor`. Needs pytest. `WorkerContract` is for those behind a worker.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import ClassVar

import pytest

from quoit.adapters.simulators.process import WorkerSimulator
from quoit.engine.simulators.native import NativeSimulator
from quoit.engine.simulators.port import GROUP, KINDS, Bb84, Result, Simulator, SimulatorFailed, Wait
from quoit.engine.simulators.suite import CASES, Case, alike, compared, shortened

WITHIN_S = 300.0


def found_simulators(environments: Path) -> dict[str, Simulator]:
    """All that the entry points name, not started, by name; their environments are in this directory."""
    return {entry.name: entry.load()(environments) for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name)}


class SimulatorContract:
    """What every simulator does. Subclass it and write `make`."""

    factor: ClassVar[float] = 0.2
    """Of the suite's simulated time and repetitions."""

    def make(self) -> Simulator:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def simulator(cls) -> Iterator[Simulator]:
        """One for all tests of the class: some take seconds to start. Skips, with the reason, where it is not there."""
        made = cls().make()
        try:
            made.capabilities  # noqa: B018  starts it
        except SimulatorFailed as why:
            pytest.skip(str(why))
        yield made
        made.close()

    @pytest.fixture(params=[case.name for case in CASES])
    def case(self, request: pytest.FixtureRequest) -> Case:
        """Each case of the suite, shortened."""
        return next(case for case in shortened(CASES, self.factor) if case.name == request.param)

    def test_it_says_what_it_is(self, simulator: Simulator) -> None:
        found = simulator.capabilities
        assert found.simulator
        assert found.version
        assert found.operations
        assert found.formalisms
        assert found.scenarios

    def test_it_agrees_with_quoit_in_every_figure_it_gives(self, simulator: Simulator, case: Case) -> None:
        """4 sigma and the case's allowance; false alarms as `engine.simulators.suite` says."""
        found = simulator.play(case.scenario, WITHIN_S)
        assert found.kind == case.scenario.kind
        apart = [
            each for each in compared(case, NativeSimulator().play(case.scenario, WITHIN_S), found) if not each.agree
        ]
        assert apart == []

    def test_a_kind_it_names_gives_figures_and_others_give_reasons(self, simulator: Simulator) -> None:
        """Of each kind that it says it plays, some case of the suite gives a figure."""
        capabilities = simulator.capabilities
        given = dict.fromkeys(KINDS, 0)
        for case in shortened(CASES, self.factor / 4):
            found = simulator.play(case.scenario, WITHIN_S)
            given[case.scenario.kind] += len(found.figures)
            assert (found.simulator, found.version) == (capabilities.simulator, capabilities.version)
            if not capabilities.clock:
                assert not {"rate_hz", "sifted_hz"} & set(found.figures), "a rate without a clock"
        assert {kind for kind, figures in given.items() if figures} == set(capabilities.scenarios)

    def test_what_says_it_is_deterministic_repeats_itself(self, simulator: Simulator) -> None:
        if not simulator.capabilities.deterministic:
            pytest.skip(f"{simulator.capabilities.simulator} says that it is not deterministic")
        scenario = Bb84(20, 0.05, misalignment=0.02)
        first = simulator.play(scenario, WITHIN_S)
        simulator.play(Wait(0.9, 0.1, 1.0), WITHIN_S)  # whatever it keeps between scenarios
        assert alike(first, simulator.play(scenario, WITHIN_S))


class WorkerContract(SimulatorContract):
    """What every simulator behind a worker does besides."""

    def make(self) -> WorkerSimulator:
        raise NotImplementedError

    @pytest.fixture
    def fresh(self) -> Iterator[WorkerSimulator]:
        """One that the test may break."""
        made = self.make()
        try:
            made.capabilities  # noqa: B018  starts it
        except SimulatorFailed as why:
            pytest.skip(str(why))
        yield made
        made.close()

    def test_one_that_is_too_slow_is_ended_and_may_be_used_again(self, fresh: WorkerSimulator) -> None:
        pid = fresh.pid
        with pytest.raises(SimulatorFailed, match="no answer within"):
            fresh.play(_LONG, 0.001)
        assert fresh.pid is None
        assert pid is not None
        assert gone(pid)
        assert isinstance(fresh.play(Wait(0.95, 0.1, 1.0), WITHIN_S), Result)

    def test_nothing_that_it_started_outlives_it(self, fresh: WorkerSimulator) -> None:
        case = next(case for case in shortened(CASES, 0.05) if case.name == "teleport-perfect")
        fresh.play(case.scenario, WITHIN_S)
        pid = fresh.pid
        assert pid is not None
        assert members(pid)
        fresh.close()
        assert gone(pid)

    def test_after_one_was_killed_a_fresh_one_plays(self, fresh: WorkerSimulator) -> None:
        assert fresh.pid is not None
        os.kill(fresh.pid, 9)
        assert gone(fresh.pid)
        assert isinstance(fresh.play(Wait(0.95, 0.1, 1.0), WITHIN_S), Result)


_LONG = next(case.scenario for case in CASES if case.name == "ghz-4-perfect")


def members(group: int) -> list[str]:
    """Living processes of a process group, as `ps` shows them."""
    listed = subprocess.run(["ps", "-eo", "pgid=,stat=,pid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    return [rest for pgid, stat, rest in rows if int(pgid) == group and not stat.startswith("Z")]


def gone(group: int, within_s: float = 5.0) -> bool:
    """Whether nobody of the group is alive, soon."""
    deadline = time.monotonic() + within_s
    while members(group):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.05)
    return True
