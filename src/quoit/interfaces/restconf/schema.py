"""The schema of a server's modules, as the other files here ask about it; a thin layer over yangson.

Data is held as RFC 7951 JSON values ("raw" in yangson's words) in canonical form: members named as RFC 7951 cl. 4
says, dictionaries and lists that nobody changes. yangson is asked what the schema is and whether data is valid.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import InvalidOperation
from functools import lru_cache
from typing import Any

from yangson.enumerations import ContentType, ValidationScope
from yangson.exceptions import RawMemberError, RawTypeError, ValidationError, YangsonException
from yangson.schemanode import (
    AnyContentNode,
    CaseNode,
    ChoiceNode,
    ContainerNode,
    InternalNode,
    LeafListNode,
    LeafNode,
    ListNode,
    NotificationNode,
    RpcActionNode,
    TerminalNode,
)

from quoit.interfaces.restconf.errors import RestconfError, bad_value
from quoit.interfaces.restconf.lexical import check_key, check_value
from quoit.interfaces.restconf.library import ModuleSet
from quoit.interfaces.strict_json import shown

Tree = Mapping[str, Any]
"""A data tree, or a part of one that is an object."""

_UNFIT = (AttributeError, TypeError, ValueError, KeyError, IndexError, InvalidOperation, OverflowError)
"""What yangson's types raise for values of a wrong JSON type."""


def is_list(node: Any) -> bool:
    return isinstance(node, ListNode)


def is_leaf_list(node: Any) -> bool:
    return isinstance(node, LeafListNode)


def is_leaf(node: Any) -> bool:
    return isinstance(node, LeafNode)


def is_container(node: Any) -> bool:
    return isinstance(node, ContainerNode)


def is_any(node: Any) -> bool:
    """anydata or anyxml: what is inside has no schema here."""
    return isinstance(node, AnyContentNode)


def qualified(node: Any) -> str:
    """module:name"""
    return f"{node.ns}:{node.name}"


@lru_cache(maxsize=65_536)
def keys_of(node: Any) -> tuple[str, ...]:
    """Member names of a list's keys; empty if it has none."""
    return tuple(node.get_data_child(*key).iname() for key in node.keys)


@lru_cache(maxsize=65_536)
def member_of(node: Any) -> str:
    """The node's name as a member of its parent's object."""
    return str(node.iname())


@lru_cache(maxsize=65_536)
def rivals_of(node: Any) -> frozenset[str]:
    """Members of the same object that belong to other cases of a choice that the node is in."""
    found: set[str] = set()
    below, above = node, node.parent
    while isinstance(above, (ChoiceNode, CaseNode)):
        if isinstance(above, ChoiceNode):
            for case in above.children:
                if case is not below:
                    mine = case.data_children() if isinstance(case, CaseNode) else [case]
                    found.update(str(child.iname()) for child in mine)
        below, above = above, above.parent
    return frozenset(found)


def entry_key(node: Any, entry: Any) -> tuple[Any, ...]:
    """What tells a list's or leaf-list's entry from the others."""
    if is_leaf_list(node):
        return (entry,)
    return tuple(entry.get(key) for key in keys_of(node))


