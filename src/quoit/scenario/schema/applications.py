"""Who takes keys, and where: KMEs and applications."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from quoit.scenario.schema.forms import Name, Rate, Section, Size


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
