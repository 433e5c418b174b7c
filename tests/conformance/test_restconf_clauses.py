"""RFC 8040 clause by clause; each test's name has the clause. All answers are checked against a second data model."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pytest
from yangson.enumerations import ContentType

from quoit.interfaces.restconf.access import Rule, Rules
from quoit.interfaces.restconf.datastore import Limits
from quoit.model.problem import Problem
from restconf_lab import DATA, JSON, LAB, ROOT, YANG, Lab, error_of, with_lab

SHELF = LAB + "/shelf=A,1"
NEW = {"quoit-lab:shelf": [{"row": "B", "column": 2}]}


def test_3_1_host_meta_leads_to_the_root() -> None:
    async def work(lab: Lab) -> None:
        response = await lab.ask("GET", "/.well-known/host-meta", accept="application/xrd+xml")
        link = next(iter(ET.fromstring(response.body)))
        assert (response.status, link.get("rel"), link.get("href")) == (200, "restconf", ROOT)
        plain = await lab.ask("GET", "/.well-known/host-meta", accept="application/json")  # RFC 6415 appendix A
        assert plain.json() == {"links": [{"rel": "restconf", "href": ROOT}]}
        anything = await lab.ask("GET", "/.well-known/host-meta", accept="*/*")
        assert anything.header("content-type") == "application/xrd+xml"

    with_lab(work)


def test_3_3_api_resource_has_data_operations_and_library_version() -> None:
    async def work(lab: Lab) -> None:
        whole = (await lab.ask("GET", ROOT)).json()["ietf-restconf:restconf"]
        assert whole == {"data": {}, "operations": {}, "yang-library-version": "2019-01-04"}

    with_lab(work)


def test_3_3_3_yang_library_version_resource() -> None:
    async def work(lab: Lab) -> None:
        answer = await lab.ask("GET", ROOT + "/yang-library-version")
        assert answer.json() == {"ietf-restconf:yang-library-version": "2019-01-04"}

    with_lab(work)


def test_3_3_2_operations_are_listed() -> None:
    async def work(lab: Lab) -> None:
        listed = await lab.get(ROOT + "/operations")
        assert listed["quoit-lab:lend"] == [None]
        assert "ietf-subscribed-notifications:establish-subscription" in listed

    with_lab(work)


def test_3_4_the_datastore_is_valid_as_a_whole_with_all_state() -> None:
    async def work(lab: Lab) -> None:
        whole = await lab.get(DATA)
        lab.other.from_raw(whole).validate(ctype=ContentType.all)
        assert whole["quoit-lab:lab"]["uptime"] == 7
        assert whole["quoit-lab:lab"]["title"] == "t"

    with_lab(work)


def test_3_4_1_1_last_modified_follows_configuration() -> None:
    async def work(lab: Lab) -> None:
        before = (await lab.ask("GET", LAB)).header("last-modified")
        lab.later(5)
        assert (await lab.ask("GET", LAB)).header("last-modified") == before == "Sat, 31 Jan 2026 12:00:00 GMT"
        await lab.ask("PATCH", LAB, {"quoit-lab:lab": {"title": "u"}})
        assert (await lab.ask("GET", LAB)).header("last-modified") == "Sat, 31 Jan 2026 12:00:05 GMT"

    with_lab(work)


def test_3_4_1_2_and_3_5_2_entity_tag_changes_with_configuration_and_not_with_state() -> None:
    async def work(lab: Lab) -> None:
        tags = [(await lab.ask("GET", path)).header("etag") for path in (DATA, LAB, SHELF)]
        assert None not in tags
        lab.library.shown = {"quoit-lab:lab": {"uptime": 8}}
        assert [(await lab.ask("GET", path)).header("etag") for path in (DATA, LAB, SHELF)] == tags
        await lab.ask("PATCH", LAB, {"quoit-lab:lab": {"title": "u"}})
        after = [(await lab.ask("GET", path)).header("etag") for path in (DATA, LAB, SHELF)]
        assert [a != b for a, b in zip(after, tags, strict=True)] == [True, True, False]
        assert (await lab.ask("GET", LAB + "/uptime")).header("etag") is None

    with_lab(work)


def test_3_4_1_a_lost_update_is_refused_by_if_match() -> None:
    async def work(lab: Lab) -> None:
        tag = (await lab.ask("GET", LAB)).header("etag") or ""
        assert (await lab.ask("PATCH", LAB, {"quoit-lab:lab": {"title": "u"}}, if_match=tag)).status == 204
        late = await lab.ask("PATCH", LAB, {"quoit-lab:lab": {"title": "v"}}, if_match=tag)
        assert error_of(late) == (412, "operation-failed", "precondition-failed")
        assert (await lab.get(LAB))["title"] == "u"

    with_lab(work)


def test_3_4_1_1_if_unmodified_since_is_held() -> None:
    async def work(lab: Lab) -> None:
        since = (await lab.ask("GET", LAB)).header("last-modified") or ""
        lab.later(10)
        await lab.ask("PATCH", LAB, {"quoit-lab:lab": {"title": "u"}}, if_unmodified_since=since)
        late = await lab.ask("DELETE", LAB, if_unmodified_since=since)
        assert error_of(late) == (412, "operation-failed", "precondition-failed")

    with_lab(work)


def test_3_5_1_conditional_get_of_configuration() -> None:
    async def work(lab: Lab) -> None:
        tag = (await lab.ask("GET", LAB)).header("etag") or ""
        same = await lab.ask("GET", LAB, query="content=config", if_none_match=tag)
        assert (same.status, same.body) == (304, b"")
        # What has state may have changed without its tag: it is sent.
        assert (await lab.ask("GET", LAB, if_none_match=tag)).status == 200

    with_lab(work)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/quoit-lab:nothing", 404),
        ("/nothing:lab", 404),
        ("/lab", 400),
        ("/quoit-lab:lab/shelf=A", 400),
        ("/quoit-lab:lab/shelf=A,1,2", 400),
        ("/quoit-lab:lab/shelf/row", 400),
        ("/quoit-lab:lab/shelf=A,one", 400),
        ("/quoit-lab:lab/shelf=A,9", 404),
        ("/quoit-lab:lab/title=t", 400),
        ("/quoit-lab:lab/%zz", 400),
        ("/quoit-lab:lab/shelf=%ff,1", 400),
        ("/quoit-lab:lab//title", 400),
        ("/quoit-lab:lab/shy", 404),
        ("/quoit-lab:lab/counters/visitor=a", 400),
    ],
)
def test_3_5_3_paths_that_name_nothing(path: str, status: int) -> None:
    async def work(lab: Lab) -> None:
        assert error_of(await lab.ask("GET", DATA + path))[:2] == (
            status,
            "invalid-value" if "%" not in path else _tag(path),
        )

    with_lab(work)


def _tag(path: str) -> str:
    return "malformed-message" if "%" in path else "invalid-value"


def test_3_5_3_keys_are_percent_encoded_and_compared_as_values() -> None:
    async def work(lab: Lab) -> None:
        made = await lab.ask("POST", LAB, {"quoit-lab:shelf": [{"row": "a/b,c=% ü", "column": -5}]})
        assert made.status == 201
        where = made.header("location") or ""
        assert where == LAB + "/shelf=a%2Fb%2Cc%3D%25%20%C3%BC,-5"
        assert (await lab.get(where))[0]["row"] == "a/b,c=% ü"
        assert (await lab.get(where.replace(",-5", ",-05")))[0]["column"] == -5

    with_lab(work)


def test_3_5_3_an_empty_key_is_a_value_like_others() -> None:
    async def work(lab: Lab) -> None:
        await lab.ask("POST", LAB, {"quoit-lab:shelf": [{"row": "", "column": 3}]})
        assert (await lab.get(LAB + "/shelf=,3"))[0] == {"row": "", "column": 3}

    with_lab(work)


def test_3_5_4_defaults_are_in_use_and_not_shown_by_basic_mode_explicit() -> None:
    async def work(lab: Lab) -> None:
        assert "size" not in await lab.get(LAB)
        assert (await lab.ask("GET", LAB + "/size")).status == 404
        assert await lab.get(LAB + "/size", "with-defaults=report-all") == 10

    with_lab(work)


def test_3_6_1_operation_input_is_validated() -> None:
    async def work(lab: Lab) -> None:
        op = ROOT + "/operations/quoit-lab:lend"
        assert error_of(await lab.ask("POST", op))[:2] == (400, "missing-element")
        assert error_of(await lab.ask("POST", op, {"quoit-lab:input": {"row": 3}}))[:2] == (400, "invalid-value")
        assert error_of(await lab.ask("POST", op, {"quoit-lab:input": {"x": 3}}))[:2] == (400, "unknown-element")
        assert error_of(await lab.ask("POST", op, {"lab:input": {}}))[:2] == (400, "malformed-message")

    with_lab(work)


def test_3_6_2_operation_output_or_204() -> None:
    async def work(lab: Lab) -> None:
        lent = await lab.ask("POST", ROOT + "/operations/quoit-lab:lend", {"quoit-lab:input": {"row": "A"}})
        assert (lent.status, lent.json()) == (200, {"quoit-lab:output": {"until": "tomorrow"}})
        dusted = await lab.ask("POST", ROOT + "/operations/quoit-lab:dust")
        assert (dusted.status, dusted.body) == (204, b"")

    with_lab(work)


def test_3_6_3_operation_errors() -> None:
    async def work(lab: Lab) -> None:
        op = ROOT + "/operations/quoit-lab:"
        gone = await lab.ask("POST", op + "lend", {"quoit-lab:input": {"row": "gone"}})
        assert error_of(gone) == (404, "invalid-value", "no-such-element")
        assert error_of(await lab.ask("POST", op + "orphan"))[:2] == (501, "operation-not-supported")
        assert error_of(await lab.ask("POST", op + "nothing"))[:2] == (404, "invalid-value")
        lab.library.output = {"until": 3}
        broken = await lab.ask("POST", op + "lend", {"quoit-lab:input": {"row": "A"}})
        assert error_of(broken)[:2] == (500, "operation-failed")

    with_lab(work)


def test_3_7_a_modules_text_can_be_had() -> None:
    async def work(lab: Lab) -> None:
        text = await lab.ask("GET", ROOT + "/modules/quoit-lab@2026-11-30", accept="application/yang")
        assert text.body == (YANG / "quoit-lab.yang").read_bytes()
        assert (await lab.ask("GET", ROOT + "/modules/nothing")).status == 404

    with_lab(work)


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        (DATA, "OPTIONS, HEAD, GET, POST, PUT, PATCH"),
        (LAB, "OPTIONS, HEAD, GET, POST, PUT, PATCH, DELETE"),
        (SHELF, "OPTIONS, HEAD, GET, POST, PUT, PATCH, DELETE"),
        (LAB + "/title", "OPTIONS, HEAD, GET, PUT, PATCH, DELETE"),
        (LAB + "/uptime", "OPTIONS, HEAD, GET"),
        (LAB + "/counters", "OPTIONS, HEAD, GET"),
        (ROOT + "/operations/quoit-lab:lend", "OPTIONS, POST"),
        (ROOT + "/ds/ietf-datastores:operational/quoit-lab:lab", "OPTIONS, HEAD, GET"),
    ],
)
def test_4_1_options_and_405_name_the_methods(path: str, allow: str) -> None:
    async def work(lab: Lab) -> None:
        options = await lab.ask("OPTIONS", path)
        assert (options.status, options.header("allow")) == (200, allow)
        accepted = options.header("accept-patch")
        assert (accepted == f"{JSON}, application/yang-patch+json") == ("PATCH" in allow)
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - set(allow.split(", ")):
            refused = await lab.ask(method, path, {"quoit-lab:x": {}} if method != "GET" else None)
            assert error_of(refused)[:2] == (405, "operation-not-supported")
            assert refused.header("allow") == allow

    with_lab(work)


def test_4_2_head_is_get_without_its_body() -> None:
    async def work(lab: Lab) -> None:
        get, head = await lab.ask("GET", LAB), await lab.ask("HEAD", LAB)
        assert (head.status, head.body, head.header("etag")) == (200, b"", get.header("etag"))
        assert head.header("content-length") == str(len(get.body))
        assert (await lab.ask("HEAD", LAB + "/shy")).status == 404

    with_lab(work)


def test_4_3_get_of_each_kind_of_resource() -> None:
    async def work(lab: Lab) -> None:
        assert (await lab.ask("GET", LAB + "/title")).json() == {"quoit-lab:title": "t"}
        assert (await lab.ask("GET", LAB + "/tag=b")).json() == {"quoit-lab:tag": ["b"]}
        assert (await lab.ask("GET", LAB + "/tag")).json() == {"quoit-lab:tag": ["a", "b", "c"]}
        entry = (await lab.ask("GET", SHELF + "/book=y")).json()
        assert entry == {"quoit-lab:book": [{"name": "y"}]}
        assert (await lab.ask("GET", LAB + "/counters/visits")).json() == {"quoit-lab:visits": "3"}

    with_lab(work)


def test_4_4_1_post_creates_and_says_where() -> None:
    async def work(lab: Lab) -> None:
        made = await lab.ask("POST", LAB, NEW)
        assert (made.status, made.body, made.header("location")) == (201, b"", LAB + "/shelf=B,2")
        assert made.header("etag") == (await lab.ask("GET", LAB + "/shelf=B,2")).header("etag")
        again = await lab.ask("POST", LAB, NEW)
        assert error_of(again)[:2] == (409, "data-exists")

    with_lab(work)


def test_4_4_1_post_to_the_datastore_and_to_nothing() -> None:
    async def work(lab: Lab) -> None:
        other = await lab.ask("POST", DATA, {"quoit-lab:other": {"plain": "p"}})
        assert (other.status, other.header("location")) == (201, DATA + "/quoit-lab:other")
        lost = await lab.ask("POST", LAB + "/shelf=Z,1", {"quoit-lab:book": [{"name": "n"}]})
        assert error_of(lost)[:2] == (404, "invalid-value")

    with_lab(work)


@pytest.mark.parametrize(
    ("body", "tag"),
    [
        ({}, "malformed-message"),
        ({"quoit-lab:shelf": [], "quoit-lab:title": "x"}, "malformed-message"),
        ({"quoit-lab:shelf": []}, "invalid-value"),
        ({"quoit-lab:shelf": [{"row": "B", "column": 2}, {"row": "C", "column": 2}]}, "invalid-value"),
        ({"quoit-lab:shelf": {"row": "B", "column": 2}}, "invalid-value"),
        ({"quoit-lab:shelf": [{"row": "B"}]}, "missing-element"),
        ({"quoit-lab:shelf": [{}]}, "missing-element"),
        ({"quoit-lab:shelf": [{"row": "B", "column": 2, "book": [{}]}]}, "missing-element"),
        ({"quoit-lab:shelf": [{"row": "B", "column": 2, "book": [{"name": "n"}, {}]}]}, "missing-element"),
        ({"shelf": [{"row": "B", "column": 2}]}, "unknown-element"),
        ({"quoit-lab:nothing": 1}, "unknown-element"),
        ({"quoit-lab:shelf": [{"row": "B", "column": 2, "nothing": 1}]}, "unknown-element"),
        ({"quoit-lab:shelf": [{"row": "B", "column": "2"}]}, "invalid-value"),
        ({"quoit-lab:shelf": [{"row": "B", "column": 200}]}, "invalid-value"),
        ({"quoit-lab:shelf": [{"row": "B", "column": 2, "book": [{"name": ""}]}]}, "invalid-value"),
        ({"quoit-lab:uptime": 3}, "invalid-value"),
        ({"quoit-lab:big": 3}, "invalid-value"),
        ({"quoit-lab:ratio": 0.5}, "invalid-value"),
        ({"quoit-lab:flag": None}, "invalid-value"),
        ({"quoit-lab:hue": "quoit-lab:colour"}, "invalid-value"),
        ({"quoit-lab:data": "*"}, "invalid-value"),
        ({"quoit-lab:on": "true"}, "invalid-value"),
    ],
)
def test_4_4_1_bodies_that_are_refused(body: object, tag: str) -> None:
    async def work(lab: Lab) -> None:
        before = await lab.get(ROOT + "/ds/ietf-datastores:running")
        assert error_of(await lab.ask("POST", LAB, body))[:2] == (400, tag)
        assert await lab.get(ROOT + "/ds/ietf-datastores:running") == before
        assert not lab.library.changes[1:]

    with_lab(work)


@pytest.mark.parametrize(
    ("leaf", "value"),
    [
        ("ratio", "1.2345"),
        ("ratio", "1e2"),
        ("ratio", " 1.5"),
        ("ratio", "1_0"),
        ("ratio", ".5"),
        ("big", "5_0"),
        ("big", " 5"),
        ("big", "\u0663"),
        ("size", 5.0),
        ("size", True),
        ("size", "5"),
        ("title", "\x00"),
        ("title", "\uffff"),
        ("on", 1),
        ("data", "AA==\n"),
        ("flag", [None, None]),
    ],
)
def test_rfc_7951_6_values_that_are_not_written_as_their_types_are(leaf: str, value: object) -> None:
    async def work(lab: Lab) -> None:
        for method, path, body in (
            ("PATCH", LAB, {"quoit-lab:lab": {leaf: value}}),
            ("PUT", f"{LAB}/{leaf}", {f"quoit-lab:{leaf}": value}),
        ):
            assert error_of(await lab.ask(method, path, body))[:2] == (400, "invalid-value")

    with_lab(work)


@pytest.mark.parametrize("key", ["A,1_0", "A,%201", "A,1.0", "A,%D9%A3", "A,true", "A%00,1"])
def test_rfc_7950_9_2_1_keys_that_are_not_written_as_their_types_are(key: str) -> None:
    async def work(lab: Lab) -> None:
        assert error_of(await lab.ask("GET", f"{LAB}/shelf={key}"))[:2] == (400, "invalid-value")

    with_lab(work)


def test_rfc_7951_values_come_back_in_canonical_form_and_empty_lists_not_at_all() -> None:
    async def work(lab: Lab) -> None:
        given = {"ratio": "+01.50", "big": "007", "hue": "red", "tag": [], "flag": [None]}
        assert (await lab.ask("PUT", LAB, {"quoit-lab:lab": given})).status == 204
        shown = await lab.get(LAB, "content=config")
        assert shown == {"ratio": "1.5", "big": "7", "hue": "quoit-lab:red", "flag": [None]}
        twice = await lab.ask("PATCH", LAB, {"quoit-lab:lab": {"tag": ["a", "a"]}})
        assert error_of(twice) == (400, "bad-element", "repeated-leaf-list-value")

    with_lab(work)


def test_4_5_put_creates_then_replaces() -> None:
    async def work(lab: Lab) -> None:
        made = await lab.ask("PUT", LAB + "/shelf=B,2", NEW)
        assert made.status == 201
        wider = {"quoit-lab:shelf": [{"row": "B", "column": 2, "width": 50}]}
        assert (await lab.ask("PUT", LAB + "/shelf=B,2", wider)).status == 204
        assert (await lab.ask("PUT", LAB + "/shelf=B,2", NEW)).status == 204
        assert await lab.get(LAB + "/shelf=B,2") == [{"row": "B", "column": 2}]

    with_lab(work)


def test_4_5_put_keys_must_be_those_of_the_uri() -> None:
    async def work(lab: Lab) -> None:
        assert error_of(await lab.ask("PUT", LAB + "/shelf=C,2", NEW))[:2] == (400, "invalid-value")
        assert error_of(await lab.ask("PUT", LAB + "/title", {"quoit-lab:note": "x"}))[:2] == (400, "unknown-element")
        assert error_of(await lab.ask("PUT", LAB + "/shelf=Z,9/width", {"quoit-lab:width": 3}))[:2] == (
            404,
            "invalid-value",
        )

    with_lab(work)


def test_4_5_put_of_the_whole_datastore() -> None:
    async def work(lab: Lab) -> None:
        assert (await lab.ask("PUT", DATA, {"ietf-restconf:data": {"quoit-lab:lab": {"title": "new"}}})).status == 204
        assert await lab.get(ROOT + "/ds/ietf-datastores:running") == {"quoit-lab:lab": {"title": "new"}}
        assert (await lab.ask("DELETE", DATA)).status == 405

    with_lab(work)


def test_4_6_1_plain_patch_merges() -> None:
    async def work(lab: Lab) -> None:
        patch = {
            "quoit-lab:lab": {
                "size": 5,
                "tag": ["d"],
                "shelf": [{"row": "A", "column": 1, "width": 9}, *NEW["quoit-lab:shelf"]],
            }
        }
        done = await lab.ask("PATCH", LAB, patch)
        assert (done.status, done.body) == (204, b"")
        whole = await lab.get(LAB)
        assert (whole["title"], whole["size"], whole["tag"]) == ("t", 5, ["a", "b", "c", "d"])
        assert [(s["row"], s.get("width"), len(s.get("book", ()))) for s in whole["shelf"]] == [
            ("A", 9, 2),
            ("B", None, 0),
        ]

    with_lab(work)


def test_4_6_1_plain_patch_does_not_create_its_target() -> None:
    async def work(lab: Lab) -> None:
        assert error_of(await lab.ask("PATCH", LAB + "/shelf=B,2", NEW))[:2] == (404, "invalid-value")
        assert error_of(await lab.ask("PATCH", LAB + "/shy", {"quoit-lab:shy": {"depth": 1}}))[:2] == (
            404,
            "invalid-value",
        )

    with_lab(work)


def test_4_7_delete() -> None:
    async def work(lab: Lab) -> None:
        assert ((await lab.ask("DELETE", SHELF + "/book=x")).status, (await lab.get(SHELF))[0]["book"]) == (
            204,
            [{"name": "y"}],
        )
        assert error_of(await lab.ask("DELETE", SHELF + "/book=x"))[:2] == (404, "invalid-value")
        assert (await lab.ask("DELETE", LAB + "/tag=b")).status == 204
        assert await lab.get(LAB + "/tag") == ["a", "c"]
        assert (await lab.ask("DELETE", LAB + "/shelf")).status == 405

    with_lab(work)


def test_4_8_1_content() -> None:
    async def work(lab: Lab) -> None:
        config = await lab.get(LAB, "content=config")
        assert "uptime" not in config
        assert "counters" not in config
        state = await lab.get(LAB, "content=nonconfig")
        assert state == {"uptime": 7, "counters": {"visits": "3", "visitor": [{"who": "a"}]}}
        assert (await lab.ask("GET", LAB + "/title", query="content=nonconfig")).status == 404

    with_lab(work)


def test_4_8_1_state_in_a_list_comes_with_its_keys() -> None:
    async def work(lab: Lab) -> None:
        book = {"name": "x", "lent": True}
        lab.library.shown = {"quoit-lab:lab": {"shelf": [{"row": "A", "column": 1, "book": [book]}]}}
        state = await lab.get(LAB, "content=nonconfig")
        assert state == {"shelf": [{"row": "A", "column": 1, "book": [book]}]}
        assert (await lab.get(SHELF + "/book=x"))[0]["lent"] is True

    with_lab(work)


@pytest.mark.parametrize(
    ("depth", "shown"),
    [
        ("1", {}),
        (
            "2",
            {"title": "t", "tag": ["a", "b", "c"], "shelf": [{"row": "A", "column": 1}], "uptime": 7, "counters": {}},
        ),
    ],
)
def test_4_8_2_depth(depth: str, shown: object) -> None:
    async def work(lab: Lab) -> None:
        assert await lab.get(LAB, f"depth={depth}") == shown

    with_lab(work)


def test_4_8_2_depth_unbounded_is_all() -> None:
    async def work(lab: Lab) -> None:
        assert await lab.get(LAB, "depth=unbounded") == await lab.get(LAB) == await lab.get(LAB, "depth=65535")

    with_lab(work)


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ("title", {"title": "t"}),
        ("title;uptime", {"title": "t", "uptime": 7}),
        ("shelf/book/name", {"shelf": [{"row": "A", "column": 1, "book": [{"name": "x"}, {"name": "y"}]}]}),
        (
            "shelf(serial;book(name));title",
            {
                "title": "t",
                "shelf": [{"row": "A", "column": 1, "serial": "s1", "book": [{"name": "x"}, {"name": "y"}]}],
            },
        ),
        ("counters/visits", {"counters": {"visits": "3"}}),
        ("quoit-lab:title", {"title": "t"}),
        (
            "shelf;shelf/row",
            {"shelf": [{"row": "A", "column": 1, "serial": "s1", "book": [{"name": "x"}, {"name": "y"}]}]},
        ),
    ],
)
def test_4_8_3_fields(fields: str, shown: object) -> None:
    async def work(lab: Lab) -> None:
        assert await lab.get(LAB, "fields=" + fields.replace(";", "%3B")) == shown
        assert await lab.get(LAB, "fields=" + fields) == shown

    with_lab(work)


def test_4_8_3_fields_of_the_datastore() -> None:
    async def work(lab: Lab) -> None:
        assert await lab.get(DATA, "fields=quoit-lab:lab/title") == {"quoit-lab:lab": {"title": "t"}}

    with_lab(work)


@pytest.mark.parametrize(
    "query",
    [
        "depth=0",
        "depth=65536",
        "depth=x",
        "depth=1&depth=2",
        "depth",
        "content=some",
        "with-defaults=none",
        "fields=",
        "fields=a(",
        "fields=nothing",
        "fields=shelf(nothing)",
        "fields=title;",
        "unknown=1",
        "insert=first",
        "start-time=2026-01-01T00:00:00Z",
        "content=%zz",
    ],
)
def test_4_8_query_parameters_that_are_refused(query: str) -> None:
    async def work(lab: Lab) -> None:
        assert (await lab.ask("GET", LAB, query=query)).status == 400

    with_lab(work)


@pytest.mark.parametrize(
    ("query", "order"),
    [
        ("", "xyn"),
        ("insert=last", "xyn"),
        ("insert=first", "nxy"),
        ("insert=before&point=/quoit-lab:lab/shelf=A,1/book=y", "xny"),
        ("insert=after&point=%2Fquoit-lab%3Alab%2Fshelf%3DA%2C1%2Fbook%3Dx", "xny"),
    ],
)
def test_4_8_5_and_4_8_6_insert_and_point(query: str, order: str) -> None:
    async def work(lab: Lab) -> None:
        for method, path in (("POST", SHELF), ("PUT", SHELF + "/book=n")):
            assert (await lab.ask(method, path, {"quoit-lab:book": [{"name": "n"}]}, query)).status == 201
            assert "".join(b["name"] for b in (await lab.get(SHELF))[0]["book"]) == order
            await lab.ask("DELETE", SHELF + "/book=n")

    with_lab(work)


def test_4_8_5_insert_moves_an_entry_that_is_there() -> None:
    async def work(lab: Lab) -> None:
        assert (await lab.ask("PUT", LAB + "/tag=c", {"quoit-lab:tag": ["c"]}, "insert=first")).status == 204
        assert await lab.get(LAB + "/tag") == ["c", "a", "b"]

    with_lab(work)


@pytest.mark.parametrize(
    "query",
    ["insert=before", "point=/quoit-lab:lab/shelf=A,1/book=x", "insert=before&point=/quoit-lab:lab/title", "insert=up"],
)
def test_4_8_6_points_that_are_refused(query: str) -> None:
    async def work(lab: Lab) -> None:
        refused = await lab.ask("POST", SHELF, {"quoit-lab:book": [{"name": "n"}]}, query)
        assert error_of(refused)[:2] == (400, "invalid-value")

    with_lab(work)


def test_4_8_6_point_at_nothing_is_missing_instance() -> None:
    async def work(lab: Lab) -> None:
        query = "insert=after&point=/quoit-lab:lab/shelf=A,1/book=zz"
        refused = await lab.ask("POST", SHELF, {"quoit-lab:book": [{"name": "n"}]}, query)
        assert error_of(refused)[2] == "missing-instance"
        lists = await lab.ask("POST", LAB, NEW, "insert=first")
        assert error_of(lists)[:2] == (400, "invalid-value")  # that list is ordered by the system

    with_lab(work)


def test_4_8_9_with_defaults() -> None:
    async def work(lab: Lab) -> None:
        await lab.ask("PATCH", LAB, {"quoit-lab:lab": {"size": 10}})
        explicit = await lab.get(LAB, "with-defaults=explicit&content=config")
        assert (explicit["size"], "on" in explicit) == (10, False)
        everything = await lab.get(LAB, "with-defaults=report-all&content=config")
        assert (everything["size"], everything["on"], everything["shelf"][0]["width"]) == (10, True, 30)
        trimmed = await lab.get(LAB, "with-defaults=trim&content=config")
        assert "size" not in trimmed
        marked = await lab.get(LAB, "with-defaults=report-all-tagged&content=config")
        mark = {"ietf-netconf-with-defaults:default": True}
        assert (marked["on"], marked["@on"], marked["shelf"][0]["@width"]) == (True, mark, mark)
        assert "@size" not in marked  # it was set, and basic mode is explicit

    with_lab(work)


def test_5_2_only_json_is_spoken() -> None:
    async def work(lab: Lab) -> None:
        assert (await lab.ask("GET", LAB, accept="application/*;q=0.5, text/html")).status == 200
        refused = await lab.ask("GET", LAB, accept="application/yang-data+xml")
        assert error_of(refused)[:2] == (406, "invalid-value")
        assert (await lab.ask("GET", LAB, accept="application/yang-data+json;q=0, text/html")).status == 406
        xml = await lab.ask("PUT", LAB, raw=b"<a/>", content_type="application/yang-data+xml")
        assert xml.status == 415
        assert (await lab.ask("PUT", LAB, {}, content_type="application/json")).status == 415
        assert (await lab.ask("PUT", LAB, {}, content_encoding="gzip")).status == 415

    with_lab(work)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"\xff",
        b'{"quoit-lab:lab":{"title":"a","title":"b"}}',
        b'{"a":' * 100 + b"1" + b"}" * 100,
        b"NaN",
        b"null",
    ],
)
def test_5_2_and_rfc_7951_bodies_that_are_no_json_object(body: bytes) -> None:
    async def work(lab: Lab) -> None:
        assert error_of(await lab.ask("PUT", LAB, raw=body))[:2] == (400, "malformed-message")

    with_lab(work)


def test_7_a_large_body_is_413() -> None:
    async def work(lab: Lab) -> None:
        refused = await lab.ask("PATCH", LAB, {"quoit-lab:lab": {"title": "x" * 3000}})
        assert error_of(refused)[:2] == (413, "too-big")

    with_lab(work, limits=Limits(body_bytes=2_000))


def test_7_a_datastore_that_is_full_is_413() -> None:
    async def work(lab: Lab) -> None:
        tags = {"quoit-lab:lab": {"tag": [str(i) for i in range(60)]}}
        assert error_of(await lab.ask("PATCH", LAB, tags))[:2] == (413, "too-big")
        assert await lab.get(LAB + "/tag") == ["a", "b", "c"]

    with_lab(work, limits=Limits(nodes=50))


@pytest.mark.parametrize(
    ("patch", "status", "tag", "app_tag"),
    [
        ({"favourite": "zz"}, 409, "data-missing", "instance-required"),
        ({"shelf": [{"row": "A", "column": 1, "width": 201}]}, 412, "operation-failed", "too-wide"),
        ({"shelf": [{"row": "B", "column": 1, "serial": "s1"}]}, 412, "operation-failed", "data-not-unique"),
        ({"size": 0}, 400, "invalid-value", "invalid-type"),
        ({"shelf": [{"row": "Q", "column": i} for i in range(101)]}, 412, "operation-failed", "too-many-elements"),
        ({"shelf": [{"row": "Q", "column": 1}, {"row": "Q", "column": 1}]}, 400, "bad-element", "non-unique-key"),
    ],
)
def test_7_and_rfc_7950_15_constraints_have_their_tags(patch: object, status: int, tag: str, app_tag: str) -> None:
    async def work(lab: Lab) -> None:
        assert error_of(await lab.ask("PATCH", LAB, {"quoit-lab:lab": patch})) == (status, tag, app_tag)
        assert len(lab.library.changes) == 1  # nothing that is not valid reaches what is behind

    with_lab(work)


def test_7_mandatory_data_must_be_there() -> None:
    async def work(lab: Lab) -> None:
        refused = await lab.ask("POST", DATA, {"quoit-lab:other": {"secret": "s"}})
        assert error_of(refused) == (409, "data-missing", "missing-data")

    with_lab(work)


def test_rfc_7950_7_9_a_case_takes_the_place_of_another() -> None:
    async def work(lab: Lab) -> None:
        for patch, there in (({"road": "r", "lane": 2}, {"road", "lane"}), ({"rail": "x"}, {"rail"})):
            assert (await lab.ask("PATCH", LAB, {"quoit-lab:lab": patch})).status == 204
            assert {"road", "lane", "rail"} & set(await lab.get(LAB)) == there
        assert (await lab.ask("PUT", LAB + "/lane", {"quoit-lab:lane": 1})).status == 201
        assert "rail" not in await lab.get(LAB)

    with_lab(work)


def test_8_nothing_is_committed_that_the_device_refuses() -> None:
    async def work(lab: Lab) -> None:
        lab.library.refuse = Problem("not-admitted", "no room")
        refused = await lab.ask("PATCH", LAB, {"quoit-lab:lab": {"title": "u"}})
        assert error_of(refused) == (500, "operation-failed", "not-admitted")
        lab.library.refuse = RuntimeError("bug")
        assert error_of(await lab.ask("DELETE", LAB))[:2] == (500, "operation-failed")
        lab.library.refuse, lab.library.slow_s = None, 5.0
        assert error_of(await lab.ask("DELETE", LAB))[:2] == (500, "operation-failed")
        lab.library.slow_s = 0.0
        assert (await lab.get(LAB))["title"] == "t"

    with_lab(work)


def test_8_a_second_device_that_refuses_has_the_first_changed_back() -> None:
    async def work(lab: Lab) -> None:
        lab.second.refuse = Problem("not-admitted")
        assert (await lab.ask("PATCH", LAB, {"quoit-lab:lab": {"title": "u"}})).status == 500
        there, back = lab.library.changes[-2:]
        assert (there.after, there.before) == (back.before, back.after)
        assert back.edits[0].new == "t"
        assert (await lab.get(LAB))["title"] == "t"

    with_lab(work, two=True)


def test_8_a_change_back_that_fails_is_said() -> None:
    async def work(lab: Lab) -> None:
        lab.second.refuse = Problem("not-admitted")
        applied = lab.library.apply

        async def once(change: object) -> None:
            lab.library.apply = applied  # type: ignore[method-assign]
            lab.library.refuse = Problem("peer-unreachable")

        lab.library.apply = once  # type: ignore[method-assign, assignment]
        refused = await lab.ask("PATCH", LAB, {"quoit-lab:lab": {"title": "u"}})
        assert error_of(refused)[:2] == (500, "rollback-failed")

    with_lab(work, two=True)


def test_8_rfc_8341_rules_hold_for_reading_writing_and_operations() -> None:
    rules = Rules(
        [
            Rule(False, frozenset({"guest"}), frozenset({"read"}), "/quoit-lab:lab/quoit-lab:shelf"),
            Rule(True, frozenset({"guest"}), frozenset({"update"}), "/quoit-lab:lab/quoit-lab:title"),
            Rule(False, frozenset({"guest"}), frozenset({"exec"}), "/quoit-lab:lend"),
        ],
        superusers={"me"},
    )

    async def work(lab: Lab) -> None:
        assert "shelf" not in (await lab.ask("GET", LAB, caller="guest")).json()["quoit-lab:lab"]
        for hidden in (SHELF, SHELF + "/book=x", LAB + "/shelf"):
            assert (await lab.ask("GET", hidden, caller="guest")).status == 404
        title = {"quoit-lab:lab": {"title": "g"}}
        assert (await lab.ask("PATCH", LAB, title, caller="guest")).status == 204
        for patch in ({"size": 5}, {"title": "h", "size": 5}, {"shelf": [{"row": "A", "column": 1, "width": 3}]}):
            refused = await lab.ask("PATCH", LAB, {"quoit-lab:lab": patch}, caller="guest")
            assert error_of(refused)[:2] == (403, "access-denied")
        assert error_of(await lab.ask("DELETE", LAB, caller="guest"))[:2] == (403, "access-denied")
        op = await lab.ask(
            "POST", ROOT + "/operations/quoit-lab:lend", {"quoit-lab:input": {"row": "A"}}, caller="guest"
        )
        assert error_of(op)[:2] == (403, "access-denied")
        # RFC 8639 marks it nacm:default-deny-all.
        kill = ROOT + "/operations/ietf-subscribed-notifications:kill-subscription"
        killed = await lab.ask("POST", kill, {"ietf-subscribed-notifications:input": {"id": 1}}, caller="guest")
        assert error_of(killed)[:2] == (403, "access-denied")

    with_lab(work, access=rules)


@pytest.mark.parametrize(
    "state",
    [
        {"quoit-lab:lab": {"nothing": 1}},
        {"quoit-lab:lab": {"uptime": -1}},
        {"quoit-lab:lab": {"shelf": [{"row": "A"}]}},
        {"nothing:x": 1},
        {"quoit-lab:lab": 3},
    ],
)
def test_8_state_that_does_not_fit_the_model_is_not_passed_on(state: dict[str, Any]) -> None:
    async def work(lab: Lab) -> None:
        lab.library.shown = state
        assert error_of(await lab.ask("GET", LAB))[:2] == (500, "operation-failed")
        assert (await lab.get(LAB, "content=config"))["title"] == "t"

    with_lab(work)


def test_9_1_capabilities_name_what_is_supported_and_nothing_else() -> None:
    async def work(lab: Lab) -> None:
        state = await lab.get(DATA + "/ietf-restconf-monitoring:restconf-state")
        short = {
            uri.removeprefix("urn:ietf:params:restconf:capability:") for uri in state["capabilities"]["capability"]
        }
        assert short == {
            "defaults:1.0?basic-mode=explicit",
            "depth:1.0",
            "fields:1.0",
            "replay:1.0",
            "with-defaults:1.0",
            "yang-patch:1.0",
        }

    with_lab(work)


def test_9_3_streams_are_listed_with_their_locations() -> None:
    async def work(lab: Lab) -> None:
        streams = await lab.get(DATA + "/ietf-restconf-monitoring:restconf-state/streams")
        assert [s["name"] for s in streams["stream"]] == ["NETCONF", "loans"]
        for stream in streams["stream"]:
            assert (await lab.ask("HEAD", stream["access"][0]["location"])).status == 200

    with_lab(work)


def test_10_and_rfc_8525_yang_library_says_what_is_loaded() -> None:
    async def work(lab: Lab) -> None:
        library = await lab.get(DATA + "/ietf-yang-library:yang-library")
        (modules,) = library["module-set"]
        assert {m["name"] for m in modules["module"]} >= {"quoit-lab", "ietf-yang-library", "ietf-yang-push"}
        assert {d["name"] for d in library["datastore"]} == {"ietf-datastores:running", "ietf-datastores:operational"}
        assert library["content-id"] == lab.modules.content_id

    with_lab(work)


def test_rfc_8527_3_datastores() -> None:
    async def work(lab: Lab) -> None:
        running = ROOT + "/ds/ietf-datastores:running"
        assert set(await lab.get(running)) == {"quoit-lab:lab"}
        assert (await lab.get(ROOT + "/ds/ietf-datastores:operational/quoit-lab:lab"))["uptime"] == 7
        assert (await lab.ask("GET", running + "/quoit-lab:lab/uptime")).status == 404
        assert (await lab.ask("PATCH", running + "/quoit-lab:lab", {"quoit-lab:lab": {"title": "u"}})).status == 204
        assert (await lab.ask("GET", running, query="content=nonconfig")).status == 400
        assert (await lab.ask("GET", ROOT + "/ds/ietf-datastores:startup")).status == 404

    with_lab(work)


def test_rfc_8072_2_a_yang_patch_is_all_or_nothing() -> None:
    patch = "application/yang-patch+json"

    def body(*edits: object) -> dict[str, object]:
        return {"ietf-yang-patch:yang-patch": {"patch-id": "p", "edit": list(edits)}}

    async def work(lab: Lab) -> None:
        create = {"edit-id": "1", "operation": "create", "target": "/shelf=B,2", "value": NEW}
        move = {"edit-id": "2", "operation": "move", "target": "/tag=c", "where": "first"}
        remove = {"edit-id": "3", "operation": "remove", "target": "/hue"}
        insert = {
            "edit-id": "4",
            "operation": "insert",
            "target": "/shelf=A,1/book=n",
            "where": "before",
            "point": "/quoit-lab:lab/shelf=A,1/book=y",
            "value": {"quoit-lab:book": [{"name": "n"}]},
        }
        done = await lab.ask("PATCH", LAB, body(create, insert, move, remove), content_type=patch)
        assert done.json() == {"ietf-yang-patch:yang-patch-status": {"patch-id": "p", "ok": [None]}}
        assert await lab.get(LAB + "/tag") == ["c", "a", "b"]
        assert [b["name"] for b in (await lab.get(SHELF))[0]["book"]] == ["x", "n", "y"]
        title = {"edit-id": "5", "operation": "replace", "target": "/title", "value": {"quoit-lab:title": "u"}}
        refused = await lab.ask("PATCH", LAB, body(title, create), content_type=patch)
        status = refused.json()["ietf-yang-patch:yang-patch-status"]["edit-status"]["edit"][0]
        assert (refused.status, status["edit-id"], status["errors"]["error"][0]["error-tag"]) == (
            409,
            "1",
            "data-exists",
        )
        assert (await lab.get(LAB))["title"] == "t"

    with_lab(work)
