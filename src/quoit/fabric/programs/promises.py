"""What a circuit keeps: bounds on fidelity from its cut-offs, closed forms of its mean, messages per pair.

The bound rests on two facts about a path whose links 0..n-1 were heralded at t_i and whose node k swapped at s_k. A
qubit of an inner node is used or discarded when its cut-off c_k has passed, so s_k <= min(t_(k-1), t_k) + c_k + w_k,
with w_k the swap's own wait. And correlators decay exponentially, so only the sum of waits counts:

- a node that swaps whatever comes first has one of its two qubits waiting, never both: c_k + 2 w_k in all;
- one that waits for a reach or for demand may have both waiting: 2 (c_k + w_k);
- the two ends' halves wait until the last swap, and neighbouring heralds lie at most c_k + w_k apart, so both ends
  together wait no longer than the sum of these, once more the longest, and light.

Attempts of a node that disturb what it stores cost x and y, and add up in the same way: on each of its set-ups one
attempt a cycle at most, and those on the edges of a wait. Those of other circuits the engine may count a window sooner
or later. The set-up that a qubit came from makes none meanwhile.

With purification the bound goes span by span and takes every pair as old as its cut-off permits. That is a bound
for BBPSSW, whose Werner pairs come out better the better both go in. DEJMPS has no such law, so it gets no promise
where memories decay.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from math import exp, inf

from quoit.engine.physics.bell_pairs import bbpssw_noisy, dejmps_noisy, werner
from quoit.engine.program import WINDOW_NS, Circuit, Node, State, fidelity_of, pair_of, state_of

NS = 1e-9
EDGES = 2
"""Attempts of one set-up that a wait may meet beyond one a cycle: on its edge, and one that a loss cut short."""
LONGEST_CUTOFF_NS = 2**55
"""More than a year: whoever could wait that long needs no cut-off."""


def balanced(left: int, right: int) -> Iterator[tuple[int, int, int]]:
    """Swaps that join the span from node `left` to `right`, as (node, left end, right end), inner ones first; halves
    as equal as whole hops permit."""
    if right - left < 2:
        return
    middle = (left + right) // 2
    yield from balanced(left, middle)
    yield from balanced(middle, right)
    yield middle, left, right


def decays(circuit: Circuit) -> bool:
    """Does any memory of it?"""
    return any(any(_rates(node)) or node.attempt_loss for node in circuit.nodes)


def worst(circuit: Circuit) -> State | None:
    """Eigenvalues below which no delivered pair's are; None where nothing is proved. Exact if no memory decays."""
    if not any(circuit.purification.rounds.values()):
        return _flat(circuit)
    if decays(circuit) and circuit.purification.scheme != "bbpssw":
        return None
    swaps = _tree(circuit)
    return None if swaps is None else _Spans(circuit, swaps).delivered()


def least(circuit: Circuit) -> float | None:
    """Fidelity below which no delivered pair is; None where nothing is proved. Exact if no memory decays."""
    state = worst(circuit)
    return None if state is None else fidelity_of(state)


def mean(circuit: Circuit) -> float | None:
    """Expected mean fidelity where a closed form has it: memories that do not decay, one link, two links in step."""
    if not decays(circuit):
        return least(circuit)
    if any(circuit.purification.rounds.values()):
        return None
    if len(circuit.hops) == 1:
        return None if _crowded(circuit) else fidelity_of(_flat(circuit))
    return _two_in_step(circuit)


def messages(circuit: Circuit) -> float:
    """Per delivered pair, as the engine counts them: 2 a herald, 2 a swap, 3 a purification. Expected, if no swap
    fails and nothing expires; then exact for memories that do not decay."""
    n = len(circuit.hops)
    if not any(circuit.purification.rounds.values()):
        return 4.0 * n - 2
    swaps = _tree(circuit)
    if swaps is None:
        raise ValueError("purification needs nodes that know how far their pairs must reach")
    return _Spans(circuit, swaps, fresh=True).messages(0, n)


def elementary_pairs(circuit: Circuit) -> float:
    """Expected pairs of the most used link for one pair of the ends, if nothing expires."""
    swaps = _tree(circuit)
    if swaps is None or not any(circuit.purification.rounds.values()):
        factor = 1.0
        for node in circuit.nodes:
            factor /= max(node.swap.success, 1e-9) if node.swap else 1.0
        return factor
    return _Spans(circuit, swaps, fresh=True).pairs(0, len(circuit.hops))


