"""Applications as a controller of ETSI GS QKD 015 comes to know them: told of by agents, registered at both nodes.

An agent tells of an application that asks for keys and that nobody has registered. The standard's notification says
where the one that asks is, and of its clients only their names. Where a client is, the agent may say in an augmentation
of ours; else it is known as soon as that client has asked for something at its own node.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from quoit.fabric.sdqkd import tree
from quoit.fabric.sdqkd.tree import App, Link, Node, Qos

NEW = f"{tree.MODULE}:sdqkdn_application_new"
QOS = f"{tree.MODULE}:sdqkdn_application_qos_update"
GONE = f"{tree.MODULE}:sdqkdn_application_disconnected"
REMOTE = "quoit-sdqkd-control:remote_qkdn_id"
MOST_WAITING = 1_000
"""Applications that are kept in mind while the node of a client is unknown; the oldest go first. Agents tell again."""


class Told(msgspec.Struct, frozen=True):
    """What an agent told of an application; nodes by their identifiers."""

    server_app_id: str
    client_app_id: tuple[str, ...]
    local_qkdn_id: str
    app_type: str = tree.CLIENT
    app_priority: int = 0
    app_qos: Qos | None = None
    remote: str | None = msgspec.field(default=None, name=REMOTE)

    @property
    def name(self) -> str:
        """What tells it from others: it and its clients in any order."""
        return "\n".join((self.server_app_id, *sorted(self.client_app_id)))


class _New(msgspec.Struct, frozen=True):
    qkd_application: Told


class Changed(msgspec.Struct, frozen=True):
    """What was told of an application that is registered; `app_qos` None: nothing of its quality."""

    app_id: str
    app_qos: Qos | None = None
    app_priority: int = 0


class _Changed(msgspec.Struct, frozen=True):
    qkd_application: Changed


def told_of(content: str) -> Told | None:
    """The application in a notification; None if it cannot be registered, for it has no clients or no node."""
    told = _decoded(content, _New)
    return told.qkd_application if told is not None and told.qkd_application.client_app_id else None


def changed_of(content: str) -> Changed | None:
    """What a notification tells of a registered application: that it has left, or what it asks for now."""
    told = _decoded(content, _Changed)
    return None if told is None else told.qkd_application


def _decoded(content: str, kind: type[Any]) -> Any | None:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeError):  # somebody else's agent tells less than it must
        return None


class Applications:
    """Who was told of and is not registered yet, and where applications are."""

    def __init__(self) -> None:
        self._waiting: dict[str, Told] = {}
        self._home: dict[str, str] = {}

    def hear(self, told: Told) -> None:
        """Of a new application."""
        self._home[told.server_app_id] = told.local_qkdn_id
        self._waiting.pop(told.name, None)
        self._waiting[told.name] = told
        for book in (self._waiting, self._home):
            while len(book) > MOST_WAITING:
                del book[next(iter(book))]

    def found(self) -> list[tuple[Told, str]]:
        """Those whose clients' node is known, and which it is; they wait no longer. Keys for several clients are routed
        to the first one's node."""
        ready = [(told, there) for told in self._waiting.values() if (there := self._there(told)) is not None]
        for told, _ in ready:
            del self._waiting[told.name]
        return ready

    def _there(self, told: Told) -> str | None:
        there = told.remote or self._home.get(told.client_app_id[0])
        return None if there == told.local_qkdn_id else there


def registered(network: str, told: Told, at: str, other: str, backing: tuple[str, ...]) -> App:
    """The application as it is written at the node `at`, one of its two; `backing`: the link that carries its keys."""
    return App(
        tree.id_of(network, "application", told.name),
        app_type=told.app_type,
        server_app_id=told.server_app_id,
        client_app_id=told.client_app_id,
        app_priority=told.app_priority,
        app_qos=told.app_qos,
        backing_qkdl_id=backing,
        local_qkdn_id=at,
        remote_qkdn_id=other,
    )


def with_app(node: Node, app: App) -> Node:
    return node.with_lists(apps={**node.apps, app.app_id: app})


def with_quality(node: Node, changed: Changed) -> Node:
    """The node with what an application asks for now, if it is registered there."""
    app = node.apps.get(changed.app_id)
    if app is None:
        return node
    return with_app(node, replace(app, app_qos=changed.app_qos, app_priority=changed.app_priority))


def without_app(node: Node, app_id: str) -> Node:
    return node.with_lists(apps={i: app for i, app in node.apps.items() if i != app_id})


def wanted_pairs(nodes: dict[str, Node]) -> list[tuple[str, str]]:
    """Pairs of nodes (names) between which a registered application wants keys, from the end where it asks: there its
    link begins, if it has one."""
    name_of = {node.qkdn_id: name for name, node in nodes.items()}
    pairs = []
    for name, node in nodes.items():
        links = node.links
        for app in node.apps.values():
            there = name_of.get(app.remote_qkdn_id or "")
            carried = [links[i] for i in app.backing_qkdl_id if i in links]
            asks = not carried or any(map(_begins, carried))
            if app.app_type == tree.CLIENT and there not in (None, name) and asks:
                pairs.append((name, str(there)))
    return pairs


def _begins(link: Link) -> bool:
    return link.qkdl_type != tree.VIRT or link.virt_prev_hop is None
