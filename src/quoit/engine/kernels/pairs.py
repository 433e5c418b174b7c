"""The pair machine: attempts, swaps, purification, cut-offs and deliveries of many circuits, event by event.

Written once in the Python that numba compiles as well. Plain Python runs it over objects, compiled code over records,
and both give the same bits: order is by (time, sequence number), and random numbers come from buffers that NumPy fills.

Attempts are not events. The number until success is geometric, so a success is one event, and whoever changes a link
draws anew from there: a geometric wait has no memory.
"""

from __future__ import annotations

from math import exp

from quoit.engine.kernels.heap_lists import pop, push
from quoit.engine.kernels.tables import (
    ANY,
    CUTOFF,
    DRAWS,
    END,
    FAR_FUTURE,
    FREE_PAIRS,
    GONE,
    HERALD,
    IDLE,
    KNOWN,
    NOWHERE,
    NUDGE,
    OUT,
    OUTCOMES,
    PURIFY,
    READY,
    REFILL,
    SEQUENCE,
    SERIAL,
    SPARE_DRAWS,
    SWAP,
    PairRow,
    PositionRow,
    Tables,
)


def run(m: Tables, until: int) -> int:
    """Do all events up to and including `until`. Gives the time of the next one, which is later, or -1 if random
    numbers or room for outcomes ran short: refill and call again."""
    scalar = m.scalar
    while True:
        t, sequence, kind, a, b = pop(m)
        if t > until:
            if kind != IDLE:
                push(m, t, sequence, kind, a, b)
            return t
        if kind == HERALD:
            herald(m, a, sequence, t)
        elif kind == SWAP:
            swap(m, a, b, t)
        elif kind == KNOWN:
            known(m, a, b, t)
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


def at(m: Tables, t: int, kind: int, a: int, b: int) -> int:
    """Put an event in; gives its sequence number."""
    sequence = m.scalar[SEQUENCE] + 1
    m.scalar[SEQUENCE] = sequence
    push(m, t, sequence, kind, a, b)
    return sequence


def uniform(m: Tables, c: int) -> float:
    """The circuit's next random number in [0, 1)."""
    circuit = m.circuits[c]
    place = circuit.uniform_at
    circuit.uniform_at = place + 1
    if place + SPARE_DRAWS >= DRAWS:
        m.scalar[REFILL] = 1
    return m.uniform[c * DRAWS + place]


def new_serial(m: Tables) -> int:
    serial = m.scalar[SERIAL] + 1
    m.scalar[SERIAL] = serial
    return serial


# -- links -----------------------------------------------------------------------------------------------


def start(m: Tables, s: int, t: int) -> None:
    """Both memories of the slot are free: attempts begin, if anybody wants pairs and there is light."""
    slot = m.slots[s]
    hop = m.hops[slot.hop]
    circuit = m.circuits[hop.circuit]
    if circuit.wanted == 0 or hop.dark:
        slot.pending = 0
        return
    place = hop.draw_at
    attempts = m.draws[slot.hop * DRAWS + place]
    hop.draw_at = place + 1
    scalar = m.scalar
    if place + SPARE_DRAWS >= DRAWS:
        scalar[REFILL] = 1
    circuit.attempts += attempts
    sequence = scalar[SEQUENCE] + 1
    scalar[SEQUENCE] = slot.pending = sequence
    push(m, t + hop.restart_ns + attempts * hop.cycle_ns, sequence, HERALD, s, 0)


def herald(m: Tables, s: int, sequence: int, t: int) -> None:
    """A new pair in both memories of the slot, known at both ends, if this is the success that was waited for."""
    slot = m.slots[s]
    if slot.pending != sequence:
        return
    p = slot.left
    near, far = m.positions[p], m.positions[p + 1]
    circuit = m.circuits[near.circuit]
    pair = stored(m, s, t)
    circuit.heralds += 1
    circuit.messages += 2
    if near.cutoff_ns < FAR_FUTURE and p != circuit.first:
        at(m, t + near.cutoff_ns, CUTOFF, 2 * s, t)
    if far.cutoff_ns < FAR_FUTURE and p + 1 != circuit.last:
        at(m, t + far.cutoff_ns, CUTOFF, 2 * s + 1, t)
    if m.positions[circuit.first + 1].rounds:
        match(m, pair, p, p + 1, t)
    elif circuit.last == circuit.first + 1:
        deliver(m, pair, p, p + 1)
    else:
        # Both ends are told before either swaps: a swap makes another pair of it.
        wanted = near.swap_right
        here = wanted in (ANY, p + 1)
        if here:
            m.ready[near.ready_at + near.a_count] = s
            near.a_count += 1
        wanted = far.swap_left
        there = wanted in (ANY, p)
        if there:
            m.ready[far.ready_at + circuit.width + far.b_count] = s
            far.b_count += 1
        if here and near.b_count:
            try_swap(m, p, t)
        if there and far.a_count and far.b_count:
            try_swap(m, p + 1, t)


