"""Programs of the NetQASM SDK against a twin in a process of its own, over real sockets; and who is not let in."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from math import sqrt
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("netqasm", reason="needs the NetQASM SDK: pip install 'quoit[netqasm]'")

from netqasm.backend import messages as sdk

from quoit.adapters.crypto.pki import client_context
from quoit.interfaces.netqasm import wire
from quoit.interfaces.netqasm.host import HostLink, NodeError
from quoit.scenario.check import load as load_network
from quoit.scenario.doors import program_memories
from quoit.scenario.netqasm.application import example, load
from quoit.scenario.netqasm.live import LiveOptions, TwinFault, run_live

pytestmark = pytest.mark.live
EXAMPLES = Path(__file__).parents[2] / "examples"
BOSTON = EXAMPLES / "boston.yaml"
OTHERS = (
    "blind_grover", "dist_cnot", "link_layer_ck", "link_layer_md", "magic_square", "multiple_files", "single_node",
    "three_nodes",
)  # fmt: skip
Dial = Callable[..., socket.socket]


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory, live_twin: Any) -> Iterator[tuple[Path, dict[str, Any]]]:
    directory = tmp_path_factory.mktemp("programs")
    with live_twin(BOSTON, directory, "--netqasm", "5"):
        yield directory, json.loads((directory / "doors.json").read_text())


@pytest.fixture
def dial(twin: tuple[Path, dict[str, Any]]) -> Dial:
    """A connection to a node's door with an application's certificate, or none."""
    told = twin[1]

    def connect(node: str, sae: str | None) -> socket.socket:
        own = told["applications"][sae] if sae else None
        files = (Path(own["cert"]), Path(own["key"])) if own else (None, None)
        address, port = told["netqasm"]["doors"][node]
        plain = socket.create_connection((address, port), 10)
        return client_context(Path(told["ca"]), *files).wrap_socket(plain, server_hostname=address)

    return connect


def run(twin: tuple[Path, dict[str, Any]], directory: Path, **options: Any) -> list[Any]:
    report = run_live(load(directory), LiveOptions(twin[0], **options))
    assert not report.failures, report.failures[0].trace
    return report.results


@pytest.mark.realises("D1")
def test_programs_of_the_sdk_run_unmodified(twin: tuple[Path, dict[str, Any]]) -> None:
    """Boston's pairs have F = 0.97: each round of GHZ fits with probability above 0.9, so 2 of 6 fail with probability
    below 2e-2 ** 2 * ...: 4 of 6 or fewer once in 800."""
    for row in run(twin, example("teleport"), names={"sender": "alice", "receiver": "bob"}, rounds=2):
        assert row["receiver"]["correction1"] == ("Z" if row["sender"]["m1"] else "None")
    rows = run(twin, EXAMPLES / "netqasm" / "ghz", rounds=6)
    assert sum(len({result["outcome"] for result in row.values()}) == 1 for row in rows) >= 4
    (row,) = run(twin, example("chsh"), names={"repeater": "charlie"})
    assert set(row) == {"alice", "bob", "repeater"}
    (row,) = run(twin, example("bb84"), inputs={role: {"num_bits": 16} for role in ("alice", "bob")})
    assert len(row["alice"]["table"]) == len(row["bob"]["table"]) == 16
    (row,) = run(twin, example("blind_rotation"), names={"client": "alice", "server": "bob"})
    assert row["server"]["output_state"] is None  # nobody can see it


@pytest.mark.parametrize("name", OTHERS)
def test_the_other_examples_of_the_sdk_run(twin: tuple[Path, dict[str, Any]], name: str) -> None:
    roles = load(example(name)).programs
    run(twin, example(name), names=dict(zip(roles, ("alice", "bob", "charlie"), strict=False)))


def test_chsh_over_sockets_is_what_the_promised_fidelity_gives(twin: tuple[Path, dict[str, Any]]) -> None:
    """Pairs of F = 0.97, two readouts of 0.999, milliseconds in memories of seconds: S = 2.70, within 4 standard errors
    (false alarm 6e-5) and 0.1 for what a slow machine lets the halves age. Without entanglement it would be 2, which is
    3.4 off."""
    pairs = 40
    (row,) = run(twin, EXAMPLES / "netqasm" / "chsh", inputs={role: {"pairs": pairs} for role in ("alice", "bob")})
    sigma = 2 * sqrt((1 - 0.96**2 / 2) / pairs)
    assert 2.70 - 0.1 - 4 * sigma < row["alice"]["S"] < 2.70 + 4 * sigma


@pytest.mark.realises("G3", "I1")
def test_who_is_not_let_in_hears_why(dial: Dial) -> None:
    with pytest.raises(NodeError, match="REJECTED: application bob is not attached to this node"):
        HostLink("bob", dial("harvard", "bob"))
    with pytest.raises(NodeError, match="REJECTED: expected the application of the certificate, alice; found 'bob'"):
        HostLink("bob", dial("harvard", "alice"))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        HostLink("alice", dial("harvard", None))
    with dial("harvard", "alice") as first:
        first.sendall(wire.frame(1, bytes(sdk.InitNewAppMessage(0, 2))))
        assert "expected HELLO first" in wire.read_error(first.recv(4096)[wire.HEADER.size :])[1]


def test_a_host_that_vanishes_leaves_nothing_behind(twin: tuple[Path, dict[str, Any]], dial: Dial) -> None:
    """It claims all five qubits and is cut off; its place and its qubits are free for the next."""
    link = HostLink("alice", dial("harvard", "alice"))
    link.commit(bytes(sdk.InitNewAppMessage(0, 5)))
    with pytest.raises(NodeError, match="REJECTED: alice is connected already"):
        HostLink("alice", dial("harvard", "alice"))
    link._socket.close()
    run(twin, EXAMPLES / "netqasm" / "ghz")


def test_no_door_is_open_that_nobody_asked_for(tmp_path: Path) -> None:
    assert program_memories(load_network(BOSTON), None) == {}
    (tmp_path / "doors.json").write_text('{"ca": "", "applications": {}}')
    with pytest.raises(TwinFault, match="no door for programs"):
        run_live(load(EXAMPLES / "netqasm" / "ghz"), LiveOptions(tmp_path))


def test_roles_must_be_applications_of_the_network(twin: tuple[Path, dict[str, Any]]) -> None:
    with pytest.raises(TwinFault, match="role receiver: expected an application of alice, bob, charlie"):
        run_live(load(example("teleport")), LiveOptions(twin[0]))


@pytest.mark.realises("G3")
def test_a_revoked_host_is_cut_off(twin: tuple[Path, dict[str, Any]], dial: Dial) -> None:
    """Last of this twin: charlie is not let in again."""
    link = HostLink("charlie", dial("bu", "charlie"))
    command = [sys.executable, "-m", "quoit.cli.main", "pki", "charlie", "--revoke", "--dir", str(twin[0])]
    subprocess.run(command, capture_output=True, check=True, timeout=30)
    link._socket.settimeout(10)
    with pytest.raises((ConnectionError, ssl.SSLError)):
        link.receive(["alice"], 0, None)  # waits for a minute, if it is not cut
    with pytest.raises((NodeError, ConnectionError, ssl.SSLError)):
        HostLink("charlie", dial("bu", "charlie"))
