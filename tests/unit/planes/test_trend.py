"""Where an excursion of an error rate began."""

from __future__ import annotations

from quoit.planes.trend import LEARN, ErrorTrend


def learned() -> ErrorTrend:
    trend = ErrorTrend(0.11)
    assert not trend.add(LEARN, LEARN // 50, mark=4)
    assert trend.baseline == 0.02
    return trend


def test_the_excursion_begins_where_its_first_reading_began() -> None:
    trend = learned()
    assert not trend.add(10_000, 190, mark=7)
    assert trend.score == 0.0
    alarms = [trend.add(1_000, 60, mark) for mark in (9, 11, 13, 15)]
    assert any(alarms)
    assert trend.since == 7


def test_an_alarm_while_learning_trusts_nothing() -> None:
    trend = ErrorTrend(0.11)
    trend.add(600, 30, mark=3)
    assert trend.add(600, 300, mark=5)
    assert trend.since == 0


def test_what_was_passed_over_is_not_suspected_again() -> None:
    trend = learned()
    assert [trend.add(1_000, 100, mark) for mark in (5, 6)][-1]
    assert trend.since == 4
    trend.skip(20)
    trend.rearm()
    assert not trend.normal(1_000, 100)
    trend.add(1_000, 100, mark=21)
    assert trend.since == 20


def test_what_is_trusted_ends_with_the_last_good_reading() -> None:
    trend = learned()
    trend.add(10_000, 190, mark=7)
    assert trend.last_trusted == 7
    trend.add(300, 9, mark=9)
    assert trend.score > 0
    assert trend.last_trusted == 7
