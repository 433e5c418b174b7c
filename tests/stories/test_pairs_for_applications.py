"""Applications ask the link service for pairs, through the interface that a program uses, in virtual time."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable
from typing import Any

import pytest
from pair_stage import BOSTON

from quoit.sdk import PairsLost, Refusal, VirtualNetwork, virtual_network

EXAMPLE = "link_service.py"


def network(seed: int = 1, text: str = BOSTON) -> VirtualNetwork:
    net = virtual_network(text, seed)
    net.run_for(0.5)
    return net


def play(*programs: Awaitable[Any]) -> list[Any]:
    async def together() -> list[Any]:
        return list(await asyncio.gather(*programs))

    return asyncio.run(together())


@pytest.mark.realises("B5", "D1")
def test_a_kept_pair_is_operated_on_at_both_ends() -> None:
    """Results in Z are equal; at F > 0.95 an error is rarer than 4 %: 3 of 12 are one in 10^4."""
    net = network()
    alice, bob = net.application("alice"), net.application("bob")
    errors = 0

    async def story() -> None:
        nonlocal errors
        await bob.receive_pairs("alice", 3)
        create_id = await alice.create_pairs("bob", number=12, fidelity=0.95, purpose=3, consecutive=True, within_s=9)
        for turn in range(12):
            own, other = await alice.next_pairs(), await bob.next_pairs()
            assert (own.create_id, other.create_id) == (create_id, create_id)
            assert (own.peer, own.mine, other.peer, other.mine) == ("bob", True, "alice", False)
            assert own.done == other.done == (turn == 11)
            (a,), (b,) = own.pairs, other.pairs
            assert a.sequence == b.sequence
            assert a.goodness > 0.95
            assert (a.address or "").startswith("harvard/")
            assert (b.address or "").startswith("mit/")
            errors += await alice.measure(a.address or "") != await bob.measure(b.address or "")
            await alice.free(a.address or "")
            await bob.free(b.address or "")
        assert len(await alice.allocate(8)) == 8

    play(story())
    assert errors <= 3


@pytest.mark.realises("D1")
def test_each_application_sees_its_own_pairs_alone() -> None:
    text = BOSTON + "  - {sae: carol, kme: kme-harvard}\n  - {sae: eve, kme: kme-mit, allow: [carol]}\n"
    net = network(text=text)
    alice, bob, carol, eve = (net.application(sae) for sae in ("alice", "bob", "carol", "eve"))

    async def story() -> None:
        with pytest.raises(Refusal, match="not-receiving") as refused:
            await alice.create_pairs("bob")
        assert refused.value.fields["err"] == "REJECTED"
        await bob.receive_pairs("alice", 1)
        with pytest.raises(Refusal, match="not-receiving"):
            await carol.create_pairs("bob", purpose=1)
        with pytest.raises(Refusal, match="unit-exists"):
            await bob.receive_pairs("carol", 1)
        with pytest.raises(Refusal, match="unknown-sae"):
            await alice.create_pairs("eve", purpose=1)
        await alice.create_pairs("bob", purpose=1)
        found = await alice.next_pairs()
        address = found.pairs[0].address or ""
        with pytest.raises(Refusal, match="bad-operation"):
            await carol.measure(address)
        with pytest.raises(TimeoutError):
            await carol.next_pairs(0.1)
        with pytest.raises(TimeoutError):
            await eve.next_pairs(0.1)
        await eve.receive_pairs("carol", 2)
        await carol.create_pairs("eve", purpose=2, kind="M")
        assert (await eve.next_pairs()).peer == "carol"

    play(story())


@pytest.mark.realises("D2", "D5")
def test_what_the_service_refuses_or_loses_is_told_with_its_code() -> None:
    net = network()
    alice, bob = net.application("alice"), net.application("bob")

    async def story() -> None:
        await bob.receive_pairs("alice")
        for code, err, wish in (
            ("fidelity-unreachable", "UNSUPP", {"fidelity": 0.999}),
            ("no-time", "NOTIME", {"number": 500, "kind": "M", "within_s": 0.1}),
            ("no-memory", "NORES", {"number": 20}),
            ("malformed", None, {"kind": "Q"}),
            ("malformed", None, {"near": {"random": "ABC"}}),
            ("malformed", None, {"near": {"turns": [1, 2]}}),
            ("malformed", None, {"far": {"angle": 2}}),
        ):
            with pytest.raises(Refusal, match=code) as refused:
                await alice.create_pairs("bob", **wish)  # type: ignore[arg-type]
            assert refused.value.fields.get("err") == err
        create_id = await alice.create_pairs("bob", number=8)
        await bob.stop_receiving("alice")
        with pytest.raises(PairsLost, match="REJECTED: mit has stopped receiving") as lost:
            await alice.next_pairs()
        assert lost.value.create_id == create_id
        await bob.receive_pairs("alice")
        create_id = await alice.create_pairs("bob", number=8)
        await alice.cancel_pairs(create_id)
        with pytest.raises(PairsLost, match="OTHER: harvard has given it up"):
            await bob.next_pairs()
        with pytest.raises(Refusal, match="no-such-element"):
            await alice.cancel_pairs(create_id)

    play(story())


@pytest.mark.realises("D1")
def test_the_example_plays() -> None:
    from pathlib import Path

    example = Path(__file__).parents[2] / "examples" / EXAMPLE
    done = subprocess.run([sys.executable, str(example)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "CHSH" in done.stdout


@pytest.mark.realises("D1", "D2")
def test_applications_without_a_link_share_pairs_over_a_circuit() -> None:
    """Psi- read in Z is opposite; at F > 0.88 an error is rarer than 9 %: 5 of 10 are one in 10^4."""
    text = BOSTON.replace("  - {between: [harvard, mit], success: 0.004, fidelity: 0.97}\n", "")
    net = network(seed=2, text=text)
    alice, bob = net.application("alice"), net.application("bob")
    alike = 0

    async def story() -> None:
        nonlocal alike
        await bob.receive_pairs("alice", 4)
        with pytest.raises(Refusal, match="no-route"):
            await alice.create_pairs("bob", purpose=4)
        with pytest.raises(Refusal, match="fidelity-unreachable") as refused:
            await alice.open_circuit("bob", 0.99)
        assert 0.88 < refused.value.fields["best"] < 0.99
        circuit = await alice.open_circuit("bob", 0.88)
        assert circuit.nodes == ("harvard", "bu", "mit")
        with pytest.raises(Refusal, match="not-receiving"):
            await alice.request_pairs(circuit, number=1, within_s=1, purpose=5)
        with pytest.raises(Refusal, match="not-admitted") as refused:
            await alice.request_pairs(circuit, rate_hz=2 * circuit.rate_hz, within_s=1, purpose=4)
        assert refused.value.fields["offered_hz"] == pytest.approx(circuit.rate_hz)
        create_id = await alice.request_pairs(circuit, number=10, within_s=20, bell="psi-", purpose=4)
        for _ in range(10):
            own, other = await alice.next_pairs(), await bob.next_pairs()
            assert own.circuit == other.circuit == circuit.circuit
            assert own.create_id == other.create_id == create_id
            (a,), (b,) = own.pairs, other.pairs
            assert (a.sequence, a.bell) == (b.sequence, "psi-")
            assert min(a.goodness, b.goodness) >= 0.88
            alike += await alice.measure(a.address or "") == await bob.measure(b.address or "")
            await alice.free(a.address or "")
            await bob.free(b.address or "")
        create_id = await alice.request_pairs(circuit, number=50, within_s=20, delivery="MEASURE", purpose=4)
        await alice.cancel_pairs(create_id, circuit)
        with pytest.raises(Refusal, match="no-such-element"):
            await alice.cancel_pairs(create_id)
        await alice.close_circuit(circuit)
        with pytest.raises(Refusal, match="no-such-element"):
            await alice.request_pairs(circuit, number=1, within_s=1)
        assert len(await alice.allocate(8)) == 8

    play(story())
    assert alike <= 4
