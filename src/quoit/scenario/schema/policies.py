"""How keys are kept and handed out, and who controls what."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from quoit.scenario.schema.forms import Duration, Section, Size


class Policies(Section):
    """How keys are kept and handed out, and who controls what. `agents`: every node has an SDN agent (ETSI GS QKD 015).
    `control`: how the fabric's controller reaches devices, itself or by their agents; `sdqkd` brings agents, too, and
    so does `external`, where a controller outside of the twin is awaited."""

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
    local_latency_ns: Duration = Field(default=0, alias="local_latency")
    """Between elements of one node that are of different strata or planes, or may leave their cell: above 0 where these
    run apart."""
    commit_time_ns: Duration = Field(default=10**6, alias="commit_time")
    pair_compiler: str = "asap"
    agents: bool = False
    control: Literal["direct", "sdqkd", "external"] = "direct"
    control_instances: Annotated[int, Field(ge=1, le=8)] = 1
    """Of each kind of element that decides on sessions, in every domain."""
    orchestration: Literal["hierarchical", "federated"] = "hierarchical"
    intent_period_ns: Duration = Field(default=10 * 10**9, alias="intent_period")
    detectors: list[str] = Field(default_factory=list)
    virtual_link_fidelity: Annotated[float, Field(gt=0.25, lt=1)] = 0.8
    """Of a compiler that keeps virtual links ready: what pairs made of them have at least."""
    fabric_controllers: Annotated[int, Field(ge=1, le=8)] = 1

    @property
    def has_agents(self) -> bool:
        return self.agents or self.control != "direct"

    @model_validator(mode="after")
    def _one_controller(self) -> Policies:
        if self.fabric_controllers > 1 and self.control != "sdqkd":
            raise ValueError(
                "expected one fabric controller, for 'control: direct' has no epochs; say 'control: sdqkd'"
            )
        return self
