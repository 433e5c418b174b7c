"""Programs against a running twin: each role in a thread, over its own connection and with its own certificate."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import tempfile
import threading
from collections.abc import Collection, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netqasm.runtime.app_config import AppConfig
from netqasm.sdk.config import LogConfig

from quoit.adapters.crypto.pki import client_context
from quoit.interfaces.netqasm.external import module_for, supplied
from quoit.interfaces.netqasm.host import Site
from quoit.scenario.netqasm.application import Application, imported
from quoit.scenario.netqasm.run import Failure, Program


class TwinFault(ValueError):
    """The directory has no twin with doors for these programs; says what is missing."""


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """`directory`: of the twin (`quoit up --dir`). `roles`: those to run in this process; all if empty. `names`: the
    application of the network that a role is, by default the one of the role's own name. `within_s`: real seconds that
    an answer of the node may take. The others as in `RunOptions`."""

    directory: Path
    roles: Collection[str] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    rounds: int = 1
    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    within_s: float = 300.0


@dataclass(frozen=True, slots=True)
class LiveReport:
    """`results`: what the `main` of each role that ran here returned, by round; None where it failed."""

    results: list[Mapping[str, Any]]
    failures: list[Failure]


@dataclass(frozen=True, slots=True)
class _Told:
    """What the twin tells of its doors."""

    ca: str
    applications: Mapping[str, Mapping[str, str]]
    nodes: tuple[str, ...]
    doors: Mapping[str, tuple[str, int]]
    at: Mapping[str, str]
    """Node of each application."""


def run_live(application: Application, options: LiveOptions) -> LiveReport:
    """Run it against a twin that is up. TwinFault if it is not, or has no door for a role."""
    told = _told(options.directory)
    names = {role: options.names.get(role, role) for role in application.programs}
    site = _site(told, names, options)
    roles = list(options.roles) or list(application.programs)
    results: list[Mapping[str, Any]] = []
    failures: list[Failure] = []
    with supplied(module_for(site)), imported(application) as mains, tempfile.TemporaryDirectory() as logs:
        for number in range(options.rounds):
            found: dict[str, Any] = dict.fromkeys(roles)
            threads = []
            for role in roles:
                inputs = deepcopy({**application.inputs.get(role, {}), **options.inputs.get(role, {})})
                log = LogConfig(log_subroutines_dir=logs, log_dir=logs)
                config = AppConfig(role, site.node_of(role), mains[role], log, inputs)
                given = {"app_config": config, **inputs}
                program = Program(number, role, mains[role], given, site, found, failures)
                threads.append(threading.Thread(target=program.run, name=f"netqasm-{role}", daemon=True))
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            results.append(found)
    return LiveReport(results, failures)


def _told(directory: Path) -> _Told:
    try:
        doors = json.loads((directory / "doors.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise TwinFault(f"{directory}: no twin is up there ({fault}); start one with `quoit up`") from fault
    told = doors.get("netqasm")
    if not told:
        raise TwinFault(
            f"{directory}: the twin has no door for programs; give nodes of its network file memories with "
            "`programs: N`, or start it with --netqasm N"
        )
    return _Told(
        doors["ca"],
        doors["applications"],
        tuple(told["nodes"]),
        {node: (str(at[0]), int(at[1])) for node, at in told["doors"].items()},
        told["applications"],
    )


def _site(told: _Told, names: Mapping[str, str], options: LiveOptions) -> Site:
    for role, sae in names.items():
        if sae not in told.at:
            known = ", ".join(sorted(told.at))
            raise TwinFault(f"role {role}: expected an application of {known}; found {sae!r}: use --as {role}=NAME")
    if len(set(names.values())) < len(names):
        raise TwinFault("expected an application of its own for each role")
    unknown = sorted(set(options.roles) - set(names))
    if unknown:
        raise TwinFault(f"expected roles of {', '.join(names)}; found {', '.join(unknown)}")

    def dial(role: str) -> socket.socket:
        return _connected(told, names[role], options.within_s)

    allocation = {role: told.at[sae] for role, sae in names.items()}
    return Site(told.nodes, allocation, {}, options.within_s, dial, names)


def _connected(told: _Told, sae: str, within_s: float) -> socket.socket:
    """A connection to the door of an application's node, with the application's certificate."""
    own = told.applications[sae]
    context = client_context(Path(told.ca), Path(own["cert"]), Path(own["key"]))
    address, port = told.doors[told.at[sae]]
    with contextlib.ExitStack() as stack:
        plain = stack.enter_context(socket.create_connection((address, port), timeout=10.0))
        secured: ssl.SSLSocket = context.wrap_socket(plain, server_hostname=address)
        secured.settimeout(within_s)
        stack.pop_all()
    return secured
