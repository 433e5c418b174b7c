"""Laws of the RESTCONF server for any request: paths and keys survive their encoding, nothing makes it fail or lie."""

from __future__ import annotations

import asyncio
import json
import string
from typing import Any
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st
from yangson.enumerations import ContentType

from quoit.interfaces.restconf.errors import RestconfError
from quoit.interfaces.restconf.paths import Step, format_instance, format_resource, parse_instance, parse_resource
from quoit.interfaces.restconf.query import parse_fields
from quoit.interfaces.restconf.tree import MISSING, differences
from restconf_lab import DATA, LAB, ROOT, Lab, models

# Characters that YANG strings may have (RFC 7950 cl. 14), and those that mean something in paths more often.
TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]) | st.sampled_from("/,=%'\"[]: |"), max_size=12
)
NAMES = st.text(string.ascii_lowercase, min_size=1, max_size=3)
CHECKED = settings(max_examples=60, deadline=None, derandomize=True)


def run(work: Any) -> None:
    async def inside() -> None:
        lab = Lab()
        await lab.ready()
        await work(lab)
        await lab.core.close()

    asyncio.run(inside())


@CHECKED
@given(TEXT, st.integers(-128, 127), TEXT.filter(bool))
def test_paths_are_what_their_resource_and_instance_identifiers_say(row: str, column: int, name: str) -> None:
    schema = models()[0]
    lab = schema.member(schema.root, "quoit-lab:lab")
    shelf = schema.member(lab, "shelf")
    book = schema.member(shelf, "book")
    path = (Step(lab), Step(shelf, (row, column)), Step(book, (name,)))
    assert parse_resource(schema, format_resource(path)).path == path
    if not any("'" in text and '"' in text for text in (row, name)):  # XPath 1.0 cannot write a string with both
        assert parse_instance(schema, format_instance(path)) == path


@CHECKED
@given(TEXT, st.integers(-128, 127))
def test_an_entry_of_any_keys_is_found_where_its_location_says(row: str, column: int) -> None:
    async def work(lab: Lab) -> None:
        entry = {"row": row, "column": column, "width": 3}
        made = await lab.ask("POST", LAB, {"quoit-lab:shelf": [entry]})
        if (row, column) == ("A", 1):
            assert made.status == 409
            return
        assert made.status == 201, made.body
        assert await lab.get(made.header("location") or "") == [entry]
        assert (await lab.ask("DELETE", LAB + f"/shelf={quote(row, safe='')},{column}")).status == 204

    run(work)


METHODS = st.sampled_from(["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"])
PIECES = st.sampled_from(
    [
        "quoit-lab:lab",
        "lab",
        "shelf",
        "shelf=A,1",
        "shelf=,",
        "book",
        "book=x",
        "title",
        "uptime",
        "tag=a",
        "%2F",
        "%",
        "=",
        "",
        "..",
        "data",
        "ds",
    ]
) | TEXT.map(lambda text: quote(text, safe="=,:%"))
PATHS = st.lists(PIECES, max_size=6).map(lambda parts: DATA + "/" + "/".join(parts))
QUERIES = st.sampled_from(
    ["", "depth=2", "fields=", "fields=title", "content=x", "insert=first", "a=b", "&", "depth=%"]
) | TEXT.map(quote)
SCALARS = st.none() | st.booleans() | st.integers(-(10**19), 10**20) | st.floats(allow_nan=False) | TEXT
WORDS = "title size big ratio flag on hue data tag shy road rail shelf row column book name favourite uptime counters"
MEMBERS = st.sampled_from([*WORDS.split(), "quoit-lab:lab", "quoit-lab:title", "@title", "@"]) | TEXT
BODIES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=4), max_leaves=12
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(METHODS, PATHS, QUERIES, BODIES, st.sampled_from(["application/yang-data+json", "application/yang-patch+json"]))
def test_no_request_makes_the_server_fail_and_all_it_keeps_is_valid(
    method: str, path: str, query: str, body: object, kind: str
) -> None:
    async def work(lab: Lab) -> None:
        content = body if not isinstance(body, dict) else {"quoit-lab:lab": body}
        response = await lab.ask(method, path, content, query, content_type=kind)
        assert response.status < 500, response.body
        running = await lab.get(ROOT + "/ds/ietf-datastores:running")
        lab.other.from_raw(running).validate(ctype=ContentType.config)

    run(work)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.dictionaries(MEMBERS, BODIES, max_size=5))
def test_a_patch_of_anything_is_refused_or_valid(body: dict[str, object]) -> None:
    async def work(lab: Lab) -> None:
        response = await lab.ask("PATCH", LAB, {"quoit-lab:lab": body})
        assert response.status < 500, response.body
        lab.other.from_raw(await lab.get(ROOT + "/ds/ietf-datastores:running")).validate(ctype=ContentType.config)

    run(work)


BOOKS = st.lists(
    st.builds(lambda n, p: {"name": n, "pages": p}, NAMES, st.integers(0, 9)), max_size=3, unique_by=lambda b: b["name"]
)
SHELVES = st.lists(
    st.builds(lambda r, c, b: {"row": r, "column": c, **({"book": b} if b else {})}, NAMES, st.integers(0, 2), BOOKS),
    max_size=3,
    unique_by=lambda s: (s["row"], s["column"]),
)
TREES = st.builds(
    lambda title, tags, shelves: {
        "quoit-lab:lab": {
            **({"title": title} if title else {}),
            **({"tag": tags} if tags else {}),
            **({"shelf": shelves} if shelves else {}),
            "size": 3,
        }
    },
    NAMES | st.just(""),
    st.lists(NAMES, max_size=3, unique=True),
    SHELVES,
)


def unordered(value: Any) -> Any:
    """The tree with its lists sorted: a difference says what is there, and of order only what moved."""
    if isinstance(value, dict):
        return {k: unordered(v) for k, v in value.items()}
    if isinstance(value, list):
        return sorted((unordered(v) for v in value), key=json.dumps)
    return value


@CHECKED
@given(TREES, TREES)
def test_differences_sent_as_a_yang_patch_lead_from_one_tree_to_the_other(old: Any, new: Any) -> None:
    async def work(lab: Lab) -> None:
        assert (await lab.ask("PUT", DATA, {"ietf-restconf:data": old})).status == 204
        edits = []
        for number, edit in enumerate(differences(lab.core.schema, old, new)):
            step = edit.path[-1]
            if step.keys is None and isinstance(edit.new, list):
                continue  # order alone
            row: dict[str, Any] = {
                "edit-id": str(number),
                "operation": edit.operation,
                "target": "/" + format_resource(edit.path),
            }
            if edit.new is not MISSING:
                row["value"] = {f"quoit-lab:{step.node.name}": edit.new if step.keys is None else [edit.new]}
            edits.append(row)
        patch = {"ietf-yang-patch:yang-patch": {"patch-id": "p", "edit": edits}}
        done = await lab.ask("PATCH", DATA, patch, content_type="application/yang-patch+json")
        assert done.status == 200, done.body
        assert unordered(await lab.get(ROOT + "/ds/ietf-datastores:running")) == unordered(new)

    run(work)


@CHECKED
@given(TEXT | st.text("ab;/()", max_size=20))
def test_a_fields_selection_is_read_or_refused(text: str) -> None:
    try:
        selected = parse_fields(text)
    except RestconfError as refused:
        selected = {"refused": refused.status}
    assert selected.get("refused", 400) == 400
    assert selected
