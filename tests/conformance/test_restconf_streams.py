"""Event streams (RFC 8040 cl. 3.8, 6) and dynamic subscriptions (RFC 8639, 8641, 8650) of the RESTCONF server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from yangson.enumerations import ContentType

from quoit.interfaces.restconf.access import Rule, Rules
from quoit.interfaces.restconf.datastore import Limits
from quoit.interfaces.restconf.errors import RestconfError
from quoit.interfaces.restconf.exchange import Response
from restconf_lab import DATA, LAB, ROOT, Lab, error_of, with_lab

STREAM = ROOT + "/streams/NETCONF/json"
SN, YP = "ietf-subscribed-notifications", "ietf-yang-push"
IN = f"{SN}:input"


class Reader:
    """Reads the events of an open feed; each is checked against the second model."""

    def __init__(self, lab: Lab, response: Response) -> None:
        assert response.status == 200, response.body
        assert response.feed is not None
        assert response.header("content-type") == "text/event-stream"
        self.lab = lab
        self.comments: list[bytes] = []
        self._chunks: AsyncIterator[bytes] = response.feed.chunks()

    async def next(self) -> tuple[str, Any]:
        """Name and content of the next event; comments are set aside. IndexError at the feed's end."""
        async with asyncio.timeout(5):
            async for chunk in self._chunks:
                if chunk.startswith(b":"):
                    self.comments.append(chunk)
                    continue
                (line,) = [part for part in chunk.decode().splitlines() if part.startswith("data: ")]
                body = json.loads(line.removeprefix("data: "))["ietf-restconf:notification"]
                (name,) = set(body) - {"eventTime"}
                self.lab.other.from_raw(body[name], name).validate(ctype=ContentType.all)
                return name, body[name]
        raise IndexError("the feed has ended")

    async def wait_for(self, comment: bytes) -> None:
        """Read until a comment that begins so; no event may come before it."""
        async with asyncio.timeout(5):
            async for chunk in self._chunks:
                assert chunk.startswith(b":")
                if chunk.startswith(comment):
                    return

    async def close(self) -> None:
        await self._chunks.aclose()  # type: ignore[attr-defined]


async def subscribe(lab: Lab, given: dict[str, Any], caller: str = "me") -> Reader:
    made = await lab.ask("POST", f"{ROOT}/operations/{SN}:establish-subscription", {IN: given}, caller=caller)
    assert made.status == 200, made.body
    uri = made.json()[f"{SN}:output"]["ietf-restconf-subscribed-notifications:uri"]
    return Reader(lab, await lab.ask("GET", uri, caller=caller, accept="text/event-stream"))


def on_change(**more: Any) -> dict[str, Any]:
    return {f"{YP}:datastore": "ietf-datastores:operational", f"{YP}:on-change": more}


# -- streams ----------------------------------------------------------------------------------------------


def test_6_4_notifications_arrive_in_order() -> None:
    async def work(lab: Lab) -> None:
        reader = Reader(lab, await lab.ask("GET", STREAM))
        await asyncio.sleep(0)
        for row in ("A", "B"):
            lab.core.publish("quoit-lab:lent", {"row": row, "who": {"name": "n"}}, stream="loans")
        lab.core.publish("quoit-lab:dusted", {})
        assert [await reader.next() for _ in range(3)] == [
            ("quoit-lab:lent", {"row": "A", "who": {"name": "n"}}),
            ("quoit-lab:lent", {"row": "B", "who": {"name": "n"}}),
            ("quoit-lab:dusted", {}),
        ]
        await reader.close()
        assert lab.core.streams["NETCONF"].readers == 0

    with_lab(work)


def test_6_a_notification_that_is_not_valid_is_not_sent() -> None:
    async def work(lab: Lab) -> None:
        for name, content in (("quoit-lab:lent", {}), ("quoit-lab:lent", {"row": 3}), ("quoit-lab:nothing", {})):
            with pytest.raises(RestconfError):
                lab.core.publish(name, content)
        assert not lab.core.streams["NETCONF"].log

    with_lab(work)


