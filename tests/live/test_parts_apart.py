"""Strata and planes in processes of their own over NATS: one command for all, or each by itself, as in containers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from quoit.scenario.parts import CELLS, Part
from quoit.testing.checkers import verify_events

pytestmark = [pytest.mark.live, pytest.mark.trial]
FILE = Path(__file__).parent / "apart.yaml"
UNTIL = "6s"
SPEEDS = ("1", "0.5", "0.25")
"""A run that the machine was too busy for says that it was not faithful, and promises nothing: it is run again, with
twice the time for every simulated second, so that what is on its way has twice as long to come."""
QUOIT = [sys.executable, "-m", "quoit.cli.main"]
PATIENCE_S = 60.0


def quoit(*arguments: str) -> str:
    """The last line of what a command prints that promises to be faithful."""
    for speed in SPEEDS:
        paced = ["--speed", speed] if arguments[0] == "up" else []
        done = subprocess.run([*QUOIT, *arguments, *paced], capture_output=True, text=True, timeout=180, check=False)
        if "run.not_faithful" not in done.stderr:
            break
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.realises("A1", "A2", "F8", "G3")
def test_a_process_a_stratum_gives_the_trace_of_virtual_time(tmp_path: Path) -> None:
    virtual = quoit("run", str(FILE), "--until", UNTIL, "--digest")
    assert quoit("up", str(FILE), "--until", UNTIL, "--digest", "--dir", str(tmp_path), "--by", "stratum") == virtual
    assert verify_events(tmp_path / "events.jsonl").violations == []
    assert b'"event":"keys.taken"' in (tmp_path / "service" / "events.jsonl").read_bytes()
    assert {file.parent.name for file in tmp_path.rglob("root.key")} == {"pki"}, "the authorities' own"
    assert {p.name for p in (tmp_path / "service" / "stores").iterdir()} == {"kme-alice", "kme-bob", "kme-carol"}
    assert not list(tmp_path.glob("fabric/stores/*"))


class Apart:
    """A bus, and parts that are started as a user starts them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.processes: dict[str, subprocess.Popen[str]] = {}
        command = ["bus", str(FILE), "--dir", str(directory / "bus"), "--port", "0", "--json"]
        bus = self._start("bus", command)
        assert bus.stdout is not None
        self.bus: str = json.loads(bus.stdout.readline())["bus"]

    def _start(self, name: str, command: list[str]) -> subprocess.Popen[str]:
        with self.errors(name).open("a") as errors:
            started = subprocess.Popen([*QUOIT, *command], stdout=subprocess.PIPE, stderr=errors, text=True)
        self.processes[name] = started
        return started

    def errors(self, name: str) -> Path:
        return self.directory / f"{name}.errors"

    def command(self, name: str, *choice: str, file: Path = FILE, directory: str = "") -> list[str]:
        given = ["--credentials", str(self.directory / "bus" / "parts" / name)]
        where = ["--dir", str(self.directory / (directory or name)), "--port", "0", "--json", "--bus", self.bus]
        return ["up", str(file), *where, *given, *choice]

    def start(self, name: str, *choice: str) -> None:
        self._start(name, self.command(name, *choice))

    def refused(self, name: str, *choice: str, file: Path = FILE) -> str:
        """What a part that may not join is told."""
        command = self.command(name, *choice, file=file, directory="refused")
        done = subprocess.run([*QUOIT, *command], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr.splitlines()[-1]

    def wait_for(self, name: str) -> dict[str, Any]:
        """Until it tells its doors, which are returned: the twin is live."""
        stdout = self.processes[name].stdout
        assert stdout is not None
        line = stdout.readline()
        assert line, f"{name} ended before it was live: {self.errors(name).read_text()}"
        doors: dict[str, Any] = json.loads(line)
        assert doors["network"] == "apart"
        return doors

    def get(self, name: str, path: str) -> Any:
        """From a part's operator socket."""
        transport = httpx2.HTTPTransport(uds=str(self.directory / name / "operator.sock"))
        with httpx2.Client(transport=transport, base_url="http://operator", trust_env=False) as client:
            return client.get(path, timeout=20).raise_for_status().json()

    def news(self, name: str, subject: str, cause: Callable[[], object]) -> dict[str, Any]:
        """What is published first under a subject after `cause`, as a part tells it."""
        transport = httpx2.HTTPTransport(uds=str(self.directory / name / "operator.sock"))
        with (
            httpx2.Client(transport=transport, base_url="http://operator", trust_env=False) as client,
            client.stream("GET", "/events", params={"subject": subject}, timeout=PATIENCE_S) as answer,
        ):
            lines = answer.raise_for_status().iter_lines()
            assert next(lines) == ": open"
            cause()
            told: dict[str, Any] = json.loads(next(x for x in lines if x.startswith("data: ")).removeprefix("data: "))
            return told

    def states(self, name: str) -> dict[str, str]:
        """Of all parts, as one of them sees them."""
        return {row["part"]: row["state"] for row in self.get(name, "/parts")}

    def until(self, name: str, states: dict[str, str]) -> None:
        end = time.monotonic() + PATIENCE_S
        while self.states(name) != states:
            assert time.monotonic() < end, self.states(name)
            time.sleep(0.2)

    def end(self) -> None:
        for process in reversed(self.processes.values()):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            process.kill()
            process.wait(30)


@pytest.fixture
def apart() -> Iterator[Apart]:
    """In a directory with a short name: the path of a part's socket has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="quoit-") as directory:
        made = Apart(Path(directory))
        try:
            yield made
        finally:
            made.end()


@pytest.mark.realises("A2", "C2", "G3")
def test_control_by_itself_may_die_and_come_back(apart: Apart, tmp_path: Path) -> None:
    directory = apart.directory
    control, rest = "fabric-control", "without-fabric-control"
    choice = ("--stratum", "fabric", "--plane", "control")
    where = ("alice--bob", "--dir", str(directory / control))
    apart.start(rest, "--without", "fabric-control")
    apart.start(control, *choice)
    for name in (control, rest):
        apart.wait_for(name)
        apart.until(name, {control: "running", rest: "running"})
    held = {row["part"]: (row["cells"], row["elements"]) for row in apart.get(control, "/parts")}
    assert held[control] == (["fabric-control"], 1)
    # Any part answers for all.
    assert [row["link"] for row in apart.get(control, "/links")["rows"]] == ["alice--bob", "bob--carol"]

    # Whoever watches one hears all.
    for kind in ("cut", "splice"):
        light = apart.news(control, "connectivity.span.>", partial(quoit, "strike", kind, *where))
        assert light["subject"] == "connectivity.span.alice--bob"

    # A second of the same kind, and one with another file, are refused; the twin does not mind.
    said = apart.refused(control, *choice)
    assert "fabric-control would be held twice: here and by part fabric-control, which is running" in said
    other = tmp_path / "other.yaml"
    other.write_text(FILE.read_text().replace("seed: 7", "seed: 8"))
    assert "was started with another network file" in apart.refused("telemetry", "--plane", "telemetry", file=other)
    assert "would be held twice" in apart.refused("telemetry", "--plane", "telemetry")

    keys(directory / rest)
    os.kill(apart.processes[control].pid, signal.SIGKILL)
    apart.until(rest, {control: "gone", rest: "running"})
    assert '"part": "fabric-control", "holds": ["fabric-control"], "event": "part.gone"' in (
        apart.errors(rest).read_text()
    )
    assert apart.get(rest, "/readyz") == {"status": "degraded", "gone": [control]}
    assert apart.get(rest, "/status")["faithful"] is False
    keys(directory / rest)

    apart.start(control, *choice)
    apart.wait_for(control)
    apart.until(rest, {control: "running", rest: "running"})
    assert {row["part"]: row["life"] for row in apart.get(rest, "/parts")} == {control: 1, rest: 0}
    assert apart.get(control, "/links")["rows"]
    keys(directory / rest)
    assert verify_events(directory / rest / "events.jsonl").violations == []

    # Without what holds the resources nothing goes on, and that is said.
    os.kill(apart.processes[rest].pid, signal.SIGKILL)
    assert apart.processes[control].wait(PATIENCE_S) == 1
    assert "PartGone: part without-fabric-control has gone, and with it what it held" in (
        apart.errors(control).read_text()
    )


def keys(directory: Path) -> None:
    """Taken at one end, and the same at the other."""
    assert quoit("keys", "alice-app", "carol-app", "--dir", str(directory)).endswith("equal")


@pytest.mark.realises("A1", "A2", "G1", "G3")
def test_each_of_the_twelve_cells_is_a_process_of_its_own(apart: Apart) -> None:
    """And a thirteenth holds the world below them. Each is started by its stratum and its plane, answers for all, and
    hears what the others publish."""
    names = {Part.named(str(cell)).name: cell for cell in CELLS}
    watcher = "connectivity-telemetry"
    for name, cell in names.items():
        door = ("--management-port", "0") if name == watcher else ()
        apart.start(name, "--stratum", cell.stratum, "--plane", cell.plane, *door)
    doors = {name: apart.wait_for(name) for name in names}
    for name in names:
        apart.until(name, dict.fromkeys(names, "running"))
        assert [row["link"] for row in apart.get(name, "/links")["rows"]] == ["alice--bob", "bob--carol"]
    rows = apart.get("service-control", "/parts")
    assert {row["part"]: row["cells"] for row in rows} == {name: [str(cell)] for name, cell in names.items()}
    assert min(row["elements"] for row in rows) > 0
    keys(apart.directory / "service-resource")

    strike = partial(quoit, "strike", "cut", "alice--bob", "--dir", str(apart.directory / "fabric-management"))
    with on_change(doors[watcher], "/quoit-telemetry:telemetry/alarm") as pushes:
        alarm = apart.news("service-control", "alarm.connectivity.>", strike)
        assert (alarm["news"]["about"], alarm["news"]["cause"]) == ("alice--bob", "loss of signal")
        assert "loss of signal" in next(push for push in pushes if "push-change-update" in push)


@contextlib.contextmanager
def on_change(doors: dict[str, Any], xpath: str) -> Iterator[Iterator[str]]:
    """What a subscription (RFC 8641) at a part's management door is sent, once it has been told how things are."""
    door = doors["management"]
    tls = ssl.create_default_context(cafile=doors["ca"])
    tls.load_cert_chain(door["roles"]["observer"]["cert"], door["roles"]["observer"]["key"])
    body = {
        "ietf-subscribed-notifications:input": {
            "ietf-yang-push:datastore": "ietf-datastores:operational",
            "ietf-yang-push:datastore-xpath-filter": xpath,
            "ietf-yang-push:on-change": {},
        }
    }
    headers = {"content-type": "application/yang-data+json"}
    with httpx2.Client(verify=tls, trust_env=False, base_url=door["url"], timeout=PATIENCE_S) as client:
        operation = "/restconf/operations/ietf-subscribed-notifications:establish-subscription"
        made = client.post(operation, content=json.dumps(body), headers=headers).raise_for_status().json()
        uri = made["ietf-subscribed-notifications:output"]["ietf-restconf-subscribed-notifications:uri"]
        with client.stream("GET", uri, headers={"accept": "text/event-stream"}) as answer:
            lines = answer.raise_for_status().iter_lines()
            next(line for line in lines if "push-update" in line)
            yield lines


@pytest.mark.realises("G3")
def test_parts_that_miss_others_say_whom(apart: Apart) -> None:
    said = apart.refused("service", "--stratum", "service", "--wait", "3s")
    assert "within 3 s nobody came who holds fabric, connectivity, engine; start one, such as: " in said
    assert "--stratum engine --plane resource" in said
    assert "root of keys" not in said
    directory = apart.directory / "bus" / "parts" / "service"
    assert (directory / "root.key").exists(), "the twin has not begun: its keys have not been used"
    (directory / "root.key").unlink()
    assert "good for one run; start `quoit bus FILE` anew" in apart.refused("service", "--stratum", "service")