def key_text(value: Any) -> str:
    """A key's JSON value as the text that stands in paths."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


class Schema:
    """The schema of a set of modules. Validation is yangson's, its complaints become `RestconfError`."""

    def __init__(self, modules: ModuleSet) -> None:
        self.modules = modules
        self._model = modules.load()
        self.root: Any = self._model.schema

    # -- names -----------------------------------------------------------------------------------------

    def child(self, parent: Any, name: str, module: str | None) -> Any | None:
        """The data node `name` of `parent`, through choices; `module` may be left out if it is the parent's."""
        return parent.get_data_child(name, module or (parent.ns if parent is not self.root else None))

    def member(self, parent: Any, member: str) -> Any | None:
        """The data node that a member of the parent's object stands for."""
        module, colon, name = member.rpartition(":")
        if parent is self.root and not colon:
            return None
        return self.child(parent, name, module or None)

    def operations(self) -> Iterator[Any]:
        """RPC operations of all implemented modules."""
        return (child for child in self.root.children if isinstance(child, RpcActionNode))

    def operation(self, name: str) -> Any | None:
        """The operation called module:name."""
        return next((node for node in self.operations() if qualified(node) == name), None)

    def action(self, parent: Any, name: str, module: str | None) -> Any | None:
        """The action `name` of a data node."""
        for child in getattr(parent, "children", ()):
            if isinstance(child, RpcActionNode) and child.name == name and module in (None, child.ns):
                return child
        return None

    def notification(self, name: str) -> Any | None:
        """The notification called module:name."""
        for child in self.root.children:
            if isinstance(child, NotificationNode) and qualified(child) == name:
                return child
        return None

    # -- values ----------------------------------------------------------------------------------------

    def parse_key(self, node: Any, text: str, path: str) -> Any:
        """The canonical JSON value of a leaf's or leaf-list's text. Raises invalid-value."""
        check_key(node.type, text, path)
        try:
            value = node.type.parse_value(text)
            if value is not None and value in node.type:
                return node.type.to_raw(value)
        except (*_UNFIT, YangsonException):
            pass
        raise bad_value(f"{shown(text)} is no {node.type.yang_type()} that {qualified(node)} may have", path)

    def canonical(self, tree: Tree) -> dict[str, Any]:
        """The data tree in canonical form; names and types are checked, nothing else. Raises RestconfError."""
        cooked = self._cook(tree)
        self._check_types(cooked)
        return _raw(cooked)

    def part(self, node: Any, value: Any, path: str) -> Any:
        """A node's value (of a list: the list) in canonical form; names and types are checked, nothing else."""
        value = self._strict(node, value, path)
        try:
            instance = node.orphan_instance(value)
            self._check_types(instance)
            return instance.raw_value()
        except RestconfError as fault:
            raise RestconfError(fault.tag, fault.message, path=path, app_tag=fault.app_tag) from None
        except YangsonException as fault:
            error = self._of_raw_fault(fault)
            raise RestconfError(error.tag, error.message, path=path, app_tag=error.app_tag) from None
        except _UNFIT as fault:
            raise bad_value(f"a value does not fit its type: {shown(str(fault))}", path, "invalid-type") from None

    def validated(self, config: Tree) -> dict[str, Any]:
        """A configuration in canonical form, if it is valid as a whole (RFC 7950 cl. 8.1)."""
        cooked = self._cook(config)
        self._validate(cooked, ContentType.config)
        return _raw(cooked)

    def check_all(self, tree: Tree) -> None:
        """Raises RestconfError if configuration and state together are not valid."""
        self._validate(self._cook(tree), ContentType.all)

    def fragment(self, operation: Any, part: str, body: Tree) -> dict[str, Any]:
        """Input or output of an operation, or content of a notification (`part` ""), canonical and valid."""
        name = qualified(operation)
        content = self._strict(operation, {f"{operation.ns}:{part}": body} if part else dict(body), f"/{name}")
        try:
            cooked = self._model.from_raw(dict(content), name)
        except YangsonException as fault:
            raise self._of_raw_fault(fault) from None
        except _UNFIT as fault:
            raise bad_value(f"the content of {name} does not fit its types: {shown(str(fault))}") from None
        try:
            self._validate(cooked, ContentType.all)
        except RestconfError as fault:
            if fault.tag != "data-missing" or fault.app_tag != "missing-data":
                raise
            raise RestconfError("missing-element", fault.message, path=fault.path) from None
        raw = _raw(cooked)
        if part:
            return dict(raw.get(f"{operation.ns}:{part}", {}))
        return {member.removeprefix(f"{operation.ns}:"): value for member, value in raw.items()}

    def with_defaults(self, tree: Tree, *, config_only: bool) -> dict[str, Any]:
        """The tree with all values that hold by default."""
        cooked = self._cook(tree)
        return _raw(cooked.add_defaults(ContentType.config if config_only else ContentType.all))

    # -- yangson's words -------------------------------------------------------------------------------

    def _strict(self, node: Any, value: Any, path: str) -> Any:
        """The value without empty lists, which are no instances; its text is checked, and that entries have their keys:
        yangson would pass over an entry without any member. It checks all else."""
        if isinstance(value, Mapping):
            if is_list(node) and (lacking := [k for k in keys_of(node) if k not in value]):
                raise RestconfError("missing-element", f"an entry lacks its key {lacking[0]}", path=path or None)
            kept: dict[str, Any] = {}
            for name, inside in value.items():
                child = self.member(node, name) if isinstance(node, InternalNode) else None
                if child is not None and not is_any(child):
                    if inside == [] and (is_list(child) or is_leaf_list(child)):
                        continue
                    inside = self._strict(child, inside, f"{path.rstrip('/')}/{name}")
                kept[name] = inside
            return kept
        if isinstance(value, list):
            return [self._strict(node, inside, path) for inside in value]
        if isinstance(node, TerminalNode):
            check_value(node.type, value, path)
        return value

    def _cook(self, tree: Tree) -> Any:
        tree = self._strict(self.root, tree, "")
        try:
            return self._model.from_raw(dict(tree))
        except YangsonException as fault:
            raise self._of_raw_fault(fault) from None
        except _UNFIT as fault:
            raise bad_value(f"a value does not fit its type: {shown(str(fault))}") from None

    def _validate(self, cooked: Any, content: ContentType) -> None:
        try:
            cooked.validate(ValidationScope.all, content)
        except ValidationError as fault:
            raise _of_validation(fault) from None
        except (*_UNFIT, YangsonException) as fault:
            raise bad_value(f"a value does not fit its type: {shown(str(fault))}") from None

    def _check_types(self, instance: Any) -> None:
        """Types of all leaves. Data of a running device may lack what is mandatory (RFC 8342 cl. 5.3)."""
        node = instance.schema_node
        if isinstance(node, AnyContentNode):
            return
        if isinstance(instance.value, (dict, list)) and not (
            is_leaf_list(node) and not isinstance(instance.value, list)
        ):
            parts = instance if isinstance(instance.value, list) else (instance[name] for name in instance.value)
            for part in parts:
                self._check_types(part)
        elif isinstance(node, (LeafNode, LeafListNode)) and instance.value not in node.type:
            raise bad_value(
                f"{shown(str(instance.value))} is no {node.type.yang_type()} that {qualified(node)} may have",
                _route(instance),
                "invalid-type",
            )

    def _of_raw_fault(self, fault: YangsonException) -> RestconfError:
        path = getattr(fault, "path", None)
        if isinstance(fault, RawMemberError):
            return RestconfError(
                "unknown-element", f"the schema has nothing at {shown(str(path))}", path=_pointer(path)
            )
        if isinstance(fault, RawTypeError):
            return bad_value(f"expected {fault.message.removeprefix('expected ')}", _pointer(path), "invalid-type")
        return RestconfError("bad-attribute", f"metadata cannot be used: {shown(str(fault))}")


