"""What a KME holds: its applications, its store, and the streams of key towards its peers."""

from __future__ import annotations

import hashlib
from typing import Any

from quoit.fabric.api import Incident
from quoit.model.problem import Problem
from quoit.runtime.context import Context, Device
from quoit.runtime.element import Element, Plane, Stratum
from quoit.runtime.wire import Message, message
from quoit.service.calendar import Calendar
from quoit.service.directory import Attachment, Resolve, Resolved
from quoit.service.instances import Controllers
from quoit.service.keystore import Handout, Level, Point
from quoit.service.policy import KeyPolicy
from quoit.service.sessions import TokenBucket
from quoit.service.shares import Shares
from quoit.service.streams import OutStream, stream_name

WITHIN = 8_000_000_000


@message("service.Refill")
class Refill(Message):
    """A KME to itself: fill this stream up to its high mark."""

    key: str


class App:
    """An attached application and its session. `diagnostic`: it may share a key with itself."""

    __slots__ = ("attachment", "bucket", "diagnostic", "key_size", "rate_bps")

    def __init__(
        self,
        attachment: Attachment,
        rate_bps: float | None = None,
        burst_bits: float | None = None,
        key_size: int | None = None,
        diagnostic: bool = False,
    ) -> None:
        self.attachment = attachment
        self.diagnostic = diagnostic
        self.rate_bps = rate_bps
        self.key_size = key_size
        self.bucket = None if rate_bps is None else TokenBucket(rate_bps, burst_bits or rate_bps * 10)


class KeyHolder(Element):
    """What a KME keeps: its applications, its store, its streams.

    `root` grows keys shared by two applications of this same KME, and marks keys in the event log (a keyed
    digest, so that checkers can tell equal keys from different ones without seeing them), unless it is given a
    `mark_key` for that.
    """

    stratum, plane = Stratum.SERVICE, Plane.RESOURCE

    def __init__(
        self,
        name: str,
        node: str,
        domain: str,
        apps: tuple[App, ...],
        store: Device,
        policy: KeyPolicy,
        root: bytes,
        calendar: Calendar,
        prefill: tuple[tuple[str, str], ...] = (),
        mark_key: bytes | None = None,
    ) -> None:
        super().__init__(name, node)
        self._domain = domain
        self._controllers = Controllers(policy.control_instances, WITHIN)
        self._apps = {app.attachment.sae: app for app in apps}
        self._store = store
        self.policy = policy
        self._root = root
        self._mark_key = mark_key or hashlib.sha256(b"quoit mark" + root).digest()
        self._known: dict[str, Attachment] = {}
        self._streams: dict[str, OutStream] = {}
        self._without_control_until = 0
        self._prefill = prefill
        self._calendar = calendar
        self._namespace = calendar.namespace
        # Peers met since the start, with where their copies of our streams end; how far their stores have come.
        self._met: dict[str, int] = {}
        self._names: dict[str, str] = {}
        self._meeting: set[str] = set()
        self._seen: dict[str, Point] = {}
        self._noting = False
        # Keys that peers still have to void, by peer.
        self._recalls: dict[str, list[str]] = {}
        # What the store's past still waits for: word of incidents, and of these peers.
        self._deaf = True
        self._shares = Shares()
        self._incidents: tuple[Incident, ...] = ()
        self._unmet: set[str] = set()

    async def _do(self, ctx: Context, op: Any) -> Any:
        return await ctx.effect(self._store, op, self.policy.commit_ns)

    def _app(self, caller: str) -> App:
        app = self._apps.get(caller)
        if app is None:
            raise Problem("not-authorised", "this application is not attached to this KME")
        return app

    async def _attachment(self, ctx: Context, name: str) -> Attachment:
        if name in self._apps:
            return self._apps[name].attachment
        if name not in self._known:
            answer: Resolved = await self._controllers.ask(ctx, self._domain, Resolve(name))
            self._known[name] = answer.attachment
        return self._known[name]

    async def _kmes_of(self, ctx: Context, handout: Handout) -> list[str]:
        """The other KMEs that serve parties of a key."""
        found = {(await self._attachment(ctx, sae)).kme for sae in (handout.master, *handout.slaves)}
        return sorted(found - {self.name})

    def _out_name(self, peer: str) -> str:
        """Name of the stream from which keys for a peer's applications are opened now."""
        return self._names.setdefault(peer, stream_name(self.name, peer))

    def _stream(self, ctx: Context, peer: str, node: str) -> OutStream:
        stream = self._streams.get(peer)
        if stream is None:
            low, high = self.policy.stream_low, self.policy.stream_high
            stream = self._streams[peer] = OutStream(self._out_name(peer), peer, node, low, high)
            self._want(ctx, stream)
        return stream

    def _want(self, ctx: Context, stream: OutStream, least: int = 0) -> None:
        """Have the stream refilled if it is low, or has less than a request that waits for `least` bits."""
        stream.least = least
        if not stream.filling and stream.free_bits < max(stream.low, least):
            stream.filling = True
            ctx.tell(self.name, Refill(stream.key))

    def _level(self, ctx: Context, stream: OutStream, level: Level) -> None:
        stream.free_bits = level.free_bits
        ctx.gauge("quoit_stream_bits", (stream.name,), level.free_bits)

    def _begin_anew(self, ctx: Context, stream: OutStream) -> None:
        if stream.session:
            stream.begin_anew(stream_name(self.name, stream.peer, ctx.now, stream.session))
        else:
            stream.begin_anew(self._names[stream.peer])
