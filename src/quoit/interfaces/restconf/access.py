"""Who may do what: rules in the manner of NACM (RFC 8341), asked about schema nodes, first match decides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from quoit.interfaces.restconf.schema import qualified

VERBS = frozenset({"read", "create", "update", "delete", "exec"})


class Access(Protocol):
    """The hook that the server asks. The answer for a node must not change while the object lives."""

    def may(self, caller: str, verb: str, node: Any) -> bool:
        """Whether `caller` may do `verb` to instances of a schema node: exec to operations, read to notifications."""
        ...


@dataclass(frozen=True, slots=True)
class Rule:
    """`path` is a schema path of qualified names (`/m:a/m:b`), with all below it; "" is everything.

    `callers` None: anybody who is authenticated. Raises ValueError for an unknown verb.
    """

    permit: bool
    callers: frozenset[str] | None = None
    verbs: frozenset[str] = VERBS
    path: str = ""

    def __post_init__(self) -> None:
        if unknown := self.verbs - VERBS:
            raise ValueError(f"expected verbs of {sorted(VERBS)}, found {sorted(unknown)}")

    def fits(self, caller: str, verb: str, path: str) -> bool:
        below = not self.path or path == self.path or path.startswith(self.path + "/")
        return below and verb in self.verbs and (self.callers is None or caller in self.callers)


def schema_path(node: Any) -> str:
    """Qualified names of a node and of the data nodes above it, without choices and cases."""
    names = []
    while node is not None and getattr(node, "name", None) is not None:
        names.append(qualified(node))
        node = node.data_parent()
    return "/" + "/".join(reversed(names))


class Rules:
    """Rules in order. What none fits: reading and operations are allowed, writing is not (RFC 8341 cl. 3.4.4), and
    what a module marks `nacm:default-deny-all` or `-write` is denied."""

    def __init__(self, rules: Iterable[Rule] = (), *, superusers: Iterable[str] = ()) -> None:
        self._rules = tuple(rules)
        self._superusers = frozenset(superusers)
        self._known: dict[tuple[str, str, Any], bool] = {}

    def may(self, caller: str, verb: str, node: Any) -> bool:
        if caller in self._superusers:
            return True
        key = (caller, verb, node)
        found = self._known.get(key)
        if found is None:
            if len(self._known) > 100_000:
                self._known.clear()
            found = self._known[key] = self._decide(caller, verb, node)
        return found

    def _decide(self, caller: str, verb: str, node: Any) -> bool:
        path = schema_path(node)
        for rule in self._rules:
            if rule.fits(caller, verb, path):
                return rule.permit
        marks = set()
        above = node
        while above is not None:
            marks.add(getattr(getattr(above, "default_deny", None), "name", "none"))
            above = above.parent
        if "all" in marks:
            return False
        return verb in ("read", "exec")


def writers(callers: Iterable[str], *, superusers: Iterable[str] = ()) -> Rules:
    """Rules under which `callers` read and write all, and everybody else who is authenticated reads."""
    return Rules([Rule(True, frozenset(callers))], superusers=superusers)
