"""The lock holds every declared dependency with its hashes, and names no host that packages come from."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")


def normal(requirement: str) -> str:
    """A package's name as registries compare it."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None
    return re.sub(r"[-_.]+", "-", name.group()).lower()


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"].values()
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    return {normal(requirement) for requirement in wanted + [r for extra in extras for r in extra]}


def test_every_declared_dependency_is_locked() -> None:
    locked = {normal(line) for line in LOCK.splitlines() if re.match(r"[a-z0-9]", line)}
    assert declared() - locked == set(), "run `make lock`"


def test_every_locked_package_has_hashes_and_no_address() -> None:
    for entry in re.findall(r"^[a-z0-9].*(?:\n    .*)*", LOCK, re.MULTILINE):
        assert "--hash=sha256:" in entry, entry
    assert "://" not in LOCK
    assert "--index-url" not in LOCK
