"""Frames from the bus change state once, however often and in whatever order they come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quoit.runtime.inbox import PATIENCE, Frame, Inbox


class Post:
    def __init__(self) -> None:
        self.taken: list[Frame] = []
        self.lost: list[tuple[int, int]] = []
        self.inbox = Inbox(self.taken.append, lambda source, number: self.lost.append((source, number)))


@pytest.mark.realises("F3")
@given(st.permutations(range(1, 13)), st.lists(st.integers(0, 11), max_size=20))
def test_b1_duplicates_reordering_and_replays_change_nothing(order: list[int], again: list[int]) -> None:
    post = Post()
    for at, number in enumerate(order):
        post.inbox.take(7, number, (number,))
        for which in again:
            if which <= at:
                post.inbox.take(7, order[which], (order[which],))
    assert sorted(post.taken) == [(n,) for n in range(1, 13)]
    assert post.lost == []


def test_b1_sources_are_told_apart() -> None:
    post = Post()
    post.inbox.take(1, 1, ("a",))
    post.inbox.take(2, 1, ("b",))
    assert post.taken == [("a",), ("b",)]


def test_b1_a_frame_that_stays_away_is_noticed_once() -> None:
    post = Post()
    for number in range(2, PATIENCE + 10):
        post.inbox.take(1, number, (number,))
    assert post.lost == [(1, 1)]
    post.inbox.take(1, 1, (1,))  # too late: the gap was given up
    assert (1,) not in post.taken
    assert len(post.taken) == PATIENCE + 8
