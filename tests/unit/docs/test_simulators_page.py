"""docs/simulators.md says of quoit's own simulator what it gives now, of every case, and hides no disagreement.

The other columns are of the machine and the day that made the page: `quoit simulators compare --markdown`.
"""

from __future__ import annotations

from pathlib import Path

from quoit.cli.simulators import cell_of
from quoit.engine.simulators.native import NativeSimulator
from quoit.engine.simulators.port import KINDS
from quoit.engine.simulators.suite import CASES

PAGE = (Path(__file__).parents[3] / "docs" / "simulators.md").read_text(encoding="utf-8")
GENERATED = PAGE.partition("<!-- compare -->")[2].partition("<!-- /compare -->")[0]


def rows() -> list[list[str]]:
    lines = [line for line in GENERATED.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_figure_of_every_case_is_there_with_what_quoit_gives() -> None:
    native = NativeSimulator()
    expected = []
    for case in CASES:
        found = native.play(case.scenario, 60.0)
        expected += [[case.name, figure, cell_of(found.figures[figure])] for figure in KINDS[found.kind].figures]
    head, *body = rows()
    assert head[2].startswith("native ")
    assert [row[:3] for row in body] == expected


def test_a_verdict_says_agree_where_two_simulators_gave_the_figure_and_only_there() -> None:
    for case, figure, *cells, verdict in rows()[1:]:
        given = sum(cell != "-" for cell in cells)
        assert verdict == ("agree" if given > 1 else "not compared"), (case, figure)


def test_the_page_was_made_with_both_other_simulators() -> None:
    head = rows()[0]
    assert any(cell.startswith("sequence ") for cell in head)
    assert any(cell.startswith("qunetsim ") for cell in head)
    assert "\nFailed:" not in GENERATED
    assert "\nNot there:" not in GENERATED


def test_all_kinds_are_explained() -> None:
    for kind, scenario in KINDS.items():
        figures = ", ".join(f"`{name}`" for name in scenario.figures)
        assert any(line.startswith(f"| `{kind}` |") and line.endswith(f"| {figures} |") for line in PAGE.splitlines())
