"""strongSwan: the key is a post-quantum pre-shared key (PPK, RFC 8784) of IKEv2, one for each reauthentication.

The PPK's identity is the key's own name, so two generations never meet under one (a stable identity with changing
keys fails whenever the two ends change at different times). Needs the VICI socket of charon, the `tunnels` extra, and
a connection loaded before, from swanctl.conf, whose `ppk_id` the agent sets. With `make_before_break` in charon's
settings no packet is lost when the association is made anew.
"""

from __future__ import annotations

import asyncio
import importlib
import socket
from typing import Any

from quoit.model.secret import Secret
from quoit.tunnels.agent import TunnelFault

KEPT = 3
"""Generations of PPKs that stay loaded: an association made under an older one may still be replaced."""


class StrongSwan:
    """One connection of a charon, by VICI. `connection`: its settings as VICI takes them, without `ppk_id`."""

    def __init__(self, socket_path: str, name: str, connection: dict[str, Any], child: str, initiate: bool) -> None:
        self._path = socket_path
        self._name = name
        self._connection = connection
        self._child = child
        self._initiate = initiate
        self._loaded: list[str] = []

    async def install(self, key_id: str, key: Secret) -> None:
        """See `Tunnel`. Raises `TunnelFault`."""
        await asyncio.to_thread(self._install, key_id, key)

    async def activate(self) -> None:
        """Have the association made anew under the new key."""
        if self._initiate:
            await asyncio.to_thread(self._reauthenticate)

    def _session(self) -> Any:
        try:
            vici = importlib.import_module("vici")  # it has no types, and may not be there
        except ImportError as fault:
            raise TunnelFault("the vici library is missing; run: pip install 'quoit[tunnels]'") from fault
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(self._path)
        except OSError as fault:
            connection.close()
            raise TunnelFault(f"{self._path}: {fault.strerror}; is charon running?") from fault
        return vici.Session(connection)

    def _install(self, key_id: str, key: Secret) -> None:
        name = f"{key_id}@quoit"
        session = self._session()
        session.load_shared({"id": name, "type": "ppk", "data": key.reveal(), "owners": [name]})
        session.load_conn({self._name: {**self._connection, "ppk_id": name, "ppk_required": "yes"}})
        self._loaded.append(name)
        for old in self._loaded[:-KEPT]:
            session.unload_shared({"id": old})
        del self._loaded[:-KEPT]

    def _reauthenticate(self) -> None:
        session = self._session()
        running = [name for sas in session.list_sas({"ike": self._name}) for name in sas]
        try:
            if running:
                session.rekey({"ike": self._name, "reauth": "yes"})
            else:
                for _ in session.initiate({"child": self._child, "ike": self._name, "timeout": 10_000}):
                    pass
        except Exception as fault:
            raise TunnelFault(f"strongSwan: {fault}") from fault
