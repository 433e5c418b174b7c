"""A network file as a whole."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from quoit.scenario.schema.applications import Application, Kme
from quoit.scenario.schema.coordination import CoordinationSection
from quoit.scenario.schema.events import Event
from quoit.scenario.schema.forms import Duration, Name, Section
from quoit.scenario.schema.links import Link, PairLink
from quoit.scenario.schema.loops import Loops
from quoit.scenario.schema.nodes import Domain, Node
from quoit.scenario.schema.plant import PlantSection, Span
from quoit.scenario.schema.policies import Policies
from quoit.scenario.schema.telemetry import TelemetrySection


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
    plant: PlantSection = Field(default_factory=PlantSection)
    kmes: list[Kme] | None = None
    applications: list[Application] = Field(default_factory=list)
    policies: Policies = Field(default_factory=Policies)
    loops: Loops = Field(default_factory=Loops)
    coordination: CoordinationSection | None = None
    telemetry: TelemetrySection = Field(default_factory=TelemetrySection)
    events: list[Event] = Field(default_factory=list)

    @property
    def has_plant(self) -> bool:
        """Whether the file speaks of its optical plant, which gives it an optical network's controller."""
        return "plant" in self.model_fields_set

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

    @property
    def joining(self) -> frozenset[str]:
        """Nodes that come with a token."""
        return frozenset(name for name, node in self.nodes.items() if node.joins is not None)

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
