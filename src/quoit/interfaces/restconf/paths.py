"""Paths into a data tree: resource identifiers (RFC 8040 cl. 3.5.3) and instance-identifiers (RFC 7951 cl. 6.11)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from quoit.interfaces.restconf.errors import RestconfError, bad_value, not_found
from quoit.interfaces.restconf.schema import Schema, is_leaf_list, is_list, key_text, keys_of, member_of, qualified
from quoit.interfaces.strict_json import shown

MAX_STEPS = 32
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NAME = re.compile(r"(?:([A-Za-z_][A-Za-z0-9_.-]*):)?([A-Za-z_][A-Za-z0-9_.-]*)\Z")
_PREDICATE = re.compile(r"\[\s*([^\s=\]]+)\s*=\s*(?:'([^']*)'|\"([^\"]*)\")\s*\]")


class Step(NamedTuple):
    """One node of a path. `keys`: canonical JSON values that pick a list's entry, or the one value of a leaf-list."""

    node: Any
    keys: tuple[Any, ...] | None = None


Path = tuple[Step, ...]


class Target(NamedTuple):
    """What a resource identifier names: data, or an action of it."""

    path: Path
    action: Any | None = None


def decoded(text: str) -> str:
    """One part of a URI's path without its percent-encoding. Raises malformed-message."""
    if _BAD_ESCAPE.search(text):
        raise RestconfError("malformed-message", f"{shown(text)} has a % without two hex digits", kind="protocol")
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise RestconfError("malformed-message", f"{shown(text)} is not UTF-8 once decoded", kind="protocol") from None


def parse_resource(schema: Schema, text: str) -> Target:
    """The target that `text` names, below {root}/data or a datastore; "" is the datastore itself.

    Raises RestconfError: 404 for names that the schema lacks, 400 for keys that do not fit.
    """
    if not text:
        return Target(())
    segments = text.split("/")
    if len(segments) > MAX_STEPS:
        raise bad_value(f"the path has more than {MAX_STEPS} steps")
    steps: list[Step] = []
    parent = schema.root
    for place, segment in enumerate(segments):
        name, equals, keys = segment.partition("=")
        found = _NAME.match(decoded(name))
        at = format_instance(steps) or None
        if found is None:
            raise bad_value(f"{shown(name)} is no name of a data node", at)
        module, local = found.groups()
        if not steps and module is None:
            raise bad_value(f"write the first name with its module, as in module:{local}", at)
        node = schema.child(parent, local, module)
        if node is None:
            action = schema.action(parent, local, module) if steps and not equals else None
            if action is not None and place == len(segments) - 1:
                return Target(tuple(steps), action)
            raise not_found(f"the schema has no {shown(decoded(name))} here", at)
        if steps and is_list(steps[-1].node) and steps[-1].keys is None:
            raise bad_value(f"name the entry of {qualified(steps[-1].node)} by its keys before going on", at)
        steps.append(_step(schema, node, keys if equals else None, at))
        parent = node
    return Target(tuple(steps))


def _step(schema: Schema, node: Any, keys: str | None, at: str | None) -> Step:
    if keys is None:
        return Step(node)
    if is_leaf_list(node):
        return Step(node, (schema.parse_key(node, decoded(keys), at or "/"),))
    if not is_list(node):
        raise bad_value(f"{qualified(node)} is no list and has no keys", at)
    names = keys_of(node)
    values = keys.split(",")
    if not names or len(values) != len(names):
        raise bad_value(
            f"expected {len(names)} keys of {qualified(node)} ({', '.join(names)}), found {len(values)}", at
        )
    leaves = [schema.member(node, name) for name in names]
    parsed = (schema.parse_key(leaf, decoded(v), at or "/") for leaf, v in zip(leaves, values, strict=True))
    return Step(node, tuple(parsed))


def format_resource(path: Iterable[Step]) -> str:
    """The resource identifier of a path, percent-encoded, without a leading slash."""
    parts = []
    for place, step in enumerate(path):
        name = qualified(step.node) if place == 0 else member_of(step.node)
        if step.keys is not None:
            name += "=" + ",".join(quote(key_text(value), safe="") for value in step.keys)
        parts.append(name)
    return "/".join(parts)


def _quoted(text: str) -> str:
    return f'"{text}"' if "'" in text else f"'{text}'"


def format_instance(path: Iterable[Step]) -> str:
    """The instance-identifier of a path; "" for no path."""
    text = ""
    for place, step in enumerate(path):
        text += "/" + (qualified(step.node) if place == 0 else member_of(step.node))
        if step.keys is not None:
            names = (".",) if is_leaf_list(step.node) else keys_of(step.node)
            values = (_quoted(key_text(value)) for value in step.keys)
            text += "".join(f"[{name}={value}]" for name, value in zip(names, values, strict=True))
    return text


def parse_instance(schema: Schema, text: str) -> Path:
    """The path that an instance-identifier names; its lists may also stand without keys, for all their entries, and the
    first name may be a notification's.

    Raises invalid-value for what is not understood: of XPath, only this form is.
    """
    steps: list[Step] = []
    parent, rest = schema.root, text.strip()
    if not rest.startswith("/"):
        raise bad_value(f"expected an absolute path such as /module:name, found {shown(text)}")
    while rest:
        head = re.match(r"/([A-Za-z_][\w.:-]*)", rest, re.ASCII)
        found = _NAME.match(head.group(1)) if head else None
        if head is None or found is None or len(steps) >= MAX_STEPS:
            raise bad_value(f"{shown(rest)} is outside the paths that are understood here")
        node = schema.child(parent, found.group(2), found.group(1)) if steps or found.group(1) else None
        if node is None and not steps:
            node = schema.notification(head.group(1))
        if node is None:
            raise bad_value(f"the schema has no {shown(head.group(1))} in {shown(text)}")
        rest = rest[head.end() :]
        wanted: dict[str, str] = {}
        while (predicate := _PREDICATE.match(rest)) is not None:
            name, single, double = predicate.groups()
            wanted[name] = single if single is not None else double
            rest = rest[predicate.end() :]
        steps.append(Step(node, _predicate_keys(schema, node, wanted)))
        parent = node
    return tuple(steps)


def _predicate_keys(schema: Schema, node: Any, wanted: dict[str, str]) -> tuple[Any, ...] | None:
    if not wanted:
        return None
    names = (".",) if is_leaf_list(node) else keys_of(node) if is_list(node) else ()
    if set(wanted) != set(names):
        raise bad_value(f"expected predicates for {', '.join(names) or 'nothing'} of {qualified(node)}")
    leaves = [node if name == "." else schema.member(node, name) for name in names]
    return tuple(schema.parse_key(leaf, wanted[name], "/") for leaf, name in zip(leaves, names, strict=True))