def test_6_3_a_silent_stream_is_kept_alive() -> None:
    async def work(lab: Lab) -> None:
        reader = Reader(lab, await lab.ask("GET", STREAM))
        await reader.wait_for(b": keep-alive")
        lab.core.publish("quoit-lab:dusted", {})
        assert await reader.next() == ("quoit-lab:dusted", {})

    with_lab(work)


def test_4_8_7_and_4_8_8_replay_between_two_times() -> None:
    async def work(lab: Lab) -> None:
        for row in "ABCD":
            lab.core.publish("quoit-lab:lent", {"row": row})
            lab.later(10)
        reader = Reader(lab, await lab.ask("GET", STREAM, query="start-time=2026-01-31T12:00:10Z"))
        assert [(await reader.next())[1]["row"] for _ in range(3)] == ["B", "C", "D"]
        lab.core.publish("quoit-lab:lent", {"row": "E"})
        assert (await reader.next())[1]["row"] == "E"
        query = "start-time=2026-01-31T12:00:00Z&stop-time=2026-01-31T13:00:15%2B01:00"
        ending = Reader(lab, await lab.ask("GET", STREAM, query=query))
        assert [(await ending.next())[1]["row"] for _ in range(2)] == ["A", "B"]
        with pytest.raises(IndexError):
            await ending.next()

    with_lab(work)


@pytest.mark.parametrize(
    "query",
    [
        "start-time=yesterday",
        "start-time=2026-01-31T12:00:00",
        "start-time=2027-01-31T12:00:00Z",
        "stop-time=2026-01-31T12:00:00Z",
        "start-time=2026-01-31T11:00:00Z&stop-time=2026-01-31T10:00:00Z",
        "filter=/x",
        "depth=1",
    ],
)
def test_4_8_7_times_that_are_refused(query: str) -> None:
    async def work(lab: Lab) -> None:
        assert error_of(await lab.ask("GET", STREAM, query=query))[:2] == (400, "invalid-value")

    with_lab(work)


def test_6_3_a_reader_that_comes_back_gets_what_it_missed() -> None:
    async def work(lab: Lab) -> None:
        for row in "ABC":
            lab.core.publish("quoit-lab:lent", {"row": row})
        reader = Reader(lab, await lab.ask("GET", STREAM, last_event_id="1"))
        assert [(await reader.next())[1]["row"] for _ in range(2)] == ["B", "C"]

    with_lab(work)


def test_6_a_reader_that_lags_is_cut_and_others_are_not() -> None:
    async def work(lab: Lab) -> None:
        slow, quick = Reader(lab, await lab.ask("GET", STREAM)), Reader(lab, await lab.ask("GET", STREAM))
        rows = []
        for n in range(12):
            lab.core.publish("quoit-lab:lent", {"row": str(n)})
            rows.append((await quick.next())[1]["row"])
        assert rows == [str(n) for n in range(12)]
        with pytest.raises(IndexError):
            await slow.next()
        assert slow.comments[-1].startswith(b": cut")
        assert lab.core.streams["NETCONF"].readers == 1

    with_lab(work, limits=Limits(reader_events=5, keepalive_s=1.0))


def test_6_readers_are_bounded_and_the_stream_needs_its_media_type() -> None:
    async def work(lab: Lab) -> None:
        kept = [await lab.ask("GET", STREAM) for _ in range(2)]
        assert error_of(await lab.ask("GET", STREAM))[:2] == (409, "resource-denied")
        for response in kept:
            assert response.feed is not None
            response.feed.drop()
        assert (await lab.ask("GET", STREAM)).status == 200
        assert (await lab.ask("GET", STREAM, accept="application/json")).status == 406
        assert (await lab.ask("GET", ROOT + "/streams/NETCONF/xml")).status == 404
        assert (await lab.ask("POST", STREAM, {"a": 1})).status == 405

    with_lab(work, limits=Limits(readers=2))


