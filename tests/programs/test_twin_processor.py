"""Subroutines on the memories and circuits of a twin: its pairs, its failures."""

from __future__ import annotations

import asyncio
from math import sqrt
from typing import Any

import pytest
from netqasm_lab import HEAD, arrays, create, receive, registers
from twin_lab import NETWORK, TwinLab, play

from quoit.fabric.api import ReserveSlots, memory
from quoit.interfaces.netqasm.processor import Code, Fault
from quoit.scenario.netqasm.doors import Leave
from quoit.sdk import virtual_network

QUARTER, MINUS_QUARTER, HALF = 4, 28, 8
"""Angles in units of pi/16."""
CHSH = ((0, QUARTER, 1), (0, MINUS_QUARTER, 1), (HALF, QUARTER, 1), (HALF, MINUS_QUARTER, -1))
"""Rotations about Y at both ends, and the sign of their correlation in S."""


async def measured(lab: TwinLab, a: str, b: str, pairs: int, **arguments: int) -> tuple[list[int], list[int]]:
    """Outcomes of pairs that both ends measure at once."""
    ids = {"a": 0, "b": 1, "c": 2}
    both = await asyncio.gather(lab.run(a, create(pairs, 1, ids[b], **arguments)), lab.run(b, receive(pairs, ids[a])))
    first, second = (arrays(returned)[2] for returned in both)
    return [int(x or 0) for x in first[2::10]], [int(x or 0) for x in second[2::10]]


@pytest.mark.realises("D1", "D3")
@pytest.mark.parametrize(("other", "hops"), [("b", 1), ("c", 2)])
def test_chsh_is_what_the_delivered_fidelity_gives(other: str, hops: int) -> None:
    """Pairs of links with F = 0.95, of which a repeater in between makes pairs with w^2: S = 2 sqrt(2) w. Within 4
    standard errors (false alarm 6e-5), and above 2, the most without entanglement, by 3."""
    pairs, w = 300, ((4 * 0.95 - 1) / 3) ** hops

    async def story(lab: TwinLab) -> float:
        total = 0.0
        for mine, theirs, sign in CHSH:
            # Entries 14 and 17: first rotations here and there; 20 and 21: about Y, Z, Y.
            turns = {"_14": mine, "_17": theirs, "_20": 1, "_21": 1}
            ours, others = await measured(lab, "a", other, pairs, **turns)
            total += sign * sum(1 if x == y else -1 for x, y in zip(ours, others, strict=True)) / pairs
        return total

    expected = 2 * sqrt(2) * w
    sigma = 2 * sqrt((1 - w**2 / 2) / pairs)
    found = play(story, fidelity=0.95, seed=5)
    assert abs(found - expected) < 4 * sigma
    assert found > 2 + 3 * sigma


def test_random_bases_agree_where_they_are_the_same() -> None:
    async def story(lab: TwinLab) -> None:
        both = await asyncio.gather(lab.run("a", create(40, 1, 1, _2=1, _3=1)), lab.run("b", receive(40)))
        first, second = (arrays(returned)[2] for returned in both)
        rows = list(zip(first[2::10], first[3::10], second[2::10], second[3::10], strict=True))
        assert {row[1] for row in rows} == {0, 1}  # one of two missing in 40: 2e-12
        same = [row for row in rows if row[1] == row[3]]
        assert 0 < len(same) < 40
        assert all(row[0] == row[2] for row in same)
        assert first[5::10] == second[5::10]  # the pairs' numbers

    play(story)


def test_a_qubit_is_teleported_over_two_links() -> None:
    """T H |0> arrives: undone at the other end, it reads 0 for certain."""
    at_a = (
        create(remote=2)
        + """
        set Q0 0
        set Q1 1
        qalloc Q1
        init Q1
        h Q1
        t Q1
        cnot Q1 Q0
        h Q1
        meas Q1 M0
        meas Q0 M1
        qfree Q0
        qfree Q1
        ret_reg M0
        ret_reg M1
        """
    )

    async def story(lab: TwinLab) -> None:
        for _ in range(6):
            sent, _ = await asyncio.gather(lab.run("a", at_a), lab.run("c", receive(remote=0)))
            bits = registers(sent)
            fixes = "x Q0\n" * bits["M1"] + "z Q0\n" * bits["M0"]
            undone = f"{HEAD}set Q0 0\n{fixes}rot_z Q0 7 2\nh Q0\nmeas Q0 M0\nqfree Q0\nret_reg M0\n"
            assert registers(await lab.run("c", undone))["M0"] == 0

    play(story)


