"""The data tree of ETSI GS QKD 015 V2.1.1 as values: read from RFC 7951 JSON, and written as it.

What is None or empty is not there. Names are the standard's, so these classes have its underscores. A tree that has
anything else, or another type somewhere, is refused: what the model forbids beyond that, its YANG module says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid5

import msgspec

from quoit.model.problem import Problem

MODULE = "etsi-qkd-sdn-node"
ROOT = f"{MODULE}:qkd_node"
CONTROL = "quoit-sdqkd-control:control"
TYPES = "etsi-qkd-node-types:"
"""What stands before every identity of the standard's types."""
PHYS, VIRT = f"{TYPES}PHYS", f"{TYPES}VIRT"
ACTIVE, PASSIVE, PENDING, OFF = (f"{TYPES}{name}" for name in ("ACTIVE", "PASSIVE", "PENDING", "OFF"))
ENABLED, DISABLED, FAILED = (f"{TYPES}{name}" for name in ("ENABLED", "DISABLED", "FAILED"))
TRANSMITTER, RECEIVER = f"{TYPES}TRANSMITTER", f"{TYPES}RECEIVER"
CLIENT, INTERNAL = f"{TYPES}CLIENT", f"{TYPES}INTERNAL"
ON, DISCONNECTED, OUT_OF_TIME, ZOMBIE = (f"{TYPES}{n}" for n in ("ON", "DISCONNECTED", "OUT-OF-TIME", "ZOMBIE"))
MAJOR, MINOR = f"{TYPES}MAJOR", f"{TYPES}MINOR"
QBER = f"{TYPES}QBER"
OPERATING = f"{TYPES}OPERATING"
UINT32 = 2**32 - 1

_NAMES = UUID("a2b0c1de-5f0e-5c58-9a55-6d0d7e1a4c11")
"""Namespace of the identifiers that follow from names."""

FLOW_URN = "urn:quoit:flow:"
"""How an INTERNAL application names the forwarding entry of a virtual link; with nothing behind it: that of keys that
have no reserved route."""


def id_of(network: str, kind: str, name: str) -> str:
    """The identifier of a node, link or application by its name: the same in every process and every run."""
    return str(uuid5(_NAMES, f"{network}\n{kind}\n{name}"))


