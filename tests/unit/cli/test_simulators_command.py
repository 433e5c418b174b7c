"""`quoit simulators`: what it lists, what it compares, and that disagreement is neither hidden nor a success."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from quoit.cli.main import main
from quoit.cli.simulators import Played
from quoit.engine.simulators.native import NativeSimulator
from quoit.engine.simulators.port import Capabilities, Figure, Result
from quoit.engine.simulators.suite import CASES


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["simulators", *arguments])
    return int(str(ended.value.code))


def test_those_that_are_not_there_say_how_to_get_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", "--dir", str(tmp_path), "--json") == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert "dejmps" in rows["native"]["scenarios"]
    for name in ("sequence", "qunetsim"):
        assert f"quoit simulators install {name} --dir {tmp_path}" in rows[name]["missing"]


def test_a_comparison_without_the_others_says_who_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("compare", "--dir", str(tmp_path), "--factor", "0.1") == 0
    said = capsys.readouterr().out
    assert "Not there:" in said
    assert "sequence: its environment" in said
    assert run("compare", "native", "--dir", str(tmp_path), "--factor", "0.1", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [case["case"] for case in found["cases"]] == [case.name for case in CASES]
    assert found["absent"] == {}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("install", "netsquid"), "expected one of sequence, qunetsim"),
        (("compare", "netsquid"), "found netsquid"),
        (("compare", "native", "--factor", "2"), "--factor: expected a number above 0 and up to 1"),
    ],
)
def test_wrong_use_is_told(arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    assert said in capsys.readouterr().err


def test_an_interpreter_that_does_not_fit_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("install", "sequence", "--dir", str(tmp_path), "--python", str(tmp_path / "none")) == 1
    assert "for sequence==1.3.1 or Python" in capsys.readouterr().err


def played(value: float, sigma: float = 0.0) -> Played:
    """The teleportation case by quoit and by another one that gives this."""
    case = next(case for case in CASES if case.name == "teleport")
    native = NativeSimulator()
    other = Capabilities("other", "2", ("ket",), ("send",), ("teleport",), True, True, "process")
    results = {
        (case.name, "native"): native.play(case.scenario, 1.0),
        (case.name, "other"): Result("other", "2", "teleport", {"state_fidelity": Figure(value, sigma)}),
    }
    return Played((case,), {"native": native.capabilities, "other": other}, {}, results, {})


def test_disagreement_is_in_every_form_and_no_success() -> None:
    agree, apart = played(0.95, 0.01), played(0.95, 0.001)
    assert agree.whole
    assert agree.markdown().splitlines()[2] == "| teleport | state_fidelity | 0.933333 | 0.95 ± 0.01 | agree |"
    assert not apart.whole
    assert "native and other differ by 0.0167 > 0.004" in apart.markdown()
    assert "native and other differ by 0.0167 > 0.004" in apart.text()
    assert apart.data()["agree"] is False


def test_one_that_failed_is_told_and_no_success() -> None:
    whole = played(0.95, 0.01)
    failed = Played(
        whole.cases,
        whole.there,
        {},
        {key: result for key, result in whole.results.items() if key[1] == "native"},
        {("teleport", "other"): "it crashed"},
    )
    assert not failed.whole
    assert "| failed | not compared |" in failed.markdown()
    assert "- other, teleport: it crashed" in failed.markdown()
