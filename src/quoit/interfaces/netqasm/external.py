"""The module that programs import as `netqasm.sdk.external`.

The SDK re-exports there what the chosen simulator supplies, and knows a closed list of simulators. So for a run the
name stands for a module of quoit's with the same contents, and for its own again when the run is over; no file of the
package is touched. NETQASM_SIMULATOR is `debug` meanwhile, since other values make the SDK import NetSquid.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import netqasm.sdk
from netqasm.runtime.settings import SIMULATOR_ENV, Simulator

from quoit.interfaces.netqasm.connection import QuoitConnection, qubit_state
from quoit.interfaces.netqasm.host import Site
from quoit.interfaces.netqasm.sockets import QuoitBroadcastChannel, QuoitSocket

NAME = "netqasm.sdk.external"


def module_for(site: Site, simulate: Callable[..., Any] | None = None) -> ModuleType:
    """What `netqasm.sdk.external` is for the applications of one run. `simulate`: its `simulate_application`."""
    made = ModuleType(NAME, __doc__)
    for name, value in {
        "NetQASMConnection": QuoitConnection.of_site(site),
        "Socket": QuoitSocket.of_site(site),
        "BroadcastChannel": QuoitBroadcastChannel.of_site(site),
        "get_qubit_state": qubit_state,
        "simulate_application": simulate or _refuse,
        "run_application": simulate or _refuse,
    }.items():
        setattr(made, name, value)
    return made


@contextlib.contextmanager
def supplied(module: ModuleType) -> Iterator[None]:
    """The module stands under the SDK's name inside; all is as before afterwards."""
    before, attribute = sys.modules.get(NAME), getattr(netqasm.sdk, "external", None)
    simulator = os.environ.get(SIMULATOR_ENV)
    os.environ[SIMULATOR_ENV] = Simulator.DEBUG.value
    sys.modules[NAME] = module
    netqasm.sdk.external = module
    try:
        yield
    finally:
        _put_back(before, attribute, simulator)


def _put_back(before: ModuleType | None, attribute: object, simulator: str | None) -> None:
    if before is None:
        sys.modules.pop(NAME, None)
    else:
        sys.modules[NAME] = before
    if attribute is None:
        del netqasm.sdk.external
    else:
        netqasm.sdk.external = attribute
    if simulator is None:
        os.environ.pop(SIMULATOR_ENV, None)
    else:
        os.environ[SIMULATOR_ENV] = simulator


def _refuse(*args: Any, **kwargs: Any) -> None:
    raise NotImplementedError("a directory is run by `quoit netqasm run`; only a script may call simulate_application")
