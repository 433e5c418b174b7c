"""Each parser under a fuzzer for a few seconds; `make fuzz` gives each a minute (S6)."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from targets import TARGETS

from quoit.model.problem import Problem
from quoit.testing.leaks.watch import VARIABLE

pytestmark = pytest.mark.trial
RUN = Path(__file__).parent / "run.py"
SECONDS = 3
needs_atheris = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris is not installed (it is for Linux, Python below 3.14)"
)


def fuzz(target: str, what: str, directory: Path) -> subprocess.CompletedProcess[str]:
    # What a parser makes secrets of here is the fuzzer's own input, which it writes to files: no search for that.
    unsearched = {name: value for name, value in os.environ.items() if name != VARIABLE}
    return subprocess.run(
        [sys.executable, str(RUN), target, what, str(directory)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=unsearched,
    )


@needs_atheris
@pytest.mark.parametrize("target", TARGETS)
def test_s6_a_fuzzer_finds_no_bytes_that_break_a_parser(tmp_path: Path, target: str) -> None:
    done = fuzz(target, str(SECONDS), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []
    runs = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    assert runs is not None
    assert int(runs[1]) > 100


@pytest.mark.parametrize("target", TARGETS)
def test_seeds_are_of_both_kinds(target: str) -> None:
    """The fuzzer begins with inputs that are parsed to their end, and with such as are refused."""
    outcomes = [TARGETS[target].call(seed) for seed in TARGETS[target].seeds]
    assert any(isinstance(outcome, Exception) for outcome in outcomes)
    assert not all(isinstance(outcome, Exception) for outcome in outcomes)


def test_another_error_than_the_documented_one_is_a_find(monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(*_: object) -> None:
        raise Problem("internal")

    monkeypatch.setattr("targets.parse_open", parse)
    with pytest.raises(AssertionError):
        TARGETS["unit_body"].call(b"{}")
    monkeypatch.setattr("targets.parse_open", lambda *_: {}["no such member"])
    with pytest.raises(KeyError):
        TARGETS["unit_body"].call(b"{}")


def test_make_fuzz_knows_every_target() -> None:
    makefile = (RUN.parents[2] / "Makefile").read_text()
    named = re.search(r"^FUZZ_TARGETS := (.*)$", makefile, re.MULTILINE)
    assert named is not None
    assert named[1].split() == list(TARGETS)
