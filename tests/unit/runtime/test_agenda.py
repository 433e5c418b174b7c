"""The order in which waiting events come up."""

from __future__ import annotations

from heapq import heappop

from hypothesis import given
from hypothesis import strategies as st

from quoit.runtime.agenda import CLOSED, COUNT_BITS, Agenda, Entry, order_of

puts = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=40)


def entry(sender: int, count: int) -> Entry:
    return (order_of(sender, count), 0, 0, None, 0)


def take(agenda: Agenda) -> Entry:
    if agenda.late and (not agenda.slot or agenda.late[0] < agenda.slot[-1]):
        return heappop(agenda.late)
    return agenda.slot.pop()


@given(puts=puts, close_after=st.sets(st.integers(0, 40)))
def test_entries_come_by_due_then_sender_then_count(puts: list[tuple[int, int]], close_after: set[int]) -> None:
    agenda = Agenda()
    waiting = [(due, entry(sender, count)) for count, (due, sender) in enumerate(puts)]
    for due, one in waiting:
        agenda.put(due, one)
    got = []
    while agenda.next_due is not None:
        if not (agenda.slot or agenda.late):
            assert agenda.open(until=5)
        got.append((agenda.due, take(agenda)))
        if len(got) in close_after:
            agenda.close()
            assert agenda.due == CLOSED
    assert got == sorted(waiting)


def test_what_falls_due_within_the_open_instant_joins_it() -> None:
    agenda = Agenda()
    agenda.put(3, entry(1, 1))
    agenda.put(3, entry(3, 1))
    assert agenda.open(until=3) == 2
    assert take(agenda) == entry(1, 1)
    agenda.put(3, entry(2, 1))
    agenda.put(3, entry(4, 1))
    assert [take(agenda) for _ in range(3)] == [entry(2, 1), entry(3, 1), entry(4, 1)]
    assert agenda.next_due is None


def test_nothing_is_opened_before_it_is_due() -> None:
    agenda = Agenda()
    agenda.put(7, entry(0, 1))
    assert agenda.open(until=6) == 0
    assert agenda.next_due == 7


def test_an_order_names_sender_and_count() -> None:
    order = order_of(5, 9)
    assert (order >> COUNT_BITS, order & (1 << COUNT_BITS) - 1) == (5, 9)
    assert order_of(1, (1 << COUNT_BITS) - 1) < order_of(2, 0)
