"""`quoit yang`: lists and prints modules, says whether an instance is valid, and what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from quoit.cli.main import main

LAB = str(Path(__file__).parents[2] / "conformance" / "yang")
NODE = "11111111-1111-4111-8111-111111111111"


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["yang", *arguments])
    return int(str(ended.value.code))


def test_modules_are_listed_and_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--json", "--path", LAB) == 0
    names = {row["name"] for row in json.loads(capsys.readouterr().out)}
    assert {"etsi-qkd-sdn-node", "ietf-yang-push", "quoit-lab"} <= names
    assert run("etsi-qkd-node-types") == 0
    assert capsys.readouterr().out.startswith("module etsi-qkd-node-types {")


def test_an_instance_is_valid_or_says_where_it_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "node.json"
    file.write_text(json.dumps({"etsi-qkd-sdn-node:qkd_node": {"qkdn_id": NODE}}))
    assert run("--check", str(file)) == 0
    assert "valid data of etsi-qkd-sdn-node" in capsys.readouterr().out
    file.write_text(json.dumps({"etsi-qkd-sdn-node:qkd_node": {"qkdn_id": "x"}}))
    assert run("--check", str(file)) == 1
    assert "/etsi-qkd-sdn-node:qkd_node/qkdn_id" in capsys.readouterr().out
    state = {"qkdn_id": NODE, "qkdn_status": "etsi-qkd-node-types:NEW"}
    file.write_text(json.dumps({"etsi-qkd-sdn-node:qkd_node": state}))
    assert run("--check", str(file), "--json") == 0
    assert json.loads(capsys.readouterr().out)["modules"] == ["etsi-qkd-node-types", "etsi-qkd-sdn-node"]
    assert run("--check", str(file), "--config") == 1


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"no-such-module:x": 1}'])
def test_files_that_hold_no_instance_are_unusable_input(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "x.json"
    file.write_text(content)
    assert run("--check", str(file)) == 2
    assert str(file) in capsys.readouterr().err


def test_what_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("nothing") == 2
    assert run("--path", str(tmp_path)) == 2
    assert run("--check", str(tmp_path / "none.json")) == 2
    broken = tmp_path / "broken.yang"
    broken.write_text("module broken { nonsense")
    assert run("--path", str(tmp_path)) == 2
    said = capsys.readouterr().err
    assert all(part in said for part in ("no such module", "*.yang", "no such file", "not a YANG module"))
