"""One block from photons to key, as the two ends of a link do it, with nothing between them but arguments."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pytest

from quoit.engine.links.exact import ClickModel, draw_detections
from quoit.fabric.distill.amplification import amplify, seed_bits_needed
from quoit.fabric.distill.cascade import CascadeCorrector, CascadeReference, frames
from quoit.fabric.distill.estimation import Security, Verdict, judge_block
from quoit.fabric.distill.sifting import Basis, Sifted, Tally, sift_at_receiver, sift_at_sender, tally
from quoit.fabric.distill.verification import keys_agree, verification_hash

MU, P_MU = (0.5, 0.15), (0.6, 0.4)
SECURITY = Security(eps_sec=1e-9, eps_cor=1e-15, max_qber=0.06)


def least_leak(n: int, q: float, eps: float) -> float:
    """Second-order bound of one-way reconciliation (Tomamichel et al., arXiv:1401.5194)."""
    h = -q * math.log2(q) - (1 - q) * math.log2(1 - q)
    v = q * (1 - q) * math.log2((1 - q) / q) ** 2
    return n * h + math.sqrt(n * v) * NormalDist().inv_cdf(1 - eps) - math.log2(n) / 2


@dataclass
class Block:
    sender: Sifted
    receiver: Sifted
    corrected: np.ndarray
    parity_bits: int


def errors_of_test_basis(sender: Sifted, receiver: Sifted) -> Tally:
    mine, theirs = receiver.bits_in(Basis.X), sender.bits_in(Basis.X)
    return tally(mine, theirs, receiver.intensities_in(Basis.X), len(MU))


def exchange(seed: int, *, rounds_limit: int = 10_000, intercept_fraction: float = 0.0) -> Block:
    """Quantum phase, sifting and error correction; `rounds_limit` cuts each frame's Cascade short."""
    rng = np.random.default_rng(seed)
    sent, detected = draw_detections(
        5_000_000,
        ClickModel.two_detectors(MU, P_MU, eta=0.2, p_d=1e-6, e_d=0.015),
        p_z_sender=0.65,
        p_z_receiver=0.65,
        entropy=np.random.default_rng(seed + 1).bytes,
        rng=rng,
        intercept_fraction=intercept_fraction,
    )
    keep, sender = sift_at_sender(
        detected.indices,
        detected.bases,
        indices=sent.indices,
        bases=sent.bases,
        intensities=sent.intensities,
        bits=sent.bits,
    )
    receiver = sift_at_receiver(keep, sender.intensities, bases=detected.bases, bits=detected.bits)
    reference_bits, corrected = sender.bits_in(Basis.Z), receiver.bits_in(Basis.Z)
    parity_bits = 0
    guess = errors_of_test_basis(sender, receiver).error_rate
    for part in frames(len(corrected)):
        corrector = CascadeCorrector(corrected[part], guess, rng)
        reference = CascadeReference(reference_bits[part], corrector.plan)
        while not corrector.done and corrector.rounds < rounds_limit:
            corrector.receive(reference.answer(corrector.next_queries()))
        corrected[part] = corrector.corrected
        parity_bits += reference.leaked_bits
    return Block(sender, receiver, corrected, parity_bits)


def judge(block: Block) -> Verdict:
    receiver, sender = block.receiver, block.sender
    return judge_block(
        tally(receiver.bits_in(Basis.Z), block.corrected, receiver.intensities_in(Basis.Z), len(MU)),
        errors_of_test_basis(sender, receiver),
        mu=MU,
        p_intensity=P_MU,
        parity_bits=block.parity_bits,
        auth_bits=1024,
        security=SECURITY,
    )


@pytest.fixture(scope="module")
def block() -> Block:
    return exchange(seed=21)


def test_both_ends_get_the_same_secret_key(block: Block) -> None:
    alice = block.sender.bits_in(Basis.Z)
    assert not np.array_equal(alice, block.receiver.bits_in(Basis.Z))
    public = np.random.default_rng(77)
    check = public.bytes(32)
    announced = verification_hash(alice, check, SECURITY.eps_cor)
    assert keys_agree(block.corrected, check, SECURITY.eps_cor, announced)
    verdict = judge(block)
    assert verdict.ok, verdict.why
    matrix = public.bytes(seed_bits_needed(len(alice), verdict.ell_bits) // 8 + 1)
    at_alice = amplify(alice, matrix, verdict.ell_bits)
    at_bob = amplify(block.corrected, matrix, verdict.ell_bits)
    assert at_alice == at_bob
    assert len(at_alice) == verdict.ell_bits // 8 > 1000
    ones = int(np.unpackbits(np.frombuffer(at_alice.reveal(), np.uint8)).sum())
    assert abs(ones - 4 * len(at_alice)) < 5 * math.sqrt(2 * len(at_alice))


def test_the_leak_is_never_below_the_second_order_bound(block: Block) -> None:
    verdict = judge(block)
    n = len(block.corrected)
    assert verdict.leak_bits > block.parity_bits
    assert least_leak(n, verdict.qber, 1e-3) <= block.parity_bits <= 1.15 * least_leak(n, verdict.qber, 0.5)


def test_verification_sees_that_cascade_was_cut_short() -> None:
    broken = exchange(seed=22, rounds_limit=12)
    alice = broken.sender.bits_in(Basis.Z)
    wrong = int((alice != broken.corrected).sum())
    assert 0 < wrong < len(alice) // 100
    check = bytes(range(32))
    announced = verification_hash(alice, check, SECURITY.eps_cor)
    assert not keys_agree(broken.corrected, check, SECURITY.eps_cor, announced)


def test_intercept_resend_on_a_third_of_the_pulses_leaves_no_key() -> None:
    verdict = judge(exchange(seed=23, intercept_fraction=1 / 3))
    assert not verdict.ok
    assert verdict.qber == pytest.approx(0.015 + 1 / 12 * 0.97, abs=0.005)
    assert "abort threshold" in verdict.why