def test_a_state_is_prepared_at_the_other_end() -> None:
    """The creator reads its half in Z, the other half is what it read."""

    async def story(lab: TwinLab) -> None:
        outcomes = set()
        for _ in range(8):
            ours, _ = await asyncio.gather(lab.run("a", create(1, 2)), lab.run("b", receive()))
            theirs = await lab.run("b", HEAD + "set Q0 0\nmeas Q0 M0\nqfree Q0\nret_reg M0\n")
            outcomes.add(arrays(ours)[2][2])
            assert arrays(ours)[2][2] == registers(theirs)["M0"]
        assert outcomes == {0, 1}  # one missing in 8: 1/128, and this seed is one of the others

    play(story)


def test_what_was_read_can_be_worked_with() -> None:
    text = """
        set Q0 0
        set Q1 1
        qalloc Q0
        qalloc Q1
        init Q0
        init Q1
        h Q0
        meas Q0 M0
        meas Q0 M1
        x Q0
        cnot Q0 Q1
        meas Q1 M2
        mov Q1 Q0
        k Q0
        k Q0
        meas Q0 M3
        ret_reg M0
        ret_reg M1
        ret_reg M2
        ret_reg M3
        qfree Q0
        qfree Q1
    """

    async def story(lab: TwinLab) -> None:
        found = registers(await lab.run("a", HEAD + text))
        assert found["M0"] == found["M1"]
        assert found["M2"] == found["M3"] == 1 - found["M0"]

    play(story)


def test_pairs_wait_for_the_address_that_they_are_for() -> None:
    """More pairs than memories, through one address: each comes when the one before has been freed."""
    turn = "set Q0 0\nset R9 {0}\nset R10 {1}\nwait_all @2[R9:R10]\nmeas Q0 M0\nqfree Q0\n"
    loop = "".join(turn.format(10 * k, 10 * k + 10) for k in range(6))

    def one_address(text: str) -> str:
        return "".join(
            line.replace("store R1 @0[R1]", "set R2 0\nstore R2 @0[R1]") + "\n" for line in text.splitlines()
        )

    async def story(lab: TwinLab) -> None:
        await asyncio.gather(
            lab.run("a", one_address(create(6, wait=False)) + loop),
            lab.run("b", one_address(receive(6, wait=False)) + loop),
        )

    play(story)


# --- what fails ---


async def failure(job: Any) -> Fault:
    with pytest.raises(Fault) as failed:
        await job
    return failed.value


def test_nobody_at_the_other_end_is_a_time_out() -> None:
    async def story(lab: TwinLab) -> None:
        fault = await failure(lab.run("a", create(_5=1, _6=50)))  # 50 ms
        assert (fault.code, "no pair within 0.05 s" in fault.text) == (Code.TIMEOUT, True)
        fault = await failure(lab.run("b", receive()))
        assert (fault.code, "has no value after 1.0 s" in fault.text) == (Code.TIMEOUT, True)

    play(story)


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("leaver", ["a", "b"])
def test_who_vanishes_ends_the_request_for_the_other(leaver: str, kind: int) -> None:
    """And leaves every memory as it was: all can be claimed, filled and read afterwards."""

    async def story(lab: TwinLab) -> None:
        texts = {"a": create(400, kind) if kind else create(3), "b": receive(400) if kind else receive(3)}
        if not kind:  # never whole: one address of each is kept from the request
            taken = HEAD + "set Q0 2\nqalloc Q0\n"
            await lab.run("a", taken)
        jobs = {name: asyncio.create_task(lab.run(name, text)) for name, text in texts.items()}
        await lab.gate.sleep(0.003)
        await lab.executors[leaver].stop_app((leaver, 0))
        stayer = "b" if leaver == "a" else "a"
        fault = await failure(jobs[stayer])
        assert (fault.code, f"{leaver} has ended its part" in fault.text) == (Code.EXPIRE, True)
        assert (await failure(jobs[leaver])).code in (Code.GENERAL, Code.NO_QUBIT)
        await lab.executors[stayer].stop_app((stayer, 0))
        fill = "".join(f"set Q0 {k}\nqalloc Q0\ninit Q0\nx Q0\nmeas Q0 M{k}\nret_reg M{k}\n" for k in range(4))
        for name in ("a", "b"):
            lab.executors[name].init_app((name, 0), 4)
            assert set(registers(await lab.run(name, HEAD + fill)).values()) == {1}
        free = await lab.gate.ask(memory("a"), ReserveSlots("test", 2))
        assert len(free.slots) == 2  # type: ignore[attr-defined]

    play(story)


def test_lost_news_end_the_requests_and_nothing_comes_later() -> None:
    async def story(lab: TwinLab) -> None:
        await lab.run("b", HEAD + "set Q0 2\nqalloc Q0\n")  # so that the third pair must wait
        jobs = [asyncio.create_task(lab.run("a", create(3))), asyncio.create_task(lab.run("b", receive(3)))]
        await lab.gate.sleep(0.01)
        lab.processors["a"].lost()
        fault = await failure(jobs[0])
        assert (fault.code, "too slow to take the news" in fault.text) == (Code.GENERAL, True)
        assert (await failure(jobs[1])).code is Code.EXPIRE
        await lab.executors["a"].stop_app(("a", 0))
        lab.executors["a"].init_app(("a", 0), 4)
        fill = "".join(f"set Q0 {k}\nqalloc Q0\ninit Q0\nx Q0\nmeas Q0 M{k}\nret_reg M{k}\n" for k in range(4))
        assert set(registers(await lab.run("a", HEAD + fill)).values()) == {1}

    play(story)