def stored(m: Tables, s: int, t: int) -> int:
    """A row for the new pair."""
    slot = m.slots[s]
    hop = m.hops[slot.hop]
    pairs = m.pairs
    scalar = m.scalar
    number = scalar[FREE_PAIRS]
    pair = pairs[number]
    scalar[FREE_PAIRS] = pair.next_free
    pair.serial = scalar[SERIAL] = scalar[SERIAL] + 1
    pair.held = 0
    pair.ended_ns = -1
    pair.left = s
    pair.right = s
    since = t - hop.stored_ns
    pair.time_ns = since
    pair.born_ns = since
    pair.x = hop.x
    pair.y = hop.y
    pair.z = hop.z
    p = slot.left
    pair.news_left = t + m.positions[p].at_ns
    pair.news_right = t - m.positions[p + 1].at_ns
    pair.rounds = 0
    slot.pending = 0
    slot.a = number
    slot.b = number
    slot.a_since = t
    slot.b_since = t
    slot.a_timer = t
    slot.b_timer = t
    return number


def drop_pair(m: Tables, number: int) -> None:
    pair = m.pairs[number]
    pair.serial = 0
    pair.next_free = m.scalar[FREE_PAIRS]
    m.scalar[FREE_PAIRS] = number


def free_a(m: Tables, s: int, t: int) -> None:
    """The A memory of the slot is empty from now on."""
    slot = m.slots[s]
    slot.a = NOWHERE
    m.circuits[m.hops[slot.hop].circuit].memory_ns += t - slot.a_since
    if slot.b == NOWHERE:
        start(m, s, t)


def free_b(m: Tables, s: int, t: int) -> None:
    slot = m.slots[s]
    slot.b = NOWHERE
    m.circuits[m.hops[slot.hop].circuit].memory_ns += t - slot.b_since
    if slot.a == NOWHERE:
        start(m, s, t)


# -- what nodes know -------------------------------------------------------------------------------------


def grown(m: Tables, number: int) -> None:
    """A pair was joined or purified: news go to those of its ends whose program waits for them."""
    pair = m.pairs[number]
    a, b = pair.left, pair.right
    p, q = m.slots[a].left, m.slots[b].left + 1
    near, far = m.positions[p], m.positions[q]
    circuit = m.circuits[near.circuit]
    if pair.rounds < m.positions[circuit.first + q - p].rounds:
        at(m, pair.news_left - near.at_ns, KNOWN, 2 * a, pair.serial)  # the left end leads purification
        return
    if p == circuit.first and q == circuit.last:
        deliver(m, number, p, q)
        return
    if near.swap_right == q:
        at(m, pair.news_left - near.at_ns, KNOWN, 2 * a, pair.serial)
    elif near.swap_right == ANY and pair.rounds:
        at(m, pair.news_left - near.at_ns, READY, 2 * a, m.slots[a].a_since)
    if far.swap_left == p:
        at(m, pair.news_right + far.at_ns, KNOWN, 2 * b + 1, pair.serial)
    elif far.swap_left == ANY and pair.rounds:
        at(m, pair.news_right + far.at_ns, READY, 2 * b + 1, m.slots[b].b_since)


