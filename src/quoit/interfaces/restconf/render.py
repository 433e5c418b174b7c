"""What a GET shows of a data tree: content, depth, fields, defaults (RFC 8040 cl. 4.8), and what may be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from quoit.interfaces.restconf.errors import bad_value
from quoit.interfaces.restconf.query import Fields
from quoit.interfaces.restconf.schema import (
    Schema,
    Tree,
    is_any,
    is_container,
    is_leaf,
    is_leaf_list,
    is_list,
    keys_of,
    member_of,
    qualified,
)
from quoit.interfaces.restconf.tree import MISSING

DEFAULT_MARK = {"ietf-netconf-with-defaults:default": True}


class View:
    """One way to look at a data tree. `may_read` says of a schema node whether the caller may see its instances."""

    def __init__(
        self, schema: Schema, *, content: str = "all", trim: bool = False, may_read: Callable[[Any], bool] | None = None
    ) -> None:
        self.schema = schema
        self._content = content
        self._trim = trim
        self._may_read = may_read

    def of(self, node: Any, value: Any, depth: int | None = None, fields: Fields | None = None) -> Any:
        """What is seen of the instance `value` of `node` (the schema's root for a whole tree), or MISSING."""
        if fields is not None:
            self._check_fields(node, fields)
        return self._seen(node, value, depth, fields)

    def _seen(self, node: Any, value: Any, depth: int | None, fields: Fields | None) -> Any:
        if node is not self.schema.root and self._may_read is not None and not self._may_read(node):
            return MISSING
        if is_any(node) or not isinstance(value, (Mapping, list)) or is_leaf(node):
            return self._leaf(node, value)
        if is_leaf_list(node):
            return value if self._fits(node) else MISSING
        if is_list(node) and isinstance(value, list):
            entries = [self._object(node, entry, depth, fields) for entry in value]
            kept = [entry for entry in entries if entry is not MISSING]
            return kept or MISSING
        return self._object(node, value, depth, fields) if isinstance(value, Mapping) else MISSING

    def _fits(self, node: Any) -> bool:
        if self._content == "all":
            return True
        return bool(node.config) == (self._content == "config")

    def _leaf(self, node: Any, value: Any) -> Any:
        if not self._fits(node):
            return MISSING
        if self._trim and is_leaf(node) and node.default is not None and node.type.to_raw(node.default) == value:
            return MISSING
        return value

    def _object(self, node: Any, value: Tree, depth: int | None, fields: Fields | None) -> Any:
        """An object with what is seen of its members. A list's keys always stay: without them, it is no instance."""
        if node is not self.schema.root and self._content == "config" and not node.config:
            return MISSING
        keys = keys_of(node) if is_list(node) else ()
        seen = {name: value[name] for name in keys if name in value}
        own = len(seen)
        for name, inside in value.items():
            if name in seen or name.startswith("@"):
                continue
            child = self.schema.member(node, name)
            if child is None or (depth is not None and depth <= 1):
                continue
            inner = None
            if fields is not None:
                inner = self._selected(node, name, fields)
                if inner is None:
                    continue
            result = self._seen(child, inside, None if depth is None else depth - 1, inner or None)
            if result is not MISSING:
                seen[name] = result
        return self._kept(node, seen, own)

    def _kept(self, node: Any, seen: dict[str, Any], own: int) -> Any:
        """Objects that a selection emptied are left out; empty containers of the whole tree stay."""
        if node is self.schema.root or len(seen) > own or self._content != "nonconfig":
            return seen
        return MISSING if node.config else seen

    def _selected(self, node: Any, name: str, fields: Fields) -> Fields | None:
        """What `fields` selects inside the member, {} for all of it, None if it is not selected."""
        for wanted, inside in fields.items():
            child = self.schema.member(node, wanted if ":" in wanted or node is not self.schema.root else "")
            if child is not None and member_of(child) == name:
                chosen: Fields = inside
                return chosen
        return None

    def _check_fields(self, node: Any, fields: Fields) -> None:
        """Raises invalid-value for a name that the schema does not have: a mistake is not an empty answer."""
        for name, inside in fields.items():
            child = self.schema.member(node, name)
            if child is None:
                where = "the datastore" if node is self.schema.root else qualified(node)
                raise bad_value(f"fields selects {name[:60]!r}, which {where} does not have")
            if inside:
                self._check_fields(child, inside)


def tagged(schema: Schema, node: Any, explicit: Any, full: Any) -> Any:
    """`full` with a mark (RFC 6243 cl. 6, RFC 7952) on the leaves that `explicit` lacks: they hold by default."""
    if is_list(node) and isinstance(full, list):
        keys = keys_of(node)
        known = {tuple(e.get(k) for k in keys): e for e in explicit} if isinstance(explicit, list) else {}
        return [_tagged_members(schema, node, known.get(tuple(e.get(k) for k in keys), {}), e) for e in full]
    if isinstance(full, Mapping) and not is_any(node):
        return _tagged_members(schema, node, explicit if isinstance(explicit, Mapping) else {}, full)
    return full


def _tagged_members(schema: Schema, node: Any, explicit: Tree, full: Tree) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in full.items():
        child = schema.member(node, name)
        if child is None:
            continue
        if is_leaf(child):
            result[name] = value
            if name not in explicit:
                result["@" + name] = DEFAULT_MARK
        elif is_container(child) or is_list(child):
            result[name] = tagged(schema, child, explicit.get(name, {}), value)
        else:
            result[name] = value
    return result
