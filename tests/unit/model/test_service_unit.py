"""Lifecycles and service units: identity without direction, two serialisations, and the states of a life."""

from __future__ import annotations

import copy
import hashlib
import itertools
import pickle
import uuid
from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quoit.model.lifecycle import Lifecycle
from quoit.model.problem import Problem
from quoit.model.unit import TRANSITIONS, ServiceUnit, UnitState, advance
from quoit.model.urn import Namespace, Urn, endpoint_equivalent

QKD = Namespace()
CCIPS = "urn:qkd:madqci:ccips?=nonce=177923"
IPSEC = "urn:qkd:quditto:emulator:ipsec:controller?=nid=af33017"
LIFE = "urn:qkd:lifecycle?=size=256&valid-until=1750708945"


def unit(*endpoints: str, lifecycle: str = LIFE, originator: str | None = None) -> ServiceUnit:
    return ServiceUnit(tuple(map(QKD.endpoint, endpoints)), Lifecycle.parse(lifecycle, QKD), originator)


lifecycles = st.builds(
    Lifecycle,
    size=st.integers(1, 10**18 - 1),
    valid_until_unix_s=st.none() | st.integers(0, 10**18 - 1),
    fidelity=st.none() | st.decimals(0, 1, places=6),
    more=st.dictionaries(st.sampled_from(["alg", "type", "x.y_z-1"]), st.text(max_size=5), max_size=3),
)
endpoint_texts = st.builds(
    "urn:qkd:{}?=nonce={}".format, st.sampled_from(["a", "b:c", "d/e", "%2c"]), st.integers(0, 5) | st.just("%31")
)
units = st.builds(
    ServiceUnit,
    st.lists(endpoint_texts.map(QKD.endpoint), min_size=2, max_size=4, unique_by=lambda e: e.canonical).map(tuple),
    lifecycles,
    st.none() | st.just("sae-1"),
)


@pytest.mark.realises("B2")
def test_lifecycle_of_the_draft() -> None:
    life = Lifecycle.parse(LIFE, QKD)
    assert (life.size, life.valid_until_unix_s, life.fidelity, dict(life.more)) == (256, 1750708945, None, {})
    assert life.to_urn(QKD).text == LIFE


def test_lifecycle_of_entanglement_keeps_what_it_does_not_know() -> None:
    life = Lifecycle.parse("urn:qkd:lifecycle?=type=ghz&size=10&fidelity=0.950&new=a%26b", QKD)
    assert (life.size, life.fidelity, dict(life.more)) == (10, Decimal("0.95"), {"type": "ghz", "new": "a&b"})
    assert life.to_urn(QKD).text == "urn:qkd:lifecycle?=fidelity=0.95&new=a%26b&size=10&type=ghz"
    assert life != Lifecycle.parse("urn:qkd:lifecycle?=type=w&size=10&fidelity=0.95&new=a%26b", QKD)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("urn:qkd:lifecycle", "expected the parameter size"),
        ("urn:qkd:lifecycle?=valid-until=1", "found valid-until"),
        ("urn:qkd:lifecycle?=size=0", "above 0"),
        ("urn:qkd:lifecycle?=size=-1", "whole number"),
        ("urn:qkd:lifecycle?=size=+1", "whole number"),
        ("urn:qkd:lifecycle?=size=1.5", "whole number"),
        ("urn:qkd:lifecycle?=size=%D9%A1", "whole number"),  # a digit, but not ours
        ("urn:qkd:lifecycle?=size=1%0A", "whole number"),
        ("urn:qkd:lifecycle?=size=" + "9" * 19, "whole number"),
        ("urn:qkd:lifecycle?=size", "whole number"),
        ("urn:qkd:lifecycle?=size=1&size=2", "twice"),
        ("urn:qkd:lifecycle?=size=1&valid-until=tomorrow", "valid-until"),
        ("urn:qkd:lifecycle?=size=1&fidelity=1.1", "fidelity"),
        ("urn:qkd:lifecycle?=size=1&fidelity=nan", "fidelity"),
        ("urn:qkd:lifecycle?+r?=size=1", "r-component"),
        ("urn:qkd:other?=size=1", "lifecycle"),
        ("urn:example:lifecycle?=size=1", "urn:qkd:lifecycle"),
    ],
)
def test_bad_lifecycles(text: str, words: str) -> None:
    with pytest.raises(Problem) as caught:
        Lifecycle.parse(text, QKD)
    assert caught.value.code == "bad-lifecycle"
    assert words in caught.value.detail