def known(m: Tables, place: int, serial: int, t: int) -> None:
    """The node at one end of a pair hears how far it reaches now."""
    s = place >> 1
    number = m.slots[s].b if place & 1 else m.slots[s].a
    if number == NOWHERE:
        return
    pair = m.pairs[number]
    if pair.serial != serial or pair.held:
        return
    p, q = m.slots[pair.left].left, m.slots[pair.right].left + 1
    circuit = m.circuits[m.positions[p].circuit]
    if pair.rounds < m.positions[circuit.first + q - p].rounds:
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
        if slot.b != NOWHERE and slot.b_since == since:
            ready_b(m, slot.left + 1, s, t)
    elif slot.a != NOWHERE and slot.a_since == since:
        ready_a(m, slot.left, s, t)


def ready_a(m: Tables, p: int, s: int, t: int) -> None:
    here = m.positions[p]
    m.ready[here.ready_at + here.a_count] = s
    here.a_count += 1
    try_swap(m, p, t)


def ready_b(m: Tables, q: int, s: int, t: int) -> None:
    here = m.positions[q]
    m.ready[here.ready_at + m.circuits[here.circuit].width + here.b_count] = s
    here.b_count += 1
    try_swap(m, q, t)


def unready(m: Tables, p: int, s: int, right_end: int) -> None:
    """Take a slot out of those that are ready at a position, if it is among them."""
    here = m.positions[p]
    base = here.ready_at + m.circuits[here.circuit].width if right_end else here.ready_at
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
    if here.a_count == 0 or here.b_count == 0 or here.credit == 0:
        return
    list_a = here.ready_at
    list_b = list_a + m.circuits[here.circuit].width
    a, b = m.ready[list_a], m.ready[list_b]
    here.a_count -= 1
    here.b_count -= 1
    for i in range(list_a, list_a + here.a_count):
        m.ready[i] = m.ready[i + 1]
    for i in range(list_b, list_b + here.b_count):
        m.ready[i] = m.ready[i + 1]
    if here.credit > 0:
        here.credit -= 1
    m.slots[a].a_timer = -1
    m.slots[b].b_timer = -1
    if here.swap_wait_ns == 0:
        swap(m, b, a, t)
    else:
        at(m, t + here.swap_wait_ns, SWAP, b, a)


def aged(pair: PairRow, near: PositionRow, far: PositionRow, t: int) -> None:
    """Bring a pair between two positions to the instant t."""
    dt = t - pair.time_ns
    if dt:
        pair.time_ns = t
        decay(pair, (near.rate_x + far.rate_x) * dt, (near.rate_y + far.rate_y) * dt, (near.rate_z + far.rate_z) * dt)


def decay(pair: PairRow, x: float, y: float, z: float) -> None:
    if x != 0.0 or z != 0.0:
        e = exp(-x)
        pair.x *= e
        pair.y *= e if y == x else exp(-y)
        pair.z *= e if z == x else exp(-z)


def swap(m: Tables, slot_b: int, slot_a: int, t: int) -> None:
    """Join the pair that ends in B memory `slot_b` with the one that begins in A memory `slot_a`, at one node."""
    one, other = m.slots[slot_b].b, m.slots[slot_a].a
    k = m.slots[slot_a].left
    here = m.positions[k]
    circuit = m.circuits[here.circuit]
    circuit.swaps += 1
    circuit.messages += 2
    whole = m.pairs[one].left != NOWHERE and m.pairs[other].right != NOWHERE
    fails = False
    if here.swap_success < 1.0:
        fails = uniform(m, here.circuit) >= here.swap_success
        if fails:
            circuit.swap_failures += 1
    if whole and not fails:
        joined(m, one, other, k, t)
        grown(m, one)
    else:
        torn(m, one, other, k, t, fails)
    free_b(m, slot_b, t)
    free_a(m, slot_a, t)


def joined(m: Tables, one: int, other: int, k: int, t: int) -> None:
    """`one` becomes the pair over both."""
    left, right = m.pairs[one], m.pairs[other]
    b = right.right
    here = m.positions[k]
    aged(left, m.positions[m.slots[left.left].left], here, t)
    aged(right, here, m.positions[m.slots[b].left + 1], t)
    noise = here.swap_noise
    left.x *= right.x * noise
    left.y *= right.y * noise
    left.z *= right.z * noise
    left.right = b
    m.slots[b].b = one
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
    drop_pair(m, other)


