"""Classical sockets and broadcast channels of the SDK, over an application's connection to its node."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from netqasm.sdk.classical_communication.broadcast_channel import BroadcastChannel
from netqasm.sdk.classical_communication.message import StructuredMessage
from netqasm.sdk.classical_communication.socket import Socket

from quoit.interfaces.netqasm.host import HostLink, Site


class QuoitSocket(Socket):
    """Text from one application to another, in order. Not used itself: `of_site` makes the class for a run.

    `timeout` of `recv` counts in simulated seconds: TimeoutError. Without one the run's patience counts. `recv` with
    `block` false raises RuntimeError if nothing has come, as the SDK's own sockets do. NotImplementedError for
    callbacks: a program is called by nobody.
    """

    site: ClassVar[Site]

    def __init__(
        self,
        app_name: str,
        remote_app_name: str,
        socket_id: int = 0,
        timeout: float | None = None,
        use_callbacks: bool = False,
        log_config: Any = None,
    ) -> None:
        if use_callbacks:
            raise NotImplementedError("sockets that call back are not supported: use recv")
        self.site.node_of(remote_app_name)
        self._link = self.site.link(app_name)
        self._remote, self._id = remote_app_name, socket_id

    @classmethod
    def of_site(cls, site: Site) -> type[QuoitSocket]:
        """The class for the applications of one run."""
        return type("Socket", (cls,), {"site": site})

    def send(self, msg: str) -> None:
        if not isinstance(msg, str):
            raise TypeError(f"expected text, found {type(msg).__name__}")
        self._link.send(self._remote, self._id, msg)

    def recv(self, block: bool = True, timeout: float | None = None, maxsize: int | None = None) -> str:
        return _receive(self._link, [self._remote], self._id, block, timeout)[1]

    def send_structured(self, msg: StructuredMessage) -> None:
        self.send(json.dumps({"header": msg.header, "payload": msg.payload}))

    def recv_structured(
        self, block: bool = True, timeout: float | None = None, maxsize: int | None = None
    ) -> StructuredMessage:
        found = json.loads(self.recv(block, timeout, maxsize))
        return StructuredMessage(found["header"], found["payload"])

    def send_silent(self, msg: str) -> None:
        self.send(msg)

    def recv_silent(self, block: bool = True, timeout: float | None = None, maxsize: int | None = None) -> str:
        return self.recv(block, timeout, maxsize)


class QuoitBroadcastChannel(BroadcastChannel):
    """Text from one application to several, and what comes from any of them, oldest first."""

    site: ClassVar[Site]

    def __init__(
        self,
        app_name: str,
        remote_app_names: list[str],
        socket_id: int = 0,
        timeout: float | None = None,
        use_callbacks: bool = False,
        log_config: Any = None,
    ) -> None:
        if use_callbacks:
            raise NotImplementedError("channels that call back are not supported: use recv")
        for remote in remote_app_names:
            self.site.node_of(remote)
        self._link = self.site.link(app_name)
        self._remotes, self._id = list(remote_app_names), socket_id

    @classmethod
    def of_site(cls, site: Site) -> type[QuoitBroadcastChannel]:
        """The class for the applications of one run."""
        return type("BroadcastChannel", (cls,), {"site": site})

    def send(self, msg: str) -> None:
        for remote in self._remotes:
            self._link.send(remote, self._id, msg)

    def recv(self, block: bool = True, timeout: float | None = None) -> tuple[str, str]:
        return _receive(self._link, self._remotes, self._id, block, timeout)


def _receive(link: HostLink, senders: list[str], number: int, block: bool, timeout: float | None) -> tuple[str, str]:
    within_ns = 0 if not block else None if timeout is None else max(0, round(timeout * 1e9))
    came = link.receive(senders, number, within_ns)
    if came is not None:
        return came
    if not block:
        raise RuntimeError("no message has come")
    raise TimeoutError(f"no message from {', '.join(senders)} on socket {number} within the time")
