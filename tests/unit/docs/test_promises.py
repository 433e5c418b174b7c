"""Each test that docs/promises.md names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")


def names_in(file: Path) -> set[str]:
    """Test functions of a file; those of classes, and those that they inherit from a contract, by `Class::name`."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    contract = ast.parse((ROOT / "src/quoit/testing/stores.py").read_text(encoding="utf-8"))
    bases = {c.name: c for c in contract.body if isinstance(c, ast.ClassDef)}
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            inherited = [bases[b.id] for b in node.bases if isinstance(b, ast.Name) and b.id in bases]
            for body in (node, *inherited):
                found |= {f"{node.name}::{f.name}" for f in body.body if isinstance(f, ast.FunctionDef)}
    return found


def test_every_promise_names_tests_that_there_are() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "promise | holds" not in line]
    assert len(rows) > 10
    for row in rows:
        named = re.findall(r"`(tests/[^`:]+)::([^`]+)`", row.split("|")[3])
        assert named, row
        for file, name in named:
            assert name in names_in(ROOT / file), f"{file} has no {name}"
