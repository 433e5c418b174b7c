"""YANG Patch (RFC 8072): several edits in one request, in order, all or none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quoit.interfaces.restconf import edits
from quoit.interfaces.restconf.errors import RestconfError, bad_value, not_found
from quoit.interfaces.restconf.paths import Path, format_instance, format_resource, parse_resource
from quoit.interfaces.restconf.query import Query
from quoit.interfaces.restconf.schema import Schema, Tree, is_container, is_list
from quoit.interfaces.restconf.tree import LAST, MISSING, lookup
from quoit.interfaces.strict_json import shown

MAX_EDITS = 1_000
_VALUE = frozenset({"create", "insert", "merge", "replace"})
_WHERE = frozenset({"insert", "move"})
_OPERATIONS = _VALUE | {"delete", "move", "remove"}


class EditRefused(Exception):
    """One edit that could not be made, with its edit-id."""

    def __init__(self, edit_id: str, error: RestconfError) -> None:
        self.edit_id = edit_id
        self.error = error
        super().__init__(f"{edit_id}: {error}")


def parse_patch(schema: Schema, body: Tree, target: Path) -> tuple[str, Callable[[Tree], Tree]]:
    """The patch-id, and the change that its edits make together; the change raises `EditRefused`.

    Raises RestconfError for what is no YANG Patch.
    """
    name, patch = edits.one_member(body)
    if name != "ietf-yang-patch:yang-patch" or not isinstance(patch, dict):
        raise RestconfError(
            "malformed-message", f"expected ietf-yang-patch:yang-patch, found {shown(name)}", kind="protocol"
        )
    patch_id, rows = patch.get("patch-id"), patch.get("edit", [])
    if not isinstance(patch_id, str) or not isinstance(rows, list) or set(patch) - {"patch-id", "comment", "edit"}:
        raise RestconfError("malformed-message", "expected a patch-id, and edit as a list", kind="protocol")
    if len(rows) > MAX_EDITS:
        raise RestconfError("too-big", f"a patch has {MAX_EDITS} edits at most")
    seen: set[str] = set()
    for row in rows:
        _check_row(row, seen)

    def change(tree: Tree) -> Tree:
        for row in rows:
            try:
                tree = _edited(schema, tree, target, row)
            except RestconfError as error:
                raise EditRefused(row["edit-id"], error) from error
        return tree

    return patch_id, change


def _check_row(row: Any, seen: set[str]) -> None:
    if not isinstance(row, dict) or not all(isinstance(row.get(k), str) for k in ("edit-id", "operation", "target")):
        raise RestconfError("missing-element", "each edit needs edit-id, operation and target", kind="protocol")
    known = {"edit-id", "operation", "target", "value", "where", "point"}
    operation = row["operation"]
    if operation not in _OPERATIONS or set(row) - known:
        raise bad_value(f"edit {shown(row['edit-id'])}: expected an operation of RFC 8072, found {shown(operation)}")
    if row["edit-id"] in seen:
        raise bad_value(f"edit-id {shown(row['edit-id'])} is there twice")
    seen.add(row["edit-id"])
    if ("value" in row) != (operation in _VALUE) or (not isinstance(row.get("value", {}), dict)):
        raise bad_value(f"edit {shown(row['edit-id'])}: value goes with {', '.join(sorted(_VALUE))}, as an object")
    if ("where" in row or "point" in row) and operation not in _WHERE:
        raise bad_value(f"edit {shown(row['edit-id'])}: where and point go with insert and move")


def _edited(schema: Schema, tree: Tree, target: Path, row: dict[str, Any]) -> Tree:
    path = _path_of(schema, target, row["target"])
    operation = row["operation"]
    if operation in ("delete", "remove"):
        if operation == "remove" and lookup(tree, path) is MISSING:
            return tree
        edits.check_writable(path, "DELETE")
        return edits.deleted(tree, path)
    if operation == "move":
        return _moved(schema, tree, path, row)
    edits.check_writable(path, "PUT")
    value = edits.value_for(schema, path, row["value"])
    if operation == "merge":
        return _merged(schema, tree, path, value)
    if operation == "replace":
        return edits.replaced(tree, path, value, LAST)
    place = edits.place_of(schema, path, _where(schema, target, row)) if operation == "insert" else LAST
    return edits.created(tree, path, value, place)


def _merged(schema: Schema, tree: Tree, path: Path, value: Any) -> Tree:
    """Merge, which unlike PATCH also makes what is not there (RFC 8072 cl. 2.5)."""
    if path and lookup(tree, path) is MISSING and not is_container(path[-1].node):
        return edits.created(tree, path, value, LAST)
    return edits.patched(schema, tree, path, value)


def _moved(schema: Schema, tree: Tree, path: Path, row: dict[str, Any]) -> Tree:
    value = lookup(tree, path)
    if value is MISSING or path[-1].keys is None:
        raise not_found("there is no such entry to move", format_instance(path))
    place = edits.place_of(schema, path, _where(schema, path, row))
    return edits.replaced(edits.deleted(tree, path), path, value, place)


def _where(schema: Schema, target: Path, row: dict[str, Any]) -> Query:
    where, point = row.get("where", "last"), row.get("point")
    if where not in ("first", "last", "before", "after") or (where in ("before", "after")) != isinstance(point, str):
        raise bad_value("expected where to be first or last, or before or after with a point")
    return Query(insert=where, point=point, has_insert=True)


def _path_of(schema: Schema, target: Path, text: str) -> Path:
    """A target below the request's own: its names count from there (RFC 8072 cl. 2.4); "/" is the target itself."""
    below = text.strip("/")
    if not text.startswith("/"):
        raise bad_value(f"expected an edit's target to begin with /, found {shown(text)}")
    if not below:
        return target
    if target and is_list(target[-1].node) and target[-1].keys is None:
        raise bad_value("name the entry by its keys before going on", format_instance(target))
    above = format_resource(target)
    found = parse_resource(schema, f"{above}/{below}" if above else below)
    if found.action is not None:
        raise bad_value("an action is no target of an edit", format_instance(found.path))
    return found.path


def status_of(patch_id: str, refused: EditRefused | None = None) -> dict[str, Any]:
    """The yang-patch-status of a patch: ok, or the edit that was refused."""
    status: dict[str, Any] = {"patch-id": patch_id}
    if refused is None:
        status["ok"] = [None]
    else:
        errors = refused.error.body()["ietf-restconf:errors"]
        status["edit-status"] = {"edit": [{"edit-id": refused.edit_id, "errors": errors}]}
    return {"ietf-yang-patch:yang-patch-status": status}
