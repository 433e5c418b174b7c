"""When an optical domain is found wanting by what test light shows, and how surely."""

from __future__ import annotations

from math import exp, inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quoit.connectivity.api import Excess, Member, WayTested
from quoit.orchestration.loops.domains import CHANCE, Benchmark, Judged, Series, judge, too_few, too_many

BENCH = Benchmark("north", ("a", "b"), frozenset(), 1_000, 3, 3, 0.5, 2.0, 1_000, 10, 30)
CENTRE = 193_100_000


def poisson(mean: float, most: int) -> list[float]:
    """P(K = k) for k of 0 to `most`."""
    terms = [exp(-mean)]
    for k in range(1, most + 1):
        terms.append(terms[-1] * mean / k)
    return terms


@given(st.floats(0.5, 80.0), st.integers(0, 250))
def test_a_figure_is_missed_by_chance_no_more_often_than_was_said(mean: float, counted: int) -> None:
    terms = poisson(mean, 250)
    if too_few(counted, mean):
        assert sum(terms[: counted + 1]) <= CHANCE + 1e-12
    if too_many(counted, mean):
        assert sum(terms[counted:]) <= CHANCE + 1e-9


@given(st.floats(20.0, 100.0))
def test_what_is_expected_is_never_missed_and_nothing_and_much_always_are(mean: float) -> None:
    assert not too_few(int(mean) + 1, mean)
    assert not too_many(int(mean), mean)
    assert too_few(0, mean)
    assert too_many(10_000, mean)


def way(loss_db: float = 4.0, latency_ns: int = 100_000, noise_hz: float = 0.0) -> Member:
    return Member("a", "b", loss_db, latency_ns, 0, (), (CENTRE,), (noise_hz,))


def counted(clicks: int, dark: int = 10, delay_ns: int | None = 100_000, ends_db: float = 0.0) -> WayTested:
    """Of light that gives 10,000 clicks without any loss; 0.1 s without light, 100 dark counts a second."""
    return WayTested("north", "a", "b", 10_000.0, clicks, dark, 10**8, 0.1, 100.0, delay_ns, ends_db, ends_db / 2)


AS_TOLD = round(10_000 * 10**-0.4)
AT_EDGE = round(10_000 * 10**-0.45)


@pytest.mark.parametrize(
    ("told", "seen", "missed", "kept"),
    [
        (way(), counted(AS_TOLD), (), True),
        (way(), counted(AT_EDGE), (), False),  # neither is sure
        (way(), counted(round(AT_EDGE * 0.9)), ("loss",), False),
        (way(), counted(0, delay_ns=None), ("loss",), False),
        (way(2.0), counted(AS_TOLD, ends_db=2.0), (), True),  # switches at the ends are not the way's
        (way(), counted(AS_TOLD, dark=60), ("noise",), False),
        (way(noise_hz=3_000.0), counted(AS_TOLD, dark=60), (), True),  # it is announced
        (way(), counted(AS_TOLD, delay_ns=101_001), ("latency",), False),
        (way(), counted(0, dark=60, delay_ns=None), ("loss", "noise"), False),
    ],
)
def test_what_is_missed_and_what_is_kept(told: Member, seen: WayTested, missed: tuple[str, ...], kept: bool) -> None:
    found = judge(BENCH, told, seen, CENTRE)
    assert (found.missed, found.kept) == (missed, kept)


def test_excess_is_what_was_lost_more_than_announced() -> None:
    assert judge(BENCH, way(), counted(AS_TOLD // 2), CENTRE).excess_db == pytest.approx(3.01, abs=0.01)
    assert judge(BENCH, way(), counted(0), CENTRE).excess_db == inf


def test_series_are_of_one_figure_of_one_way_and_in_a_row() -> None:
    good = Judged("a", "b", (), True, 0.0)
    dim, loud = Judged("a", "b", ("loss",), False, 3.0), Judged("a", "b", ("noise",), False, 0.0)
    other = Judged("a", "c", ("loss",), False, 5.0)
    series = Series()
    series.note((dim,))
    series.note((loud,))  # another figure
    series.note((other,))  # another way
    assert series.worst()[3] == 1
    for db in (4.0, 9.0, 5.0):
        series.note((Judged("a", "b", ("loss",), False, db), good))
    assert series.worst() == ("a", "b", "loss", 3)
    assert series.lost() == (Excess("a", "b", 5.0),)  # the median
    series.note((good,))
    assert (series.worst()[3], series.kept, series.lost()) == (0, 1, ())
    series.note((Judged("a", "b", (), False, 0.4),))  # not sure: the series of good ones ends, too
    assert series.kept == 0
    series.note(())
    assert series.kept == 0


def test_a_way_that_is_dark_is_no_excess_to_reckon_with() -> None:
    series = Series()
    for _ in range(3):
        series.note((Judged("a", "b", ("loss",), False, inf),))
    assert series.worst()[3] == 3
    assert series.lost() == ()
