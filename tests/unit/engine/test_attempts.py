"""Who has made attempts at a node, and who has heard of them."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from quoit.engine.attempts import AttemptBoard

PARTS = ("kept", "measured", "third")
TOLD = st.tuples(st.sampled_from(PARTS), st.sampled_from("ab"), st.integers(0, 1_000))
ASKED = st.sampled_from(PARTS)


@given(st.lists(st.one_of(TOLD, ASKED)))
def test_every_part_hears_of_all_others_attempts_once_and_never_of_its_own(steps: list[object]) -> None:
    board = AttemptBoard()
    made: Counter[tuple[str, str]] = Counter()
    heard: dict[str, Counter[str]] = {part: Counter() for part in PARTS}
    for step in [*steps, *PARTS]:
        if isinstance(step, tuple):
            part, node, attempts = step
            board.tell(part, node, attempts)
            made[part, node] += attempts
        else:
            for node, attempts in board.news(str(step)):
                heard[str(step)][node] += attempts
    for part in PARTS:
        for node in "ab":
            assert heard[part][node] == sum(made[other, node] for other in PARTS if other != part)
