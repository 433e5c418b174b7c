"""The port by which what stands behind a server gives state, takes configuration and does operations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quoit.interfaces.restconf.schema import Tree, qualified
from quoit.interfaces.restconf.tree import Edit


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """A valid configuration that is about to replace another, and what differs below a provider's roots."""

    caller: str
    before: Tree
    after: Tree
    edits: tuple[Edit, ...]

    def undone(self) -> ConfigChange:
        """The change back."""
        word = {"create": "delete", "delete": "create", "replace": "replace"}
        edits = tuple(Edit(word[e.operation], e.path, e.new, e.old) for e in reversed(self.edits))
        return ConfigChange(self.caller, self.after, self.before, edits)


class Provider:
    """One thing behind a server; override what it has.

    `roots`: top-level data nodes (module:name) whose configuration it takes. `operations`: RPCs (module:name) it does.
    What it raises as `Problem` or `RestconfError` is the caller's answer.
    """

    roots: frozenset[str] = frozenset()
    operations: frozenset[str] = frozenset()

    async def state(self) -> Tree:
        """State as RFC 7951 JSON from the datastore's root, with the keys of the lists it is in.

        It is shown together with the configuration, and wins where both have a leaf. Give the same object while nothing
        has changed, and do not change it: the server need not look at it again then.
        """
        return {}

    async def apply(self, change: ConfigChange) -> None:
        """Bring the change about; return once it holds. If it raises, nothing of it may be left behind, and nothing is
        committed. When a later provider refuses, the change back comes here."""

    async def invoke(self, operation: str, body: Tree, caller: str) -> Tree:
        """Do an operation with a valid input; the output's members."""
        raise NotImplementedError(operation)


class Fixed(Provider):
    """State that somebody else puts here."""

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        self._state: Tree = dict(state or {})

    def put(self, state: Tree) -> None:
        """Show this from now on."""
        self._state = dict(state)

    async def state(self) -> Tree:
        return self._state


def concerned(provider: Provider, edits: tuple[Edit, ...]) -> tuple[Edit, ...]:
    """Those edits that are below the provider's roots."""
    return tuple(e for e in edits if qualified(e.path[0].node) in provider.roots)
