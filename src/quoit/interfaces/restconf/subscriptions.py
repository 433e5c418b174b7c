"""Dynamic subscriptions (RFC 8639, 8641, 8650): to a stream's events, to a datastore periodically or on change."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from quoit.interfaces.restconf.datastore import Limits
from quoit.interfaces.restconf.errors import RestconfError
from quoit.interfaces.restconf.paths import Path, format_resource
from quoit.interfaces.restconf.query import instant_of
from quoit.interfaces.restconf.schema import Schema, Tree, is_leaf_list, is_list, qualified
from quoit.interfaces.restconf.selection import parse_filter, selected
from quoit.interfaces.restconf.streams import Event, EventStream, Feed, event_bytes, instant_text
from quoit.interfaces.restconf.tree import MISSING, Edit, differences

_log = structlog.get_logger("quoit", element="interfaces.restconf")

SN = "ietf-subscribed-notifications"
YP = "ietf-yang-push"
OPERATIONS = frozenset(
    {
        *(f"{SN}:{word}-subscription" for word in ("establish", "modify", "delete", "kill")),
        f"{YP}:resync-subscription",
    }
)

Snapshot = Callable[[str, str], Awaitable[Tree]]
"""Called with a datastore's name and a caller; what the caller may see of it."""


@dataclass
class Subscription:
    """One dynamic subscription. `said` is its policy as RFC 8639 shows it."""

    id: int
    owner: str
    said: dict[str, Any]
    feed: Feed
    paths: tuple[Path, ...]
    stop: datetime | None
    sent: int = 0
    opened: bool = False
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    resync: asyncio.Event = field(default_factory=asyncio.Event)


def _refused(reason: str, message: str, module: str = SN, tag: str = "invalid-value") -> RestconfError:
    return RestconfError(tag, message, app_tag=f"{module}:{reason}")


