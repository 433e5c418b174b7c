"""What observers are told beside all this."""

from __future__ import annotations

from typing import Any

from quoit.runtime.wire import Message, message


@message("service.Fields")
class Fields(Message):
    """Free name/value pairs, for observers."""

    values: dict[str, Any]
