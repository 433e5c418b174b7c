"""`quoit yang`: which modules there are, their texts, and whether a JSON instance is valid."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from quoit.cli import show
from quoit.interfaces.restconf.errors import RestconfError
from quoit.interfaces.restconf.library import Module, ModuleSet, YangError, read_directory, shipped, shipped_module
from quoit.interfaces.restconf.schema import Schema
from quoit.interfaces.strict_json import decode_object
from quoit.model.problem import Problem

MAX_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 128
_QUALIFIED = re.compile(r"@?([A-Za-z_][A-Za-z0-9_.-]*):[A-Za-z_]")


def _known(directories: Sequence[Path]) -> dict[str, Module]:
    known = {name: module for name in shipped() if (module := shipped_module(name)) is not None}
    try:
        for directory in reversed(directories):
            known.update(read_directory(directory))
    except YangError as fault:
        raise show.UserError(str(fault)) from None
    return known


def list_all(directories: Sequence[Path], json: bool) -> int:
    """All modules: those of quoit and those in the directories."""
    modules = sorted(_known(directories).values(), key=lambda m: m.name)
    if json:
        show.json_line([{"name": m.name, "revision": m.revision, "namespace": m.namespace} for m in modules])
        return 0
    table = Table(title="YANG modules", title_justify="left")
    for title in ("name", "revision", "namespace"):
        table.add_column(title, overflow="fold")
    for m in modules:
        table.add_row(m.name, m.revision or "-", m.namespace)
    show.out().print(table)
    return 0


def print_one(name: str, directories: Sequence[Path]) -> int:
    """A module's text on standard output, as it is loaded."""
    known = _known(directories)
    if name not in known:
        raise show.UserError(f"{name}: no such module; `quoit yang` lists those here, --path DIR adds others")
    sys.stdout.write(known[name].text)
    return 0


def check_file(file: Path, directories: Sequence[Path], config: bool, json: bool) -> int:
    """Whether the instance in a file (RFC 7951) is valid: as configuration, or with all its state."""
    if not file.exists():
        raise show.UserError(f"{file}: no such file")
    if file.stat().st_size > MAX_BYTES:
        raise show.UserError(f"{file}: larger than {MAX_BYTES} bytes")
    try:
        instance = decode_object(file.read_bytes(), MAX_DEPTH)
    except Problem as fault:
        raise show.UserError(f"{file}: expected a JSON object with a data tree: {fault.detail}") from None
    known = _known(directories)
    named = sorted({name for name in _modules_in(instance) if name in known})
    if not named:
        raise show.UserError(f"{file}: none of its members names a module known here; --path DIR adds modules")
    found = _fault(instance, named, directories, config)
    if json:
        show.json_line({"file": str(file), "modules": named, "valid": found is None, "error": found and found.body()})
    elif found is None:
        print(f"{file}: valid {'configuration' if config else 'data'} of {', '.join(named)}")
    else:
        app_tag = f" ({found.app_tag})" if found.app_tag else ""
        print(f"{file}: not valid\n  at {found.path or '/'}\n  {found.tag}{app_tag}: {found.message}")
    return 0 if found is None else 1


def _fault(
    instance: Mapping[str, Any], named: Sequence[str], directories: Sequence[Path], config: bool
) -> RestconfError | None:
    try:
        schema = Schema(ModuleSet.of(named, directories, base=()))
        if config:
            schema.validated(instance)
        else:
            schema.check_all(instance)
    except YangError as fault:
        raise show.UserError(str(fault)) from None
    except RestconfError as fault:
        return fault
    return None


def _modules_in(value: Any) -> Iterator[str]:
    """Names that stand before a colon in members and in values, where identities have them."""
    if isinstance(value, dict):
        for name, inside in value.items():
            yield from _modules_in(name)
            yield from _modules_in(inside)
    elif isinstance(value, list):
        for inside in value:
            yield from _modules_in(inside)
    elif isinstance(value, str) and (found := _QUALIFIED.match(value)) is not None:
        yield found.group(1)
