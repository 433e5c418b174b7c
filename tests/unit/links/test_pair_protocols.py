"""BBM92 and E91 over circuits as a receiver sees them: telemetry, verdicts, refusals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from quoit.engine.links.pairs import measured
from quoit.engine.physics.bell_pairs import BellDiagonal, werner
from quoit.engine.program import state_of
from quoit.fabric.detection import promised_bell
from quoit.fabric.links.pairs import E91, BBM92Pairs
from quoit.fabric.links.profile import BUILT_IN, E91Profile, PairsProfile, with_overrides
from quoit.fabric.links.receiver import EMPTY, BlockVerdict, PairProtocol, RawBlock

BBM92, EKERT = BBM92Pairs(PairsProfile()), E91(E91Profile())


def block(protocol: BBM92Pairs | E91, pair: BellDiagonal, pairs: int = 300_000) -> RawBlock:
    states = np.tile(state_of(pair), (pairs, 1))
    counts = measured(protocol.settings(), states, 1.0, np.random.Generator(np.random.Philox(2)))
    return EMPTY.plus(counts, 10**9)


def verdict(protocol: BBM92Pairs | E91, pair: BellDiagonal, pairs: int = 300_000) -> BlockVerdict:
    return protocol.judge(block(protocol, pair, pairs))


@pytest.mark.realises("C1")
@pytest.mark.parametrize("protocol", [BBM92, EKERT])
def test_good_pairs_leave_whole_bytes_of_key_and_worse_ones_less(protocol: BBM92Pairs | E91) -> None:
    good, fair = verdict(protocol, werner(0.99)), verdict(protocol, werner(0.96))
    assert good.secret_bits > fair.secret_bits > 0
    assert good.secret_bits % 8 == 0
    assert good.secret_bits < good.sifted_bits - good.leak_bits
    assert good.why is None
    assert fair.qber == pytest.approx(0.04 * 2 / 3, abs=0.005)
    assert isinstance(protocol, PairProtocol)


@pytest.mark.parametrize("protocol", [BBM92, EKERT])
def test_a_block_above_the_ceiling_fails_and_says_how_high(protocol: BBM92Pairs | E91) -> None:
    failed = verdict(protocol, werner(0.84))
    assert failed.secret_bits == 0
    assert failed.qber > 0.08
    assert "above 0.08" in (failed.why or "")


@pytest.mark.parametrize("protocol", [BBM92, EKERT])
def test_no_pairs_and_too_few_pairs_leave_no_key(protocol: BBM92Pairs | E91) -> None:
    assert verdict(protocol, werner(1.0), 0).secret_bits == 0
    few = verdict(protocol, werner(1.0), 500)
    assert few.secret_bits == 0
    assert few.why


def test_e91_wants_s_above_the_classical_bound_whatever_the_errors_of_the_key_are() -> None:
    """Dephased pairs: Z results never differ, and no entanglement is left."""
    dephased = verdict(EKERT, BellDiagonal(0.5, 0.5, 0, 0))
    assert dephased.secret_bits == 0
    assert "not above 2" in (dephased.why or "")
    assert dephased.chsh == pytest.approx(2**0.5, abs=0.1)
    assert dephased.qber == pytest.approx(0.25, abs=0.02)  # D tells: the alarm is due
    strict = E91(replace(EKERT.profile, chsh_above=2.7))
    assert verdict(EKERT, werner(0.96)).secret_bits > 0
    assert "not above 2.7" in (verdict(strict, werner(0.96)).why or "")
    assert "NOT device-independent" in EKERT.security_label


def test_telemetry_shows_what_was_disclosed() -> None:
    for protocol, basis in ((BBM92, 1), (EKERT, 1)):
        counts = block(protocol, werner(0.94)).total
        side = len(protocol.settings().right)
        reading = protocol.reading(counts)
        place = 2 * (side * basis + basis)
        assert (reading.tested, reading.errors) == (counts[place], counts[place + 1])
        assert reading.raw == 300_000
        assert reading.sifted == counts[0] + reading.tested


@pytest.mark.realises("I2", "D1")
@pytest.mark.parametrize("fidelity", [1.0, 0.94, 0.8])
def test_rounds_of_the_bell_test_are_won_as_s_says(fidelity: float) -> None:
    """Five standard deviations of what is drawn; S = 2 sqrt2 (4 F - 1)/3 (Horodecki et al. 1995)."""
    played, won = EKERT.reading(block(EKERT, werner(fidelity)).total).games
    s = promised_bell(fidelity, 1.0) or 0.0
    assert s == pytest.approx(2 * 2**0.5 * (4 * fidelity - 1) / 3)
    share = (1 + s / 4) / 2
    assert won / played == pytest.approx(share, abs=5 * (share * (1 - share) / played) ** 0.5)
    assert BBM92.reading(block(BBM92, werner(fidelity)).total).games == ()


def test_a_promise_hardly_above_the_classical_bound_is_not_tested() -> None:
    assert promised_bell(0.78, 1.0) is None  # S = 2.00
    assert promised_bell(0.95, 0.7) is None
    assert promised_bell(0.95, 1.0) == pytest.approx(2.64, abs=0.01)


def test_a_block_is_full_by_its_key_results() -> None:
    small = BBM92Pairs(replace(BBM92.profile, block_bits=70_000))
    assert small.full(block(small, werner(1.0)))
    assert not small.full(block(small, werner(1.0), 200_000))


@pytest.mark.parametrize(
    ("base", "change", "complaint"),
    [
        ("bbm92-pairs", {"p_z": 1.0}, "p_z within"),
        ("bbm92-pairs", {"eps_sec": 0.0}, "eps_sec within"),
        ("bbm92-pairs", {"f_ec": 0.9}, "Shannon's limit"),
        ("bbm92-pairs", {"block_bits": 0}, "block_bits of 1"),
        ("bbm92-pairs", {"qber_abort": 0.6}, "qber_abort within"),
        ("bbm92-pairs", {"block_bits": "30_000"}, "block_bits: expected a number, found '30_000'"),
        ("e91-pairs", {"p_sender": [0.5, 0.5]}, "three probabilities"),
        ("e91-pairs", {"p_sender": [0.5, 0.5, 0.5]}, "sum to 1"),
        ("e91-pairs", {"p_sender": 0.5}, "p_sender: expected a list of numbers"),
        ("e91-pairs", {"p_receiver": [0.5, 0.3, 0.2]}, "last two of p_receiver alike"),
        ("e91-pairs", {"chsh_above": 1.9}, "classical bound"),
    ],
)
def test_profiles_that_no_key_could_be_made_with_are_refused(base: str, change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        made(base, change)


def made(base: str, change: dict[str, Any]) -> BBM92Pairs | E91:
    changed = with_overrides(BUILT_IN[base], change)
    if isinstance(changed, PairsProfile):
        return BBM92Pairs(changed)
    assert isinstance(changed, E91Profile)
    return E91(changed)
