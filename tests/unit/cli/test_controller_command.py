"""`quoit controller`: what it is told wrong, and agents that are not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from quoit.adapters.crypto.pki import Authority
from quoit.cli.main import main
from quoit.model.role import Role


def run_directory(directory: Path, agents: bool = True) -> Path:
    """What a twin leaves for others to find it, without a twin."""
    authority = Authority(directory / "pki")
    leaf = authority.issue_role(Role.CONTROLLER, "controller")
    told = {"ca": str(authority.root_pem), "applications": {}}
    if agents:
        roles = {"controller": {"cert": str(leaf.chain), "key": str(leaf.key)}}
        nodes = dict.fromkeys(("a", "b"), "https://127.0.0.1:9")  # the port where nobody listens
        told["agents"] = {"network": "n", "nodes": nodes, "roles": roles}  # type: ignore[assignment]
    (directory / "doors.json").write_text(json.dumps(told))
    return directory


def status(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["controller", *arguments])
    code = ended.value.code
    assert isinstance(code, int)
    return code


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--connect", "a:x"], "expected NODE:NODE, two of a, b; found a:x"),
        (["--connect", "a"], "expected NODE:NODE"),
        (["--connect", "a:a"], "expected NODE:NODE"),
        (
            ["--agent", "a=http://x", "--network", "n", "--ca", "c", "--cert", "c", "--key", "c"],
            "expected NODE=https://HOST:PORT",
        ),
        (
            ["--agent", "a=https://x", "--network", "n", "--ca", "c", "--cert", "c", "--key", "c"],
            "the certificates cannot be used",
        ),
    ],
)
def test_wrong_use_is_one_clear_line(
    arguments: list[str], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_directory(tmp_path)
    assert status("--dir", str(tmp_path), *arguments) == 2
    said = capsys.readouterr().err
    assert text in said
    assert "Traceback" not in said


def test_a_twin_without_agents_and_agents_that_are_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("--dir", str(run_directory(tmp_path, agents=False))) == 2
    assert "quoit up FILE --agents 0" in capsys.readouterr().err
    assert status("--dir", str(run_directory(tmp_path))) == 1
    assert "cannot begin: peer-unreachable: agent of b" in capsys.readouterr().err
