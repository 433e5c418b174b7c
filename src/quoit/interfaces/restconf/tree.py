"""Reading and changing data trees without changing them: each change gives a new tree that shares what is alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from quoit.interfaces.restconf.errors import bad_value, not_found
from quoit.interfaces.restconf.paths import Path, Step, format_instance
from quoit.interfaces.restconf.schema import (
    Schema,
    Tree,
    entry_key,
    is_any,
    is_container,
    is_leaf_list,
    is_list,
    keys_of,
    member_of,
    rivals_of,
)


class _Missing:
    def __bool__(self) -> bool:
        return False


MISSING = _Missing()
"""What `lookup` gives if there is nothing; JSON has no such value."""


class Place(NamedTuple):
    """Where a new entry of a list that is ordered by the user goes (RFC 8040 cl. 4.8.5, 4.8.6)."""

    where: str = "last"
    point: tuple[Any, ...] | None = None


LAST = Place()


def index_of(node: Any, entries: Sequence[Any], keys: tuple[Any, ...]) -> int | None:
    """Where the entry with these keys is."""
    return next((i for i, entry in enumerate(entries) if entry_key(node, entry) == keys), None)


def lookup(tree: Tree, path: Path) -> Any:
    """What is at `path`, or MISSING: a list's entry, a list without keys, a value."""
    value: Any = tree
    for step in path:
        if not isinstance(value, Mapping):
            return MISSING
        value = value.get(member_of(step.node), MISSING)
        if value is MISSING:
            return MISSING
        if step.keys is not None:
            index = index_of(step.node, value, step.keys)
            if index is None:
                return MISSING
            value = value[index]
    return value


Change = Callable[[Tree, Step], dict[str, Any]]


def edited(tree: Tree, path: Path, change: Change, done: Path = ()) -> dict[str, Any]:
    """The tree with `change` made to the object that holds the path's last node.

    Containers without presence on the way are made; anything else that is missing there is a 404.
    """
    step, rest = path[0], path[1:]
    if not rest:
        return change(tree, step)
    name, done = member_of(step.node), (*done, step)
    if step.keys is not None:
        entries = tree.get(name, [])
        index = index_of(step.node, entries, step.keys)
        if index is None:
            raise not_found("what the path goes through is not there", format_instance(done))
        inner = edited(entries[index], rest, change, done)
        return {**tree, name: [*entries[:index], inner, *entries[index + 1 :]]}
    inside = tree.get(name, MISSING)
    if inside is MISSING:
        if step.node.presence:
            raise not_found("what the path goes through is not there", format_instance(done))
        inside = {}
    return {**_without_rivals(tree, step.node), name: edited(inside, rest, change, done)}


def setting(value: Any, place: Place = LAST) -> Change:
    """A change that sets the node to `value`, or puts an entry in at `place`."""

    def change(parent: Tree, step: Step) -> dict[str, Any]:
        kept, name = _without_rivals(parent, step.node), member_of(step.node)
        if step.keys is None:
            return {**kept, name: value}
        entries = list(kept.get(name, []))
        index = index_of(step.node, entries, step.keys)
        if index is None:
            entries.insert(_position(step.node, entries, place), value)
        elif place == LAST:
            entries[index] = value
        else:
            del entries[index]
            entries.insert(_position(step.node, entries, place), value)
        return {**kept, name: entries}

    return change


def removing(parent: Tree, step: Step) -> dict[str, Any]:
    """A change that takes the node away; an emptied list goes with its last entry."""
    name = member_of(step.node)
    left = {k: v for k, v in parent.items() if k != name}
    if step.keys is None:
        return left
    entries = [e for e in parent.get(name, []) if entry_key(step.node, e) != step.keys]
    return {**left, name: entries} if entries else left


def _position(node: Any, entries: list[Any], place: Place) -> int:
    if place.where in ("first", "last"):
        return 0 if place.where == "first" else len(entries)
    index = index_of(node, entries, place.point or ())
    if index is None:
        # RFC 7950 cl. 15.7
        raise bad_value("the entry that point names is not there", app_tag="missing-instance")
    return index if place.where == "before" else index + 1


def _without_rivals(tree: Tree, node: Any) -> dict[str, Any]:
    rivals = rivals_of(node)
    return {k: v for k, v in tree.items() if k not in rivals} if rivals else dict(tree)


