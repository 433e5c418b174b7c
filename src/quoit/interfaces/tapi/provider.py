"""An optical network behind a RESTCONF server: services that are configured become light, and what happens is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

import structlog

from quoit.interfaces.restconf.core import Restconf
from quoit.interfaces.restconf.errors import RestconfError
from quoit.interfaces.restconf.paths import format_instance, parse_resource
from quoit.interfaces.restconf.providers import ConfigChange, Provider
from quoit.interfaces.restconf.schema import Tree, member_of
from quoit.interfaces.restconf.streams import instant_text
from quoit.interfaces.restconf.tree import edited, lookup, removing
from quoit.interfaces.tapi import codec
from quoit.interfaces.tapi.filters import EventFilter, subscriptions_of
from quoit.interfaces.tapi.optics import Optics, PathWish, Service
from quoit.model.problem import Problem

_log = structlog.get_logger("quoit", element="interfaces.tapi")

STREAM = "tapi"
EVENT = "tapi-notification:event-notification"
COMPUTE = "tapi-path-computation:compute-p-2-p-path"
MAX_ANSWERS = 64
"""Paths of so many answers to `compute-p-2-p-path` are shown in the context; then the oldest go."""
_WRITABLE = frozenset({codec.CONNECTIVITY, codec.PATHS, codec.NOTIFICATIONS, "uuid", "name"})


class TapiProvider(Provider):
    """One optical network. `attach` it to its server before requests come.

    Whoever keeps the network calls `stands` when a service stands otherwise than before, and `retire` when its time is
    over. Subscriptions of TAPI's own name a stream: the one that has all events, or, where they have filters, one of
    their own with the events that pass.
    """

    roots = frozenset({codec.CONTEXT})
    operations = frozenset({COMPUTE})

    def __init__(self, optics: Optics, now: Callable[[], datetime]) -> None:
        self._optics = optics
        self._now = now
        self._paths: codec.Routes = {}
        self._asked: dict[str, Tree] = {}
        self._answers: dict[str, tuple[tuple[str, ...], ...]] = {}
        self._subscribed: dict[str, tuple[EventFilter, ...]] = {}
        self._core: Restconf | None = None
        self._sequence = 0
        self._shown: tuple[Any, Tree] | None = None

    def attach(self, core: Restconf) -> None:
        """The server that shows this network."""
        self._core = core

    async def state(self) -> Tree:
        network, services = self._optics.network(), dict(self._optics.services())
        seen = (network, services, dict(self._paths), dict(self._answers), dict(self._subscribed))
        if self._shown is None or self._shown[0] != seen:
            tree = codec.context_tree(network, services, self._paths, self._answers)
            if self._subscribed:
                root = self._core.root if self._core else ""
                rows = [
                    {
                        "uuid": uuid,
                        "notification-channel": {"stream-address": f"{root}/streams/{self._stream(uuid)}/json"},
                    }
                    for uuid in self._subscribed
                ]
                tree[codec.CONTEXT][codec.NOTIFICATIONS] = {"notif-subscription": rows}
            self._shown = (seen, tree)
        return self._shown[1]

    async def adopt(self, tree: Tree) -> None:
        """A service stands that nobody configured here: make it configuration like any other, so that clients see it
        whole and may delete it. Say `created` when its state is shown, too. Raises RestconfError if it is not valid by
        the modules."""
        assert self._core is not None, "a provider is attached before it is told of services"
        store, uuid = self._core.store, tree["uuid"]

        async def with_it() -> Tree:
            context = dict(store.running.get(codec.CONTEXT, {}))
            services = dict(context.get(codec.CONNECTIVITY, {}))
            others = [row for row in services.get("connectivity-service", ()) if row["uuid"] != uuid]
            services["connectivity-service"] = [*others, tree]
            return {codec.CONTEXT: context | {codec.CONNECTIVITY: services}}

        await store.adopt(self.roots, with_it)
        self._asked[uuid] = tree

    def created(self, uuid: str) -> None:
        """A service that was adopted is shown from now on: tell it."""
        self._tell("OBJECT_CREATION", uuid, {})

    async def apply(self, change: ConfigChange) -> None:
        for edit in change.edits:
            if len(edit.path) > 1 and member_of(edit.path[1].node) not in _WRITABLE:
                raise RestconfError(
                    "operation-not-supported",
                    "this is the network's own and not configured here",
                    status=501,
                    path=format_instance(edit.path),
                )
        context = change.after.get(codec.CONTEXT, {})
        wanted = subscriptions_of(context.get(codec.NOTIFICATIONS, {}))
        paths = await self._computed(codec.path_wishes_of(change.before), codec.path_wishes_of(change.after))
        await self._services(change)
        self._paths = paths
        self._subscribe(wanted)

    def _subscribe(self, wanted: dict[str, tuple[EventFilter, ...]]) -> None:
        """Streams of their own for subscriptions with filters, and for nobody else."""
        before, self._subscribed = {self._stream(uuid) for uuid in self._subscribed}, wanted
        now = {self._stream(uuid) for uuid in wanted}
        if self._core is not None:
            for name in sorted(before - now - {STREAM}):
                self._core.close_stream(name)
            for name in sorted(now - {STREAM}):
                self._core.open_stream(name, "Events that pass the filters of a TAPI subscription.")

    def _stream(self, uuid: str) -> str:
        """The stream that a subscription is told."""
        return f"{STREAM}-{uuid}" if self._subscribed.get(uuid) else STREAM

    async def _computed(self, before: Mapping[str, PathWish], after: Mapping[str, PathWish]) -> codec.Routes:
        found = {}
        for uuid, wish in after.items():
            same = before.get(uuid) == wish and uuid in self._paths
            found[uuid] = self._paths[uuid] if same else await self._optics.paths(wish)
        return found

    async def _services(self, change: ConfigChange) -> None:
        before, after = codec.wishes_of(change.before), codec.wishes_of(change.after)
        changed = [uuid for uuid in before if uuid in after and _binding(before[uuid]) != _binding(after[uuid])]
        if changed:
            raise Problem("not-supported", f"service {changed[0]} stands; delete it and make another")
        opened: list[str] = []
        try:
            for uuid, wish in after.items():
                if uuid not in before:
                    await self._optics.open(wish)
                    opened.append(uuid)
        except BaseException:  # a request that is cancelled, too, leaves nothing half done
            for uuid in reversed(opened):
                await self._optics.close(uuid)
            raise
        for uuid in opened:
            self._asked[uuid] = after[uuid].asked
            self._tell("OBJECT_CREATION", uuid, {})
        for uuid in before:
            if uuid not in after:
                await self._optics.close(uuid)
                self._tell("OBJECT_DELETION", uuid, {})
                self._asked.pop(uuid, None)
            else:
                self._asked[uuid] = after[uuid].asked

    async def invoke(self, operation: str, body: Tree, caller: str) -> Tree:
        wish = PathWish(codec.ends_of(body), body)
        found = await self._optics.paths(wish)
        uuid = body.get("uuid") or str(uuid4())
        paths = [{"path-uuid": codec.derived(uuid, str(i))} for i in range(len(found))]
        self._answers[uuid] = found
        while len(self._answers) > MAX_ANSWERS:
            self._answers.pop(next(iter(self._answers)))
        kept = {name: body[name] for name in ("end-point", "routing-constraint") if name in body}
        return {"service": {"uuid": uuid, "path": paths, **kept}}

    # -- news ------------------------------------------------------------------------------------------

    def stands(self, uuid: str, service: Service) -> None:
        """A service stands otherwise than before: tell it."""
        self._tell("ATTRIBUTE_VALUE_CHANGE", uuid, codec.service_state(uuid, service))
        if self._core is not None:
            self._core.changed()

    async def retire(self, uuid: str) -> None:
        """A service's time is over: take it out of the configuration, which closes it."""
        if self._core is None:
            return
        core = self._core
        resource = f"{codec.CONTEXT}/{codec.CONNECTIVITY}/connectivity-service={uuid}"
        path = parse_resource(core.schema, resource).path

        def without(tree: Tree) -> Tree:
            return edited(tree, path, removing) if lookup(tree, path) else tree

        await core.store.commit("schedule", without, lambda verb, node: True)

    def _tell(self, what: str, uuid: str, changed: Mapping[str, Any]) -> None:
        asked = self._asked.get(uuid)
        if self._core is None or asked is None:
            return
        self._sequence += 1
        standing = self._optics.services().get(uuid)
        state = codec.service_state(uuid, standing) if standing is not None else {}
        content: dict[str, Any] = {
            "uuid": str(uuid4()),
            "event-notification-type": f"tapi-notification:NOTIFICATION_TYPE_{what}",
            "target-object-type": "tapi-connectivity:CONNECTIVITY_OBJECT_TYPE_CONNECTIVITY_SERVICE",
            "target-object-identifier": uuid,
            "event-time-stamp": instant_text(self._now()),
            "sequence-number": str(self._sequence),
            "layer-protocol-name": codec.LAYER,
            "tapi-connectivity:connectivity-service": {**_for_events(asked), **state},
        }
        if changed:
            content["attribute-value-change"] = {"changed-attributes": ",".join(changed)}
        try:
            self._core.publish(EVENT, content, at=self._now(), stream=[STREAM, *self._streams_for(content)])
        except RestconfError as fault:  # the service stands whether or not it can be told
            _log.error("event.unfit", service=uuid, fault=str(fault), path=fault.path)

    def _streams_for(self, event: Mapping[str, Any]) -> list[str]:
        """Streams of subscriptions one of whose filters lets the event pass."""
        return [
            self._stream(uuid)
            for uuid, filters in self._subscribed.items()
            if any(one.passes(event) for one in filters)
        ]


def _binding(wish: Any) -> Any:
    """What of a wish cannot be changed while it stands: all but its names."""
    return {name: value for name, value in wish.asked.items() if name != "name"}


def _for_events(asked: Mapping[str, Any]) -> dict[str, Any]:
    """A service as a notification can hold it: modules of layers extend services of the context, not those in
    notifications, so what a layer constrains is left out."""
    points = [{k: v for k, v in point.items() if k != "layer-protocol-constraint"} for point in asked["end-point"]]
    return {**asked, "end-point": points}