def test_what_cannot_be_had_says_so() -> None:
    async def story(lab: TwinLab) -> None:
        fault = await failure(lab.run("a", create(remote=2, _4=99)))
        assert fault.code is Code.UNSUPP
        assert "expected at most 0.9" in fault.text
        with pytest.raises(Fault, match="NORES: no link leads from a to far"):
            lab.executors["a"].open_socket(("a", 0), 0, 3, 0, 100)
        lab.executors["a"].init_app(("a", 1), 1)
        with pytest.raises(Fault, match="REJECTED: EPR socket 0 of a to b is in use"):
            lab.executors["a"].open_socket(("a", 1), 0, 1, 0, 100)
        with pytest.raises(Fault, match="NO_QUBIT: node b has 4 memories"):
            lab.executors["b"].init_app(("b", 1), 5)
        taken = HEAD + "".join(f"set Q0 {k}\nqalloc Q0\n" for k in range(4))
        await lab.run("c", taken)
        lab.executors["c"].init_app(("c", 1), 1)
        fault = await failure(lab.executors["c"].run(("c", 1), _text("set Q0 0\nqalloc Q0\n"), print))
        assert (fault.code, "all 4 memories of c are taken" in fault.text) == (Code.NO_QUBIT, True)
        assert (await failure(lab.run("c", HEAD + "breakpoint 1 0\n"))).code is Code.UNSUPP
        assert (await failure(lab.run("b", HEAD + "set Q0 0\nqalloc Q0\nx Q0\n"))).code is Code.NO_QUBIT

    play(story, fidelity=0.97)


def _text(rows: str) -> Any:
    from quoit.interfaces.netqasm.parser import from_text

    return from_text(HEAD + rows)


@pytest.mark.parametrize("where", ["a", "b"])
def test_a_node_without_a_memory_to_measure_in_says_so(where: str) -> None:
    async def story(lab: TwinLab) -> None:
        await lab.gate.ask(memory(where), ReserveSlots("others", 2))
        faults = await asyncio.gather(failure(lab.run("a", create(1, 1))), failure(lab.run("b", receive())))
        assert faults[0].code is Code.NORES
        assert f"no memory of {where} was free for 5 s" in faults[0].text
        assert faults[1].code is Code.EXPIRE

    play(story, patience_s=20)


def test_words_come_in_order_and_are_bounded() -> None:
    async def story(lab: TwinLab) -> None:
        exchange = lab.exchange
        began = lab.gate.now_ns()
        await exchange.send("alice", "charlie", 0, "one")
        assert lab.gate.now_ns() - began >= 20_000  # 4 km of fibre
        await exchange.send("alice", "charlie", 0, "two")
        await exchange.send("alice", "charlie", 1, "other socket")
        assert await exchange.receive("charlie", ["bob", "alice"], 0, 0) == ("alice", "one")
        assert await exchange.receive("charlie", ["alice"], 1, 0) == ("alice", "other socket")
        assert await exchange.receive("charlie", ["bob"], 0, 50_000_000) is None
        exchange.forget("charlie")
        assert await exchange.receive("charlie", ["alice"], 0, 0) is None
        with pytest.raises(Fault, match="no application called 'dora' can be reached"):
            await exchange.send("alice", "dora", 0, "hello")
        with pytest.raises(Fault, match="no application called 'hermit' can be reached"):
            await exchange.send("alice", "hermit", 0, "hello")
        await exchange.send("bob", "hermit", 0, "hello")
        with pytest.raises(Fault, match="expected a text of"):
            await exchange.send("alice", "bob", 0, "x" * 70_000)
        for _ in range(1_001):
            await exchange.send("bob", "bob", 0, "again")
        with pytest.raises(Fault, match="more than 1000 texts"):
            await exchange.receive("bob", ["bob"], 0, 0)

    play(story)


def test_pairs_are_for_those_who_let_each_other_in() -> None:
    network = virtual_network(
        NETWORK.format(fidelity=1.0, number=6, memories="").replace("{sae: alice,", "{sae: alice, allow: [charlie],")
    )
    leave = Leave(("a", "b", "c"), network.twin.attachments)
    leave.need("alice", 2)
    with pytest.raises(Fault, match="REJECTED: alice may share pairs with nobody at node b"):
        leave.need("alice", 1)
    with pytest.raises(Fault, match="nobody at node 7"):
        leave.need("bob", 7)
