"""Whatever a worker does wrong ends as a clear error, with nothing of it left, and a fresh one may be used."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from quoit.adapters.simulators.process import WorkerSimulator, worker_command
from quoit.engine.simulators.port import Figure, Result, SimulatorFailed, Teleport, Wait
from quoit.testing.simulators import gone, members

HEAD = """
import json, os, sys, time
def capabilities():
    return {"simulator": "fake", "version": "7", "formalisms": ["ket"], "operations": ["play"],
            "scenarios": ["wait"], "deterministic": True, "clock": False}
def play(scenario):
"""
GOOD = 'return {"figures": {"fidelity": {"value": 0.5, "sigma": 0.0}}, "missing": {"*": "no reason to"}}'
WAIT = Wait(0.9, 0.1, 1.0)

Make = Callable[..., WorkerSimulator]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """A simulator whose player has this body of `play`, after `more` at the module's level."""
    made: list[WorkerSimulator] = []

    def of(body: str, more: str = "", **how: float) -> WorkerSimulator:
        player = tmp_path / f"player{len(made)}.py"
        player.write_text(HEAD + textwrap.indent(textwrap.dedent(body), "    ") + "\n" + more)
        made.append(WorkerSimulator("fake", lambda: worker_command(Path(sys.executable), player), **how))
        return made[-1]

    yield of
    for simulator in made:
        simulator.close()


def failure(simulator: WorkerSimulator, within_s: float = 30.0) -> str:
    with pytest.raises(SimulatorFailed) as found:
        simulator.play(WAIT, within_s)
    return str(found.value)


def test_it_plays(make: Make) -> None:
    fake = make(GOOD)
    assert fake.capabilities.simulator == "fake"
    assert fake.capabilities.isolation == "process"
    found = fake.play(WAIT, 30.0)
    assert found == Result(
        "fake", "7", "wait", {"fidelity": Figure(0.5)}, {"error_z": "no reason to", "error_x": "no reason to"}
    )


def test_a_scenario_arrives_as_it_was(make: Make) -> None:
    fake = make('return {"missing": {"*": json.dumps(scenario)}}')
    found = fake.play(Teleport(0.9, 1.25, -0.5, shots=7, seed=3), 30.0)
    assert found.missing["state_fidelity"] == (
        '{"kind": "teleport", "fidelity": 0.9, "polar_rad": 1.25, "azimuth_rad": -0.5, "shots": 7, "seed": 3}'
    )


def test_what_a_player_prints_is_no_line_of_the_protocol(make: Make) -> None:
    fake = make('print("{}"); os.system("echo noise"); os.write(1, b"more\\n")\n' + GOOD)
    assert fake.play(WAIT, 30.0).figures["fidelity"].value == 0.5


def test_a_fault_of_the_player_is_told_and_it_lives_on(make: Make) -> None:
    fake = make(f'if scenario["seed"] == 1: raise KeyError("lost")\n{GOOD}')
    said = failure(fake)
    assert "fake, playing wait: it said: KeyError: 'lost'" in said
    pid = fake.pid
    assert fake.play(Wait(0.9, 0.1, 1.0, seed=2), 30.0).figures
    assert fake.pid == pid


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('sys.stderr.write("last words\\n"); os._exit(3)', "crashed (exit code 3)"),
        ('sys.stderr.write("last words\\n"); os.abort()', "crashed (signal SIGABRT)"),
    ],
)
def test_a_crash_says_how_and_the_last_words(make: Make, body: str, said: str) -> None:
    fake = make(body)
    found = failure(fake)
    assert said in found
    assert "last words" in found
    assert fake.pid is None


def test_a_crash_is_seen_though_a_child_holds_the_output_open(make: Make) -> None:
    fake = make("if os.fork(): os._exit(1)\ntime.sleep(60)")
    assert fake.capabilities
    pid = fake.pid
    assert pid is not None
    began = time.monotonic()
    assert "crashed" in failure(fake)
    assert time.monotonic() - began < 10
    assert gone(pid)


def test_one_that_misses_its_deadline_is_killed_with_its_children(make: Make) -> None:
    fake = make("import subprocess; subprocess.Popen(['sleep', '60']); time.sleep(60)")
    assert fake.capabilities
    pid = fake.pid
    assert pid is not None
    assert "no answer within 0.5 s" in failure(fake, 0.5)
    assert gone(pid)


def test_who_leaves_the_group_holds_nobody_up(make: Make) -> None:
    """It cannot be killed with the group; its user is not kept waiting for it either."""
    fake = make("if not os.fork(): os.setsid(); time.sleep(12); os._exit(0)\nos._exit(1)")
    assert fake.capabilities
    began = time.monotonic()
    assert "crashed" in failure(fake)
    assert time.monotonic() - began < 8


