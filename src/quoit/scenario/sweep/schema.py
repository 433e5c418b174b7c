"""The sweep file as data: a base, axes through it, seeds and figures (YAML 1.2, format version 1).

The base is a network file by its path, run for a while, or a chain of entanglement described here. As in network
files, attributes end in their unit and the file's own keys do not.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)

from quoit.engine.hardware import PROFILES
from quoit.scenario.check import did_you_mean
from quoit.scenario.schema import Attenuation, Duration, Length, Name, Section
from quoit.scenario.sweep.axes import spread

MAX_STEPS = 10_000
MAX_RUNS = 1_000_000
Share = Annotated[float, Field(ge=0, le=1)]
PositiveShare = Annotated[float, Field(gt=0, le=1)]


def _known(profile: str) -> str:
    if profile not in PROFILES:
        raise ValueError(f"no hardware profile is called {profile!r}; {did_you_mean(profile, PROFILES)}")
    return profile


class Hardware(Section):
    """What makes pairs on a hop: a published set-up by its name, numbers, or the one changed by the other.

    With `success` and `fidelity` a hop is as they say, whatever its length. Else `scheme` and the devices' numbers go
    into the closed forms of heralding, and the fibre's loss with them.
    """

    profile: Annotated[str, AfterValidator(_known)] | None = None
    scheme: Literal["single_click", "double_click"] | None = None
    bright: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Of single_click: the bright-state probability of both nodes."""
    attempt_ns: Duration | None = Field(default=None, alias="attempt")
    """From one attempt to the next of nodes next to each other; light's way is added."""
    duty_factor: PositiveShare | None = None
    p_detection: PositiveShare | None = None
    conversion: PositiveShare | None = None
    dark_per_window: Share | None = None
    visibility: Share | None = None
    phase_rms_rad: Annotated[float, Field(ge=0)] | None = None
    p_double_excitation: Share | None = None
    extra_depol: Share | None = None
    success: PositiveShare | None = None
    fidelity: Annotated[float, Field(ge=0.25, le=1)] | None = None
    """Of the Werner pairs that are heralded."""

    @model_validator(mode="after")
    def _both_or_neither(self) -> Hardware:
        if (self.success is None) != (self.fidelity is None):
            raise ValueError("success and fidelity describe a pair together: expected both or neither")
        return self


def _named(value: object) -> object:
    return {"profile": value} if isinstance(value, str) else value


def _or_name(schema: dict[str, Any]) -> None:
    whole = dict(schema)
    schema.clear()
    schema["anyOf"] = [{"type": "string"}, whole]


class SwapRule(Section):
    """What a Bell measurement at an inner node costs. Without a profile, gates and readout are ideal unless given."""

    success: PositiveShare = 1.0
    gate: Share | None = None
    readout: Annotated[float, Field(ge=0.5, le=1)] | None = None
    time_ns: Duration = Field(default=0, alias="time")


def _any_may_be_swept(schema: dict[str, Any]) -> None:
    schema.pop("required", None)


class Chain(Section):
    """A chain of equal hops whose inner nodes swap as soon as they have a pair on each side.

    `length` is a hop's. `cutoff`: after which a waiting qubit of an inner node is discarded. `width`: memories on each
    side of a hop. It runs until so many `pairs` are delivered or, if it says `until`, to that instant.
    """

    model_config = ConfigDict(json_schema_extra=_any_may_be_swept)

    hops: Annotated[int, Field(ge=1, le=256)] = 1
    length_km: Length = Field(alias="length")
    attenuation_db_per_km: Attenuation = Field(alias="attenuation")
    hardware: Annotated[Hardware, BeforeValidator(_named), Field(json_schema_extra=_or_name)]
    t1_ns: Duration | None = Field(default=None, alias="t1")
    t2_ns: Duration | None = Field(default=None, alias="t2")
    cutoff_ns: Duration | None = Field(default=None, alias="cutoff")
    width: Annotated[int, Field(ge=1, le=1024)] = 1
    swap: SwapRule = Field(default_factory=SwapRule)
    pairs: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    until_ns: Duration | None = Field(default=None, alias="until")

    @model_validator(mode="after")
    def _ends(self) -> Chain:
        if (self.pairs is None) == (self.until_ns is None):
            raise ValueError("expected an end: either pairs, a number, or until, a time")
        if self.until_ns == 0:
            raise ValueError("until: expected a time above 0")
        return self


class Base(Section):
    """Exactly one of: `network`, a path from the sweep file's directory, with `until`; `chain`."""

    network: str | None = None
    until_ns: Duration | None = Field(default=None, alias="until")
    chain: Chain | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Base:
        if (self.network is None) == (self.chain is None):
            raise ValueError("expected exactly one of network and chain")
        if self.chain is not None and self.until_ns is not None:
            raise ValueError("until belongs to a network; of a chain, write it inside chain")
        if self.network is not None and not self.until_ns:
            raise ValueError("a network runs until an instant: add until, a time above 0")
        return self


class Range(Section):
    """Values from one to another, both among them, in equal steps or in equal ratios."""

    start: Any = Field(alias="from", json_schema_extra={"type": ["number", "string"]})
    to: Any = Field(json_schema_extra={"type": ["number", "string"]})
    steps: Annotated[int, Field(ge=2, le=MAX_STEPS)]
    scale: Literal["linear", "log"] = "linear"

    @model_validator(mode="after")
    def _can_be_spread(self) -> Range:
        self.values()
        return self

    def values(self) -> tuple[Any, ...]:
        """All of them, in order. Raises ValueError for ends that no steps lead between."""
        return spread(self.start, self.to, self.steps, self.scale == "log")


def _range_or_list(value: object) -> str:
    return "range" if isinstance(value, dict | Range) else "list"


Values = Annotated[
    Annotated[list[Any], Field(min_length=1, max_length=MAX_STEPS), Tag("list")] | Annotated[Range, Tag("range")],
    Discriminator(_range_or_list),
]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


def _seeds(value: object) -> object:
    known = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_STEPS
    listed = isinstance(value, list) and value and all(type(s) is int and 0 <= s < 2**63 for s in value)
    if not (known or listed):
        raise ValueError(f"expected a number from 1 to {MAX_STEPS}, or a list of whole numbers from 0 to 2^63 - 1")
    if isinstance(value, list) and len(set(value)) < len(value):
        raise ValueError("a seed occurs twice; its runs would be the same")
    return value


class SweepFile(Section):
    """A whole study. `seeds`: how many runs a point has, or the seeds of as many; see docs/sweeps.md."""

    sweep: Literal[1]
    name: Name
    title: str | None = None
    seed: Seed = 1
    seeds: Annotated[
        int | list[int],
        BeforeValidator(_seeds),
        WithJsonSchema({"type": ["integer", "array"], "items": {"type": "integer"}}),
    ] = 1
    base: Base
    axes: Annotated[dict[str, Values], Field(min_length=1)]
    combine: Literal["product", "zip"] = "product"
    figures: list[str] | None = None
