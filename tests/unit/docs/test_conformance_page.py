"""The matrix of rows and tests is fresh, and its collector reads marks where pytest would."""

from __future__ import annotations

from pathlib import Path

import pytest

from quoit.testing.conformance import UnknownRow, collect, main, markdown
from quoit.testing.conformance_rows import ROWS, SECTIONS

ROOT = Path(__file__).parents[3]


def test_page_is_fresh() -> None:
    page = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
    assert page == markdown(collect(ROOT / "tests")), "stale: run `make docs`"


def test_every_row_has_a_section() -> None:
    assert {row[0] for row in ROWS} == set(SECTIONS)


def test_marks_on_functions_classes_and_modules(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "pytestmark = [pytest.mark.live, pytest.mark.realises('A1')]\n"
        "@pytest.mark.realises('C3', 'C8')\n"
        "async def test_one(): ...\n"
        "@pytest.mark.realises('I1')\n"
        "class TestMany:\n"
        "    def test_two(self): ...\n"
        "    def helper(self): ...\n",
        encoding="utf-8",
    )
    one, two = "test_it.py::test_one", "test_it.py::TestMany::test_two"
    assert collect(tmp_path) == {"A1": [one, two], "C3": [one], "C8": [one], "I1": [two]}


def test_a_row_without_test_is_open() -> None:
    page = markdown({"C3": ["x.py::test_x"]})
    assert f"| C3 | {ROWS['C3']} | `x.py::test_x` |" in page
    assert f"| F5 | {ROWS['F5']} | **open** |" in page


def test_an_unknown_row_is_refused_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "test_it.py"
    file.write_text("import pytest\n@pytest.mark.realises('Z9')\ndef test_one(): ...\n", encoding="utf-8")
    with pytest.raises(UnknownRow, match="'Z9'"):
        collect(tmp_path)
    assert main([str(tmp_path)]) == 1
    assert f"{file}:2: " in capsys.readouterr().err
