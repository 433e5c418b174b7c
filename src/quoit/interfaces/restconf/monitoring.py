"""What a server says of itself: capabilities and streams (RFC 8040 cl. 9)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from quoit.interfaces.restconf.streams import EventStream, instant_text

_PREFIX = "urn:ietf:params:restconf:capability"


def capabilities() -> tuple[str, ...]:
    """URIs of RFC 8040 cl. 9.1.1 and RFC 8072. `filter` is not among them: filters go with subscriptions."""
    return (
        f"{_PREFIX}:defaults:1.0?basic-mode=explicit",
        f"{_PREFIX}:depth:1.0",
        f"{_PREFIX}:fields:1.0",
        f"{_PREFIX}:replay:1.0",
        f"{_PREFIX}:with-defaults:1.0",
        f"{_PREFIX}:yang-patch:1.0",
    )


def state_of_streams(streams: Iterable[EventStream], root: str) -> list[dict[str, Any]]:
    """The `stream` list of restconf-state."""
    return [
        {
            "name": stream.name,
            "description": stream.description,
            "replay-support": True,
            "replay-log-creation-time": instant_text(stream.created),
            "access": [{"encoding": "json", "location": f"{root}/streams/{quote(stream.name, safe='')}/json"}],
        }
        for stream in streams
    ]
