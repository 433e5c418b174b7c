"""WireGuard: the key is the pre-shared key of its handshake (Noise IKpsk2), which protects against quantum computers.

A pre-shared key takes effect at the next handshake, which WireGuard makes every two minutes. To use it at once the
peer is set up anew with all that it had: the next packet makes a handshake. Packets that the initiator's end sends
wait for it; those of the other end that are on their way in that instant are lost.
"""

from __future__ import annotations

import asyncio
import base64

from quoit.model.secret import Secret
from quoit.tunnels.agent import TunnelFault


class WireGuard:
    """One peer of one interface, by `wg`. The key goes to it through a pipe, never as an argument."""

    def __init__(self, interface: str, peer: str, command: tuple[str, ...] = ("wg",)) -> None:
        self._interface = interface
        self._peer = peer
        self._command = command

    async def install(self, key_id: str, key: Secret) -> None:
        """See `Tunnel`. Raises `TunnelFault`."""
        endpoint, allowed, keepalive = await self._settings()
        again = ["peer", self._peer, "preshared-key", "/dev/stdin", "allowed-ips", allowed]
        if endpoint:
            again += ["endpoint", endpoint]
        if keepalive:
            again += ["persistent-keepalive", keepalive]
        await self._run("set", self._interface, "peer", self._peer, "remove")
        await self._run("set", self._interface, *again, stdin=base64.b64encode(key.reveal()))

    async def activate(self) -> None:
        """The next packet does."""

    async def _settings(self) -> tuple[str, str, str]:
        """Endpoint, allowed addresses and keepalive of the peer as they are; the first may be unknown."""
        for line in (await self._run("show", self._interface, "dump")).splitlines()[1:]:
            fields = line.split("\t")
            if fields[0] == self._peer:
                endpoint = "" if fields[2] == "(none)" else fields[2]
                allowed = "" if fields[3] == "(none)" else fields[3]
                return endpoint, allowed, "" if fields[7] == "off" else fields[7]
        raise TunnelFault(f"{self._interface} has no peer {self._peer}; set it up before the agent starts")

    async def _run(self, *arguments: str, stdin: bytes | None = None) -> str:
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except FileNotFoundError as fault:
            raise TunnelFault(f"{self._command[0]} is not installed (Debian: wireguard-tools)") from fault
        out, errors = await process.communicate(stdin)
        if process.returncode:
            raise TunnelFault(errors.decode(errors="replace").strip() or f"wg ended with {process.returncode}")
        return out.decode()
