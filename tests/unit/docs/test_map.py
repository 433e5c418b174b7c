"""The pages that are generated say what their sources say now."""

from __future__ import annotations

from pathlib import Path

import pytest

from quoit.cli.atlas import elements, markdown
from quoit.testing.conformance_rows import ROWS

ROOT = Path(__file__).parents[3]


@pytest.mark.realises("A2")
def test_map_is_fresh() -> None:
    assert (ROOT / "docs" / "map.md").read_text(encoding="utf-8") == markdown(), "stale: run `make docs`"


def test_every_element_names_rows_that_there_are() -> None:
    named = {(kind.__name__, row) for kind in elements() for row in kind.realises}
    assert {(kind, row) for kind, row in named if row not in ROWS} == set()
    assert [kind.__name__ for kind in elements() if not kind.realises] == []
