"""The network file as data: what may stand in it, in which form (YAML 1.2, format version 1).

Attributes end in their unit; the file's own keys do not (`length: 24.5 km` becomes `length_km`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from quoit.model import quantity

Pair = Annotated[list[str], Field(min_length=2, max_length=2)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_\-]{0,63}$")]


def _shown(example: str) -> Any:
    return Field(json_schema_extra={"type": "string", "examples": [example]})


Duration = Annotated[int, BeforeValidator(quantity.parse_duration_ns), _shown("600s")]
Rate = Annotated[float, BeforeValidator(quantity.parse_rate_bps), _shown("2 kbit/s")]
Size = Annotated[int, BeforeValidator(quantity.parse_size_bits), _shown("256 bit")]
Length = Annotated[float, BeforeValidator(quantity.parse_length_km), _shown("24.5 km")]
Loss = Annotated[float, BeforeValidator(quantity.parse_loss_db), _shown("8.72 dB")]
Attenuation = Annotated[float, BeforeValidator(quantity.parse_attenuation_db_per_km), _shown("0.25 dB/km")]


class Section(BaseModel):
    """Base of all parts of the file: unknown keys are faults."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, frozen=True)


class Domain(Section):
    """A trust domain: one KMS, one URN prefix."""

    name: Name
    prefix: str
    kms: str | None = None
    stage: Annotated[int, Field(ge=1, le=6)] = 4


class Memories(Section):
    """Quantum memories of a node. `hardware`: a published profile that gives what is not said here. `gate`,
    `readout`: probabilities that a two-qubit gate and a readout are right."""

    number: Annotated[int, Field(ge=1, le=10_000)]
    hardware: str | None = None
    t1_ns: Duration | None = Field(default=None, alias="t1")
    t2_ns: Duration | None = Field(default=None, alias="t2")
    gate: Annotated[float, Field(gt=0, le=1)] | None = None
    readout: Annotated[float, Field(gt=0, le=1)] | None = None
    gate_time_ns: Duration = Field(default=0, alias="gate_time")
    readout_time_ns: Duration = Field(default=0, alias="readout_time")


class Node(Section):
    memories: Memories | None = None
    domain: str | None = None
    title: str | None = None
    lat: Annotated[float, Field(ge=-90, le=90)] | None = None
    lon: Annotated[float, Field(ge=-180, le=180)] | None = None
    xy: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None


class Span(Section):
    """A fibre between two nodes. Loss wins over length when both are given."""

    name: Name | None = None
    between: Pair
    length_km: Length = Field(alias="length")
    loss_db_given: Loss | None = Field(default=None, alias="loss")
    attenuation_db_per_km: Attenuation = Field(default=0.25, alias="attenuation")
    source: str | None = None

    @property
    def id(self) -> str:
        return self.name or "--".join(self.between)

    @property
    def loss_db(self) -> float:
        """As given, else length times attenuation."""
        if self.loss_db_given is not None:
            return float(self.loss_db_given)
        return float(self.length_km * self.attenuation_db_per_km)


class Link(Section):
    """A QKD link. The first node of `between` holds the transmitter."""

    name: Name | None = None
    between: Pair
    protocol: str = "bb84-decoy"
    profile: str | None = None
    spans: list[str] | None = None
    initial_pool_bits: Size = Field(default=0, alias="initial_pool")
    capacity_bits: Size = Field(default=64 * 2**23, alias="capacity")
    rate_bps: Rate | None = Field(default=None, alias="rate")
    qber: Annotated[float, Field(ge=0, le=0.5)] | None = None
    mode: Literal["counts", "exact"] | None = None

    @property
    def id(self) -> str:
        return self.name or "--".join(self.between)


class PairLink(Section):
    """A link that makes entangled pairs between memories of its two nodes.

    `scheme` given: `success` of an attempt and `fidelity` of a heralded pair are as told. single-click, double-click:
    from the published `hardware` and the loss of the path, with a station in its middle. `attempt`: preparation time,
    to which light's way comes. `pairs`: how many circuits can use the link at once.
    """

    name: Name | None = None
    between: Pair
    spans: list[str] | None = None
    scheme: Literal["given", "single-click", "double-click"] = "given"
    hardware: str | None = None
    success: Annotated[float, Field(gt=0, le=1)] | None = None
    fidelity: Annotated[float, Field(gt=0.25, le=1)] | None = None
    bright: Annotated[float, Field(gt=0, lt=1)] = 0.05
    attempt_ns: Duration = Field(default=1_000, alias="attempt")
    pairs: Annotated[int, Field(ge=1, le=1_000)] = 4

    @property
    def id(self) -> str:
        return self.name or "--".join(self.between)


class Kme(Section):
    name: Name | None = None
    node: str
    address: str | None = None

    @property
    def id(self) -> str:
        return self.name or f"kme-{self.node}"