class Subscriptions:
    """All dynamic subscriptions of a server."""

    def __init__(
        self,
        schema: Schema,
        streams: Mapping[str, EventStream],
        snapshot: Snapshot,
        listen: Callable[[Callable[[], None]], Callable[[], None]],
        may_read: Callable[[str, Any], bool],
        *,
        now: Callable[[], datetime],
        root: str,
        limits: Limits,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._schema = schema
        self._streams = streams
        self._snapshot = snapshot
        self._listen = listen
        self._may_read = may_read
        self._now = now
        self._root = root
        self._limits = limits
        self._sleep = sleep
        self._next = 1
        self.all: dict[int, Subscription] = {}

    # -- operations ------------------------------------------------------------------------------------

    async def invoke(self, operation: str, body: Tree, caller: str) -> Tree:
        """Do one of `OPERATIONS`."""
        word = operation.partition(":")[2]
        if word == "establish-subscription":
            return await self.establish(body, caller)
        subscription = self.all.get(int(body["id"]))
        if subscription is None or (word != "kill-subscription" and subscription.owner != caller):
            module, reason = (
                (YP, "no-such-subscription-resync") if word.startswith("resync") else (SN, "no-such-subscription")
            )
            raise _refused(reason, f"there is no subscription {body['id']} of yours", module)
        if word == "modify-subscription":
            self._modify(subscription, body)
        elif word == "resync-subscription":
            if "ietf-yang-push:on-change" not in subscription.said:
                raise _refused("no-such-subscription-resync", "only on-change subscriptions are synchronised anew", YP)
            subscription.resync.set()
        else:
            if word == "kill-subscription":
                self._tell(subscription, f"{SN}:subscription-terminated", {"reason": f"{SN}:no-such-subscription"})
            self.end(subscription)
        return {}

    async def establish(self, body: Tree, caller: str) -> Tree:
        """A new subscription; its events wait at the uri of the answer, which must be read within a minute."""
        mine = sum(s.owner == caller for s in self.all.values())
        if len(self.all) >= self._limits.subscriptions or mine >= self._limits.subscriptions_each:
            raise _refused("insufficient-resources", "too many subscriptions; delete one", tag="resource-denied")
        if body.get("encoding", f"{SN}:encode-json") != f"{SN}:encode-json":
            raise _refused("encoding-unsupported", "notifications are JSON")
        number, self._next = self._next, self._next + 1
        said = {k: v for k, v in body.items() if k != "encoding"}
        subscription = Subscription(number, caller, said, self._feed(number), (), None)
        self._read_policy(subscription, body)
        if "stream" in body:
            self._follow_stream(subscription, body)
        self.all[number] = subscription
        self._start(subscription)
        subscription.tasks.append(asyncio.ensure_future(self._expire(subscription)))
        uri = f"{self._root}/subscriptions/{number}"
        return {"id": number, "ietf-restconf-subscribed-notifications:uri": uri}

    def _feed(self, number: int) -> Feed:
        def ended(feed: Feed) -> None:
            subscription = self.all.get(number)
            if subscription is not None and subscription.feed is feed:
                self.end(subscription)

        return Feed(self._limits.reader_events, self._limits.keepalive_s, ended)

    def _read_policy(self, subscription: Subscription, body: Tree) -> None:
        filters = (f"{YP}:datastore-xpath-filter", "stream-xpath-filter")
        text = next((body[name] for name in filters if name in body), None)
        for name in ("stream-filter-name", f"{YP}:selection-filter-ref"):
            if name in body:
                raise _refused("filter-unavailable", "filters are given with the subscription, none are kept by name")
        stop = instant_of(body["stop-time"]) if "stop-time" in body else None
        if stop is not None and stop <= self._now():
            raise RestconfError("invalid-value", "stop-time has passed")
        if "stream" not in subscription.said:
            self._check_datastore(body)
        paths = parse_filter(self._schema, text) if text is not None else ()
        subscription.paths, subscription.stop = paths, stop

    def _check_datastore(self, body: Tree) -> None:
        name = body.get(f"{YP}:datastore")
        if name not in ("ietf-datastores:running", "ietf-datastores:operational"):
            raise _refused("datastore-not-subscribable", "running and operational can be subscribed to", YP)
        periodic = body.get(f"{YP}:periodic")
        if periodic is None and f"{YP}:on-change" not in body:
            raise RestconfError("missing-element", "expected periodic or on-change")
        if periodic is not None and int(periodic["period"]) < self._limits.min_period_cs:
            raise _refused(
                "period-unsupported", f"the shortest period is {self._limits.min_period_cs} centiseconds", YP
            )

    def _follow_stream(self, subscription: Subscription, body: Tree) -> None:
        stream = self._streams.get(body["stream"])
        if stream is None:
            raise _refused("stream-unavailable", f"there is no stream {body['stream']!r}")
        owner = subscription.owner

        def passes(event: Event) -> bool:
            whole = {event.name: event.content}
            fits = not subscription.paths or bool(selected(self._schema, whole, subscription.paths))
            return fits and self._may_read(owner, event.node)

        start = instant_of(body["replay-start-time"]) if "replay-start-time" in body else None
        between = None
        if start is not None:
            between = event_bytes(self._now(), f"{SN}:replay-completed", {"id": subscription.id})
        source = stream.open(passes, start=start, between=between)
        subscription.tasks.append(asyncio.ensure_future(self._pass_on(subscription, source)))

    async def _pass_on(self, subscription: Subscription, source: Feed) -> None:
        async for chunk in source.chunks():
            if not chunk.startswith(b":"):
                subscription.sent += 1
                subscription.feed.put(chunk)
        subscription.feed.close()

    def _modify(self, subscription: Subscription, body: Tree) -> None:
        merged = {k: v for k, v in {**subscription.said, **body}.items() if k != "id"}
        for one, other in ((f"{YP}:periodic", f"{YP}:on-change"), (f"{YP}:on-change", f"{YP}:periodic")):
            if one in body:
                if other in subscription.said:
                    raise RestconfError("invalid-value", "periodic stays periodic, and on-change on-change")
                merged[one] = {**subscription.said[one], **body[one]}
        self._read_policy(subscription, merged)
        subscription.said = merged
        if "stream" not in merged:
            self._start(subscription)

    # -- life ------------------------------------------------------------------------------------------

    def _start(self, subscription: Subscription) -> None:
        """(Re)start what fills the feed of a datastore's subscription, and the clock of its end."""
        for task in subscription.tasks:
            if task.get_name() in ("push", "stop"):
                task.cancel()
        if f"{YP}:periodic" in subscription.said:
            subscription.tasks.append(asyncio.create_task(self._guard(subscription, self._periodic), name="push"))
        elif f"{YP}:on-change" in subscription.said:
            subscription.tasks.append(asyncio.create_task(self._guard(subscription, self._on_change), name="push"))
        if subscription.stop is not None:
            subscription.tasks.append(asyncio.create_task(self._stop(subscription, subscription.stop), name="stop"))

    async def _guard(self, subscription: Subscription, work: Callable[[Subscription], Awaitable[None]]) -> None:
        try:
            await work(subscription)
        except RestconfError as fault:
            _log.error("subscription.failed", id=subscription.id, fault=str(fault))
            self._tell(subscription, f"{SN}:subscription-terminated", {"reason": f"{SN}:stream-unavailable"})
            self.end(subscription)

    async def _expire(self, subscription: Subscription) -> None:
        await self._sleep(self._limits.unread_s)
        if not subscription.opened:
            self.end(subscription)

    async def _stop(self, subscription: Subscription, at: datetime) -> None:
        await self._sleep(max(0.0, (at - self._now()).total_seconds()))
        self.end(subscription)

    def open(self, number: int, caller: str) -> Feed:
        """The feed of a subscription, for its owner and once. Raises 404."""
        subscription = self.all.get(number)
        if subscription is None or subscription.owner != caller:
            raise RestconfError("invalid-value", f"there is no subscription {number} of yours", status=404)
        if subscription.opened:
            raise RestconfError("in-use", "somebody reads this subscription already")
        subscription.opened = True
        return subscription.feed

    def end(self, subscription: Subscription) -> None:
        """Terminate it; what waits is still sent."""
        if self.all.pop(subscription.id, None) is None:
            return
        subscription.feed.close()
        current = asyncio.current_task()
        for task in subscription.tasks:
            if task is not current:
                task.cancel()

    async def close(self) -> None:
        """Terminate all."""
        tasks = [task for subscription in self.all.values() for task in subscription.tasks]
        for subscription in list(self.all.values()):
            self.end(subscription)
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- what is pushed --------------------------------------------------------------------------------

    def _tell(self, subscription: Subscription, name: str, content: dict[str, Any]) -> None:
        subscription.sent += 1
        subscription.feed.put(event_bytes(self._now(), name, {"id": subscription.id, **content}))

    async def _seen(self, subscription: Subscription) -> Tree:
        tree = await self._snapshot(subscription.said[f"{YP}:datastore"], subscription.owner)
        return selected(self._schema, tree, subscription.paths) if subscription.paths else tree

    async def _periodic(self, subscription: Subscription) -> None:
        period = subscription.said[f"{YP}:periodic"]
        length_s = int(period["period"]) / 100
        if "anchor-time" in period:
            behind = (self._now() - instant_of(period["anchor-time"])).total_seconds()
            await self._sleep(-behind % length_s)
        while True:
            self._tell(subscription, f"{YP}:push-update", {"datastore-contents": await self._seen(subscription)})
            await self._sleep(length_s)

    async def _on_change(self, subscription: Subscription) -> None:
        policy = subscription.said[f"{YP}:on-change"]
        dampening_s = int(policy.get("dampening-period", 0)) / 100
        excluded = frozenset(policy.get("excluded-change", ()))
        woken = asyncio.Event()
        subscription.resync.clear()
        unlisten = self._listen(woken.set)
        waiters: list[asyncio.Task[Any]] = []
        try:
            known: Tree = await self._seen(subscription)
            if policy.get("sync-on-start", True):
                self._tell(subscription, f"{YP}:push-update", {"datastore-contents": known})
            patches = 0
            while True:
                waiters = [asyncio.ensure_future(e.wait()) for e in (woken, subscription.resync)]
                await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
                for waiter in waiters:
                    waiter.cancel()
                woken.clear()
                seen = await self._seen(subscription)
                if subscription.resync.is_set():
                    subscription.resync.clear()
                    self._tell(subscription, f"{YP}:push-update", {"datastore-contents": seen})
                else:
                    edits = [e for e in differences(self._schema, known, seen) if e.operation not in excluded]
                    if edits:
                        patches += 1
                        self._tell(subscription, f"{YP}:push-change-update", _changes(patches, edits))
                known = seen
                # RFC 8641 cl. 3.1: what changes meanwhile is told as one, once the period is over.
                await self._sleep(dampening_s)
        finally:
            unlisten()
            for waiter in waiters:
                waiter.cancel()

    # -- monitoring ------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """What operational shows of the subscriptions, and of the streams."""
        streams = []
        for stream in self._streams.values():
            row: dict[str, Any] = {
                "name": stream.name,
                "description": stream.description,
                "replay-support": [None],
                "replay-log-creation-time": instant_text(stream.created),
            }
            aged = stream.aged()
            if aged is not None:
                row["replay-log-aged-time"] = instant_text(aged)
            streams.append(row)
        subscriptions = [self._row(subscription) for subscription in self.all.values()]
        shown: dict[str, Any] = {f"{SN}:streams": {"stream": streams}}
        if subscriptions:
            shown[f"{SN}:subscriptions"] = {"subscription": subscriptions}
        return shown

    def _row(self, subscription: Subscription) -> dict[str, Any]:
        policy = {k: v for k, v in subscription.said.items() if k != f"{YP}:on-change"}
        if f"{YP}:on-change" in subscription.said:
            policy[f"{YP}:on-change"] = subscription.said[f"{YP}:on-change"]
        receiver = {"name": subscription.owner, "sent-event-records": str(subscription.sent), "state": "active"}
        return {
            "id": subscription.id,
            **policy,
            "ietf-restconf-subscribed-notifications:uri": f"{self._root}/subscriptions/{subscription.id}",
            "receivers": {"receiver": [receiver]},
        }


def _changes(number: int, edits: list[Edit]) -> dict[str, Any]:
    rows = []
    for place, edit in enumerate(edits):
        row: dict[str, Any] = {
            "edit-id": str(place + 1),
            "operation": edit.operation,
            "target": "/" + format_resource(edit.path),
        }
        if edit.new is not MISSING:
            row["value"] = {qualified(edit.path[-1].node): _as_member(edit)}
        rows.append(row)
    return {"datastore-changes": {"yang-patch": {"patch-id": str(number), "edit": rows}}}


def _as_member(edit: Edit) -> Any:
    step = edit.path[-1]
    entry = step.keys is not None and (is_list(step.node) or is_leaf_list(step.node))
    return [edit.new] if entry else edit.new
