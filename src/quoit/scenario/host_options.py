"""How a twin is to be hosted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from quoit.adapters.crypto.pki import LEAF_LIFE
from quoit.scenario.apart import ApartOptions

if TYPE_CHECKING:
    from quoit.adapters.buses.nats import NatsBus  # the `nats` extra: imported where a bus is made


@dataclass(frozen=True)
class Share:
    """One process's part of a twin that runs in several: which part of how many, and the bus between them.
    All must be given the same `root`."""

    process: int
    processes: int
    bus: NatsBus
    root: bytes


@dataclass(frozen=True)
class HostOptions:
    """How a twin is to run. `from_ns`: fast-forward to there, then live. `until_ns`: end there. `resume`: go on from
    where the twin in the directory stopped, whatever stopped it: with its key stores, at its instant or later. `store`:
    URL of a PostgreSQL that holds the key stores instead of files, one schema a KME. `kek`: name of the key-encryption
    key of all stores (`quoit.adapters.crypto.kek_uri`), instead of a file in each. `certificate_life`: of the KMEs' and
    the applications' certificates. `tls13_only`: listeners refuse TLS 1.2, which ETSI GS QKD 014 permits.
    `agents_port`: RESTCONF listeners of SDN agents from that port on, in the order of nodes (0: any); None: none.
    `management_port`: the operator's door over mutual TLS on that port of 127.0.0.1 (0: any); None: only its socket.
    `traces`: file for spans of what comes of requests, as OTLP/JSON.
    `netqasm`: so many memories of each node that has some for programs of hosts, whatever the network file says.
    `tapi_port`: the optical network's (ONF TAPI over RESTCONF), with TAPI's YANG modules from `tapi_yang`.
    `orchestration_port`: the door for intents and the view of all strata, likewise; `join_port`: where devices with a
    token enrol. None: there is no such door. `teraflow`: let TeraFlowSDN's drivers in, which have no certificates.
    `apart`: this process is a part of a twin whose parts are started one by one."""

    directory: Path
    seed: int | None = None
    speed: float = 1.0
    from_ns: int = 0
    until_ns: int | None = None
    port: int = 8443
    serve: bool = True
    deterministic_keys: bool = False
    share: Share | None = None
    resume: bool = False
    store: str | None = None
    certificate_life: timedelta = LEAF_LIFE
    tls13_only: bool = False
    management_port: int | None = None
    kek: str | None = None
    orchestration_port: int | None = None
    join_port: int | None = None
    traces: Path | None = None
    agents_port: int | None = None
    netqasm: int | None = None
    tapi_port: int | None = None
    tapi_yang: Path | None = None
    teraflow: bool = False
    apart: ApartOptions | None = None

    @property
    def suffix(self) -> str:
        """Of this process's files in the directory, where several processes share it."""
        return "" if self.share is None else f".{self.share.process}"