def test_impossible_lifecycles_cannot_be_built() -> None:
    for wrong in (
        {"size": 0},
        {"size": 10**18},
        {"valid_until_unix_s": -1},
        {"valid_until_unix_s": 10**18},
        {"fidelity": Decimal(2)},
        {"fidelity": Decimal("-0.1")},
        {"fidelity": Decimal("nan")},
        {"fidelity": Decimal("0." + "9" * 16)},  # would be written as another number, or not be read
        {"more": {"size": "1"}},
        {"more": {"a&b": "c"}},
        {"more": {"a": "\ud800"}},
    ):
        with pytest.raises(Problem, match="expected"):
            Lifecycle(**{"size": 1, **wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize("fidelity", ["0", "1", "1.000", "0." + "9" * 15, "1E+0", "1E-15", "0E+3"])
def test_extreme_fidelities_are_written_and_read(fidelity: str) -> None:
    life = Lifecycle(1, fidelity=Decimal(fidelity))
    assert Lifecycle.from_urn(life.to_urn(QKD), QKD) == life


def test_largest_numbers_are_written_and_read() -> None:
    life = Lifecycle(10**18 - 1, 10**18 - 1)
    assert Lifecycle.from_urn(life.to_urn(QKD), QKD) == life


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda life: pickle.loads(pickle.dumps(life))])
def test_copies_are_equal(again: Callable[[Lifecycle], Lifecycle]) -> None:
    life = Lifecycle(256, 100, Decimal("0.9"), {"alg": "x"})
    assert again(life) == life
    assert dict(again(life).more) == {"alg": "x"}


def test_the_last_second_is_over() -> None:
    life = Lifecycle(256, 100)
    assert life.valid_at(99.999)
    assert not life.valid_at(100)
    assert not life.valid_at(100.001)
    assert Lifecycle(256).valid_at(1e18)


@given(lifecycles)
def test_lifecycle_round_trip(life: Lifecycle) -> None:
    again = Lifecycle.from_urn(life.to_urn(QKD), QKD)
    assert again == life
    assert hash(again) == hash(life)
    assert again.to_urn(QKD).text == life.to_urn(QKD).text


@given(lifecycles, lifecycles)
def test_lifecycles_are_equal_as_their_texts_are(a: Lifecycle, b: Lifecycle) -> None:
    assert (a == b) == (a.to_urn(QKD).text == b.to_urn(QKD).text)


@pytest.mark.realises("B1")
@pytest.mark.parametrize(
    ("other", "same"),
    [
        (unit(IPSEC, CCIPS), True),
        (unit(CCIPS, IPSEC, originator="sae-1"), True),
        (unit(CCIPS, IPSEC, lifecycle="urn:qkd:lifecycle?=valid-until=1750708945&size=256"), True),
        (unit(CCIPS.replace("177923", "17792%33"), IPSEC), True),
        (unit(CCIPS.replace("urn:qkd", "URN:QKD"), IPSEC), True),
        (unit(CCIPS.replace("177923", "177924"), IPSEC), False),
        (unit(CCIPS, IPSEC, lifecycle="urn:qkd:lifecycle?=size=256&valid-until=1750708946"), False),
        (unit(CCIPS, IPSEC, lifecycle="urn:qkd:lifecycle?=size=256"), False),
        (unit(CCIPS, IPSEC, lifecycle=LIFE + "&x=1"), False),
        (unit(CCIPS, IPSEC, "urn:qkd:third"), False),
    ],
)
def test_unit_equality(other: ServiceUnit, same: bool) -> None:
    one = unit(CCIPS, IPSEC)
    assert (one == other) is same
    assert (one.unit_key(QKD) == other.unit_key(QKD)) is same
    assert (one.unit_uuid(QKD) == other.unit_uuid(QKD)) is same
    assert not same or hash(one) == hash(other)


def test_hex_case_does_not_make_another_unit() -> None:
    assert unit("urn:qkd:a%2c", "urn:qkd:b") == unit("urn:qkd:b", "urn:qkd:a%2C")


def test_units_of_one_pair_differ_though_their_urns_are_equivalent() -> None:
    one, two = unit(CCIPS, IPSEC), unit(CCIPS.replace("177923", "1"), IPSEC)
    assert all(endpoint_equivalent(a, b) for a, b in zip(one.endpoints, two.endpoints, strict=True))
    assert one != two


def test_keys_of_a_unit_are_the_digests_of_its_canonical_form() -> None:
    one = unit(IPSEC, CCIPS)
    canonical = "\n".join([CCIPS, IPSEC, LIFE])
    assert one.canonical(QKD) == canonical
    assert one.unit_key(QKD) == hashlib.sha256(canonical.encode()).hexdigest()
    assert uuid.UUID(one.unit_uuid(QKD)).version == 5


@pytest.mark.parametrize(
    ("endpoints", "words"),
    [
        ((), "found 0"),
        ((CCIPS,), "found 1"),
        ((CCIPS, CCIPS), "twice"),
        (("urn:qkd:a?=n=1", "URN:qkd:a?=n=%31"), "twice"),
    ],
)
def test_units_need_two_distinct_endpoints(endpoints: tuple[str, ...], words: str) -> None:
    with pytest.raises(Problem, match=words):
        unit(*endpoints)