def test_8_notifications_that_may_not_be_read_are_left_out() -> None:
    rules = Rules([Rule(False, frozenset({"guest"}), frozenset({"read"}), "/quoit-lab:lent")], superusers={"me"})

    async def work(lab: Lab) -> None:
        reader = Reader(lab, await lab.ask("GET", STREAM, caller="guest"))
        lab.core.publish("quoit-lab:lent", {"row": "A"})
        lab.core.publish("quoit-lab:dusted", {})
        assert await reader.next() == ("quoit-lab:dusted", {})

    with_lab(work, access=rules)


# -- subscriptions ----------------------------------------------------------------------------------------


def test_rfc_8650_3_3_a_subscription_to_a_stream_with_a_filter_and_replay() -> None:
    async def work(lab: Lab) -> None:
        lab.core.publish("quoit-lab:lent", {"row": "A"})
        lab.later(5)
        given = {
            "stream": "NETCONF",
            "replay-start-time": "2026-01-31T12:00:00Z",
            "stream-xpath-filter": "/quoit-lab:lent[row='A'] | /quoit-lab:lent/who",
        }
        refused = await lab.ask("POST", f"{ROOT}/operations/{SN}:establish-subscription", {IN: given})
        assert error_of(refused) == (400, "invalid-value", f"{SN}:filter-unsupported")
        reader = await subscribe(lab, {**given, "stream-xpath-filter": "/quoit-lab:lent"})
        assert await reader.next() == ("quoit-lab:lent", {"row": "A"})
        assert (await reader.next())[0] == f"{SN}:replay-completed"
        lab.core.publish("quoit-lab:dusted", {})
        lab.core.publish("quoit-lab:lent", {"row": "B", "who": {"name": "n"}})
        assert (await reader.next())[1]["row"] == "B"

    with_lab(work)


def test_rfc_8639_2_4_6_subscriptions_are_bounded_and_shown_and_end_with_their_reader() -> None:
    async def work(lab: Lab) -> None:
        reader = await subscribe(lab, {"stream": "loans"})
        shown = (await lab.get(DATA))[f"{SN}:subscriptions"]["subscription"]
        assert [(s["id"], s["stream"], s["receivers"]["receiver"][0]["name"]) for s in shown] == [(1, "loans", "me")]
        await subscribe(lab, on_change())
        refused = await lab.ask("POST", f"{ROOT}/operations/{SN}:establish-subscription", {IN: {"stream": "loans"}})
        assert error_of(refused) == (409, "resource-denied", f"{SN}:insufficient-resources")
        waiting = asyncio.ensure_future(reader.next())
        await lab.settle()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert set(lab.core.subscriptions.all) == {2}
        assert f"{SN}:subscriptions" not in await lab.get(ROOT + "/ds/ietf-datastores:running")
        write = await lab.ask("POST", DATA, {f"{SN}:subscriptions": {"subscription": [{"id": 9}]}})
        assert write.status >= 400

    with_lab(work, limits=Limits(subscriptions=2, keepalive_s=1.0))


@pytest.mark.parametrize(
    ("given", "app_tag"),
    [
        ({"stream": "nothing"}, f"{SN}:stream-unavailable"),
        ({f"{YP}:datastore": "ietf-datastores:startup", f"{YP}:on-change": {}}, f"{YP}:datastore-not-subscribable"),
        ({f"{YP}:datastore": "ietf-datastores:running", f"{YP}:periodic": {"period": 1}}, f"{YP}:period-unsupported"),
        ({**on_change(), f"{YP}:datastore-xpath-filter": "//x"}, f"{SN}:filter-unsupported"),
        ({**on_change(), f"{YP}:datastore-xpath-filter": "count(/quoit-lab:lab)"}, f"{SN}:filter-unsupported"),
    ],
)
def test_rfc_8639_2_4_2_what_is_refused_says_its_reason(given: dict[str, Any], app_tag: str) -> None:
    async def work(lab: Lab) -> None:
        refused = await lab.ask("POST", f"{ROOT}/operations/{SN}:establish-subscription", {IN: given})
        assert error_of(refused)[2] == app_tag
        assert not lab.core.subscriptions.all

    with_lab(work)


