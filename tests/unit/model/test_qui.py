"""QUIs keep their name when their resources change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quoit.model.problem import Problem
from quoit.model.qui import Binding, Qui, parse_qui_text

FIRST = Binding("madrid--alcala", 3, 512, 256)
SECOND = Binding("madrid--getafe", 9, 0, 256)


@pytest.mark.realises("B6")
def test_rebinding_keeps_identity_and_counts() -> None:
    qui = Qui("madrid", 17, FIRST, coherence_deadline_ns=10, quality=0.9)
    again = qui.rebind(SECOND, 0.8)
    assert again.same(qui)
    assert again.text == qui.text == "madrid/17"
    assert (again.binding, again.quality, again.generation) == (SECOND, 0.8, 1)
    assert again.coherence_deadline_ns is None  # the old resource's deadline says nothing about the new one
    assert qui.binding is FIRST


def test_rebinding_keeps_the_size() -> None:
    with pytest.raises(ValueError, match="expected 256 bits for madrid/17, found 255"):
        Qui("madrid", 17, FIRST).rebind(Binding("x", 0, 0, 255), 1.0)


def test_identity_is_domain_and_serial() -> None:
    qui = Qui("madrid", 17, FIRST)
    assert not qui.same(Qui("madrid", 18, FIRST))
    assert not qui.same(Qui("berlin", 17, FIRST))


def test_the_deadline_itself_is_too_late() -> None:
    qui = Qui("madrid", 17, FIRST, coherence_deadline_ns=100)
    assert qui.coherent_at(99)
    assert not qui.coherent_at(100)
    assert Qui("madrid", 17, FIRST).coherent_at(10**18)


@pytest.mark.parametrize(
    "numbers", [(-1, 0, 1), (0, -1, 1), (0, 0, 0)], ids=["block before 0", "offset before 0", "nothing"]
)
def test_bad_bindings(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Binding("x", *numbers)


def test_bad_quis() -> None:
    for domain, serial in (("", 1), ("a/b", 1), ("a", -1)):
        with pytest.raises(ValueError, match="domain"):
            Qui(domain, serial, FIRST)
    for quality in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="quality"):
            Qui("a", 1, FIRST, quality=quality)


@pytest.mark.parametrize("text", ["", "a", "a/", "/1", "a/01", "a/-1", "a/1/2", "a/1\n", "a b/1", "a/١"])
def test_bad_texts(text: str) -> None:
    with pytest.raises(Problem, match="madrid/17"):
        parse_qui_text(text)


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_\-]{0,10}", fullmatch=True), st.integers(0, 10**17))
def test_text_round_trip(domain: str, serial: int) -> None:
    assert parse_qui_text(Qui(domain, serial, FIRST).text) == (domain, serial)


bindings = st.builds(Binding, st.sampled_from(["x", "y"]), st.integers(0, 1), st.integers(0, 6), st.integers(1, 6))


@given(bindings, bindings)
def test_overlap_is_a_shared_bit(a: Binding, b: Binding) -> None:
    shared = {(a.link, a.block, i) for i in range(a.offset, a.offset + a.bits)} & {
        (b.link, b.block, i) for i in range(b.offset, b.offset + b.bits)
    }
    assert a.overlaps(b) == b.overlaps(a) == bool(shared)
