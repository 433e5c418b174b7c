"""One-time tokens of nodes that join, in a file of mode 0600: digests of their secrets only, and who has joined."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from quoit.interfaces.enrolment.codec import SECRET_BYTES
from quoit.model.problem import Problem

LONGEST_S = 7 * 86_400.0


@dataclass(frozen=True)
class _Entry:
    digest: str
    until_unix_s: float


class TokenBook:
    """Tokens that are out, at most one a node: a new one makes the old worthless. `now` is the host's clock: a token
    that was mislaid ages also while a twin stands still."""

    def __init__(self, path: Path, nodes: frozenset[str], now: Callable[[], float] = time.time) -> None:
        """`nodes`: who may join. Raises ValueError if the file is damaged."""
        self._path = path
        self._nodes = nodes
        self._now = now
        self._out: dict[str, _Entry] = {}
        self.enrolled: set[str] = set()
        self.joined: set[str] = set()
        if path.exists():
            self._read()

    def _read(self) -> None:
        try:
            found = json.loads(self._path.read_bytes())
            self._out = {node: _Entry(str(d), float(until)) for node, (d, until) in found["tokens"].items()}
            self.enrolled, self.joined = set(found["enrolled"]), set(found["joined"])
        except (ValueError, KeyError, TypeError, AttributeError) as fault:
            raise ValueError(f"{self._path}: damaged ({fault}); delete it, and make tokens anew") from fault

    def make(self, node: str, life_s: float) -> str:
        """A new secret for `node`. Problems `not-joining`, `malformed`."""
        if node not in self._nodes:
            names = ", ".join(sorted(self._nodes)) or "none"
            raise Problem("not-joining", f"expected a node of the file with `joins: token` ({names}), found {node!r}")
        if node in self.joined:
            raise Problem("not-joining", f"{node} has joined already")
        if not 0 < life_s <= LONGEST_S:
            raise Problem("malformed", f"expected a life of at most {LONGEST_S:g} s, found {life_s:g} s")
        secret = secrets.token_urlsafe(SECRET_BYTES)
        self._out[node] = _Entry(_digest(secret), self._now() + life_s)
        self._write()
        return secret

    def node_of(self, secret: str) -> str:
        """Whose token this is. Problem `bad-token`, the same for unknown, used and expired ones."""
        digest = _digest(secret)
        found = None
        for node, entry in self._out.items():  # all of them, so that the time taken tells nothing
            if hmac.compare_digest(entry.digest, digest) and self._now() < entry.until_unix_s:
                found = node
        if found is None:
            raise Problem("bad-token", "it is unknown, was used, or has expired")
        return found

    def use_up(self, node: str) -> None:
        """The token of `node` has served: it is written down before anybody is answered."""
        del self._out[node]
        self.enrolled.add(node)
        self._write()

    def has_joined(self, node: str) -> None:
        """So that a twin that goes on after a stop knows it."""
        self.joined.add(node)
        self._write()

    def _write(self) -> None:
        now_s = self._now()
        self._out = {node: entry for node, entry in self._out.items() if entry.until_unix_s > now_s}
        value = {
            "tokens": {node: [entry.digest, entry.until_unix_s] for node, entry in self._out.items()},
            "enrolled": sorted(self.enrolled),
            "joined": sorted(self.joined),
        }
        new = self._path.with_suffix(".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            json.dump(value, out)
            out.flush()
            os.fsync(out.fileno())
        os.replace(new, self._path)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
