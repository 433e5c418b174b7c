"""Spans, switches and classical channels, and the plant that they make."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from quoit.engine.physics.satellite import slant_range_m
from quoit.scenario.schema.air import Air
from quoit.scenario.schema.forms import (
    Attenuation,
    Duration,
    Frequency,
    Length,
    Loss,
    Name,
    Pair,
    Power,
    Section,
    Wavelength,
)
from quoit.scenario.schema.optical import ConnectivityService, WorksSection
from quoit.scenario.schema.spectrum import centre_of_section_mhz, expect_one_place


class Span(Section):
    """A fibre between two nodes, or with `air` a path through air or space.

    Loss wins over length when both are given. `duct`: spans of the same one share its risk. `amplified`: an amplifier
    gives classical channels back what they lose here, and no quantum light comes through. A path to a satellite has the
    length that it has when the satellite is lowest.
    """

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["length"]}, {"required": ["air"]}]})

    name: Name | None = None
    between: Pair
    length_given: Length | None = Field(default=None, alias="length")
    duct: Name | None = None
    air: Air | None = None
    amplified: bool = False
    loss_db_given: Loss | None = Field(default=None, alias="loss")
    attenuation_db_per_km: Attenuation = Field(default=0.25, alias="attenuation")
    source: str | None = None

    @property
    def id(self) -> str:
        return self.name or "--".join(self.between)

    @property
    def length_km(self) -> float:
        """As given; of a path to a satellite, the longest."""
        if self.length_given is not None:
            return float(self.length_given)
        if self.air is None or self.air.satellite is None:
            return 0.0
        return slant_range_m(self.air.satellite.altitude_km * 1e3, self.air.satellite.lowest_deg) / 1e3

    @property
    def loss_db(self) -> float:
        """As given, else length times attenuation. Of a path through air it is not this."""
        if self.loss_db_given is not None:
            return float(self.loss_db_given)
        return float(self.length_km * self.attenuation_db_per_km)

    @model_validator(mode="after")
    def _one_medium(self) -> Span:
        orbiting = self.air is not None and self.air.satellite is not None
        if self.length_given is None and not orbiting:
            raise ValueError("expected a length, found none; add the key 'length'")
        if self.length_given is not None and orbiting:
            raise ValueError("the length of a path to a satellite follows from its altitude; leave it out")
        if self.air is not None and self.loss_db_given is not None:
            raise ValueError("the loss of a path through air follows from its optics; leave it out")
        return self


class Switch(Section):
    """A ROADM or an optical switch at a node: what passes it loses `insertion`, and a change takes `switching`."""

    node: str
    kind: Literal["roadm", "optical-switch"] = "roadm"
    insertion_db: Loss = Field(default=5.0, alias="insertion")
    switching_ns: Duration = Field(default=50 * 10**6, alias="switching")

    @model_validator(mode="after")
    def _switches_in_time(self) -> Switch:
        if self.switching_ns > 300 * 10**9:
            raise ValueError("expected a switching time of at most 300 s")
        return self


class Channel(Section):
    """A classical channel: from a node along spans, with a launch power into the first of them."""

    name: Name
    source: str = Field(alias="from")
    spans: Annotated[list[str], Field(min_length=1)]
    frequency_mhz: Frequency | None = Field(default=None, alias="frequency")
    wavelength_nm: Wavelength | None = Field(default=None, alias="wavelength")
    width_mhz: Frequency = Field(default=50_000, alias="width")
    launch_dbm: Power = Field(default=0.0, alias="launch")
    lit: bool = True

    @model_validator(mode="after")
    def _is_one_place(self) -> Channel:
        expect_one_place(self, self.width_mhz)
        return self

    @property
    def centre_mhz(self) -> int:
        return centre_of_section_mhz(self)


class PacketSection(Section):
    """Packet switching of quantum payloads. `links` whose payloads go as packets from the start; those of others go
    over circuits. `policy`: what happens to a payload whose port is taken."""

    links: list[str] = Field(default_factory=list)
    policy: Literal["drop", "delay", "buffer"] = "drop"
    processing_ns: Duration = Field(default=2_000, alias="processing")
    switching_ns: Duration = Field(default=1_000, alias="switching")
    channels: Annotated[int, Field(ge=1, le=96)] = 1
    loop_ns: Annotated[Duration, Field(ge=1)] = Field(default=20_000, alias="loop")
    loop_db: Loss = Field(default=1.0, alias="loop_loss")
    turns: Annotated[int, Field(ge=0, le=100)] = 3
    lines: Annotated[int, Field(ge=0, le=100)] = 1
    memories: Annotated[int, Field(ge=0, le=10_000)] = 8
    t2_ns: Annotated[Duration, Field(ge=1)] = Field(default=1_000_000, alias="t2")


class PlantSection(Section):
    """Optical equipment beside fibres: switches, classical channels; spectrum to keep between channels (`guard`), and
    between quantum and classical ones. Services and works of the optical network's controller; `path_computation`: the
    entry point of `quoit.path_computation` that it uses."""

    switches: list[Switch] = Field(default_factory=list)
    channels: list[Channel] = Field(default_factory=list)
    guard_mhz: Frequency = Field(default=0, alias="guard")
    quantum_guard_mhz: Frequency = Field(default=100_000, alias="quantum_guard")
    path_computation: str = "labels"
    services: list[ConnectivityService] = Field(default_factory=list)
    works: list[WorksSection] = Field(default_factory=list)
    packets: PacketSection = Field(default_factory=PacketSection)