def _raw(cooked: Any) -> dict[str, Any]:
    raw: dict[str, Any] = cooked.raw_value()
    return raw


def _pointer(path: object) -> str | None:
    """yangson's pointer into raw data (`/m:a/b=key/c`) as an instance-identifier as far as the entries' keys allow."""
    text = str(path or "")
    return re.sub(r"=[^/]*", "", text) if text.startswith("/") else None


def _route(instance: Any) -> str:
    return str(instance.instance_route())


_SAID = {
    "missing-data": ("data-missing", "missing-data"),
    "list-key-missing": ("missing-element", None),
    "too-few-elements": ("operation-failed", "too-few-elements"),
    "too-many-elements": ("operation-failed", "too-many-elements"),
    "repeated-leaf-list-value": ("bad-element", "repeated-leaf-list-value"),
    "non-unique-key": ("bad-element", "non-unique-key"),
    "instance-required": ("data-missing", "instance-required"),
}
"""RFC 7950 cl. 15 gives tag and app-tag for each of these."""


def _of_validation(fault: ValidationError) -> RestconfError:
    said = str(fault.tag or "")
    path = _route(fault.instance)
    if said.endswith("member-not-allowed"):
        return RestconfError("unknown-element", f"{shown(str(fault.message))} is not allowed here now", path=path)
    if said.startswith("data-not-unique"):
        return RestconfError("operation-failed", "not unique among its list", path=path, app_tag="data-not-unique")
    tag, app_tag = _SAID.get(said, ("", None))
    if tag:
        return RestconfError(tag, fault.message or said, path=path, app_tag=app_tag)
    if type(fault).__name__ == "SemanticError":
        return RestconfError(
            "operation-failed",
            fault.message or "a must condition does not hold",
            path=path,
            app_tag=said or "must-violation",
        )
    return bad_value(fault.message or said or "does not fit its type", path, said or None)