def test_one_application_may_be_paired_with_itself_under_two_nonces() -> None:
    assert len(unit("urn:qkd:a?=n=1", "urn:qkd:a?=n=2").endpoints) == 2


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "malformed"),
        ("[" * 100_000, "malformed"),
        ("[]", "malformed"),
        ('{"endpoints": ["urn:qkd:a", "urn:qkd:b"]}', "malformed"),
        ('{"endpoints": "urn:qkd:a", "lifecycle": "urn:qkd:lifecycle?=size=1"}', "malformed"),
        ('{"endpoints": ["urn:qkd:a", 1], "lifecycle": "urn:qkd:lifecycle?=size=1"}', "malformed"),
        ('{"endpoints": ["urn:qkd:a", "urn:qkd:b"], "lifecycle": null}', "malformed"),
        ('{"endpoints": ["urn:qkd:a"], "lifecycle": "urn:qkd:lifecycle?=size=1"}', "malformed"),
        ('{"endpoints": ["urn:qkd:a", "b"], "lifecycle": "urn:qkd:lifecycle?=size=1"}', "malformed-urn"),
        ('{"endpoints": ["urn:qkd:a", "urn:qkd:b?+r"], "lifecycle": "urn:qkd:lifecycle?=size=1"}', "malformed-urn"),
        ('{"endpoints": ["urn:qkd:a", "urn:qkd:b"], "lifecycle": "urn:qkd:c"}', "bad-lifecycle"),
    ],
)
def test_bad_json(text: str, code: str) -> None:
    with pytest.raises(Problem) as caught:
        ServiceUnit.from_json(text, QKD)
    assert caught.value.code == code


@pytest.mark.parametrize("lines", [f"{CCIPS}\n{IPSEC}", f"{LIFE}\n{CCIPS}\n{IPSEC}\n{LIFE}"])
def test_lines_hold_exactly_one_lifecycle(lines: str) -> None:
    with pytest.raises(Problem, match="exactly one lifecycle"):
        ServiceUnit.from_lines(lines, QKD)


def test_the_lifecycle_may_stand_on_any_line() -> None:
    for order in itertools.permutations((CCIPS, IPSEC, LIFE)):
        assert ServiceUnit.from_lines("\n".join(order), QKD) == unit(CCIPS, IPSEC)


@given(units)
def test_serialisations_round_trip(one: ServiceUnit) -> None:
    for again in (
        ServiceUnit.from_json(one.to_json(QKD), QKD),
        ServiceUnit.from_lines(one.to_lines(QKD), QKD),
    ):
        assert again == one
        assert [e.text for e in again.endpoints] == [e.text for e in one.endpoints]
        assert again.unit_key(QKD) == one.unit_key(QKD)


@given(units, st.randoms(use_true_random=False))
def test_order_does_not_count(one: ServiceUnit, random: object) -> None:
    endpoints = list(one.endpoints)
    random.shuffle(endpoints)  # type: ignore[attr-defined]
    other = ServiceUnit(tuple(endpoints), one.lifecycle, "another")
    assert other == one
    assert other.canonical(QKD) == one.canonical(QKD)


@given(units, units)
def test_equal_units_are_those_with_equal_keys(a: ServiceUnit, b: ServiceUnit) -> None:
    assert (a == b) == (b == a) == (a.unit_key(QKD) == b.unit_key(QKD))


def test_a_unit_is_not_equal_to_something_else() -> None:
    assert unit(CCIPS, IPSEC) != "unit"
    assert Urn.parse(CCIPS) != unit(CCIPS, IPSEC)


LIFE_OF_A_KEY = ("requested", "routed", "established", "delivered", "consumed")


@pytest.mark.realises("B6")
def test_the_ordinary_life() -> None:
    states = [UnitState(name) for name in LIFE_OF_A_KEY]
    for was, to in itertools.pairwise(states):
        assert advance(was, to) is to


def test_every_state_is_in_the_table_and_can_be_reached() -> None:
    assert set(TRANSITIONS) == set(UnitState)
    assert set().union(*TRANSITIONS.values()) == set(UnitState) - {UnitState.REQUESTED}


@pytest.mark.parametrize("was", [UnitState.REQUESTED, UnitState.ROUTED, UnitState.ESTABLISHED, UnitState.DELIVERED])
def test_whatever_lives_can_fail_and_expire(was: UnitState) -> None:
    assert {UnitState.FAILED, UnitState.EXPIRED} <= TRANSITIONS[was]


def test_there_is_no_way_back() -> None:
    order = [UnitState(name) for name in LIFE_OF_A_KEY]
    for i, was in enumerate(order):
        for to in order[: i + 1]:
            if was is to is UnitState.DELIVERED:  # the next party takes its copy
                continue
            with pytest.raises(Problem, match="bad-transition"):
                advance(was, to)


@pytest.mark.parametrize("ended", [UnitState.CONSUMED, UnitState.EXPIRED, UnitState.FAILED])
@pytest.mark.parametrize("to", UnitState)
def test_what_has_ended_stays_so(ended: UnitState, to: UnitState) -> None:
    with pytest.raises(Problem, match="it is the end"):
        advance(ended, to)


def test_content_is_never_delivered_before_it_exists() -> None:
    for early in (UnitState.REQUESTED, UnitState.ROUTED):
        assert not TRANSITIONS[early] & {UnitState.DELIVERED, UnitState.CONSUMED}
