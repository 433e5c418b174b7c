"""The pair machine: attempts, swaps, purification, cut-offs and deliveries of many circuits, event by event.

Written once in the Python that numba compiles as well. Plain Python runs it over objects, compiled code over records,
and both give the same bits: order is by (time, sequence number), and random numbers come from buffers that NumPy fills.

Attempts are not events. The number until success is geometric, so a success is one event, and whoever changes a link
draws anew from there: a geometric wait has no memory.
"""

from __future__ import annotations

from math import exp

from quoit.engine.kernels.heap_lists import at, pop
from quoit.engine.kernels.tables import (
    ALIKE,
    ANY,
    BOTH_ENDS,
    CUTOFF,
    DISTURBED,
    DRAWS,
    END,
    FAR_FUTURE,
    FREE_PAIRS,
    GONE,
    HERALD,
    IDLE,
    KEEPS,
    KNOWN,
    NOWHERE,
    NUDGE,
    OUT,
    PURIFY,
    READY,
    REFILL,
    SEQUENCE,
    SPARE_DRAWS,
    SWAP,
    CircuitRow,
    PairRow,
    PositionRow,
    SlotRow,
    Tables,
)


def run(m: Tables, until: int) -> int:
    """Do all events up to and including `until`. Gives the time of the next one, which is later, or -1 if random
    numbers or room for outcomes ran short: refill and call again."""
    scalar = m.scalar
    while True:
        t, sequence, kind, a, b = pop(m, until)
        if kind == HERALD:
            herald(m, a, sequence, t)
        elif kind == SWAP:
            swap(m, a, b, t)
        elif kind == KNOWN:
            known(m, a, b, t)
        elif kind == IDLE:
            return t
        elif kind == BOTH_ENDS:
            both_ends(m, a, b, t)
        elif kind == END:
            end(m, a, b, t)
        elif kind == READY:
            ready(m, a, b, t)
        elif kind == CUTOFF:
            cutoff(m, a, b, t)
        elif kind == GONE:
            gone(m, a, b, t)
        elif kind == PURIFY:
            purify(m, a, b, t)
        else:
            try_swap(m, a, t)
        if scalar[REFILL]:
            return -1


def uniform(m: Tables, c: int) -> float:
    """The circuit's next random number in [0, 1)."""
    circuit = m.circuits[c]
    place = circuit.uniform_at
    circuit.uniform_at = place + 1
    if place + SPARE_DRAWS >= DRAWS:
        m.scalar[REFILL] = 1
    return m.uniform[c * DRAWS + place]


def new_serial(m: Tables) -> int:
    """Numbers of pairs and of events are from one sequence: a new pair has the number of its herald."""
    serial = m.scalar[SEQUENCE] + 1
    m.scalar[SEQUENCE] = serial
    return serial


# -- links -----------------------------------------------------------------------------------------------


def start(m: Tables, s: int, t: int) -> None:
    """Both memories of the slot are free: attempts begin, if anybody wants pairs and there is light."""
    slot = m.slots[s]
    circuit = m.circuits[slot.circuit]
    if slot.pending and circuit.disturbs:  # another success probability: what was tried has been tried
        over(m, slot, tried(m, slot, t))
    slot.a_freed = t
    attempt(m, s, slot, circuit, t)


def attempt(m: Tables, s: int, slot: SlotRow, circuit: CircuitRow, t: int) -> None:
    """The same for a slot at hand whose last memory became free now. The left node may have asked before."""
    hop = m.hops[slot.hop]
    if circuit.wanted == 0 or hop.dark:
        slot.pending = 0
        return
    place = hop.draw_at
    hop.draw_at = place + 1
    if place >= hop.draws_short:
        m.scalar[REFILL] = 1
    attempts = m.draws[place]
    circuit.attempts += attempts
    begins = t - hop.asks_ns
    if slot.a_freed > begins:
        begins = slot.a_freed
    if circuit.disturbs:
        slot.tries = attempts
        slot.tries_from = begins + hop.restart_ns
    slot.pending = at(m, begins + hop.restart_ns + attempts * hop.cycle_ns, HERALD, s, 0)


