"""TLS 1.3 with an external pre-shared key (RFC 8446, 4.2.11), through stunnel: for any protocol over TCP.

The identity of the pre-shared key is the key's name. stunnel reads its keys from a file (mode 0600, written whole or
not at all) and takes a new one in on SIGHUP; connections that are open go on under the key that they began with, new
ones use the new key. The responder's end keeps the last few, so that nobody who is just connecting is cut off.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from quoit.model.secret import Secret
from quoit.tunnels.agent import TunnelFault

KEPT = 3
"""Generations of keys that the accepting end knows."""


class Stunnel:
    """One stunnel: its file of pre-shared keys and its process. `accepting`: it is the server's end."""

    def __init__(self, secrets: Path, pid_file: Path, accepting: bool) -> None:
        self._secrets = secrets
        self._pid_file = pid_file
        self._kept = KEPT if accepting else 1
        self._keys: list[tuple[str, Secret]] = []

    async def install(self, key_id: str, key: Secret) -> None:
        """See `Tunnel`. Raises `TunnelFault`."""
        self._keys = [*self._keys, (key_id, key)][-self._kept :]
        new = self._secrets.with_suffix(".new")
        try:
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
                out.writelines(f"{name}:{value.reveal().hex()}\n" for name, value in reversed(self._keys))
            os.replace(new, self._secrets)
            os.kill(int(self._pid_file.read_text()), signal.SIGHUP)
        except (OSError, ValueError) as fault:
            raise TunnelFault(f"stunnel: {fault}") from fault

    async def activate(self) -> None:
        """The next connection does."""
