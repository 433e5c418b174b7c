"""Environments of other simulators: one directory a simulator, each with an interpreter and packages of its own.

They lie in `--dir`, in the directory that QUOIT_SIMULATORS names, or in ~/.local/share/quoit/simulators. What a
simulator needs never enters our own environment, whose versions it might not bear.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from quoit.engine.simulators.port import SimulatorFailed

VARIABLE = "QUOIT_SIMULATORS"
RECORD = "quoit-simulator.json"
"""Written last: an environment without it was never finished."""
INSTALL_S = 3600

Version = tuple[int, int]
Say = Callable[[str], None]


class CannotInstall(Exception):
    """An environment that could not be made; says why and what may help."""


@dataclass(frozen=True, slots=True)
class Edition:
    """What is installed with an interpreter from `oldest` up to, not including, `too_new`."""

    requirement: str
    oldest: Version
    too_new: Version
    interpreters: tuple[str, ...]
    """Names to look for, the best first."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a simulator's environment is made: its editions, the best first. `player` is a file in `workers`."""

    name: str
    player: str
    editions: tuple[Edition, ...]
    about: str


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "sequence",
            "sequence_player.py",
            (
                Edition("sequence==1.3.1", (3, 12), (3, 15), ("python3.12", "python3.13", "python3.14", "python3")),
                Edition("sequence==0.8.5", (3, 11), (3, 12), ("python3.11", "python3")),
            ),
            "SeQUeNCe, about 800 MB",
        ),
        Recipe(
            "qunetsim",
            "qunetsim_player.py",
            (
                Edition(
                    "qunetsim==0.1.3.post1", (3, 11), (3, 13), ("python3.11", "python3.12", "python3")
                ),
            ),
            "QuNetSim with EQSN, about 360 MB",
        ),
    )
}  # fmt: skip


def directory_of(option: Path | None) -> Path:
    """Where the environments are: the option, the variable, or the user's data directory."""
    if option is not None:
        return option
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "quoit" / "simulators"


def python_of(environments: Path, name: str) -> Path:
    """The interpreter of a simulator's environment. SimulatorFailed if the environment was not made."""
    here = environments / name
    if not (here / RECORD).is_file():
        state = "was not finished" if here.exists() else "is not there"
        raise SimulatorFailed(
            f"{name}: its environment {here} {state}; run: quoit simulators install {name} --dir {environments}"
        )
    return here / "bin" / "python"


def installed(environments: Path, name: str) -> str | None:
    """What was installed for a simulator, as pip names it; None if its environment was not made."""
    try:
        record = json.loads((environments / name / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return str(record.get("requirement"))


def install(recipe: Recipe, environments: Path, python: str | None, say: Say) -> None:
    """Make a simulator's environment anew. `python`: the interpreter to use, instead of the best one found.
    CannotInstall if there is none that fits, or if pip fails."""
    edition, interpreter = chosen(recipe, python)
    here = environments / recipe.name
    shutil.rmtree(here, ignore_errors=True)
    here.parent.mkdir(parents=True, exist_ok=True)
    say(f"{recipe.name}: {edition.requirement} with {interpreter} in {here} ({recipe.about})")
    _run([interpreter, "-m", "venv", str(here)], "making the environment")
    pip = [str(here / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*pip, edition.requirement], f"installing {edition.requirement}")
    record = {"requirement": edition.requirement, "interpreter": interpreter}
    (here / RECORD).write_text(json.dumps(record) + "\n", encoding="utf-8")
    say(f"{recipe.name}: made")


def chosen(recipe: Recipe, python: str | None) -> tuple[Edition, str]:
    """The best edition that an interpreter here can run. CannotInstall if there is none."""
    for edition in recipe.editions:
        for name in (python,) if python is not None else edition.interpreters:
            found = shutil.which(name)
            version = None if found is None else _version(found)
            if found is not None and version is not None and edition.oldest <= version < edition.too_new:
                return edition, found
    wanted = " or ".join(
        f"Python {e.oldest[0]}.{e.oldest[1]} to {e.too_new[0]}.{e.too_new[1] - 1} for {e.requirement}"
        for e in recipe.editions
    )
    looked = python or "the search path"
    raise CannotInstall(f"{recipe.name}: expected {wanted}, found none in {looked}; name one by --python")


def _version(python: str) -> Version | None:
    """Of an interpreter that runs; None of what only bears the name, such as a version manager's stand-in."""
    ask = "import sys, venv; print(*sys.version_info[:2])"
    try:
        said = subprocess.run([python, "-E", "-c", ask], capture_output=True, text=True, timeout=60, check=True).stdout
        major, minor = said.split()
        return int(major), int(minor)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def _run(command: Sequence[str], doing: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise CannotInstall(f"{doing}: {fault}") from fault
    if done.returncode:
        said = "\n  ".join((done.stderr or done.stdout).strip().splitlines()[-8:])
        raise CannotInstall(f"{doing}: {command[0]} ended with {done.returncode}:\n  {said}")