def tried(m: Tables, slot: SlotRow, t: int) -> int:
    """Attempts that the slot has begun before now, of those that lead to the success it waits for. One that begins
    just now disturbs what is stored just now."""
    if t <= slot.tries_from:
        return 0
    return min((t - slot.tries_from - 1) // m.hops[slot.hop].cycle_ns + 1, slot.tries)


def over(m: Tables, slot: SlotRow, tries: int) -> None:
    """A run of attempts is over: both nodes have made so many."""
    slot.pending = 0
    m.positions[slot.left].tries += tries
    m.positions[slot.left + 1].tries += tries


def tries_at(m: Tables, p: int, t: int) -> int:
    """Attempts that the node at position p has begun before now."""
    here = m.positions[p]
    tries = here.tries
    for s in range(here.slots_from, here.slots_to):
        slot = m.slots[s]
        if slot.pending:
            tries += tried(m, slot, t)
    return tries


def herald(m: Tables, s: int, sequence: int, t: int) -> None:
    """A new pair in both memories of the slot, known at both ends, if this is the success that was waited for."""
    slot = m.slots[s]
    if slot.pending != sequence:
        return
    p = slot.left
    circuit = m.circuits[slot.circuit]
    circuit.heralds += 1
    number = stored(m, s, slot, sequence, t)
    if circuit.disturbs:
        over(m, slot, slot.tries)
        m.pairs[number].near_tries = tries_at(m, p, t)
        m.pairs[number].far_tries = tries_at(m, p + 1, t)
    if circuit.cutoffs:
        arm(m, s, p, circuit, t)
    if circuit.purifies and m.positions[circuit.first + 1].rounds:
        match(m, number, p, p + 1, t)
    elif circuit.hops == 1:
        deliver(m, number, m.pairs[number], m.positions[p], m.positions[p + 1])
    else:
        # Both ends are told before either swaps: a swap makes another pair of it.
        near, far = m.positions[p], m.positions[p + 1]
        here, there = near.takes_right, far.takes_left
        if here:
            m.ready[near.ready_a + near.a_count] = s
            near.a_count += 1
        if there:
            m.ready[far.ready_b + far.b_count] = s
            far.b_count += 1
        if here and near.b_count:
            begin_swap(m, near, t)
        if there and far.a_count and far.b_count:
            begin_swap(m, far, t)


def arm(m: Tables, s: int, p: int, circuit: CircuitRow, t: int) -> None:
    """Cut-offs of a new pair's qubits at inner nodes."""
    near, far = m.positions[p].cutoff_ns, m.positions[p + 1].cutoff_ns
    if near < FAR_FUTURE and p != circuit.first:
        at(m, t + near, CUTOFF, 2 * s, t)
    if far < FAR_FUTURE and p + 1 != circuit.last:
        at(m, t + far, CUTOFF, 2 * s + 1, t)


def stored(m: Tables, s: int, slot: SlotRow, serial: int, t: int) -> int:
    """A row for the new pair."""
    hop = m.hops[slot.hop]
    number = m.scalar[FREE_PAIRS]
    pair = m.pairs[number]
    m.scalar[FREE_PAIRS] = pair.next_free
    pair.serial = serial
    pair.held = 0
    pair.rounds = 0
    pair.ended_ns = -1
    pair.left = s
    pair.right = s
    pair.near = slot.left
    pair.far = slot.left + 1
    since = t - hop.stored_ns
    pair.time_ns = since
    pair.born_ns = since
    pair.x = hop.x
    pair.y = hop.y
    pair.z = hop.z
    pair.news_left = t + hop.near_ns
    pair.news_right = t - hop.far_ns
    slot.pending = 0
    slot.a = number
    slot.b = number
    slot.since = t
    slot.a_used = 0
    slot.b_used = 0
    return number


def drop_pair(m: Tables, number: int) -> None:
    pair = m.pairs[number]
    pair.serial = 0
    pair.next_free = m.scalar[FREE_PAIRS]
    m.scalar[FREE_PAIRS] = number


def free_a(m: Tables, s: int, t: int) -> None:
    """The A memory of the slot is empty from now on."""
    slot = m.slots[s]
    circuit = m.circuits[slot.circuit]
    circuit.memory_ns += t - slot.since
    slot.a = NOWHERE
    slot.a_freed = t
    if slot.b == NOWHERE:
        attempt(m, s, slot, circuit, t)


def free_b(m: Tables, s: int, t: int) -> None:
    slot = m.slots[s]
    circuit = m.circuits[slot.circuit]
    circuit.memory_ns += t - slot.since
    slot.b = NOWHERE
    if slot.a == NOWHERE:
        attempt(m, s, slot, circuit, t)


# -- what nodes know -------------------------------------------------------------------------------------


def grown(m: Tables, number: int, pair: PairRow, near: PositionRow, far: PositionRow) -> None:
    """A pair was joined or purified: news go to those of its ends whose program waits for them."""
    p, q = pair.near, pair.far
    circuit = m.circuits[near.circuit]
    if circuit.purifies and pair.rounds < m.positions[circuit.first + q - p].rounds:
        at(m, pair.news_left - near.at_ns, KNOWN, 2 * pair.left, pair.serial)  # the left end leads purification
        return
    if q - p == circuit.hops:
        deliver(m, number, pair, near, far)
        return
    if near.swap_right == q:
        at(m, pair.news_left - near.at_ns, KNOWN, 2 * pair.left, pair.serial)
    elif pair.rounds and near.swap_right == ANY:
        at(m, pair.news_left - near.at_ns, READY, 2 * pair.left, m.slots[pair.left].since)
    if far.swap_left == p:
        at(m, pair.news_right + far.at_ns, KNOWN, 2 * pair.right + 1, pair.serial)
    elif pair.rounds and far.swap_left == ANY:
        at(m, pair.news_right + far.at_ns, READY, 2 * pair.right + 1, m.slots[pair.right].since)


def known(m: Tables, place: int, serial: int, t: int) -> None:
    """The node at one end of a pair hears how far it reaches now."""
    s = place >> 1
    slot = m.slots[s]
    number = slot.b if place & 1 else slot.a
    if number == NOWHERE:
        return
    pair = m.pairs[number]
    if pair.serial != serial or pair.held:
        return
    p, q = pair.near, pair.far
    circuit = m.circuits[slot.circuit]
    if circuit.purifies and pair.rounds < m.positions[circuit.first + q - p].rounds:
        match(m, number, p, q, t)
    elif place & 1:
        ready_b(m, q, s, t)
    else:
        ready_a(m, p, s, t)


def ready(m: Tables, place: int, since: int, t: int) -> None:
    """The node hears that its qubit is fit to be swapped, whatever the other end has done meanwhile."""
    s = place >> 1
    slot = m.slots[s]
    if place & 1:
        if slot.b != NOWHERE and slot.since == since:
            ready_b(m, slot.left + 1, s, t)
    elif slot.a != NOWHERE and slot.since == since:
        ready_a(m, slot.left, s, t)


def ready_a(m: Tables, p: int, s: int, t: int) -> None:
    here = m.positions[p]
    m.ready[here.ready_a + here.a_count] = s
    here.a_count += 1
    if here.b_count:
        begin_swap(m, here, t)


def ready_b(m: Tables, q: int, s: int, t: int) -> None:
    here = m.positions[q]
    m.ready[here.ready_b + here.b_count] = s
    here.b_count += 1
    if here.a_count:
        begin_swap(m, here, t)


def unready(m: Tables, p: int, s: int, right_end: int) -> None:
    """Take a slot out of those that are ready at a position, if it is among them."""
    here = m.positions[p]
    base = here.ready_b if right_end else here.ready_a
    count = here.b_count if right_end else here.a_count
    for i in range(base, base + count):
        if m.ready[i] == s:
            for j in range(i, base + count - 1):
                m.ready[j] = m.ready[j + 1]
            if right_end:
                here.b_count -= 1
            else:
                here.a_count -= 1
            return


# -- swaps -----------------------------------------------------------------------------------------------


def try_swap(m: Tables, p: int, t: int) -> None:
    """Begin a swap at this position if a pair is ready on either side."""
    here = m.positions[p]
    if here.a_count and here.b_count:
        begin_swap(m, here, t)


def begin_swap(m: Tables, here: PositionRow, t: int) -> None:
    """Swap the first pairs that became ready on either side, or after a wait, unless there is no credit for it."""
    if here.credit == 0:
        return
    list_a, list_b = here.ready_a, here.ready_b
    a, b = m.ready[list_a], m.ready[list_b]
    here.a_count -= 1
    here.b_count -= 1
    if here.a_count:
        for i in range(list_a, list_a + here.a_count):
            m.ready[i] = m.ready[i + 1]
    if here.b_count:
        for i in range(list_b, list_b + here.b_count):
            m.ready[i] = m.ready[i + 1]
    if here.credit > 0:
        here.credit -= 1
    m.slots[a].a_used = 1
    m.slots[b].b_used = 1
    if here.swap_wait_ns == 0:
        swap(m, b, a, t)
    else:
        at(m, t + here.swap_wait_ns, SWAP, b, a)


def aged(pair: PairRow, near: PositionRow, far: PositionRow, t: int) -> None:
    """Bring a pair between two positions to the instant t."""
    dt = t - pair.time_ns
    if dt == 0 or near.decay == KEEPS:
        return
    pair.time_ns = t
    if near.decay == ALIKE:
        e = exp((near.rate_x + far.rate_x) * -dt)
        pair.x *= e
        pair.y *= e
        pair.z *= e
    else:
        pair.x *= exp((near.rate_x + far.rate_x) * -dt)
        pair.y *= exp((near.rate_y + far.rate_y) * -dt)
        pair.z *= exp((near.rate_z + far.rate_z) * -dt)


def disturbed(m: Tables, pair: PairRow, t: int) -> None:
    """Account for the attempts that both ends' nodes have made beside the pair."""
    near, far = tries_at(m, pair.near, t), tries_at(m, pair.far, t)
    cost = m.positions[pair.near].attempt_loss * (near - pair.near_tries)
    cost += m.positions[pair.far].attempt_loss * (far - pair.far_tries)
    e = exp(-cost)
    pair.x *= e
    pair.y *= e
    pair.near_tries = near
    pair.far_tries = far


def disturbed_here(m: Tables, left: PairRow, right: PairRow, k: int, t: int) -> None:
    """The same for the two qubits that are swapped at position k; `left` will end where `right` does."""
    tries = 2 * tries_at(m, k, t) - left.far_tries - right.near_tries
    e = exp(m.positions[k].attempt_loss * -tries)
    left.x *= e
    left.y *= e
    left.far_tries = right.far_tries


def swap(m: Tables, slot_b: int, slot_a: int, t: int) -> None:
    """Join the pair that ends in B memory `slot_b` with the one that begins in A memory `slot_a`, at one node."""
    left_slot, right_slot = m.slots[slot_b], m.slots[slot_a]
    one, other = left_slot.b, right_slot.a
    left, right = m.pairs[one], m.pairs[other]
    here = m.positions[right_slot.left]
    circuit = m.circuits[here.circuit]
    circuit.swaps += 1
    fails = False
    if here.swap_success < 1.0:
        fails = uniform(m, here.circuit) >= here.swap_success
        if fails:
            circuit.swap_failures += 1
    if fails or left.left == NOWHERE or right.right == NOWHERE:
        torn(m, one, other, right_slot.left, t, fails)
    else:
        near, far = m.positions[left.near], m.positions[right.far]
        noise = here.swap_noise
        if near.decay == ALIKE:  # as in `aged`, for both at once
            aging = (near.rate_x + here.rate_x) * (left.time_ns - t) + (here.rate_x + far.rate_x) * (right.time_ns - t)
            noise *= exp(aging)
            left.time_ns = t
        elif near.decay != KEEPS:
            aged(left, near, here, t)
            aged(right, here, far, t)
            if near.decay == DISTURBED:
                disturbed_here(m, left, right, right_slot.left, t)
        left.x *= right.x * noise
        left.y *= right.y * noise
        left.z *= right.z * noise
        joined(m, left, right, here, t)
        m.slots[left.right].b = one
        drop_pair(m, other)
        grown(m, one, left, near, far)
    circuit.memory_ns += 2 * t - left_slot.since - right_slot.since
    left_slot.b = NOWHERE
    right_slot.a = NOWHERE
    right_slot.a_freed = t
    if left_slot.a == NOWHERE:
        attempt(m, slot_b, left_slot, circuit, t)
    if right_slot.b == NOWHERE:
        attempt(m, slot_a, right_slot, circuit, t)


def joined(m: Tables, left: PairRow, right: PairRow, here: PositionRow, t: int) -> None:
    """`left` becomes the pair over both: its ends, its news, its number."""
    left.right = right.right
    left.far = right.far
    left.rounds = 0
    news = t + here.at_ns
    if right.news_left > news:
        news = right.news_left
    if news > left.news_left:
        left.news_left = news
    news = t - here.at_ns
    if right.news_right > news:
        news = right.news_right
    if news > left.news_right:
        left.news_right = news
    if right.born_ns < left.born_ns:
        left.born_ns = right.born_ns
    left.serial = new_serial(m)


def torn(m: Tables, one: int, other: int, k: int, t: int, fails: bool) -> None:
    """A swap that failed, or one whose pairs had lost an end already: the ends that are left hear of it."""
    left, right = m.pairs[one], m.pairs[other]
    a, b = left.left, right.right
    here = m.positions[k].at_ns
    p = k if a == NOWHERE else left.near
    q = k if b == NOWHERE else right.far
    # What was lost before was already on its way to here, and goes on from here.
    if a != NOWHERE:
        late = 0 if fails or b != NOWHERE else right.lost_ns + m.positions[right.lost_at].at_ns - here
        leave(m, one, k, max(t, late), True)
    if b != NOWHERE:
        late = 0 if fails or a != NOWHERE else left.lost_ns + here - m.positions[left.lost_at].at_ns
        leave(m, other, k, max(t, late), False)
    if a == NOWHERE:
        drop_pair(m, one)
    if b == NOWHERE:
        drop_pair(m, other)
    give_back(m, p, q, t)


def give_back(m: Tables, p: int, q: int, t: int) -> None:
    """Swaps between two positions were in vain: where they have to be asked for, they may be made again."""
    for k in range(p + 1, q):
        if m.positions[k].credit >= 0:
            m.positions[k].credit += 1
            at(m, t, NUDGE, k, 0)


def leave(m: Tables, number: int, k: int, since: int, left_stays: bool) -> None:
    """One end of the pair, at position k, is no more; its other end hears so, from k, at light speed after `since`."""
    pair = m.pairs[number]
    serial = new_serial(m)
    pair.serial = serial
    pair.lost_ns = since
    pair.lost_at = k
    here = m.positions[k].at_ns
    if left_stays:
        pair.right = NOWHERE
        at(m, since + here - m.positions[pair.near].at_ns, GONE, 2 * pair.left, serial)
    else:
        pair.left = NOWHERE
        at(m, since + m.positions[pair.far].at_ns - here, GONE, 2 * pair.right + 1, serial)


def gone(m: Tables, place: int, serial: int, t: int) -> None:
    """An end hears that its pair is lost: its memory is free, unless it has swapped it away."""
    s = place >> 1
    slot = m.slots[s]
    number = slot.b if place & 1 else slot.a
    if number == NOWHERE or m.pairs[number].serial != serial:
        return
    p = slot.left + (place & 1)
    if m.positions[p].swap_wait_ns and (slot.b_used if place & 1 else slot.a_used):
        return  # it is being swapped, and the swap will find it
    unready(m, p, s, place & 1)
    drop_pair(m, number)
    if place & 1:
        free_b(m, s, t)
    else:
        free_a(m, s, t)


def cutoff(m: Tables, place: int, since: int, t: int) -> None:
    """A qubit has waited too long at its node: it is discarded, unless it is being used just now."""
    s = place >> 1
    slot = m.slots[s]
    right_end = place & 1
    number = slot.b if right_end else slot.a
    if number == NOWHERE or slot.since != since or m.pairs[number].held:
        return
    if slot.b_used if right_end else slot.a_used:
        return
    k = slot.left + right_end
    pair = m.pairs[number]
    unready(m, k, s, right_end)
    if (pair.left if right_end else pair.right) == NOWHERE:
        drop_pair(m, number)
    elif right_end:
        give_back(m, pair.near, k, t)
        leave(m, number, k, t, True)
    else:
        give_back(m, k, pair.far, t)
        leave(m, number, k, t, False)
    if right_end:
        free_b(m, s, t)
    else:
        free_a(m, s, t)
    circuit = m.circuits[m.positions[k].circuit]
    circuit.expired += 1


# -- purification ----------------------------------------------------------------------------------------


def match(m: Tables, number: int, p: int, q: int, t: int) -> None:
    """At the left end p: begin to purify the pair with another one of the same ends and rounds, if there is one."""
    pair = m.pairs[number]
    near, far = m.positions[p], m.positions[q]
    own = pair.left
    base = m.hops[m.slots[own].hop].first_slot
    circuit = m.circuits[near.circuit]
    for s in range(base, base + circuit.width):
        if s == own or m.slots[s].a == NOWHERE:
            continue
        other = m.pairs[m.slots[s].a]
        if other.held or other.right == NOWHERE or other.rounds != pair.rounds:
            continue
        if other.far != q or other.news_left - near.at_ns > t:
            continue
        pair.held = 1
        other.held = 1
        # The far end is told, and works on its halves at the same instant as the near one.
        circuit.matches += 1
        when = max(t + far.at_ns - near.at_ns, pair.news_right + far.at_ns, other.news_right + far.at_ns)
        at(m, when, PURIFY, s, own)
        return


def purify(m: Tables, kept: int, spent: int, t: int) -> None:
    """Both ends do their gates on two pairs and measure the second one; each hears the other's result later."""
    number, spent_number = m.slots[kept].a, m.slots[spent].a
    pair, other = m.pairs[number], m.pairs[spent_number]
    p, q = pair.near, pair.far
    near, far = m.positions[p], m.positions[q]
    circuit = m.circuits[near.circuit]
    circuit.purifications += 1
    aged(pair, near, far, t)
    aged(other, near, far, t)
    if near.decay == DISTURBED:
        disturbed(m, pair, t)
        disturbed(m, other, t)
    success = distilled(pair, other, circuit.werner_first, circuit.gates, circuit.readout)
    if other.born_ns < pair.born_ns:
        pair.born_ns = other.born_ns
    other_b = other.right
    drop_pair(m, spent_number)
    free_b(m, other_b, t)
    free_a(m, spent, t)
    pair.serial = new_serial(m)
    heard = t + far.at_ns - near.at_ns
    if uniform(m, near.circuit) < success:
        pair.held = 0
        pair.rounds += 1
        pair.news_left = heard + near.at_ns
        pair.news_right = heard - far.at_ns
        grown(m, number, pair, near, far)
        rearm(m, pair.left, pair.right, heard)
    else:
        circuit.purify_failures += 1
        give_back(m, p, q, t)
        halved(m, number, p, q, heard)


def halved(m: Tables, number: int, p: int, q: int, heard: int) -> None:
    """A purification failed: two halves of nothing, each freed when its node hears of it."""
    pair = m.pairs[number]
    half_number = m.scalar[FREE_PAIRS]
    half = m.pairs[half_number]
    m.scalar[FREE_PAIRS] = half.next_free
    half.serial = new_serial(m)
    half.held = 1
    half.left = NOWHERE
    half.right = pair.right
    half.far = pair.far
    half.lost_ns = heard
    half.lost_at = p
    m.slots[pair.right].b = half_number
    pair.held = 1
    pair.right = NOWHERE
    pair.lost_ns = heard
    pair.lost_at = q
    at(m, heard, GONE, 2 * pair.left, pair.serial)
    at(m, heard, GONE, 2 * half.right + 1, half.serial)


def rearm(m: Tables, a: int, b: int, heard: int) -> None:
    """Cut-offs that passed while a pair was being purified are looked at when its nodes hear of it."""
    near, far = m.positions[m.slots[a].left], m.positions[m.slots[b].left + 1]
    circuit = m.circuits[near.circuit]
    if m.slots[a].left != circuit.first and m.slots[a].since <= heard - near.cutoff_ns:
        at(m, heard, CUTOFF, 2 * a, m.slots[a].since)
    if m.slots[b].left + 1 != circuit.last and m.slots[b].since <= heard - far.cutoff_ns:
        at(m, heard, CUTOFF, 2 * b + 1, m.slots[b].since)


def distilled(pair: PairRow, other: PairRow, werner: int, gates: float, readout: float) -> float:
    """Leave in `pair` what DEJMPS or BBPSSW leaves of both after success; gives its probability.

    Deutsch et al., PRL 77, 2818 (1996); Bennett et al., PRL 76, 722 (1996). A depolarised CNOT leaves white noise
    (probability 1 - `gates`); a parity that is read wrongly lets the other half of the outcomes through.
    """
    x, y, z, u, v, w = pair.x, pair.y, pair.z, other.x, other.y, other.z
    if werner:
        x = y = z = (x + y + z) / 3
        u = v = w = (u + v + w) / 3
    # Bell coefficients: a Phi+, b Psi-, c Psi+, d Phi-.
    a, b, c, d = (1 + x + y + z) / 4, (1 - x + y - z) / 4, (1 + x - y - z) / 4, (1 - x - y + z) / 4
    e, f, g, h = (1 + u + v + w) / 4, (1 - u + v - w) / 4, (1 + u - v - w) / 4, (1 - u - v + w) / 4
    even, odd = gates * readout, gates * (1 - readout)
    noise = (1 - gates) / 8
    phi_plus = even * (a * e + b * f) + odd * (a * g + b * h) + noise
    phi_minus = even * (a * f + b * e) + odd * (a * h + b * g) + noise
    psi_plus = even * (c * g + d * h) + odd * (c * e + d * f) + noise
    psi_minus = even * (c * h + d * g) + odd * (c * f + d * e) + noise
    success = phi_plus + phi_minus + psi_plus + psi_minus
    x = (phi_plus + psi_plus - phi_minus - psi_minus) / success
    y = (phi_plus + psi_minus - phi_minus - psi_plus) / success
    z = (phi_plus + phi_minus - psi_plus - psi_minus) / success
    if werner:
        x = y = z = (x + y + z) / 3
    pair.x = x
    pair.y = y
    pair.z = z
    return success


# -- deliveries ------------------------------------------------------------------------------------------


def deliver(m: Tables, number: int, pair: PairRow, near: PositionRow, far: PositionRow) -> None:
    """The pair reaches from head to tail: each end hands its half over when it has heard of all swaps."""
    left_ns, right_ns = pair.news_left - near.at_ns, pair.news_right + far.at_ns
    if left_ns == right_ns:
        at(m, left_ns, BOTH_ENDS, number, pair.serial)
    else:
        at(m, left_ns, END, 2 * pair.left, pair.serial)
        at(m, right_ns, END, 2 * pair.right + 1, pair.serial)


def end(m: Tables, place: int, serial: int, t: int) -> None:
    """One end hands its half over, and its memory is free. At the second end the outcome is complete."""
    s = place >> 1
    slot = m.slots[s]
    right_end = place & 1
    number = slot.b if right_end else slot.a
    if number == NOWHERE:
        return
    pair = m.pairs[number]
    if pair.serial != serial:
        return
    here = m.positions[slot.left + right_end]
    dt = t - pair.time_ns
    if here.decay != KEEPS:
        pair.x *= exp(here.rate_x * -dt)
        pair.y *= exp(here.rate_y * -dt)
        pair.z *= exp(here.rate_z * -dt)
        if here.decay == DISTURBED:
            disturbed_end(m, pair, slot.left + right_end, right_end, t)
    if pair.ended_ns < 0:
        pair.ended_ns = t
    else:
        outcome(m, pair, here.circuit, t, right_end)
        drop_pair(m, number)
    if right_end:
        free_b(m, s, t)
    else:
        free_a(m, s, t)


def disturbed_end(m: Tables, pair: PairRow, p: int, right_end: int, t: int) -> None:
    """Account for the attempts that the node at one end has made beside the pair."""
    tries = tries_at(m, p, t)
    e = exp(m.positions[p].attempt_loss * ((pair.far_tries if right_end else pair.near_tries) - tries))
    pair.x *= e
    pair.y *= e
    if right_end:
        pair.far_tries = tries
    else:
        pair.near_tries = tries


def both_ends(m: Tables, number: int, serial: int, t: int) -> None:
    """Both ends hand over at the same instant."""
    pair = m.pairs[number]
    if pair.serial != serial:
        return
    near = m.positions[pair.near]
    aged(pair, near, m.positions[pair.far], t)
    if near.decay == DISTURBED:
        disturbed(m, pair, t)
    pair.ended_ns = t
    outcome(m, pair, near.circuit, t, 1)
    drop_pair(m, number)
    free_a(m, pair.left, t)
    free_b(m, pair.right, t)


def outcome(m: Tables, pair: PairRow, c: int, t: int, right_is_last: int) -> None:
    circuit = m.circuits[c]
    if circuit.wanted == 0:
        return
    if circuit.wanted > 0:
        circuit.wanted -= 1
    circuit.delivered += 1
    place = m.scalar[OUT]
    m.scalar[OUT] = place + 1
    row = m.outcomes[place]
    row.circuit = c
    row.left_ns = pair.ended_ns if right_is_last else t
    row.right_ns = t if right_is_last else pair.ended_ns
    row.left_tries = pair.near_tries
    row.right_tries = pair.far_tries
    row.born_ns = pair.born_ns
    row.x = pair.x
    row.y = pair.y
    row.z = pair.z
    if place + 2 >= len(m.outcomes):
        m.scalar[REFILL] = 1
