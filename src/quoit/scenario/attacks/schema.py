"""The attack file as data (YAML 1.2, format version 1)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from quoit.scenario.schema import Duration, Event, Name, Section

Seeds = Annotated[int, Field(ge=1, le=10_000)]


class Detection(Section):
    """What must be found: `cause` on `object` (a link, a span, a channel, or the keys from one node to another one, as
    `a>b`), within a time after the instant `after`.

    `explained`: whether another stratum's news must explain it; None: it does not matter.
    """

    cause: Annotated[str, Field(min_length=1)]
    on: str = Field(alias="object")
    after_ns: Duration = Field(alias="after")
    within_ns: Duration = Field(alias="within")
    explained: bool | None = None


class AttackFile(Section):
    """An attack on a network, with what must be noticed of it.

    `network`: a path from this file's directory, or a whole network. `events` come to those of the network. A twin
    without them runs for `clean`, and finds nothing. Whatever is found under attack and is not expected is a false
    alarm, too; `never` names what would be the worst of these. `bound`: what the receivers' bound on an eavesdropper's
    knowledge does: it holds, or (a device without countermeasure) it is broken in every run. `untrusted`: nodes whose
    relays are read by somebody; key that KMEs take in must not have gone through one.
    """

    attack: Literal[1]
    name: Name
    title: str | None = None
    network: str | dict[str, Any]
    until_ns: Duration = Field(alias="until")
    clean_ns: Duration = Field(alias="clean")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    seeds: Seeds = 5
    events: Annotated[list[Event], Field(min_length=1)]
    expect: list[Detection] = Field(default_factory=list)
    never: list[str] = Field(default_factory=list)
    bound: Literal["holds", "broken"] = "holds"
    untrusted: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _in_time(self) -> AttackFile:
        for one in self.expect:
            if one.after_ns + one.within_ns > self.until_ns:
                raise ValueError("expected every deadline before the end of the run ('until')")
            if one.cause in self.never:
                raise ValueError(f"{one.cause!r} is both expected and never to be found")
        return self