def torn(m: Tables, one: int, other: int, k: int, t: int, fails: bool) -> None:
    """A swap that failed, or one whose pairs had lost an end already: the ends that are left hear of it."""
    left, right = m.pairs[one], m.pairs[other]
    a, b = left.left, right.right
    here = m.positions[k].at_ns
    p = k if a == NOWHERE else m.slots[a].left
    q = k if b == NOWHERE else m.slots[b].left + 1
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
        at(m, since + here - m.positions[m.slots[pair.left].left].at_ns, GONE, 2 * pair.left, serial)
    else:
        pair.left = NOWHERE
        at(m, since + m.positions[m.slots[pair.right].left + 1].at_ns - here, GONE, 2 * pair.right + 1, serial)


def gone(m: Tables, place: int, serial: int, t: int) -> None:
    """An end hears that its pair is lost: its memory is free, unless it has swapped it away."""
    s = place >> 1
    slot = m.slots[s]
    number = slot.b if place & 1 else slot.a
    if number == NOWHERE or m.pairs[number].serial != serial:
        return
    p = slot.left + (place & 1)
    if m.positions[p].swap_wait_ns and (slot.b_timer if place & 1 else slot.a_timer) == -1:
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
    if number == NOWHERE or (slot.b_timer if right_end else slot.a_timer) != since or m.pairs[number].held:
        return
    k = slot.left + right_end
    pair = m.pairs[number]
    unready(m, k, s, right_end)
    if (pair.left if right_end else pair.right) == NOWHERE:
        drop_pair(m, number)
    elif right_end:
        give_back(m, m.slots[pair.left].left, k, t)
        leave(m, number, k, t, True)
    else:
        give_back(m, k, m.slots[pair.right].left + 1, t)
        leave(m, number, k, t, False)
    if right_end:
        free_b(m, s, t)
    else:
        free_a(m, s, t)
    circuit = m.circuits[m.positions[k].circuit]
    circuit.expired += 1
    circuit.messages += 1


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
        if m.slots[other.right].left + 1 != q or other.news_left - near.at_ns > t:
            continue
        pair.held = 1
        other.held = 1
        # The far end is told, and works on its halves at the same instant as the near one.
        circuit.messages += 3
        when = max(t + far.at_ns - near.at_ns, pair.news_right + far.at_ns, other.news_right + far.at_ns)
        at(m, when, PURIFY, s, own)
        return


def purify(m: Tables, kept: int, spent: int, t: int) -> None:
    """Both ends do their gates on two pairs and measure the second one; each hears the other's result later."""
    number, spent_number = m.slots[kept].a, m.slots[spent].a
    pair, other = m.pairs[number], m.pairs[spent_number]
    p, q = m.slots[pair.left].left, m.slots[pair.right].left + 1
    near, far = m.positions[p], m.positions[q]
    circuit = m.circuits[near.circuit]
    circuit.purifications += 1
    aged(pair, near, far, t)
    aged(other, near, far, t)
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
        grown(m, number)
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
    if m.slots[a].left != circuit.first and m.slots[a].a_since <= heard - near.cutoff_ns:
        at(m, heard, CUTOFF, 2 * a, m.slots[a].a_since)
    if m.slots[b].left + 1 != circuit.last and m.slots[b].b_since <= heard - far.cutoff_ns:
        at(m, heard, CUTOFF, 2 * b + 1, m.slots[b].b_since)


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


def deliver(m: Tables, number: int, p: int, q: int) -> None:
    """The pair reaches from head to tail: each end hands its half over when it has heard of all swaps."""
    pair = m.pairs[number]
    at(m, pair.news_left - m.positions[p].at_ns, END, 2 * pair.left, pair.serial)
    at(m, pair.news_right + m.positions[q].at_ns, END, 2 * pair.right + 1, pair.serial)


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
    decay(pair, here.rate_x * dt, here.rate_y * dt, here.rate_z * dt)
    if pair.ended_ns < 0:
        pair.ended_ns = t
    else:
        outcome(m, pair, here.circuit, t, right_end)
        drop_pair(m, number)
    if right_end:
        free_b(m, s, t)
    else:
        free_a(m, s, t)


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
    row.born_ns = pair.born_ns
    row.x = pair.x
    row.y = pair.y
    row.z = pair.z
    if place + 2 >= OUTCOMES:
        m.scalar[REFILL] = 1
