"""Environments: where they are, which interpreter makes them, and that half of one is none."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from quoit.adapters.simulators.environments import (
    RECIPES,
    RECORD,
    VARIABLE,
    CannotInstall,
    Edition,
    Recipe,
    chosen,
    directory_of,
    install,
    installed,
    python_of,
)
from quoit.adapters.simulators.known import sequence
from quoit.engine.simulators.port import SimulatorFailed, Wait

HERE = sys.version_info[:2]
NEXT = (HERE[0], HERE[1] + 1)


def stand_in(directory: Path, name: str, does: str) -> None:
    """A command of this name."""
    directory.mkdir(exist_ok=True)
    file = directory / name
    file.write_text(f"#!/bin/sh\n{does}\n")
    file.chmod(0o755)


def recipe(*editions: Edition) -> Recipe:
    return Recipe("thing", "thing.py", editions, "small")


def test_the_option_comes_before_the_variable_before_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, "/v")
    assert directory_of(Path("/o")) == Path("/o")
    assert directory_of(None) == Path("/v")
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert directory_of(None) == tmp_path / "quoit" / "simulators"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert directory_of(None) == tmp_path / ".local" / "share" / "quoit" / "simulators"


def test_an_environment_that_is_not_there_or_half_made_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(SimulatorFailed, match="is not there; run: quoit simulators install sequence"):
        sequence(tmp_path).play(Wait(0.9, 0.1, 1.0), 1.0)
    (tmp_path / "sequence" / "bin").mkdir(parents=True)
    with pytest.raises(SimulatorFailed, match="was not finished; run: quoit simulators install sequence"):
        python_of(tmp_path, "sequence")
    assert installed(tmp_path, "sequence") is None
    (tmp_path / "sequence" / RECORD).write_text(json.dumps({"requirement": "sequence==9"}))
    assert python_of(tmp_path, "sequence") == tmp_path / "sequence" / "bin" / "python"
    assert installed(tmp_path, "sequence") == "sequence==9"


def test_an_interpreter_that_only_bears_the_name_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As version managers put commands on the path for versions that are not chosen."""
    stand_in(tmp_path / "path", "python-best", "echo 'not chosen' >&2; exit 127")
    stand_in(tmp_path / "path", "python-next", f'exec {sys.executable} "$@"')
    monkeypatch.setenv("PATH", str(tmp_path / "path"), prepend=":")
    names = ("python-best", "python-next")
    edition, python = chosen(recipe(Edition("thing==2", HERE, NEXT, names)), None)
    assert (edition.requirement, Path(python).name) == ("thing==2", "python-next")


def test_the_best_edition_that_an_interpreter_here_can_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stand_in(tmp_path, "python-here", f'exec {sys.executable} "$@"')
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    newer = Edition("thing==2", NEXT, (HERE[0], HERE[1] + 2), ("python-here",))
    older = Edition("thing==1", HERE, NEXT, ("python-here",))
    assert chosen(recipe(newer, older), None)[0].requirement == "thing==1"
    assert chosen(recipe(newer, older), sys.executable)[0].requirement == "thing==1"
    with pytest.raises(CannotInstall, match=r"expected Python .* for thing==2, found none in the search path"):
        chosen(recipe(newer), None)


def test_a_failed_installation_says_what_pip_said_and_leaves_no_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    nowhere = recipe(Edition("thing-that-is-nowhere==1", HERE, NEXT, ()))
    with pytest.raises(CannotInstall, match="thing-that-is-nowhere"):
        install(nowhere, tmp_path / "envs", sys.executable, lambda said: None)
    with pytest.raises(SimulatorFailed, match="was not finished"):
        python_of(tmp_path / "envs", "thing")


def test_an_environment_is_made_with_what_was_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A package of one file, from a directory, in an environment that knows nothing of ours."""
    source = tmp_path / "thing"
    source.mkdir()
    said: list[str] = []
    (source / "thing-1-py3-none-any.whl").write_bytes(wheel())
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(source))
    install(recipe(Edition("thing==1", HERE, NEXT, ())), tmp_path / "envs", sys.executable, said.append)
    assert installed(tmp_path / "envs", "thing") == "thing==1"
    assert python_of(tmp_path / "envs", "thing").exists()
    assert list((tmp_path / "envs" / "thing").glob("lib/python*/site-packages/thing.py"))
    assert not list((tmp_path / "envs" / "thing").glob("lib/python*/site-packages/msgspec*"))
    assert said[-1] == "thing: made"


def wheel() -> bytes:
    """The smallest one."""
    import io
    import zipfile

    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("thing.py", "")
        archive.writestr("thing-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1\n")
        archive.writestr("thing-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("thing-1.dist-info/RECORD", "")
    return held.getvalue()


def test_players_of_all_recipes_are_shipped() -> None:
    workers = Path(__file__).parents[3] / "src" / "quoit" / "adapters" / "simulators" / "workers"
    for each in RECIPES.values():
        assert (workers / each.player).is_file()
        assert "quoit" not in [line.split()[1].split(".")[0] for line in imports(workers / each.player)]
    assert "quoit" not in [line.split()[1].split(".")[0] for line in imports(workers / "worker.py")]


def imports(file: Path) -> list[str]:
    lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line.startswith(("import ", "from "))]
