"""A line between a client and a server of TCP that can be slow, stand still one way or both, and be cut."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time

TO, FROM = "to the server", "from the server"


class BadLine:
    """Listens at `port` of loopback and joins each client to `server_port`. Bytes are late or wait; none is lost or
    changed before `cut`, as TCP promises both ends."""

    def __init__(self, server_port: int) -> None:
        self.delay_s = 0.0
        self._flows = {TO: threading.Event(), FROM: threading.Event()}
        self.flow()
        self._server_port = server_port
        self._sockets: list[socket.socket] = []
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stall(self, *ways: str) -> None:
        """Nothing goes through these ways any more."""
        for way in ways:
            self._flows[way].clear()

    def flow(self) -> None:
        """All that waited goes on."""
        for way in self._flows.values():
            way.set()

    def cut(self) -> None:
        """Both ends see their connection close; nobody can connect again."""
        for connection in (self._door, *self._sockets):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self.flow()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._door.accept()
                server = socket.create_connection(("127.0.0.1", self._server_port))
                self._sockets += [client, server]
                for source, sink, way in ((client, server, TO), (server, client, FROM)):
                    waiting: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
                    threading.Thread(target=self._read, args=(source, waiting), daemon=True).start()
                    threading.Thread(target=self._write, args=(sink, waiting, way), daemon=True).start()

    def _read(self, source: socket.socket, waiting: queue.SimpleQueue[tuple[float, bytes]]) -> None:
        data = b"-"
        while data:
            try:
                data = source.recv(65_536)
            except OSError:
                data = b""
            waiting.put((time.monotonic(), data))

    def _write(self, sink: socket.socket, waiting: queue.SimpleQueue[tuple[float, bytes]], way: str) -> None:
        with contextlib.suppress(OSError):
            while True:
                came, data = waiting.get()
                time.sleep(max(0.0, came + self.delay_s - time.monotonic()))
                self._flows[way].wait()
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(data)