def test_rfc_8641_3_1_periodic_push_of_what_a_filter_selects() -> None:
    async def work(lab: Lab) -> None:
        given = {
            f"{YP}:datastore": "ietf-datastores:operational",
            f"{YP}:datastore-xpath-filter": "/quoit-lab:lab/uptime | /quoit-lab:lab/shelf[row='A'][column='1']/serial",
            f"{YP}:periodic": {"period": 10},
        }
        reader = await subscribe(lab, given)
        name, first = await reader.next()
        assert name == f"{YP}:push-update"
        shelf = {"row": "A", "column": 1, "serial": "s1"}
        assert first == {"id": 1, "datastore-contents": {"quoit-lab:lab": {"uptime": 7, "shelf": [shelf]}}}
        lab.library.shown = {"quoit-lab:lab": {"uptime": 8}}
        await lab.advance(0.25)
        lab.library.shown = {"quoit-lab:lab": {"uptime": 9}}
        await lab.advance(0.05)
        seen = [(await reader.next())[1]["datastore-contents"]["quoit-lab:lab"]["uptime"] for _ in range(3)]
        assert seen == [8, 8, 9]

    with_lab(work)


def test_rfc_8641_3_1_on_change_pushes_differences_of_configuration_and_state() -> None:
    async def work(lab: Lab) -> None:
        reader = await subscribe(lab, {**on_change(), f"{YP}:datastore-xpath-filter": "/quoit-lab:lab"})
        name, first = await reader.next()
        assert (name, first["datastore-contents"]["quoit-lab:lab"]["title"]) == (f"{YP}:push-update", "t")
        await lab.ask("PATCH", LAB, {"quoit-lab:lab": {"title": "u", "shelf": [{"row": "B", "column": 2}]}})
        name, change = await reader.next()
        assert name == f"{YP}:push-change-update"
        edits = change["datastore-changes"]["yang-patch"]["edit"]
        assert [(e["operation"], e["target"], e["value"]) for e in edits] == [
            ("replace", "/quoit-lab:lab/title", {"quoit-lab:title": "u"}),
            ("create", "/quoit-lab:lab/shelf=B,2", {"quoit-lab:shelf": [{"row": "B", "column": 2}]}),
        ]
        await lab.advance(0)
        lab.library.shown = {"quoit-lab:lab": {"uptime": 9}}
        lab.core.changed()
        edits = (await reader.next())[1]["datastore-changes"]["yang-patch"]["edit"]
        assert [(e["operation"], e["target"]) for e in edits] == [
            ("replace", "/quoit-lab:lab/uptime"),
            ("delete", "/quoit-lab:lab/counters"),
        ]

    with_lab(work)


def test_rfc_8641_3_3_dampening_tells_many_changes_as_one() -> None:
    async def work(lab: Lab) -> None:
        reader = await subscribe(lab, on_change(**{"dampening-period": 30, "sync-on-start": False}))
        await lab.settle()  # the subscription has looked for the first time
        for n in range(6):
            await lab.ask("PATCH", LAB, {"quoit-lab:lab": {"title": str(n)}})
            await lab.advance(0.05)
        await lab.advance(0.3)
        first = (await reader.next())[1]["datastore-changes"]["yang-patch"]["edit"]
        second = (await reader.next())[1]["datastore-changes"]["yang-patch"]["edit"]
        assert [[e["value"] for e in edits] for edits in (first, second)] == [
            [{"quoit-lab:title": "0"}],
            [{"quoit-lab:title": "5"}],
        ]

    with_lab(work)


def test_rfc_8641_3_excluded_changes_and_resync() -> None:
    async def work(lab: Lab) -> None:
        given = on_change(**{"sync-on-start": False, "excluded-change": ["replace"]})
        reader = await subscribe(lab, {**given, f"{YP}:datastore-xpath-filter": "/quoit-lab:lab/title"})
        await lab.settle()
        await lab.ask("PATCH", LAB, {"quoit-lab:lab": {"title": "u"}})
        await lab.advance(0)
        await lab.ask("DELETE", LAB + "/title")
        await lab.advance(0)
        edits = (await reader.next())[1]["datastore-changes"]["yang-patch"]["edit"]
        assert [e["operation"] for e in edits] == ["delete"]
        resync = await lab.ask("POST", f"{ROOT}/operations/{YP}:resync-subscription", {f"{YP}:input": {"id": 1}})
        assert resync.status == 204
        await lab.advance(0)
        assert (await reader.next())[0] == f"{YP}:push-update"

    with_lab(work)


