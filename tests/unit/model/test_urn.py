"""URNs against RFC 8141: what is one, when two are the same, and what a prefix covers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quoit.model.problem import Problem
from quoit.model.urn import MAX_LENGTH, Namespace, Urn, covers, endpoint_equivalent, instance_equal

VALID = (
    "urn:qkd:madqci:ccips?=nonce=177923",
    "urn:qkd:quditto:emulator:ipsec:controller?=nid=af33017",
    "urn:qkd:lifecycle?=size=256&valid-until=1750708945",
    "URN:QKD:madqci:ccips",
    "urn:example:a123%2Cz456",
    "urn:example:weather?=op=map&lat=39.56&lon=-104.85&datetime=1969-07-21T02:56:15Z",
    "urn:example:foo-bar-baz-qux?+CCResolve:cc=uk",
    "urn:example:x?+res?ver=1?=a=b?c=d",
    "urn:example:a/b/c#frag/?x",
    "urn:example:a#",
    "urn:urn-7:abc",
    "urn:qkd:a?=b=",
    "urn:ab:x",
    f"urn:{'n' * 32}:x",
    "urn:qkd:d:a@b;c=d!$&'()*+,x",
    "urn:qkd:d:app?=nonce=a%3Db%26c",
    "urn:qkd:a?=b?+c?=d",
)
INVALID = (
    "",
    "urn:",
    "urn:qkd",
    "urn:qkd:",
    "urn::a",
    "qkd:madqci:ccips",
    "urn:q:a",
    f"urn:{'n' * 33}:a",
    "urn:-qkd:a",
    "urn:qkd-:a",
    "urn:qk_d:a",
    "urn:qkd:/a",
    "urn:qkd:a?nonce=1",
    "urn:qkd:a?=",
    "urn:qkd:a?+",
    "urn:qkd:a?+?=q",
    "urn:qkd:a?+r?=",
    "urn:qkd:a b",
    "urn:qkd:a%2",
    "urn:qkd:a%zz",
    "urn:qkd:a?=x#y#z",
    "urn:qkd:é",
    "urn:qkd:a[1]",
    "urn:qkd:a\n",
    " urn:qkd:a",
    "urn:qkd:a ",
    "urn:qkd:a?=n|x",
    'urn:qkd:a"b',
    "urn:qkd:a\\b",
    "urn:qkd:a?=?x",
    "urn:qkd:a?=/x",
    "urn:qkd:a^",
    "urn:qkd:a<b",
    "urn:qkd:a`b",
    "urn:qkd:a{b}",
)
SAME_ENDPOINT = (
    ("urn:example:a123,z456", "URN:example:a123,z456"),
    ("urn:example:a123,z456", "urn:EXAMPLE:a123,z456"),
    ("urn:example:a123,z456", "urn:example:a123,z456?+abc"),
    ("urn:example:a123,z456", "urn:example:a123,z456?=xyz"),
    ("urn:example:a123,z456", "urn:example:a123,z456#789"),
    ("urn:example:a123%2Cz456", "URN:EXAMPLE:a123%2cz456"),
    ("urn:qkd:madqci:ccips?=nonce=1", "urn:qkd:madqci:ccips?=nonce=2"),
)
OTHER_ENDPOINT = (
    ("urn:example:a123,z456", "urn:example:a123,z456/foo"),
    ("urn:example:a123%2Cz456", "urn:example:a123,z456"),
    ("urn:example:A123", "urn:example:a123"),
    ("urn:example:a%7Eb", "urn:example:a~b"),
    ("urn:qkd:a", "urn:qkd:a/"),
    ("urn:qkd:MADQCI:x", "urn:qkd:madqci:x"),
    ("urn:qkd:m:c", "urn:qkd:m:c:"),
    ("urn:qkd:a", "urn:qkc:a"),
)

_PCHARS = st.sampled_from([*"abzAZ09-._~!$&'()*+,;=:@", "%2c", "%2C", "%41"])
_NAMES = st.builds(lambda first, rest: first + "".join(rest), _PCHARS, st.lists(_PCHARS | st.just("/"), max_size=4))
_QUERIES = st.builds(
    lambda first, rest: first + "".join(rest), _PCHARS, st.lists(_PCHARS | st.sampled_from("/?"), max_size=6)
)


@st.composite
def urns(draw: st.DrawFn) -> Urn:
    """Short ones from few characters, so that equal and covering ones are drawn often."""
    text = draw(st.sampled_from(["urn", "URN", "Urn"])) + ":" + draw(st.sampled_from(["qkd", "QKD", "ab"])) + ":"
    text += draw(st.sampled_from(["a", "b", "a:b", "a:b:c", "a/", "a:"]) | _NAMES)
    if draw(st.booleans()):
        text += "?+" + draw(st.sampled_from(["r", "r?x", "r?+x"]))
    if draw(st.booleans()):
        text += "?=" + draw(st.sampled_from(["n=1", "n=2", "n=1&m=2", "m=2&n=1", "n=%31"]) | _QUERIES)
    if draw(st.booleans()):
        text += "#" + draw(st.sampled_from(["", "f", "/?"]))
    return Urn.parse(text)


@pytest.mark.parametrize("text", VALID)
def test_valid(text: str) -> None:
    assert str(Urn.parse(text)) == text


@pytest.mark.parametrize("text", INVALID)
def test_invalid(text: str) -> None:
    with pytest.raises(Problem) as caught:
        Urn.parse(text)
    assert caught.value.code == "malformed-urn"
    assert "expected" in caught.value.detail
    assert "found" in caught.value.detail


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("urx:qkd:a", 0, "urn:"),
        ("urn:q:a", 4, "2 to 32"),
        ("urn:qk_d:a", 6, "NID"),
        ("urn:qkd:/a", 8, "begins with"),
        ("urn:qkd:ab%2", 10, "two hex digits"),
        ("urn:qkd:a?nonce=1", 9, "%3F"),
        ("urn:qkd:a?=", 11, "q-component"),
        ("urn:qkd:a b", 9, "%20"),
        ("urn:qkd:aé", 9, "%C3%A9"),
    ],
)
def test_errors_say_where_and_what(text: str, position: int, words: str) -> None:
    with pytest.raises(Problem) as caught:
        Urn.parse(text)
    assert caught.value.fields["position"] == position
    assert words in caught.value.detail


def test_components_are_kept_apart() -> None:
    urn = Urn.parse("urn:Example:x?+res?ver=1?=a=b?c=d#e?f")
    assert (urn.nid, urn.nss, urn.r, urn.q, urn.f) == ("example", "x", "res?ver=1", "a=b?c=d", "e?f")


def test_length_is_bounded() -> None:
    longest = "urn:qkd:" + "a" * (MAX_LENGTH - 8)
    assert Urn.parse(longest).nss == "a" * (MAX_LENGTH - 8)
    with pytest.raises(Problem, match="2049"):
        Urn.parse(longest + "a")


@pytest.mark.realises("B1")
@pytest.mark.parametrize(("a", "b"), SAME_ENDPOINT)
def test_same_endpoint(a: str, b: str) -> None:
    assert endpoint_equivalent(Urn.parse(a), Urn.parse(b))


@pytest.mark.parametrize(("a", "b"), OTHER_ENDPOINT)
def test_other_endpoint(a: str, b: str) -> None:
    assert not endpoint_equivalent(Urn.parse(a), Urn.parse(b))


@pytest.mark.realises("B2")
@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("nonce=1", "nonce=1", True),
        ("nonce=1", "nonce=2", False),
        ("a=1&b=2", "b=2&a=1", True),
        ("n=%31", "n=1", True),
        ("n=a%2fb", "n=a/b", True),
        ("n=a+b", "n=a%2Bb", True),
        ("n=a+b", "n=a%20b", False),
        ("n=1;m=2", "n=1", False),
        ("n=a%26m=2", "n=a&m=2", False),
        ("n=x", "N=x", False),
        ("n", "n=", True),
        ("/".join("xy"), "x%2Fy", False),  # not pairs: the owner's own syntax, nothing decoded
        ("a%2f", "a%2F", True),
    ],
)
def test_instances_go_by_parameters(a: str, b: str, same: bool) -> None:
    assert instance_equal(Urn.parse(f"urn:qkd:m:c?={a}"), Urn.parse(f"urn:qkd:m:c?={b}")) is same


def test_instance_with_nonce_is_not_the_one_without() -> None:
    assert not instance_equal(Urn.parse("urn:qkd:m:c"), Urn.parse("urn:qkd:m:c?=nonce=1"))


def test_parameters_are_decoded_once() -> None:
    urn = Urn.parse("urn:qkd:d:app?=nonce=a%3Db%26c&plus=1+1&twice=%2541&semi=1;2")
    assert urn.q_parameters() == {"nonce": "a=b&c", "plus": "1+1", "twice": "%41", "semi": "1;2"}


@pytest.mark.parametrize("q", ["a=1&a=2", "a=1&&b=2", "=1", "a/b=1", "%61=1"])
def test_bad_parameters_are_refused(q: str) -> None:
    with pytest.raises(Problem, match="expected"):
        Urn.parse(f"urn:qkd:a?=x&{q}").q_parameters()


@pytest.mark.realises("B3")
@pytest.mark.parametrize(
    ("prefix", "urn", "covered"),
    [
        ("urn:qkd:madqci", "urn:qkd:madqci:ccips", True),
        ("urn:qkd:madqci", "urn:qkd:madqci2", False),
        ("urn:qkd:madqci", "urn:qkd:madqci", True),
        ("urn:qkd:madqci", "urn:qkd:madqci/ccips?=nonce=1", True),
        ("URN:QKD:madqci", "urn:qkd:madqci:ccips", True),
        ("urn:qkd:MADQCI", "urn:qkd:madqci:ccips", False),
        ("urn:qkd:madqci:ccips", "urn:qkd:madqci", False),
        ("urn:qkd:madqci:", "urn:qkd:madqci:ccips", True),
        ("urn:qkd:madqci:", "urn:qkd:madqci", False),
        ("urn:qkd:m%2c", "urn:qkd:m%2C:x", True),
        ("urn:qkd:m", "urn:qkc:m:x", False),
        ("urn:qkd:m", "urn:qkd:m%3Ax", False),
    ],
)
def test_prefixes_end_at_labels(prefix: str, urn: str, covered: bool) -> None:
    assert covers(Urn.parse(prefix), Urn.parse(urn)) is covered


@pytest.mark.parametrize("nid", ["q", "-q", "a b", "x" * 33, ""])
def test_namespace_refuses_bad_nid(nid: str) -> None:
    with pytest.raises(Problem, match="NID"):
        Namespace(nid)


def test_namespace_knows_its_lifecycles() -> None:
    qkd, example = Namespace(), Namespace("EXAMPLE")
    assert qkd.is_lifecycle(Urn.parse("URN:QKD:lifecycle?=size=1"))
    assert not qkd.is_lifecycle(Urn.parse("urn:qkd:Lifecycle?=size=1"))
    assert not qkd.is_lifecycle(Urn.parse("urn:qkd:lifecycle:a"))
    assert not qkd.is_lifecycle(Urn.parse("urn:example:lifecycle?=size=1"))
    assert example.is_lifecycle(Urn.parse("urn:example:lifecycle?=size=1"))
    assert example.lifecycle("size=1").text == "urn:example:lifecycle?=size=1"


def test_endpoints_lose_their_fragment_and_refuse_resolvers() -> None:
    namespace = Namespace()
    assert namespace.endpoint("urn:qkd:a?=n=1#f").text == "urn:qkd:a?=n=1"
    for text in ("urn:qkd:a?+r", "urn:qkd:lifecycle?=size=8"):
        with pytest.raises(Problem, match="expected an endpoint"):
            namespace.endpoint(text)


def test_roots_are_bare_names_other_than_lifecycle() -> None:
    namespace = Namespace()
    assert namespace.root("urn:qkd:madqci").assigned_name == "urn:qkd:madqci"
    for text in ("urn:qkd:lifecycle", "urn:qkd:m?=n=1", "urn:qkd:m#", "urn:qkd:m?+r"):
        with pytest.raises(Problem, match="expected"):
            namespace.root(text)


@given(urns())
def test_text_survives_parsing(urn: Urn) -> None:
    assert Urn.parse(urn.text) == urn
    parts = f"{urn.text[:3]}:{urn.text[4 : 4 + len(urn.nid)]}:{urn.nss}"
    for mark, part in (("?+", urn.r), ("?=", urn.q), ("#", urn.f)):
        parts += "" if part is None else mark + part
    assert parts == urn.text


@given(urns())
def test_canonical_form_is_a_fixed_point_of_the_same_instance(urn: Urn) -> None:
    again = Urn.parse(urn.canonical)
    assert again.canonical == urn.canonical
    assert len(urn.canonical) <= len(urn.text)
    assert instance_equal(urn, again)


@given(urns(), urns(), urns())
def test_both_relations_are_equivalences(a: Urn, b: Urn, c: Urn) -> None:
    for same in (endpoint_equivalent, instance_equal):
        assert same(a, a)
        assert same(a, b) == same(b, a)
        assert not (same(a, b) and same(b, c)) or same(a, c)
    assert not instance_equal(a, b) or endpoint_equivalent(a, b)


@given(urns(), urns(), urns())
def test_cover_is_an_order_on_endpoints(a: Urn, b: Urn, c: Urn) -> None:
    assert covers(a, a)
    assert not (covers(a, b) and covers(b, c)) or covers(a, c)
    assert not (covers(a, b) and covers(b, a)) or endpoint_equivalent(a, b)


@given(urns(), st.sampled_from([":x", "/x", ":", "/x:y"]))
def test_what_is_delegated_is_covered(parent: Urn, more: str) -> None:
    assert covers(parent, Urn.parse(parent.assigned_name + more))


@given(urns(), st.sampled_from(["x", "%41", "-"]))
def test_a_longer_label_is_another_one(parent: Urn, more: str) -> None:
    longer = Urn.parse(parent.assigned_name + more)
    assert covers(parent, longer) == (parent.assigned_name[-1] in ":/")


@given(st.text(max_size=12).map(lambda tail: "urn:qkd:" + tail) | st.text(max_size=12))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        urn = Urn.parse(text)
    except Problem:  # anything else would be a fault
        return
    assert urn.text == text
    assert text.isascii()
