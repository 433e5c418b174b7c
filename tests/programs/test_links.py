"""Pairs: what is delivered, how long it takes, and how requests end."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from netqasm_lab import HEAD, SECOND, Lab, arrays, create, receive

from quoit.engine.ledger import Node
from quoit.engine.states.bell import werner
from quoit.engine.states.device import DeviceNoise
from quoit.engine.states.memory import MemoryNoise
from quoit.interfaces.netqasm.processor import Bell, Code, Fault
from quoit.scenario.netqasm.hardware import Hardware, LinkModel, NodeHardware

_HALF = 1 / sqrt(2)
KETS = {
    Bell.PHI_PLUS: np.array([_HALF, 0, 0, _HALF]),
    Bell.PHI_MINUS: np.array([_HALF, 0, 0, -_HALF]),
    Bell.PSI_PLUS: np.array([0, _HALF, _HALF, 0]),
    Bell.PSI_MINUS: np.array([0, _HALF, -_HALF, 0]),
}
PAULIS = {"X": np.array([[0, 1], [1, 0]]), "Y": np.array([[0, -1j], [1j, 0]]), "Z": np.diag([1, -1])}


def _link(**values: object) -> Hardware:
    return Hardware(link=LinkModel(**values))  # type: ignore[arg-type]


@pytest.mark.parametrize("bell", Bell)
def test_kept_pairs_are_the_bell_state_that_is_announced(bell: Bell) -> None:
    fidelity = 0.85
    lab = Lab("ab", _link(pair=werner(fidelity), heralds=(bell,)))
    lab.start("a", create())
    lab.start("b", receive())
    lab.finish()
    assert not lab.faults
    rho = lab.state("a", 0, reduced=False)
    assert np.isclose((KETS[bell].conj() @ rho @ KETS[bell]).real, fidelity, atol=1e-12)
    at_a, at_b = arrays(lab.returned["a"])[2], arrays(lab.returned["b"])[2]
    assert at_a[9] == at_b[9] == int(bell)
    assert at_a[4] == at_b[4]
    assert (at_a[3], at_b[3]) == (0, 1)
    assert (at_a[6], at_b[6]) == (1, 0)


def test_waiting_is_geometric() -> None:
    """Mean and variance of the attempts of 1500 pairs, within 4 sigma each: false alarm 1.3e-4. The variance of a
    sample's variance is taken from the fourth moment of the law, about 9 variances squared for small p."""
    p, pairs, cycle = 0.05, 1500, 200_000
    lab = Lab("ab", _link(p_success=p, cycle_ns=cycle), patience_s=100)
    took = []
    for _ in range(pairs // 5):
        lab.start("a", create(5, 1))
        lab.start("b", receive(5))
        lab.finish()
        took += list(arrays(lab.returned["a"])[2][8::10])
    attempts = np.array(took) * 1_000 / cycle
    assert np.all(attempts == attempts.round())
    variance = (1 - p) / p**2
    assert abs(attempts.mean() - 1 / p) < 4 * sqrt(variance / pairs)
    assert abs(attempts.var() - variance) < 4 * variance * sqrt(8 / pairs)


@pytest.mark.parametrize("bell", Bell)
@pytest.mark.parametrize(("basis", "turns"), [("X", (0, 24, 0)), ("Y", (8, 0, 0)), ("Z", (0, 0, 0))])
def test_pairs_measured_at_once_are_correlated_as_their_state_is(
    bell: Bell, basis: str, turns: tuple[int, int, int]
) -> None:
    sign = (KETS[bell].conj() @ np.kron(PAULIS[basis], PAULIS[basis]) @ KETS[bell]).real
    lab = Lab("ab", _link(heralds=(bell,)), seed=7)
    local = {f"_{14 + k}": turn for k, turn in enumerate(turns)} | {f"_{17 + k}": turn for k, turn in enumerate(turns)}
    lab.start("a", create(20, 1, **local))
    lab.start("b", receive(20))
    lab.finish()
    at_a, at_b = arrays(lab.returned["a"])[2], arrays(lab.returned["b"])[2]
    same = [x == y for x, y in zip(at_a[2::10], at_b[2::10], strict=True)]
    assert all(same) if sign > 0 else not any(same)
    assert 0 < sum(value or 0 for value in at_a[2::10]) < 20  # 20 fair bits alike: 2e-6


def test_random_bases_agree_where_they_are_the_same() -> None:
    lab = Lab("ab", seed=1)
    lab.start("a", create(60, 1, _2=1, _3=1))
    lab.start("b", receive(60))
    lab.finish()
    at_a, at_b = arrays(lab.returned["a"])[2], arrays(lab.returned["b"])[2]
    rows = list(zip(at_a[3::10], at_b[3::10], at_a[2::10], at_b[2::10], strict=True))
    assert {row[0] for row in rows} == {row[1] for row in rows} == {0, 1}  # missing one: 2^-60
    assert all(x == y for bx, by, x, y in rows if bx == by)
    differing = [x == y for bx, by, x, y in rows if bx != by]
    assert 0 < sum(differing) < len(differing)


def test_remote_preparation_leaves_the_state_that_was_measured() -> None:
    """Measuring one half of Phi+ after a unitary U in Z leaves the other in the transposed of U dagger's column."""
    turns = (0, 8, 5)
    for seed in range(4):
        lab = Lab("ab", seed=seed)
        lab.start("a", create(1, 2, **{f"_{14 + k}": turn for k, turn in enumerate(turns)}))
        lab.start("b", receive())
        lab.finish()
        assert not lab.faults
        outcome = arrays(lab.returned["a"])[2][2]
        unitary = np.eye(2, dtype=complex)
        for axis, turn in zip("XYX", turns, strict=True):
            angle = turn * np.pi / 16
            unitary = (np.cos(angle / 2) * np.eye(2) - 1j * np.sin(angle / 2) * PAULIS[axis]) @ unitary
        bra = unitary[outcome]  # <outcome| U on one half of sum |kk>
        assert np.allclose(lab.state("b", 0), np.outer(bra, bra.conj()), atol=1e-12)


def test_a_pair_ages_in_memory_as_its_nodes_say() -> None:
    t2, wait = 0.5, 0.1
    node = NodeHardware(Node(MemoryNoise(t2_s=t2), DeviceNoise(init_ns=int(wait * SECOND))))
    lab = Lab("ab", Hardware(node))
    for name, text in (("a", create()), ("b", receive())):
        lab.start(name, text + "set Q3 3\nqalloc Q3\ninit Q3\n")
    lab.finish()
    rho = lab.state("a", 0, reduced=False)
    expected = (1 + np.exp(-2 * wait / t2)) / 2
    assert np.isclose((KETS[Bell.PHI_PLUS] @ rho @ KETS[Bell.PHI_PLUS]).real, expected, atol=1e-9)


def test_pairs_for_one_address_come_one_by_one() -> None:
    again = "\n".join(
        f"set R1 {10 * k}\nset R2 {10 * k + 10}\nwait_all @2[R1:R2]\nset Q0 0\nmeas Q0 M{k}\nqfree Q0\nret_reg M{k}"
        for k in range(3)
    )
    one_address = "\n".join(f"set R1 {k}\nset R2 0\nstore R2 @0[R1]" for k in range(3))
    lab = Lab("ab", qubits=1, seed=2)
    for name, ask in (("a", create(3, wait=False)), ("b", receive(3, wait=False))):
        before, command = ask.rsplit("set R0 30", 1)
        # Addresses 1 and 2 do not exist here, so a request that did not take turns would be refused.
        lab.start(name, before.replace("set R1 1\nstore R1 @0[R1]\nset R1 2\nstore R1 @0[R1]\n", "") + one_address
                  + "\nset R0 30" + command + again + "\n")  # fmt: skip
    lab.finish()
    assert not lab.faults
    assert [row.value for row in lab.returned["a"]] == [row.value for row in lab.returned["b"]]  # type: ignore[union-attr]
    assert lab.network.made == 3


def test_a_node_of_one_interface_serves_one_link_at_a_time() -> None:
    """Two pairs with two neighbours take a sum of waits, not the longer one."""
    hardware = Hardware(NodeHardware(interfaces=1), LinkModel(p_success=1.0, cycle_ns=1_000_000, light_ns=0))
    wide = Hardware(NodeHardware(interfaces=2), LinkModel(p_success=1.0, cycle_ns=1_000_000, light_ns=0))
    both = create(1, 1, remote=1, wait=False) + create(1, 1, remote=2, wait=False).removeprefix(HEAD).replace(
        "@2", "@5"
    ).replace("set R5 2", "set R5 5")
    both += "set R1 0\nset R2 10\nwait_all @2[R1:R2]\nwait_all @5[R1:R2]\n"
    ends = []
    for kind in (hardware, wide):
        lab = Lab("abc", kind)
        for name, text in (("a", both), ("b", receive()), ("c", receive())):
            lab.start(name, text)
        lab.finish()
        assert not lab.faults
        ends.append(lab.ended_ns["a"])
    assert ends == [2_000_000, 1_000_000]


def test_a_half_that_is_moved_to_its_memory_pays_for_it() -> None:
    """One more gate of p2 at each end: a Werner pair's w falls by p2 each, and the news come later by its duration."""
    p2, gate2 = 0.9, 500_000
    ends = []
    for stores in (False, True):
        node = NodeHardware(Node(device=DeviceNoise(p2=p2, gate2_ns=gate2)), stores=stores)
        lab = Lab("ab", Hardware(node, LinkModel(p_success=1.0)))
        lab.start("a", create())
        lab.start("b", receive())
        lab.finish()
        assert not lab.faults
        rho = lab.state("a", 0, reduced=False)
        fidelity = (KETS[Bell.PHI_PLUS] @ rho @ KETS[Bell.PHI_PLUS]).real
        assert np.isclose(fidelity, (1 + 3 * p2**2) / 4 if stores else 1.0, atol=1e-12)
        ends.append(lab.ended_ns["a"])
    assert ends[1] - ends[0] == gate2


def test_nobody_knows_faster_than_light() -> None:
    """The creator's question needs one way to the receiver, its readiness one way back; then come the attempts."""
    light, cycle = 3_000_000, 7_000_000
    lab = Lab("ab", _link(p_success=1.0, cycle_ns=cycle, light_ns=light))
    lab.start("a", create())
    lab.start("b", receive())
    lab.finish()
    assert lab.ended_ns == {"a": 2 * light + cycle, "b": 2 * light + cycle}


# --- how requests end ---


def test_a_late_pair_fails_its_request() -> None:
    lab = Lab("ab")
    with pytest.raises(Fault, match=r"no pair within 0\.003 s"):
        lab.run("a", create(_5=1, _6=3))  # 3 ms, and nobody receives
    assert lab.clock.now_ns == 3_000_000


def test_a_fidelity_beyond_the_link_is_unsupported() -> None:
    with pytest.raises(Fault, match=r"85.0 %") as caught:
        Lab("ab", _link(pair=werner(0.85))).run("a", create(_4=90))
    assert caught.value.code is Code.UNSUPP


@pytest.mark.parametrize("entry", ["_8", "_9", "_10"])
def test_arguments_that_no_link_honours_are_unsupported(entry: str) -> None:
    with pytest.raises(Fault, match="not supported") as caught:
        Lab("ab").run("a", create(**{entry: 1}))
    assert caught.value.code is Code.UNSUPP


def test_without_a_link_no_socket_opens() -> None:
    lab = Lab("ab", Hardware(link=None))
    with pytest.raises(Fault, match="no link leads from a to b") as caught:
        lab.executors["a"].open_socket(("a", 0), 0, 1, 0, 100)
    assert caught.value.code is Code.NORES


def test_a_socket_is_one_applications_alone() -> None:
    lab = Lab("ab")
    lab.executors["a"].init_app(("other", 0), 1)
    with pytest.raises(Fault, match="in use") as caught:
        lab.executors["a"].open_socket(("other", 0), 0, 1, 0, 100)
    assert caught.value.code is Code.REJECTED


def test_who_leaves_in_the_middle_ends_the_request_for_both() -> None:
    lab = Lab("ab", _link(p_success=1e-6))
    lab.start("b", receive())
    lab.start("a", create(wait=False))
    for _ in range(100):
        if "a" in lab.ended_ns and lab.network._links[frozenset("ab")].trial is not None:
            break
        lab.clock.step()
    lab.stop("a")
    lab.finish()
    assert isinstance(lab.faults["b"], Fault)
    assert lab.faults["b"].code is Code.EXPIRE
    # The slots are free again, and so is the link.
    assert lab.network._ledger.states() == ()
    assert lab.network._links[frozenset("ab")].trial is None
    assert lab.network._generating == {"a": 0, "b": 0}