def test_rfc_8639_2_4_3_to_2_4_5_modify_delete_and_kill() -> None:
    async def work(lab: Lab) -> None:
        def op(word: str, given: dict[str, Any], caller: str = "me") -> Any:
            return lab.ask("POST", f"{ROOT}/operations/{SN}:{word}-subscription", {IN: given}, caller=caller)

        reader = await subscribe(lab, {**on_change(), f"{YP}:datastore-xpath-filter": "/quoit-lab:lab/title"})
        await reader.next()
        datastore = {f"{YP}:datastore": "ietf-datastores:operational"}
        narrow = {"id": 1, **datastore, f"{YP}:datastore-xpath-filter": "/quoit-lab:lab/uptime"}
        assert (await op("modify", narrow)).status == 204
        assert (await reader.next())[1]["datastore-contents"] == {"quoit-lab:lab": {"uptime": 7}}
        for word in ("modify", "delete"):
            foreign = await op(word, {"id": 1, **(datastore if word == "modify" else {})}, caller="you")
            assert error_of(foreign)[2] == f"{SN}:no-such-subscription"
        assert (await op("kill", {"id": 1})).status == 204
        assert (await reader.next())[0] == f"{SN}:subscription-terminated"
        with pytest.raises(IndexError):
            await reader.next()
        other = await subscribe(lab, {"stream": "NETCONF"})
        assert (await op("delete", {"id": 2})).status == 204
        with pytest.raises(IndexError):
            await other.next()
        assert error_of(await op("delete", {"id": 2}))[2] == f"{SN}:no-such-subscription"

    with_lab(work, access=Rules(superusers={"me"}))


def test_rfc_8639_2_7_a_subscription_whose_source_fails_is_terminated_and_says_so() -> None:
    async def work(lab: Lab) -> None:
        reader = await subscribe(lab, {**on_change(), f"{YP}:datastore-xpath-filter": "/quoit-lab:lab/uptime"})
        assert (await reader.next())[0] == f"{YP}:push-update"
        lab.library.shown = {"quoit-lab:lab": {"uptime": "not a number"}}
        await lab.settle()
        lab.core.changed()
        name, content = await reader.next()
        assert (name, content["reason"]) == (f"{SN}:subscription-terminated", f"{SN}:stream-unavailable")
        with pytest.raises(IndexError):
            await reader.next()
        assert not lab.core.subscriptions.all

    with_lab(work)


def test_rfc_8650_3_4_a_subscription_is_for_its_owner_and_is_read_once() -> None:
    async def work(lab: Lab) -> None:
        await subscribe(lab, {"stream": "NETCONF"})
        assert error_of(await lab.ask("GET", ROOT + "/subscriptions/1", caller="you"))[:2] == (404, "invalid-value")
        assert error_of(await lab.ask("GET", ROOT + "/subscriptions/1"))[:2] == (409, "in-use")
        assert (await lab.ask("GET", ROOT + "/subscriptions/x")).status == 404

    with_lab(work)


def test_rfc_8650_3_a_subscription_that_nobody_reads_ends() -> None:
    async def work(lab: Lab) -> None:
        made = await lab.ask("POST", f"{ROOT}/operations/{SN}:establish-subscription", {IN: {"stream": "NETCONF"}})
        assert made.status == 200
        await lab.advance(30)
        assert 1 in lab.core.subscriptions.all
        await lab.advance(31)
        assert (await lab.ask("GET", ROOT + "/subscriptions/1")).status == 404
        assert lab.core.streams["NETCONF"].readers == 0

    with_lab(work, limits=Limits(unread_s=60))