def with_cutoff(circuit: Circuit, cutoff_ns: int | None) -> Circuit:
    """The same with this cut-off at every inner node."""
    nodes = [replace(node, cutoff_ns=cutoff_ns if node.swap else None) for node in circuit.nodes]
    return replace(circuit, nodes=tuple(nodes))


def longest_cutoff(circuit: Circuit, floor: float) -> int | None:
    """The longest cut-off (ns) with which every pair keeps the floor; 0 if none does, None if none is needed."""

    def good(cutoff_ns: int | None) -> bool:
        found = least(with_cutoff(circuit, cutoff_ns))
        return found is not None and found >= floor

    if good(None):
        return None
    if not good(1):
        return 0
    if good(LONGEST_CUTOFF_NS):
        return LONGEST_CUTOFF_NS
    low, high = 1, LONGEST_CUTOFF_NS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if good(middle) else (low, middle)
    return low


# -- without purification ----------------------------------------------------------------------------------


def _rates(node: Node) -> State:
    """Decay per ns of the three correlators."""
    return node.decay.x_hz * NS, node.decay.y_hz * NS, node.decay.z_hz * NS


def _times(rate: float, ns: float) -> float:
    """Without 0 times infinity."""
    return rate * ns if rate else 0.0


def _light(circuit: Circuit, left: int, right: int) -> int:
    return sum(hop.light_ns for hop in circuit.hops[left:right])


def _waits(circuit: Circuit) -> tuple[list[float], float]:
    """ns that the two qubits of each node wait at most, together; and both ends' halves, together, without light."""
    n = len(circuit.hops)
    own, gaps, both, last = [0.0] * (n + 1), [], False, 0.0
    for number, node in enumerate(circuit.nodes):
        if node.swap is None:
            continue
        cutoff, wait = inf if node.cutoff_ns is None else node.cutoff_ns, node.swap.wait_ns
        first_come = node.swap.left is None and node.swap.right is None and not node.swap.on_demand
        own[number] = cutoff + 2 * wait if first_come else 2 * (cutoff + wait)
        gaps.append(cutoff if first_come else cutoff + wait)
        both = both or not first_come
        last = max(last, wait)
    if not gaps:
        return own, 0.0
    return own, sum(gaps) + 2 * last + (max(gaps) if both else 0.0)


def _tried(circuit: Circuit, number: int, ns: float, qubits: int = 1) -> float:
    """What attempts of a node cost the coherence of so many of its qubits that wait `ns` together, at most."""
    node = circuit.nodes[number]
    if not node.attempt_loss:
        return 0.0
    cycles = [hop.cycle_ns for hop in circuit.hops[max(0, number - 1) : number + 1]]
    per_ns = circuit.width * sum(1 / cycle for cycle in cycles) - 1 / max(cycles) + node.others_hz * NS
    edges = EDGES * (circuit.width * len(cycles) - 1 + node.others) + node.others_hz * NS * 2 * WINDOW_NS
    return node.attempt_loss * (_times(per_ns, ns) + qubits * edges)


def _tried_beside(circuit: Circuit, own: list[float], ends: float) -> float:
    """The same for all qubits of a path: of each node `own` ns, two qubits; of both ends `ends`, and light."""
    n = len(circuit.hops)
    inner = sum(_tried(circuit, number, own[number], 2) for number in range(1, n))
    near, far = _light(circuit, 0, n - 1), _light(circuit, 1, n)
    # Both ends wait `ends` together: all of it at the one that pays more for it.
    total = sum(_tried(circuit, number, light) for number, light in ((0, near), (n, far)))
    per_end = [_tried(circuit, number, ends) for number in (0, n)] if ends else [0.0]
    return inner + total + max(per_end)


def _crowded(circuit: Circuit) -> bool:
    """Do nodes make attempts beside what they store?"""
    return any(node.attempt_loss and (circuit.width > 1 or node.others) for node in circuit.nodes)


def _undisturbed(circuit: Circuit) -> Circuit:
    return replace(circuit, nodes=tuple(replace(node, attempt_loss=0.0) for node in circuit.nodes))


