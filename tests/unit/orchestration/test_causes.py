"""Reckoning with error rates: what noise, loss and eavesdroppers make of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quoit.connectivity.api import CLASSICAL, LIT, OFF, ChannelReading, ChannelRow, SpanRow
from quoit.orchestration.loops.causes import (
    Cause,
    Optics,
    Suspect,
    judge,
    more_loss_db,
    raised_by,
    share_of,
    strangers,
    worth,
)
from quoit.planes.noise_clicks import qber_with

OPTICS = Optics(gate_s=1e-10, photons=0.4)
LOSS_DB = 7.0


def light(share: float, name: str = "otn") -> Suspect:
    """A channel whose noise makes so many clicks for each one of the signal."""
    return Suspect(name, f"{name} is lit", share * OPTICS.photons * 10 ** (-LOSS_DB / 10) / OPTICS.gate_s, name)


def test_noise_at_the_receiver_weighs_as_the_signal_falls() -> None:
    assert share_of(1e6, 10.0, OPTICS) == pytest.approx(10 * share_of(1e6, 0.0, OPTICS))
    assert share_of(light(0.3).noise_hz, LOSS_DB, OPTICS) == pytest.approx(0.3)


@pytest.mark.parametrize(("there", "cause"), [(1.0, Cause.LIGHT), (0.6, Cause.LIGHT), (0.3, Cause.UNEXPLAINED)])
def test_light_must_explain_the_rise_to_be_its_cause(there: float, cause: Cause) -> None:
    verdict = judge(qber_with(0.025, 0.2), 0.025, (light(0.2 * there),), LOSS_DB, OPTICS, 0.0, ())
    assert verdict.cause is cause
    assert verdict.explained == pytest.approx(there)
    assert cause is Cause.LIGHT or "light explains 30 %" in verdict.text


def test_several_lights_add_up_and_the_strongest_is_named_first() -> None:
    lights = (light(0.05, "weak"), light(0.15, "strong"))
    verdict = judge(qber_with(0.025, 0.2), 0.025, lights, LOSS_DB, OPTICS, 0.0, ())
    assert [s.name for s in verdict.suspects] == ["strong", "weak"]
    assert verdict.explained == pytest.approx(1.0)


def test_more_loss_explains_no_more_than_all_errors_being_dark_counts() -> None:
    assert judge(0.03, 0.02, (), LOSS_DB, OPTICS, 3.0, ("main",)).cause is Cause.LOSS
    assert judge(0.05, 0.02, (), LOSS_DB, OPTICS, 3.0, ("main",)).cause is Cause.UNEXPLAINED
    assert judge(0.03, 0.02, (), LOSS_DB, OPTICS, 0.0, ()).cause is Cause.UNEXPLAINED


def test_without_optics_light_that_changed_is_the_cause_and_is_said_not_to_be_compared() -> None:
    verdict = judge(0.1, 0.02, (light(0.001),), LOSS_DB, None, 0.0, ())
    assert (verdict.cause, verdict.explained) == (Cause.LIGHT, None)


def row(launch_dbm: float | None, spans: tuple[str, ...] = ("main",), mhz: int = 194_000_000) -> ChannelRow:
    return ChannelRow("otn", CLASSICAL, "a", spans, mhz, 50_000, launch_dbm, LIT if launch_dbm is not None else OFF)


def test_what_of_a_channel_is_new() -> None:
    assert raised_by(None, row(0.0), ("main",)) == 1.0
    assert raised_by(row(None), row(0.0), ("main",)) == 1.0
    assert raised_by(row(-3.0103), row(0.0), ("main",)) == pytest.approx(0.5, abs=1e-5)
    assert raised_by(row(0.0), row(-3.0), ("main",)) == 0.0
    assert raised_by(row(0.0), row(0.0, ("main", "far")), ("main",)) == 1.0
    assert raised_by(None, row(0.0), ("elsewhere",)) == 0.0
    assert raised_by(row(0.0), row(None), ("main",)) == 0.0


def test_light_that_nobody_ordered_is_what_is_above_plan() -> None:
    def seen(channel: str | None, dbm: float | None, planned: float | None, span: str = "main") -> ChannelReading:
        return ChannelReading(channel, span, "b", 194_000_000, dbm, planned, 30.0)

    rows = (seen(None, -10.0, None), seen("x", -7.0, -10.0), seen("y", -9.5, -10.0), seen("z", None, -10.0),
            seen(None, -10.0, None, "other"))  # fmt: skip
    found = strangers(rows, ("main",))
    assert [line.channel for line in found] == [None, "x"]
    assert found[1].dbm == pytest.approx(-10.0206, abs=1e-3)  # 0.2 mW seen, 0.1 mW ordered


def test_loss_counts_above_what_meters_resolve() -> None:
    rows = (SpanRow("main", "a", "b", 5.0, 5.05, "lit"), SpanRow("far", "b", "c", 5.0, 6.5, "lit"),
            SpanRow("dark", "b", "c", 5.0, None, "dark"))  # fmt: skip
    assert more_loss_db(rows, ("main", "far", "dark")) == (1.5, ("far",))


@given(st.floats(0.0, 0.5), st.floats(0.0, 40.0))
def test_a_link_is_worth_less_with_more_errors_and_more_loss(qber: float, loss_db: float) -> None:
    assert 0 <= worth(qber, loss_db) <= 1
    assert worth(qber, loss_db + 1) <= worth(qber, loss_db)
    assert worth(min(0.5, qber + 0.01), loss_db) <= worth(qber, loss_db)
