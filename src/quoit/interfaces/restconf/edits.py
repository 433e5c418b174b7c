"""What POST, PUT, PATCH and DELETE do to a configuration, as functions from tree to tree (RFC 8040 cl. 4.4 to 4.7)."""

from __future__ import annotations

from typing import Any

from quoit.interfaces.restconf.errors import RestconfError, bad_value, not_allowed, not_found
from quoit.interfaces.restconf.paths import Path, Step, format_instance, parse_resource
from quoit.interfaces.restconf.query import Query
from quoit.interfaces.restconf.schema import (
    Schema,
    Tree,
    entry_key,
    is_container,
    is_leaf_list,
    is_list,
    qualified,
)
from quoit.interfaces.restconf.tree import LAST, MISSING, Place, edited, lookup, merged, merged_entry, removing, setting
from quoit.interfaces.strict_json import shown

ROOT_MEMBER = "ietf-restconf:data"
READ_ONLY = "OPTIONS, HEAD, GET"


def methods_of(path: Path) -> str:
    """The Allow header of a data resource."""
    if not path:
        return "OPTIONS, HEAD, GET, POST, PUT, PATCH"
    node = path[-1].node
    if not node.config:
        return READ_ONLY
    whole_list = path[-1].keys is None and (is_list(node) or is_leaf_list(node))
    if whole_list:
        return READ_ONLY
    inner = is_container(node) or is_list(node)
    return "OPTIONS, HEAD, GET, " + ("POST, " if inner else "") + "PUT, PATCH, DELETE"


def check_writable(path: Path, method: str) -> None:
    """Raises 405 if the method does not go with what the path names."""
    allow = methods_of(path)
    if method not in allow.split(", "):
        what = "state" if path and not path[-1].node.config else "one without keys" if path else "the datastore"
        raise not_allowed(f"{method} does not go with this resource ({what})", allow)


def one_member(body: Tree) -> tuple[str, Any]:
    """The body's only member. Raises malformed-message."""
    if len(body) != 1:
        raise RestconfError("malformed-message", f"expected one member in the body, found {len(body)}", kind="protocol")
    return next(iter(body.items()))


def value_for(schema: Schema, path: Path, body: Tree) -> Any:
    """The canonical value that a body gives to the path's node: an entry, a leaf's value, an object."""
    name, value = one_member(body)
    wanted = qualified(path[-1].node) if path else ROOT_MEMBER
    if name != wanted:
        raise RestconfError("unknown-element", f"expected the body's member {wanted}, found {shown(name)}")
    if not path:
        if not isinstance(value, dict):
            raise bad_value(f"expected an object in {ROOT_MEMBER}", app_tag="invalid-type")
        return schema.canonical(value)
    step, at = path[-1], format_instance(path)
    value = schema.part(step.node, value, at)
    if step.keys is None:
        return value
    entry = _only_entry(step.node, value, at)
    if entry_key(step.node, entry) != step.keys:
        raise bad_value("the keys in the body are not those of the URI", at)
    return entry


def _only_entry(node: Any, value: Any, at: str) -> Any:
    if len(value) != 1:
        raise bad_value(f"expected one entry of {qualified(node)}, found {len(value)}", at)
    return value[0]


def new_child(schema: Schema, path: Path, body: Tree) -> tuple[Path, Any]:
    """The path and the value of what a POST to `path` makes."""
    name, value = one_member(body)
    parent = path[-1].node if path else schema.root
    node = schema.member(parent, name) if ":" in name else None
    at = format_instance(path) or None
    if node is None:
        raise RestconfError(
            "unknown-element", f"expected one child of the target as module:name, found {shown(name)}", path=at
        )
    if not node.config:
        raise bad_value(f"{name} is state and cannot be written", at)
    step = Step(node)
    value = schema.part(node, value, format_instance((*path, step)))
    if is_list(node) or is_leaf_list(node):
        value = _only_entry(node, value, format_instance((*path, step)))
        keys = entry_key(node, value)
        if not keys:
            raise bad_value(f"{name} has no keys and cannot be configured", format_instance((*path, step)))
        step = Step(node, keys)
    return (*path, step), value


def place_of(schema: Schema, path: Path, query: Query) -> Place:
    """Where insert and point put the path's entry. Raises invalid-value if its list is not ordered by the user."""
    if not query.has_insert:
        return LAST
    node = path[-1].node
    if not (is_list(node) or is_leaf_list(node)) or not node.user_ordered:
        raise bad_value("insert goes with lists that are ordered by the user", format_instance(path))
    if query.point is None:
        return Place(query.insert)
    point = parse_resource(schema, query.point.lstrip("/")).path
    if not point or point[:-1] != path[:-1] or point[-1].node is not node or point[-1].keys is None:
        raise bad_value("point must name an entry of the same list", format_instance(path))
    return Place(query.insert, point[-1].keys)


def _must_exist(tree: Tree, path: Path) -> None:
    """A container without presence is there as soon as what it is in is (RFC 7950 cl. 7.5.1)."""
    upper = path
    while upper and is_container(upper[-1].node) and not upper[-1].node.presence and upper[-1].keys is None:
        upper = upper[:-1]
    if upper and lookup(tree, upper) is MISSING:
        raise not_found("there is no such resource", format_instance(path))


def created(tree: Tree, path: Path, value: Any, place: Place) -> dict[str, Any]:
    """POST: the tree with a new node. Raises data-exists."""
    _must_exist(tree, path[:-1])
    if lookup(tree, path) is not MISSING:
        raise RestconfError("data-exists", "it is there already", path=format_instance(path))
    return edited(tree, path, setting(value, place))


def replaced(tree: Tree, path: Path, value: Any, place: Place) -> Tree:
    """PUT: the tree with the node as given, made if it was not there."""
    if not path:
        new: Tree = value
        return new
    return edited(tree, path, setting(value, place))


def patched(schema: Schema, tree: Tree, path: Path, value: Any) -> Tree:
    """PATCH: the tree with `value` merged into the node, which must be there."""
    if not path:
        whole: Tree = merged(schema, schema.root, tree, value)
        return whole
    _must_exist(tree, path)
    step, old = path[-1], lookup(tree, path)
    if old is MISSING:
        new = value
    elif step.keys is not None and is_list(step.node):
        new = merged_entry(schema, step.node, old, value)
    elif step.keys is None:
        new = merged(schema, step.node, old, value)
    else:
        new = value
    return edited(tree, path, setting(new))


def deleted(tree: Tree, path: Path) -> dict[str, Any]:
    """DELETE: the tree without the node. Raises 404."""
    if lookup(tree, path) is MISSING:
        raise not_found("there is no such resource", format_instance(path))
    return edited(tree, path, removing)
