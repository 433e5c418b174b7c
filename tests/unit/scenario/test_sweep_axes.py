"""Axes: values between two ends, columns in tables, paths into a base."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quoit.model.quantity import parse_duration_ns, parse_length_km
from quoit.scenario.sweep.axes import Axis, PathFault, changed, located, spread


@pytest.mark.parametrize(
    ("start", "to", "steps", "log", "values"),
    [
        (1, 4, 4, False, (1, 2, 3, 4)),
        (1, 2, 3, False, (1.0, 1.5, 2.0)),
        (4, 1, 4, False, (4, 3, 2, 1)),
        (1, 1000, 4, True, (1, 10, 100, 1000)),
        (0.1, 0.4, 4, False, (0.1, 0.2, 0.3, 0.4)),
        ("10 km", "40 km", 3, False, ("10 km", "25 km", "40 km")),
        ("1 ms", "100 ms", 3, True, ("1 ms", "10 ms", "100 ms")),
        ("1 us", "10 us", 3, True, ("1 us", "3.162 us", "10 us")),
        ("1 ns", "2 ns", 3, False, ("1 ns", "2 ns", "2 ns")),
    ],
)
def test_values_between_two_ends(start: object, to: object, steps: int, log: bool, values: tuple[object, ...]) -> None:
    found = spread(start, to, steps, log)
    assert found == values
    assert [type(value) for value in found] == [type(value) for value in values]


@pytest.mark.parametrize("ends", [("1 km", "2 m"), (1, "2 km"), ("a", "b"), (True, 2), ("1", "2"), (3, 3), (None, 1)])
def test_ends_that_no_steps_lead_between(ends: tuple[object, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        spread(*ends, 3, False)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 10**6), st.integers(1, 10**6), st.integers(2, 9), st.booleans(), st.sampled_from(["us", "s", "h"])
)
def test_durations_between_two_ends_are_whole_and_in_order(a: int, b: int, steps: int, log: bool, unit: str) -> None:
    if a == b:
        return
    found = [parse_duration_ns(value) for value in spread(f"{a} {unit}", f"{b} {unit}", steps, log)]
    assert found == sorted(found, reverse=a > b)
    assert (found[0], found[-1]) == (parse_duration_ns(f"{a} {unit}"), parse_duration_ns(f"{b} {unit}"))


@pytest.mark.parametrize(
    ("values", "column", "cells"),
    [
        (("10 km", "500 m"), "x_km", (10.0, 0.5)),
        (("1 m", "2 m"), "x_m", (1.0, 2.0)),
        (("1 s", "2 min"), "x_s", (1.0, 120.0)),
        (("8 kbit/s", "1 Mbit/s"), "x_kbit_per_s", (8.0, 1000.0)),
        (("1 µs", "1 ms"), "x_us", (1.0, 1000.0)),
        (("1 km", "2 s"), "x", ("1 km", "2 s")),
        ((1, 2.5), "x", (1, 2.5)),
        ((True, False), "x", (True, False)),
        ((True, 1), "x", ("True", "1")),
        (("a", None, [1]), "x", ("a", "None", "[1]")),
    ],
)
def test_columns_tell_the_unit_and_cells_are_numbers(
    values: tuple[object, ...], column: str, cells: tuple[object, ...]
) -> None:
    axis = Axis("x", values)
    assert (axis.column, axis.cells()) == (column, cells)
    plotted = axis.numbers()
    assert (plotted is not None) == all(type(cell) in (int, float) for cell in cells)


def test_cells_are_what_the_network_file_reads() -> None:
    axis = Axis("x", ("10 km", "500 m", "0.25 km"))
    assert axis.cells() == tuple(parse_length_km(value) for value in axis.values)


def test_paths_name_entries_by_index_and_by_name() -> None:
    base = {"spans": [{"between": ["a", "b"]}, {"name": "loop", "between": ["a", "c"]}], "apps": [{"sae": "x"}], "n": 1}
    assert located(base, "spans.a--b.length") == ("spans", 0, "length")
    assert located(base, "spans.loop.length") == ("spans", 1, "length")
    assert located(base, "spans.1.length") == ("spans", 1, "length")
    assert located(base, "apps.x.rate") == ("apps", 0, "rate")
    assert located(base, "policies.key_size") == ("policies", "key_size")
    for path in ("spans.2.length", "spans.b--a.length", "n.more"):
        with pytest.raises(PathFault, match=path.split(".")[1]):
            located(base, path)


def test_a_change_leaves_the_base_as_it_was() -> None:
    base = {"spans": [{"length": 1}, {"length": 2}], "name": "x"}
    found = changed(changed(base, ("spans", 1, "length"), 9), ("policies", "key_size"), 8)
    assert found == {"spans": [{"length": 1}, {"length": 9}], "name": "x", "policies": {"key_size": 8}}
    assert base == {"spans": [{"length": 1}, {"length": 2}], "name": "x"}
