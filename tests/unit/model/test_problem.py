"""The table of problems, and that the product names no code outside it."""

from __future__ import annotations

import ast
import copy
import pickle
from pathlib import Path

import pytest

import quoit
from quoit.model.problem import PROBLEMS, Blame, Problem, Row

NORMATIVE = {
    "size-not-multiple-of-8": "size shall be a multiple of 8",
    "mandatory-extension-unsupported": "not all extension_mandatory parameters are supported",
    "mandatory-extension-unmet": "not all extension_mandatory request options could be met",
    "optional-extension-refused": "not all extension_optional request options handled",
    "key-not-found": "one or more keys specified are not found on KME",
}


def _codes_in_product() -> set[tuple[str, str]]:
    root = Path(quoit.__file__).parent
    found = set()
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Problem":
                code = node.args[0] if node.args else None
                if isinstance(code, ast.Constant):
                    found.add((f"{path.relative_to(root)}:{node.lineno}", str(code.value)))
    return found


@pytest.mark.realises("C3")
@pytest.mark.parametrize(("code", "title"), NORMATIVE.items())
def test_titles_that_etsi_014_fixes(code: str, title: str) -> None:
    assert PROBLEMS[code].title == title
    assert PROBLEMS[code].status == 400


@pytest.mark.parametrize("row", PROBLEMS.values(), ids=PROBLEMS.keys())
def test_rows_are_whole(row: Row) -> None:
    code, title, status, blame, mend = row
    assert code == code.lower()
    assert title
    assert mend
    assert 400 <= status <= 599
    assert blame in Blame
    # what the caller can mend is not told as the server's failure, but for rates: those come back by waiting
    assert (blame is Blame.CALLER) == (status < 500) or code in ("rate-exceeded", "bad-transition")


def test_a_foreign_unit_reads_like_one_that_does_not_exist() -> None:
    unknown, foreign = PROBLEMS["unknown-unit"], PROBLEMS["foreign-unit"]
    assert unknown[1:] == foreign[1:]


def test_every_code_in_the_product_is_in_the_table() -> None:
    calls = _codes_in_product()
    assert len(calls) > 20
    assert [where for where, code in sorted(calls) if code not in PROBLEMS] == []


def test_unknown_codes_are_refused() -> None:
    with pytest.raises(KeyError):
        Problem("no-such-code")


def test_the_wire_keeps_everything() -> None:
    problem = Problem("not-admitted", "at most 2 kbit/s", offered_bps=2000.0, code="a field", detail=1)
    for again in (Problem.from_dict(problem.to_dict()), pickle.loads(pickle.dumps(problem)), copy.copy(problem)):
        assert again.to_dict() == problem.to_dict()
        assert again.row is PROBLEMS["not-admitted"]
        assert str(again) == str(problem) == "not-admitted: at most 2 kbit/s"


def test_a_code_of_a_newer_peer_still_gets_an_answer() -> None:
    problem = Problem.from_dict({"code": "from-the-future", "detail": "why", "fields": {"x": 1}})
    assert problem.code == "internal"
    assert "from-the-future" in problem.detail


def test_without_detail_the_title_speaks() -> None:
    assert str(Problem("no-route")) == f"no-route: {PROBLEMS['no-route'].title}"


def test_fields_do_not_change() -> None:
    with pytest.raises(TypeError):
        Problem("no-route", "", a=1).fields["a"] = 2  # type: ignore[index]