def _flat(circuit: Circuit) -> State:
    n = len(circuit.hops)
    own, ends = _waits(circuit)
    found = []
    for axis in range(3):
        rate = [_rates(node)[axis] for node in circuit.nodes]
        value = exp(-_tried_beside(circuit, own, ends)) if axis < 2 else 1.0
        waited = _times(max(rate[0], rate[n]), ends)
        if n > 1:
            waited += rate[0] * _light(circuit, 0, n - 1) + rate[n] * _light(circuit, 1, n)
        for number, hop in enumerate(circuit.hops):
            value *= hop.state[axis]
            waited += (rate[number] + rate[number + 1]) * hop.stored_ns
        for number, node in enumerate(circuit.nodes):
            waited += _times(rate[number], own[number])
            value *= node.swap.noise if node.swap else 1.0
        found.append(value * exp(-waited))
    return found[0], found[1], found[2]


def _two_in_step(circuit: Circuit) -> float | None:
    """Two links that always begin at once and never give up: the first pair waits a geometric time for the other."""
    if len(circuit.hops) != 2 or circuit.width != 1 or circuit.nodes[1].cutoff_ns is not None:
        return None
    one, two = circuit.hops
    step = ("light_ns", "cycle_ns", "restart_ns")
    rule = circuit.nodes[1].swap
    if any(getattr(one, name) != getattr(two, name) for name in step) or rule is None or rule.on_demand:
        return None
    disturbed = any(node.attempt_loss for node in circuit.nodes)
    if disturbed and (rule.wait_ns or any(node.others for node in circuit.nodes)):
        return None
    if (rule.left, rule.right) != (None, None):
        return None
    # As if all waited for nothing but what always passes; then the factor for the pair that came first.
    fixed = _flat(_undisturbed(with_cutoff(circuit, 1)))
    p, q = one.success, two.success
    either = p + q - p * q
    values = []
    for axis in range(3):
        head, middle, tail = (_rates(node)[axis] for node in circuit.nodes)
        # `_flat` let one qubit wait 1 ns at the node and one at an end; rates per ns.
        value = fixed[axis] * exp(middle + max(head, tail))
        # It took both ends for the one that decays faster while the swap goes on.
        value *= exp((2 * max(head, tail) - head - tail) * rule.wait_ns)
        beside = circuit.nodes[1].attempt_loss if axis < 2 else 0.0  # of the other link's attempts, one a cycle
        early, late = exp(-one.cycle_ns * (head + middle) - beside), exp(-one.cycle_ns * (middle + tail) - beside)
        waiting = p * (1 - q) * q * early / (1 - (1 - q) * early) + q * (1 - p) * p * late / (1 - (1 - p) * late)
        values.append(value * (p * q + waiting) / either)
    return fidelity_of((values[0], values[1], values[2]))


# -- with purification -------------------------------------------------------------------------------------


def _tree(circuit: Circuit) -> dict[tuple[int, int], int] | None:
    """The node that joins each span, if every node's rule says which span that is and they make one tree."""
    n = len(circuit.hops)
    swaps = {}
    for number, node in enumerate(circuit.nodes):
        if node.swap is None:
            continue
        if node.swap.left is None or node.swap.right is None:
            return None
        swaps[(node.swap.left, node.swap.right)] = number
    reached, todo = 0, [(0, n)]
    while todo:
        left, right = todo.pop()
        if right - left == 1:
            continue
        if (left, right) not in swaps:
            return None
        middle = swaps[(left, right)]
        reached += 1
        todo += [(left, middle), (middle, right)]
    return swaps if reached == n - 1 else None