class _Node(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Base: unknown members are refused, and what has its default is not written."""


class AttPoint(_Node, frozen=True):
    device: str | None = None
    port: int | None = None


class Capabilities(_Node, frozen=True):
    role_support: str | None = None
    wavelength_range: str | None = None
    max_absorption: str | None = None


class Interface(_Node, frozen=True):
    qkdi_id: int
    qkdi_model: str | None = None
    qkdi_type: str | None = None
    qkdi_att_point: AttPoint | None = None
    qkdi_capabilities: Capabilities | None = None
    qkdi_status: str | None = None


class End(_Node, frozen=True):
    qkdn_id: str | None = None
    qkdi_id: int | None = None


class PhysPerf(_Node, frozen=True):
    perf_type: str
    value: str | None = None


class Performance(_Node, frozen=True):
    expected_consumption: int | None = None
    skr: int | None = None
    eskr: int | None = None
    phys_perf: tuple[PhysPerf, ...] = ()


class Link(_Node, frozen=True):
    qkdl_id: str
    qkdl_status: str | None = None
    qkdl_enable: bool | None = None
    qkdl_local: End | None = None
    qkdl_remote: End | None = None
    qkdl_type: str | None = None
    qkdl_applications: tuple[str, ...] = ()
    virt_prev_hop: str | None = None
    virt_next_hop: tuple[str, ...] = ()
    virt_bandwidth: int | None = None
    phys_channel_att: str | None = None
    phys_wavelength: str | None = None
    phys_qkd_role: str | None = None
    qkdl_performance: Performance | None = None

    @property
    def enabled(self) -> bool:
        """As configured; true by default."""
        return self.qkdl_enable is not False


class Qos(_Node, frozen=True):
    max_bandwidth: int | None = None
    min_bandwidth: int | None = None
    jitter: int | None = None
    ttl: int | None = None
    clients_shared_path_enable: bool | None = None
    clients_shared_keys_required: bool | None = None


class Usage(_Node, frozen=True):
    end_time: str
    start_time: str | None = None
    consumed_bits: int | None = None


class AppStatistics(_Node, frozen=True):
    statistics: tuple[Usage, ...] = ()


class App(_Node, frozen=True):
    app_id: str
    app_status: str | None = None
    app_type: str | None = None
    server_app_id: str | None = None
    client_app_id: tuple[str, ...] = ()
    app_priority: int | None = None
    creation_time: str | None = None
    expiration_time: str | None = None
    app_statistics: AppStatistics | None = None
    app_qos: Qos | None = None
    backing_qkdl_id: tuple[str, ...] = ()
    local_qkdn_id: str | None = None
    remote_qkdn_id: str | None = None


class NodeCapabilities(_Node, frozen=True):
    link_stats_support: bool | None = None
    application_stats_support: bool | None = None
    key_relay_mode_enable: bool | None = None


class Apps(_Node, frozen=True):
    qkd_app: tuple[App, ...] = ()


class Interfaces(_Node, frozen=True):
    qkd_interface: tuple[Interface, ...] = ()


class Links(_Node, frozen=True):
    qkd_link: tuple[Link, ...] = ()


_NO_APPS, _NO_INTERFACES, _NO_LINKS = Apps(), Interfaces(), Links()
"""What is not written, because it is the default."""


class Turn(_Node, frozen=True):
    """Whose turn it is to configure the node (module quoit-sdqkd-control): see `fencing`."""

    epoch: str
    edit: str

    @property
    def key(self) -> tuple[int, int]:
        return int(self.epoch), int(self.edit)


class Node(_Node, frozen=True):
    """A whole node. `control` is an augmentation of ours."""

    qkdn_id: str
    qkdn_status: str | None = None
    qkdn_version: str | None = None
    qkdn_location_id: str | None = None
    qkdn_capabilities: NodeCapabilities | None = None
    qkd_applications: Apps = _NO_APPS
    qkd_interfaces: Interfaces = _NO_INTERFACES
    qkd_links: Links = _NO_LINKS
    control: Turn | None = msgspec.field(default=None, name=CONTROL)

    @property
    def apps(self) -> dict[str, App]:
        return {app.app_id: app for app in self.qkd_applications.qkd_app}

    @property
    def interfaces(self) -> dict[int, Interface]:
        return {interface.qkdi_id: interface for interface in self.qkd_interfaces.qkd_interface}

    @property
    def links(self) -> dict[str, Link]:
        return {link.qkdl_id: link for link in self.qkd_links.qkd_link}

    def with_lists(
        self,
        *,
        apps: Mapping[str, App] | None = None,
        interfaces: Mapping[int, Interface] | None = None,
        links: Mapping[str, Link] | None = None,
    ) -> Node:
        """The node with other entries in these lists, in the order of their keys."""
        changed: dict[str, Any] = {}
        if apps is not None:
            changed["qkd_applications"] = Apps(tuple(app for _, app in sorted(apps.items()))) if apps else _NO_APPS
        if interfaces is not None:
            found = tuple(one for _, one in sorted(interfaces.items()))
            changed["qkd_interfaces"] = Interfaces(found) if found else _NO_INTERFACES
        if links is not None:
            changed["qkd_links"] = Links(tuple(link for _, link in sorted(links.items()))) if links else _NO_LINKS
        return msgspec.structs.replace(self, **changed)

    @property
    def sorted(self) -> Node:
        """The same with its lists in the order of their keys: two that say the same are equal."""
        return self.with_lists(apps=self.apps, interfaces=self.interfaces, links=self.links)


def read(text: str) -> Node | None:
    """The node in a data tree; None if there is none. Problem `malformed`."""
    try:
        tree = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        found = tree.get(ROOT)
        return None if found is None else msgspec.json.decode(found, type=Node)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise Problem("malformed", f"expected a node of {MODULE}; {fault}") from None


def write(node: Node | None) -> str:
    """The data tree with this node."""
    return msgspec.json.encode({} if node is None else {ROOT: node}).decode()


def decimal(value: float) -> str:
    """A decimal64 with three fraction digits in canonical form (RFC 7950 cl. 9.3.2)."""
    text = f"{value:.3f}".rstrip("0")
    return text + "0" if text.endswith(".") else text


def rate(bps: float) -> int:
    """A rate as the model has it: whole bit/s that fit 32 bits; a larger one is said to be the largest."""
    return min(UINT32, max(0, round(bps)))


def date_and_time(unix_s: float) -> str:
    """RFC 3339 in UTC with milliseconds. The proleptic Gregorian calendar, by counting days (years from March)."""
    whole = round(unix_s * 1000)
    days, ms = divmod(whole, 86_400_000)
    era, day_of_era = divmod(days + 719_468, 146_097)
    year = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year + year // 4 - year // 100)
    month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month + 2) // 5 + 1
    month, year = (month + 3, year) if month < 10 else (month - 9, year + 1)
    seconds, ms = divmod(ms, 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{year + era * 400:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}.{ms:03d}Z"
