"""Trust domains, nodes and the memories in them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from quoit.scenario.schema.forms import Duration, Name, Section


class Domain(Section):
    """A trust domain: one KMS, one URN prefix."""

    name: Name
    prefix: str
    kms: str | None = None
    stage: Annotated[int, Field(ge=1, le=6)] = 4


class Memories(Section):
    """Quantum memories of a node. `hardware`: a published profile that gives what is not said here. `gate`,
    `readout`: probabilities that a two-qubit gate and a readout are right. `programs`: how many are set apart for
    programs of hosts; 0: the node has no door for them."""

    number: Annotated[int, Field(ge=1, le=10_000)]
    hardware: str | None = None
    t1_ns: Duration | None = Field(default=None, alias="t1")
    t2_ns: Duration | None = Field(default=None, alias="t2")
    gate: Annotated[float, Field(gt=0, le=1)] | None = None
    readout: Annotated[float, Field(gt=0, le=1)] | None = None
    gate_time_ns: Duration = Field(default=0, alias="gate_time")
    readout_time_ns: Duration = Field(default=0, alias="readout_time")
    programs: Annotated[int, Field(ge=0, le=10_000)] = 0


class Node(Section):
    """`joins: token`: planned, and not there before a device has enrolled with a one-time token. `dialect`: what the
    node's SDN agent speaks on its listener; `teraflow`: as TeraFlowSDN's driver does."""

    memories: Memories | None = None
    joins: Literal["token"] | None = None
    dialect: Literal["restconf", "teraflow"] = "restconf"
    domain: str | None = None
    title: str | None = None
    lat: Annotated[float, Field(ge=-90, le=90)] | None = None
    lon: Annotated[float, Field(ge=-180, le=180)] | None = None
    xy: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