class _Spans:
    """States, messages and pairs spent, span by span. `fresh`: as if nothing waited."""

    def __init__(self, circuit: Circuit, swaps: dict[tuple[int, int], int], fresh: bool = False) -> None:
        self.circuit = circuit
        self.swaps = swaps
        self.fresh = fresh

    def delivered(self) -> State:
        n = len(self.circuit.hops)
        state = self.state(0, n)
        if n == 1:
            return state
        middle = self.swaps[(0, n)]
        near, far = _light(self.circuit, 0, middle), _light(self.circuit, middle, n)
        head, tail = _rates(self.circuit.nodes[0]), _rates(self.circuit.nodes[n])
        tried = exp(-_tried(self.circuit, 0, near) - _tried(self.circuit, n, far))
        x, y, z = (e * exp(-head[i] * near - tail[i] * far) for i, e in enumerate(state))
        return x * tried, y * tried, z

    def rounds(self, left: int, right: int) -> int:
        return self.circuit.purification.rounds.get(right - left, 0)

    def state(self, left: int, right: int) -> State:
        """Of a pair that went through all rounds of its span."""
        state, _ = self.steps(left, right)[-1]
        return state

    def steps(self, left: int, right: int) -> list[tuple[State, float]]:
        """State after each round, and the round's probability of success; first the state before all of them."""
        found = [(self._made(left, right), 1.0)]
        for _ in range(self.rounds(left, right)):
            found.append(self._round(self._aged(found[-1][0], left, right, 0.0)))
        return found

    def _made(self, left: int, right: int) -> State:
        circuit = self.circuit
        if right - left == 1:
            hop = circuit.hops[left]
            near, far = _rates(circuit.nodes[left]), _rates(circuit.nodes[right])
            x, y, z = (e * exp(-(near[i] + far[i]) * hop.stored_ns) for i, e in enumerate(hop.state))
            return x, y, z
        middle = self.swaps[(left, right)]
        rule = circuit.nodes[middle].swap
        assert rule is not None
        one = self._aged(self.state(left, middle), left, middle, rule.wait_ns)
        two = self._aged(self.state(middle, right), middle, right, rule.wait_ns)
        return one[0] * two[0] * rule.noise, one[1] * two[1] * rule.noise, one[2] * two[2] * rule.noise

    def _aged(self, state: State, left: int, right: int, wait_ns: float) -> State:
        """As old as the cut-offs of its inner ends permit. While a pair is purified they hold: that takes as long as
        light needs three times over the span, to tell, to hear of what is on its way, and to tell the result."""
        if self.fresh:
            return state
        nodes = self.circuit.nodes
        cutoffs = [inf if (c := nodes[k].cutoff_ns) is None else c for k in (left, right)]
        held = 3 * _light(self.circuit, left, right) if self.rounds(left, right) else 0
        near, far = _rates(nodes[left]), _rates(nodes[right])
        longest = min(cutoffs) + wait_ns + held
        tried = exp(-sum(_tried(self.circuit, k, longest) for k in (left, right)))
        x, y, z = (e * exp(-_times(near[i] + far[i], longest)) for i, e in enumerate(state))
        return x * tried, y * tried, z

    def _round(self, state: State) -> tuple[State, float]:
        how = self.circuit.purification
        p2, readout = how.gates**0.5, how.readout
        if how.scheme == "bbpssw":
            kept = bbpssw_noisy(max(0.25, fidelity_of(state)), p2, readout)
            return state_of(werner(kept.fidelity)), kept.p_success
        distilled = dejmps_noisy(pair_of(state), pair_of(state), p2, readout)
        return state_of(distilled.pair), distilled.p_success

    def messages(self, left: int, right: int) -> float:
        if right - left == 1:
            sent = 2.0
        else:
            middle = self.swaps[(left, right)]
            sent = self.messages(left, middle) + self.messages(middle, right) + 2
        for _, p in self.steps(left, right)[1:]:
            sent = (2 * sent + 3) / p
        return sent

    def pairs(self, left: int, right: int) -> float:
        if right - left == 1:
            spent = 1.0
        else:
            middle = self.swaps[(left, right)]
            rule = self.circuit.nodes[middle].swap
            assert rule is not None
            spent = max(self.pairs(left, middle), self.pairs(middle, right)) / max(rule.success, 1e-9)
        for _, p in self.steps(left, right)[1:]:
            spent *= 2 / p
        return spent


def every_round_helps(circuit: Circuit) -> bool:
    """Does each round of purification raise the fidelity of what goes into it, as old as it may be by then?"""
    swaps = _tree(circuit)
    if swaps is None:
        return not any(circuit.purification.rounds.values())
    spans = _Spans(circuit, swaps)
    for left, right in [*swaps, *((i, i + 1) for i in range(len(circuit.hops)))]:
        found = [state for state, _ in spans.steps(left, right)]
        for before, after in pairwise(found):
            if fidelity_of(after) <= fidelity_of(before):
                return False
    return True
