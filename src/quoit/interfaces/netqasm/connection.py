"""What the SDK calls a connection: compiles what a program does into subroutines, and has quoit run them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from netqasm.backend.messages import ReturnMessageType
from netqasm.lang import operand
from netqasm.lang.encoding import RegisterName
from netqasm.lang.ir import BreakpointAction, BreakpointRole
from netqasm.sdk.build_types import NVHardwareConfig
from netqasm.sdk.connection import BaseNetQASMConnection
from netqasm.sdk.network import NetworkInfo
from netqasm.sdk.qubit import Qubit
from netqasm.sdk.shared_memory import SharedMemory
from numpy.typing import NDArray

from quoit.interfaces.netqasm import wire
from quoit.interfaces.netqasm.host import Commit, Site


class QuoitConnection(BaseNetQASMConnection):
    """Connection of an application to its node, through the application's `HostLink`.

    Not used itself: `of_site` makes the class for a run, which then takes the SDK's arguments. NotImplementedError for
    what no node of quoit does: other flavours than vanilla, and breakpoints that dump states.
    """

    site: ClassVar[Site]
    info: ClassVar[type[NetworkInfo]]

    def __init__(self, app_name: str, *args: Any, **kwargs: Any) -> None:
        if kwargs.get("compiler") is not None:
            # Flavours give other gates the same numbers, so the node could not tell and would do something else.
            raise NotImplementedError("quoit runs the vanilla flavour: expected no compiler")
        if isinstance(kwargs.get("hardware_config"), NVHardwareConfig):
            raise NotImplementedError("quoit's nodes entangle any memory: expected GenericHardwareConfig")
        self._values = SharedMemory()
        self._link = self.site.link(app_name)
        super().__init__(app_name, *args, **kwargs)

    @classmethod
    def of_site(cls, site: Site) -> type[QuoitConnection]:
        """The class for the applications of one run."""
        return type("NetQASMConnection", (cls,), {"site": site, "info": _info(site), "_app_ids": {}, "_app_names": {}})

    @property
    def shared_memory(self) -> SharedMemory:
        """Registers and arrays that the node has returned."""
        return self._values

    def _commit_serialized_message(
        self, raw_msg: bytes, block: bool = True, callback: Callable[[], None] | None = None
    ) -> None:
        self._link.commit(raw_msg, Commit(self._give, callback), waits=block)

    def block(self) -> None:
        """Wait until all that was flushed without blocking has run."""
        self._commit_serialized_message(self._nothing())

    def insert_breakpoint(self, action: BreakpointAction, role: BreakpointRole = BreakpointRole.CREATE) -> None:
        if action is not BreakpointAction.NOP:
            raise NotImplementedError("breakpoints that dump states are not supported: use get_qubit_state")
        super().insert_breakpoint(action, role)

    def _nothing(self) -> bytes:
        from netqasm.backend.messages import SubroutineMessage
        from netqasm.lang.subroutine import Subroutine

        return bytes(SubroutineMessage(Subroutine(instructions=[], app_id=self.app_id)))

    def _give(self, body: bytes) -> None:
        if body[0] == ReturnMessageType.RET_REG.value:
            register, value = wire.read_register(body)
            self._values.set_register(operand.Register(RegisterName[register.group], register.number), value)
        else:
            address, values = wire.read_array(body)
            self._values.init_new_array(address, new_array=values)

    def _get_network_info(self) -> type[NetworkInfo]:
        return self.info

    def qubit_state(self, qubit: Qubit, reduced: bool = True) -> NDArray[np.complex128] | None:
        """What an oracle sees: the density matrix of a qubit, or with `reduced` false of all that it is entangled
        with, the qubit first. None where nobody can know it. What is pending is flushed before."""
        self.flush()
        found = self._link.observe(self.app_id, int(qubit.qubit_id), reduced)
        return None if found is None else np.array([[complex(*value) for value in row] for row in found])


def qubit_state(qubit: Qubit, reduced_dm: bool = True) -> NDArray[np.complex128] | None:
    """`netqasm.sdk.external.get_qubit_state`."""
    connection = qubit.connection
    if not isinstance(connection, QuoitConnection):
        raise TypeError(f"expected a qubit of a connection to quoit, found one of {type(connection).__name__}")
    return connection.qubit_state(qubit, reduced_dm)


def _info(site: Site) -> type[NetworkInfo]:
    """The SDK asks a class, not an object, for the names of a network."""

    class Info(NetworkInfo):
        @classmethod
        def _get_node_id(cls, node_name: str) -> int:
            if node_name not in site.nodes:
                raise ValueError(f"expected a node of {', '.join(site.nodes)}; found {node_name!r}")
            return site.nodes.index(node_name)

        @classmethod
        def _get_node_name(cls, node_id: int) -> str:
            if not 0 <= node_id < len(site.nodes):
                raise ValueError(f"expected a node id 0 to {len(site.nodes) - 1}, found {node_id}")
            return site.nodes[node_id]

        @classmethod
        def get_node_id_for_app(cls, app_name: str) -> int:
            return cls._get_node_id(site.node_of(app_name))

        @classmethod
        def get_node_name_for_app(cls, app_name: str) -> str:
            return site.node_of(app_name)

    return Info