class Application(Section):
    """A secure application entity. `allow`: SAE IDs it may share keys with, or any. `priority`: the highest one that
    its sessions may have."""

    sae: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9\-._~:@!$&'()*+,;=]+$")]
    kme: str
    urn: str | None = None
    rate_bps: Rate | None = Field(default=None, alias="rate")
    burst_bits: Size | None = Field(default=None, alias="burst")
    key_size_bits: Size | None = Field(default=None, alias="key_size")
    priority: Annotated[int, Field(ge=0, le=7)] = 0
    allow: list[str] | Literal["any"] = "any"
    routable: bool = True
    compat: list[Literal["dec_path_self", "unknown_key_404", "allow_self_pair", "quditto2", "qukaydee"]] = Field(
        default_factory=list
    )


class Policies(Section):
    """How keys are kept and handed out."""

    pool_floor_bits: Size = Field(default=0, alias="pool_floor")
    pool_reopen_bits: Size = Field(default=128_000, alias="pool_reopen")
    stream_low_bits: Size = Field(default=64_000, alias="stream_low")
    stream_high_bits: Size = Field(default=256_000, alias="stream_high")
    key_size_bits: Size = Field(default=256, alias="key_size")
    min_key_size_bits: Size = Field(default=64, alias="min_key_size")
    max_key_size_bits: Size = Field(default=4096, alias="max_key_size")
    max_keys_per_request: Annotated[int, Field(ge=1, le=1024)] = 128
    key_validity_ns: Duration = Field(default=86_400 * 10**9, alias="key_validity")
    patience_ns: Duration = Field(default=3 * 10**9, alias="patience")
    qber_alarm: Annotated[float, Field(gt=0, le=0.5)] | None = None
    quarantine_hold_ns: Duration = Field(default=10 * 10**9, alias="quarantine_hold")
    control_latency_ns: Duration = Field(default=10**6, alias="control_latency")
    commit_time_ns: Duration = Field(default=10**6, alias="commit_time")
    pair_compiler: str = "asap"
    control_instances: Annotated[int, Field(ge=1, le=8)] = 1


class Bend(Section):
    span: str
    loss_db: Loss = Field(alias="loss")


class Attack(Section):
    kind: Literal["intercept-resend", "tamper-messages", "spoil-pairs"]
    link: str
    fraction: Annotated[float, Field(ge=0, le=1)]


class RateChange(Section):
    link: str
    rate_bps: Rate = Field(alias="rate")


class Load(Section):
    """An application that takes keys, and its peer that takes them too."""

    source: str = Field(alias="from")
    to: str
    rate_bps: Rate = Field(alias="rate")
    key_size_bits: Size = Field(default=256, alias="key_size")
    arrivals: Literal["constant", "poisson"] = "constant"


class Event(Section):
    """Something that happens at a time: exactly one of cut, bend, attack, rate, load."""

    at_ns: Duration = Field(alias="at")
    until_ns: Duration | None = Field(default=None, alias="until")
    cut: str | None = None
    bend: Bend | None = None
    attack: Attack | None = None
    rate: RateChange | None = None
    load: Load | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Event:
        given = [k for k in ("cut", "bend", "attack", "rate", "load") if getattr(self, k) is not None]
        if len(given) != 1:
            raise ValueError(
                f"expected exactly one of cut, bend, attack, rate, load; found {', '.join(given) or 'none'}"
            )
        if self.until_ns is not None and self.until_ns <= self.at_ns:
            raise ValueError("until must come after at")
        return self


class NetworkFile(Section):
    """A whole network."""

    quoit: Literal[1]
    name: Name
    title: str | None = None
    epoch: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    nid: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9\-]{0,30}[A-Za-z0-9]$")] = "qkd"
    mode: Literal["counts", "exact"] = "counts"
    telemetry_interval_ns: Duration = Field(default=10**9, alias="telemetry_interval")
    domains: list[Domain] = Field(default_factory=list)
    nodes: dict[Name, Node]
    spans: list[Span] = Field(default_factory=list)
    profiles: dict[Name, dict[str, Any]] = Field(default_factory=dict)
    links: list[Link] = Field(default_factory=list)
    pair_links: list[PairLink] = Field(default_factory=list)
    kmes: list[Kme] | None = None
    applications: list[Application] = Field(default_factory=list)
    policies: Policies = Field(default_factory=Policies)
    events: list[Event] = Field(default_factory=list)

    @property
    def epoch_unix_s(self) -> float:
        """Unix time of the scenario's instant 0; a time without zone is UTC."""
        moment = self.epoch if self.epoch.tzinfo else self.epoch.replace(tzinfo=UTC)
        return moment.timestamp()

    def all_domains(self) -> list[Domain]:
        """The domains, or one that holds everything."""
        return list(self.domains) or [Domain(name=self.name, prefix=f"urn:{self.nid}:{self.name}")]

    def domain_of(self, node: str) -> str:
        """A node's domain; the first one if the file does not say."""
        return self.nodes[node].domain or self.all_domains()[0].name

    def all_kmes(self) -> list[Kme]:
        """The KMEs of the file, or one a node."""
        return self.kmes if self.kmes is not None else [Kme(node=node) for node in self.nodes]

    def urn_of(self, app: Application) -> str:
        """An application's endpoint URN: its own, or its domain's prefix and its SAE ID."""
        if app.urn is not None:
            return app.urn
        node = next(k.node for k in self.all_kmes() if k.id == app.kme)
        prefix = next(d.prefix for d in self.all_domains() if d.name == self.domain_of(node))
        return f"{prefix}:{app.sae}"
