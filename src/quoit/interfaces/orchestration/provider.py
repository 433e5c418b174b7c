"""The orchestrator behind a RESTCONF server: the view as state, planned works as configuration, operations, news."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import uuid4

import structlog

from quoit.interfaces.orchestration.codec import (
    APPS,
    CREATE,
    DEPLOY,
    FIND,
    MODULE,
    NETWORK,
    OPERATIONS,
    OPTICAL,
    PLANNED,
    REGISTER,
    apps_tree,
    candidate_tree,
    joined_notice,
    link_notice,
    network_tree,
    optical_tree,
    span_notice,
    works_configuration,
    works_notice,
    works_of,
    works_state,
)
from quoit.interfaces.restconf.core import Restconf
from quoit.interfaces.restconf.errors import RestconfError
from quoit.interfaces.restconf.providers import ConfigChange, Provider
from quoit.interfaces.restconf.schema import Tree
from quoit.orchestration.api import (
    SERVICE_LINKS,
    CreateServiceLink,
    DeployCandidate,
    FindCandidates,
    GetServiceLinks,
    GetView,
    GetWorksCalendar,
    LinkSeen,
    NodeJoined,
    PlanWorks,
    RegisterApplication,
    ReleaseServiceLink,
    ServiceLink,
    ServiceLinks,
    SpanSeen,
    View,
    WithdrawWorks,
    Works,
    WorksAnnounced,
    WorksCalendar,
)
from quoit.runtime.gate import Gate, Missed
from quoit.runtime.wire import Message

_log = structlog.get_logger("quoit", element="interfaces.orchestration")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
A = TypeVar("A", bound=Message)


class OrchestrationProvider(Provider):
    """One orchestrator: state is asked for at every GET, so that nothing here can be stale."""

    roots = frozenset({PLANNED})
    operations = frozenset(OPERATIONS)

    def __init__(
        self, gate: Gate, element: str, *, new_id: Callable[[], str] = lambda: str(uuid4()), within_s: float = 8.0
    ) -> None:
        self._gate = gate
        self._element = element
        self._new_id = new_id
        self._within_s = within_s

    def when(self, at_ns: int) -> datetime:
        """The date of a simulated instant."""
        return _EPOCH + timedelta(seconds=self._gate.unix_s(at_ns))

    def _ns_of(self, at: datetime) -> int:
        return round((at.timestamp() - self._gate.unix_s(0)) * 1e9)

    async def state(self) -> Tree:
        view = await self._ask(self._element, GetView(), View)
        links = await self._ask(SERVICE_LINKS, GetServiceLinks(), ServiceLinks)
        works = await self._calendar()
        tree = {
            NETWORK: network_tree(view, self.when),
            APPS: apps_tree(links.links),
            OPTICAL: optical_tree(view, self.when),
        }
        planned = works_state(works, self.when)
        return tree | ({PLANNED: planned} if planned else {})

    async def configuration(self) -> Tree:
        """The calendar of works as it is, whoever announced them."""
        return works_configuration(await self._calendar(), self.when)

    async def take_over(self, core: Restconf) -> None:
        """Have the server's configuration be the calendar: works are announced, and end, past it as well."""
        try:
            await core.store.adopt(self.roots, self.configuration)
        except RestconfError as fault:
            _log.error("configuration.unfit", element=self._element, fault=str(fault))

    async def _calendar(self) -> tuple[Works, ...]:
        return (await self._ask(self._element, GetWorksCalendar(), WorksCalendar)).works

    async def apply(self, change: ConfigChange) -> None:
        """Works are announced or withdrawn. What was done before one is refused, is undone."""
        before, after = works_of(change.before, self._ns_of), works_of(change.after, self._ns_of)
        done: list[Message] = []
        try:
            for name, works in after.items():
                if before.get(name) != works:
                    await self._ask(self._element, PlanWorks(works), WorksAnnounced)
                    undo = before.get(name)
                    done.append(WithdrawWorks(name) if undo is None else PlanWorks(undo))
            for name, works in before.items():
                if name not in after and await self._is_planned(name):
                    await self._ask(self._element, WithdrawWorks(name), WorksAnnounced)
                    done.append(PlanWorks(works))
        except BaseException:  # a request that is cancelled, too, leaves nothing half done
            for message in reversed(done):
                await self._ask(self._element, message, WorksAnnounced)
            raise

    async def _is_planned(self, name: str) -> bool:
        """Works that are over have been forgotten already."""
        return any(one.works_id == name for one in await self._calendar())

    async def invoke(self, operation: str, body: Tree, caller: str) -> Tree:
        row = await self._ask(SERVICE_LINKS, self._message(operation, body), ServiceLink)
        if operation == REGISTER:
            return {"app_id": row.app, "local_qkdn": row.local, "remote_qkdn": row.remote}
        if operation == CREATE:
            return {"svc_link_id": row.link_id}
        if operation == FIND:
            return {"candidate_path": [candidate_tree(path) for path in row.candidates]}
        if operation == DEPLOY:
            return {"svc_link_id": row.link_id, "state": row.state, **({"qkdn": list(row.route)} if row.route else {})}
        return {}

    def _message(self, operation: str, body: Mapping[str, Any]) -> Message:
        if operation == REGISTER:
            rate, priority = float(body["bandwidth"]), int(body.get("priority", 0))
            return RegisterApplication(body["app_id"], body["peer_app_id"], rate, priority)
        if operation == CREATE:
            return CreateServiceLink(body["app_id"], self._new_id())
        if operation == FIND:
            exclude, include = tuple(body.get("exclude_qkdn", ())), tuple(body.get("include_qkdn", ()))
            number = int(body.get("number", 3))
            return FindCandidates(body["svc_link_id"], number, exclude, include, body.get("most_transit"))
        if operation == DEPLOY:
            return DeployCandidate(body["svc_link_id"], body["path_id"])
        return ReleaseServiceLink(body["svc_link_id"])

    async def _ask(self, element: str, message: Message, kind: type[A]) -> A:
        answer = await self._gate.ask(element, message, self._within_s)
        if not isinstance(answer, kind):
            raise TypeError(f"{element} answered with {type(answer).__name__}, expected {kind.__name__}")
        return answer

    # -- news ------------------------------------------------------------------------------------------

    async def carry(self, core: Restconf) -> None:
        """Until cancelled: works, nodes that joined and links that changed, to the server's streams."""
        await self.take_over(core)
        async with asyncio.TaskGroup() as tasks:
            for kind in (WorksAnnounced, NodeJoined, LinkSeen, SpanSeen):
                tasks.create_task(self._carry(core, self._gate.watch(kind)))

    async def _carry(self, core: Restconf, news: AsyncIterator[Message]) -> None:
        async for one in news:
            if isinstance(one, Missed):
                _log.warning("notifications.missed", count=one.news)
                continue
            try:
                if isinstance(one, WorksAnnounced):
                    if one.by != self._element:
                        continue  # another domain's orchestrator tells it, too
                    await self.take_over(core)
                    core.publish(f"{MODULE}:works-planned", works_notice(one, self.when), at=self.when(one.at_ns))
                elif isinstance(one, NodeJoined):
                    core.publish(f"{MODULE}:node-joined", joined_notice(one), at=self.when(one.at_ns))
                elif isinstance(one, SpanSeen):
                    core.publish(f"{MODULE}:span-state", span_notice(one), at=self.when(one.at_ns))
                elif isinstance(one, LinkSeen):
                    core.publish(f"{MODULE}:phys-link-state", link_notice(one), at=self.when(one.at_ns))
            except RestconfError as fault:  # the others still go out
                _log.error("notification.unfit", fault=str(fault))
            core.changed()