def merged(schema: Schema, node: Any, old: Any, new: Any) -> Any:
    """`old` with all of `new` in it: lists by their keys, leaf-lists as sets. `node` may be the schema's root."""
    if node is schema.root or is_container(node):
        return _merged_members(schema, node, old, new)
    if is_leaf_list(node):
        return [*old, *(value for value in new if value not in old)]
    if is_list(node) and keys_of(node):
        entries = list(old)
        places = {entry_key(node, entry): i for i, entry in enumerate(entries)}
        for entry in new:
            index = places.get(entry_key(node, entry))
            if index is None:
                entries.append(entry)
            else:
                entries[index] = _merged_members(schema, node, entries[index], entry)
        return entries
    return new


def merged_entry(schema: Schema, node: Any, old: Tree, new: Tree) -> dict[str, Any]:
    """One entry of a list with all of another in it."""
    return _merged_members(schema, node, old, new)


def _merged_members(schema: Schema, node: Any, old: Tree, new: Tree) -> dict[str, Any]:
    result = dict(old)
    for name, value in new.items():
        child = schema.member(node, name)
        if child is not None:
            result = _without_rivals(result, child)
        result[name] = merged(schema, child, result[name], value) if name in result and child is not None else value
    return result


class Edit(NamedTuple):
    """One difference of two trees: `operation` is create, delete or replace."""

    operation: str
    path: Path
    old: Any
    new: Any


def differences(schema: Schema, old: Tree, new: Tree, node: Any = None, path: Path = ()) -> Iterator[Edit]:
    """What leads from one tree to the other: entries of lists that came or went, leaves that changed."""
    node = schema.root if node is None else node
    for name in dict.fromkeys((*old, *new)):
        before, after = old.get(name, MISSING), new.get(name, MISSING)
        if before is after or before == after:
            continue
        child = schema.member(node, name)
        if child is None:
            continue
        if before is MISSING or after is MISSING or not _has_parts(child):
            if is_list(child) or is_leaf_list(child):
                yield from _entries(schema, child, before or [], after or [], path)
            else:
                word = "create" if before is MISSING else "delete" if after is MISSING else "replace"
                yield Edit(word, (*path, Step(child)), before, after)
        elif is_container(child):
            yield from differences(schema, before, after, child, (*path, Step(child)))
        else:
            yield from _entries(schema, child, before, after, path)


def _has_parts(node: Any) -> bool:
    return is_container(node) or is_list(node) or is_leaf_list(node)


def _entries(schema: Schema, node: Any, old: Sequence[Any], new: Sequence[Any], path: Path) -> Iterator[Edit]:
    if is_list(node) and not keys_of(node):
        yield Edit("replace" if old else "create", (*path, Step(node)), list(old), list(new))
        return
    before = {entry_key(node, entry): entry for entry in old}
    after = {entry_key(node, entry): entry for entry in new}
    for key, entry in before.items():
        if key not in after:
            yield Edit("delete", (*path, Step(node, key)), entry, MISSING)
    for key, entry in after.items():
        step = Step(node, key)
        if key not in before:
            yield Edit("create", (*path, step), MISSING, entry)
        elif is_list(node) and before[key] != entry:
            yield from differences(schema, before[key], entry, node, (*path, step))
    if getattr(node, "user_ordered", False) and list(before) != list(after) and set(before) == set(after):
        yield Edit("replace", (*path, Step(node)), list(old), list(new))


def count_nodes(value: Any) -> int:
    """Data nodes in a value, itself included."""
    if isinstance(value, Mapping):
        return 1 + sum(count_nodes(v) for v in value.values())
    if isinstance(value, list):
        return sum(count_nodes(v) for v in value)
    return 1


def nodes_in(schema: Schema, node: Any, value: Any) -> Iterator[Any]:
    """Schema nodes of a value and of all below it; a node may come more than once."""
    yield node
    if is_any(node) or not isinstance(value, (Mapping, list)):
        return
    for entry in value if isinstance(value, list) else (value,):
        if isinstance(entry, Mapping):
            for name, inside in entry.items():
                child = schema.member(node, name)
                if child is not None:
                    yield from nodes_in(schema, child, inside)