def test_a_flood_of_beats_keeps_no_deadline_from_passing(tmp_path: Path) -> None:
    file = tmp_path / "script.py"
    greeting = {
        "quoit-simulator": 1,
        "capabilities": {
            "simulator": "fake",
            "version": "7",
            "formalisms": [],
            "operations": [],
            "scenarios": [],
            "deterministic": True,
            "clock": True,
        },
    }
    file.write_text(
        f"import json, sys\nprint(json.dumps({greeting!r}), flush=True)\nsys.stdin.readline()\n"
        "while True: print('{\"beat\": 1}', flush=True)\n"
    )
    fake = WorkerSimulator("fake", lambda: [sys.executable, str(file)])
    began = time.monotonic()
    assert "no answer within 1 s" in failure(fake, 1.0)
    assert time.monotonic() - began < 8
    assert fake.pid is None


def test_one_that_stops_beating_is_silent(make: Make) -> None:
    fake = make("import signal; os.kill(os.getpid(), signal.SIGSTOP)", silence_s=0.5)
    assert "fell silent for 0.5 s" in failure(fake)


def test_a_long_game_with_beats_is_not_silent(make: Make) -> None:
    fake = make("time.sleep(2.5)\n" + GOOD, silence_s=1.6)
    assert fake.play(WAIT, 30.0).figures


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('return {"figures": {"fidelity": {"value": 1.0}}}', "either as a figure or as missing"),
        ('return {"figures": {"speed": {"value": 1.0}}, "missing": {"*": "no"}}', "found figures speed"),
        ('return {"missing": {"*": " "}}', "expected a reason"),
        ('return {"figures": {"fidelity": {"value": "high"}}, "missing": {"*": "no"}}', "Expected `float`"),
        (
            'return {"figures": {"fidelity": {"value": 0.5, "sigma": -1}}, "missing": {"*": "no"}}',
            "standard error >= 0",
        ),
        ('return {"figures": {"fidelity": {"value": 1e999}}, "missing": {"*": "no"}}', "ValueError"),
        ('return {"answer": 42}', "unknown field"),
        ("return 42", "Expected `object`"),
    ],
)
def test_a_result_that_cannot_be_is_not_believed(make: Make, body: str, said: str) -> None:
    assert said in failure(make(body))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ('"scenarios": ["tea"]', "expected kinds of"),
        ('"clock": "noon"', "Expected `bool`"),
    ],
)
def test_a_greeting_that_cannot_be_is_not_believed(make: Make, changed: str, said: str) -> None:
    key = changed.partition(":")[0]
    fake = make(GOOD, f"old = capabilities\ndef capabilities():\n    return {{**old(), {changed}}}\n")
    assert key
    with pytest.raises(SimulatorFailed, match=r"fake, starting") as found:
        fake.capabilities  # noqa: B018  starts it
    assert said in str(found.value)
    assert fake.pid is None


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("print('hello')", "expected a line of the protocol"),
        ('print(\'{"quoit-simulator": 9, "capabilities": {}}\')', "expected protocol 1, found 9"),
        ("print('x' * 2_000_000)", "expected lines of"),
        ("import time; time.sleep(60)", "did not greet within 1 s"),
        ("import nothing_of_this_name", "No module named"),
    ],
)
def test_what_is_no_worker_is_refused(tmp_path: Path, script: str, said: str) -> None:
    file = tmp_path / "script.py"
    file.write_text(script)
    fake = WorkerSimulator("fake", lambda: [sys.executable, str(file)], greeting_s=1.0)
    with pytest.raises(SimulatorFailed) as found:
        fake.play(WAIT, 5.0)
    assert said in str(found.value)


def test_an_interpreter_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    fake = WorkerSimulator("fake", lambda: [str(tmp_path / "python")])
    with pytest.raises(SimulatorFailed, match="cannot start"):
        fake.play(WAIT, 5.0)


def test_a_worker_dies_with_whoever_uses_it(tmp_path: Path) -> None:
    """The user is killed and can say nothing; the worker plays, and a child of it sleeps."""
    player = tmp_path / "player.py"
    player.write_text(HEAD + "    import subprocess; subprocess.Popen(['sleep', '60']); time.sleep(60)\n")
    user = tmp_path / "user.py"
    user.write_text(
        textwrap.dedent(f"""
        import sys, threading
        from pathlib import Path
        from quoit.adapters.simulators.process import WorkerSimulator, worker_command
        from quoit.engine.simulators.port import Wait
        fake = WorkerSimulator("fake", lambda: worker_command(Path(sys.executable), Path({str(player)!r})))
        fake.capabilities
        print(fake.pid, flush=True)
        fake.play(Wait(0.9, 0.1, 1.0), 60.0)
        """)
    )
    using = subprocess.Popen([sys.executable, str(user)], stdout=subprocess.PIPE, text=True)
    assert using.stdout is not None
    group = int(using.stdout.readline())
    deadline = time.monotonic() + 20
    while len(members(group)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(members(group)) == 2
    using.send_signal(signal.SIGKILL)
    using.wait()
    using.stdout.close()
    assert gone(group)


def test_a_worker_that_nobody_holds_any_more_is_ended(make: Make) -> None:
    fake = WorkerSimulator("fake", lambda: make(GOOD)._command())
    assert fake.capabilities
    group = fake.pid
    assert group is not None
    assert os.getpgid(group) == group
    del fake
    assert gone(group)
