"""Acceptance cases of every registered formula, with full digits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from quoit.testing.formulas import FORMULAS

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "vectors.json").read_text())


def _assert_close(found: Any, expected: Any, case: dict[str, Any]) -> None:
    if isinstance(expected, dict):
        assert set(found) == set(expected)
        for name, value in expected.items():
            _assert_close(found[name], value, case)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, value in zip(found, expected, strict=True):
            _assert_close(one, value, case)
    elif isinstance(expected, bool):
        assert found is expected
    else:
        assert found == pytest.approx(expected, rel=case["rtol"], abs=case["atol"])


@pytest.mark.realises("F1")
@pytest.mark.parametrize("case", CASES, ids=[c["id"] for c in CASES])
def test_formula_gives_the_published_number(case: dict[str, Any]) -> None:
    _assert_close(FORMULAS[case["formula"]](**case["inputs"]), case["expected"], case)


def test_every_formula_has_a_case() -> None:
    assert {c["formula"] for c in CASES} == set(FORMULAS)
