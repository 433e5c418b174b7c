"""The table of metrics, and that elements write what it says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import quoit
from quoit.model.metric import METRICS, Kind, MetricRow

VERBS = {"count": Kind.COUNTER, "gauge": Kind.GAUGE, "observe": Kind.HISTOGRAM}
SUFFIXES = {"bit/s": "_bps", "bit": "_bits", "dB": "_db", "s": "_seconds"}


def _writes() -> Iterator[tuple[str, str, str, int | None]]:
    """(place, verb, metric, number of labels where it can be read off) of all writes in the product."""
    root = Path(quoit.__file__).parent
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
                continue
            name = node.args[0]
            if node.func.attr in VERBS and isinstance(name, ast.Constant) and str(name.value).startswith("quoit_"):
                labels = node.args[1] if len(node.args) > 1 else ast.Tuple([])
                number = len(labels.elts) if isinstance(labels, ast.Tuple) else None
                yield f"{path.relative_to(root)}:{node.lineno}", node.func.attr, str(name.value), number


@pytest.mark.realises("I2")
def test_elements_write_what_the_table_says() -> None:
    writes = list(_writes())
    assert len(writes) > 10
    for place, verb, name, labels in writes:
        assert name in METRICS, place
        assert METRICS[name].kind is VERBS[verb], place
        assert labels in (None, len(METRICS[name].labels)), place


def test_nothing_in_the_table_is_never_written() -> None:
    root = Path(quoit.__file__).parent
    text = "".join(p.read_text("utf-8") for p in root.rglob("*.py") if p.name != "metric.py")
    assert [name for name in METRICS if f'"{name}"' not in text] == []


@pytest.mark.parametrize("row", METRICS.values(), ids=METRICS.keys())
def test_names_follow_prometheus(row: MetricRow) -> None:
    assert re.fullmatch(r"quoit_[a-z][a-z_]*[a-z]", row.name)
    assert row.name.endswith("_total") == (row.kind is Kind.COUNTER)
    assert row.help
    assert len(set(row.labels)) == len(row.labels)
    assert not set(row.labels) & {"le", "quantile", "job", "instance"}  # Prometheus' own
    suffix = SUFFIXES.get(row.unit, "")
    assert suffix in row.name
