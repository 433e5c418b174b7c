"""Filters of subscriptions: of XPath, absolute paths with predicates on keys, and unions of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quoit.interfaces.restconf.errors import RestconfError
from quoit.interfaces.restconf.paths import Path, Step, parse_instance
from quoit.interfaces.restconf.schema import Schema, Tree, entry_key, is_list, keys_of, member_of, qualified
from quoit.interfaces.restconf.tree import merged

MAX_PATHS = 32
MAX_CHARS = 4_096


def parse_filter(schema: Schema, text: str) -> tuple[Path, ...]:
    """The paths of a filter such as `/m:a/b[k='v'] | /m:c`; the first name may be a notification's.

    Raises RestconfError with the app-tag that RFC 8639 gives to filters that are not supported.
    """
    try:
        if len(text) > MAX_CHARS or text.count("|") >= MAX_PATHS:
            raise RestconfError("invalid-value", f"a filter has {MAX_PATHS} paths and {MAX_CHARS} characters at most")
        return tuple(parse_instance(schema, part) for part in text.split("|"))
    except RestconfError as fault:
        raise RestconfError(
            "invalid-value",
            f"{fault.message}. Filters are absolute paths with predicates on keys, joined by |",
            app_tag="ietf-subscribed-notifications:filter-unsupported",
        ) from None


def selected(schema: Schema, tree: Tree, paths: tuple[Path, ...]) -> dict[str, Any]:
    """The parts of the tree at these paths, with what is above them and the keys of lists on the way."""
    result: dict[str, Any] = {}
    for path in paths:
        part = _along(tree, path, qualified(path[0].node))
        if part:
            result = merged(schema, schema.root, result, part)
    return result


def _along(tree: Tree, path: Path, name: str) -> dict[str, Any]:
    """What is at the path in an object where its first node is called `name`."""
    step, rest = path[0], path[1:]
    if name not in tree:
        name = step.node.name  # right below a notification, the schema's name is qualified and the content's is not
    if name not in tree:
        return {}
    value = tree[name]
    if isinstance(value, list):
        entries = [e for e in value if step.keys is None or entry_key(step.node, e) == step.keys]
        inside = [_inside(step, entry, rest) for entry in entries] if rest else entries
        kept = [entry for entry in inside if entry is not None]
        return {name: kept} if kept else {}
    if not rest:
        return {name: value}
    found = _along(value, rest, member_of(rest[0].node)) if isinstance(value, Mapping) else {}
    return {name: found} if found else {}


def _inside(step: Step, entry: Any, rest: Path) -> Any:
    if not isinstance(entry, Mapping):
        return None
    found = _along(entry, rest, member_of(rest[0].node))
    keys = {k: entry[k] for k in keys_of(step.node) if k in entry} if is_list(step.node) else {}
    return {**keys, **found} if found else None
