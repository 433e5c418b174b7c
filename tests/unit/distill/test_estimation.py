"""Verdicts: real leakage is subtracted bit by bit, and a block that cannot be trusted gives no key."""

from __future__ import annotations

import dataclasses
import math

import pytest

from quoit.fabric.distill.estimation import Security, Verdict, judge_block
from quoit.fabric.distill.sifting import Tally

# The example of the one-decoy proof's public simulator with its model of error correction, f = 1.16.
KEY = Tally((8_100_000, 1_150_000), (42_000, 6_500))
TEST = Tally((900_000, 128_000), (9_300, 1_400))
MODEL_LEAK = 507_141
PUBLISHED_ELL = 3_924_923


def judge(key: Tally = KEY, test: Tally = TEST, **changes: object) -> Verdict:
    arguments = {
        "mu": (0.45, 0.15),
        "p_intensity": (0.7, 0.3),
        "parity_bits": MODEL_LEAK,
        "auth_bits": 0,
        "security": Security(eps_sec=1e-9, eps_cor=1e-15),
    }
    return judge_block(key, test, **(arguments | changes))


def test_with_the_models_leak_it_gives_the_published_length() -> None:
    verdict = judge()
    assert verdict.ok
    assert abs(verdict.ell_bits - PUBLISHED_ELL) <= 3
    assert verdict.phase_error == pytest.approx(0.03152287, rel=1e-6)
    assert verdict.qber == pytest.approx(48_500 / 9_250_000)
    assert verdict.leak_bits == MODEL_LEAK + math.ceil(math.log2(2e15))


def test_every_parity_costs_one_bit() -> None:
    assert judge(parity_bits=MODEL_LEAK + 1000).ell_bits == judge().ell_bits - 1000


@pytest.mark.parametrize(
    ("security", "mu", "p", "key", "test"),
    [
        (Security(proof="rusca2018"), (0.45, 0.15), (0.7, 0.3), KEY, TEST),
        (
            Security(eps_cor=1e-12, proof="lim2014"),
            (0.6, 0.2, 0.001),
            (0.8, 0.15, 0.05),
            Tally((9_100_000, 800_000, 9_000), (90_000, 9_000, 1_200)),
            Tally((910_000, 80_000, 900), (9_000, 900, 120)),
        ),
    ],
)
def test_older_proofs_give_their_published_lengths(
    security: Security, mu: tuple[float, ...], p: tuple[float, ...], key: Tally, test: Tally
) -> None:
    published = {"rusca2018": (4_058_873, 507_141), "lim2014": (5_404_362, 969_514)}[security.proof]
    verdict = judge(key, test, security=security, mu=mu, p_intensity=p, parity_bits=published[1])
    assert abs(verdict.ell_bits - published[0]) <= 3


def test_tags_are_paid_from_the_key() -> None:
    verdict = judge(auth_bits=1024)
    assert verdict.net_bits == verdict.ell_bits - 1024
    assert verdict.ell_bits == judge().ell_bits


@pytest.mark.parametrize("basis", ["key", "test"])
def test_a_qber_above_the_threshold_aborts_whatever_the_bound_says(basis: str) -> None:
    noisy = {
        "key": Tally(KEY.counts, (810_000, 115_000)),
        "test": Tally(TEST.counts, (90_000, 12_800)),
    }[basis]
    verdict = judge(**{basis: noisy})
    assert (verdict.ell_bits, verdict.net_bits, verdict.ok) == (0, 0, False)
    assert f"{basis} basis" in verdict.why
    assert "10.00%" in verdict.why
    assert "abort threshold" in verdict.why


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"key": Tally((0, 0), (0, 0))}, "no estimate"),
        ({"test": Tally((0, 0), (0, 0))}, "no estimate"),
        ({"key": Tally((900, 100), (5, 1))}, "larger block"),
        ({"parity_bits": 9_000_000}, "no secret key"),
        ({"auth_bits": 5_000_000}, "do not repay"),
    ],
)
def test_a_block_without_key_says_why(changes: dict[str, object], why: str) -> None:
    verdict = judge(**changes)
    assert not verdict.ok
    assert verdict.ell_bits == 0
    assert why in verdict.why


def test_a_smaller_epsilon_costs_key() -> None:
    strict = dataclasses.replace(Security(), eps_sec=1e-12)
    assert judge(security=strict).ell_bits < judge().ell_bits


def test_the_proof_must_fit_the_source() -> None:
    with pytest.raises(ValueError, match="lim2014 takes 3 intensities"):
        judge(security=Security(proof="lim2014"))
