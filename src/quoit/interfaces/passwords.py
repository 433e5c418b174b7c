"""Passwords of roles, for clients of control interfaces that cannot show a certificate (HTTP Basic, RFC 7617).

Off unless a listener is given them. A certificate goes before: who shows one is whom it names. The passwords are random
tokens of one run and not chosen by people, so nothing slows guessing down but their length.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from quoit.model.secret import Secret

CHALLENGE = ("www-authenticate", 'Basic realm="quoit", charset="UTF-8"')
"""What a refusal says of how one may come in (RFC 9110 cl. 11.6.1)."""


class Passwords:
    """Who may call himself what: by role, the token that says so."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        self._tokens = {role: Secret(token.encode()) for role, token in tokens.items()}

    def role_of(self, authorization: str) -> str | None:
        """The role whose name and token the header has; None for anything else. Never raises."""
        scheme, _, rest = authorization.partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            name, colon, token = base64.b64decode(rest.strip(), validate=True).decode("utf-8").partition(":")
        except (binascii.Error, ValueError):
            return None
        expected = self._tokens.get(name)
        return name if colon and expected is not None and expected == Secret(token.encode()) else None
