"""Where values become secret: the places of the product that this search listens at, from outside.

Nothing in the product knows of it. A function is wrapped when its module is imported, in the process of the tests and
in every Python process that they start (`child/sitecustomize.py`).
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from quoit.testing.leaks.prints import is_text

Taker = Callable[[bytes | bytearray | Path], None]
"""Called with a secret, or with the path of a file that is read as one."""


class Source(NamedTuple):
    """A function, and which secrets a call of it shows: from its arguments (self first) and its result."""

    name: str
    shows: Callable[[tuple[Any, ...], dict[str, Any], Any], Iterable[Any]]


def _first(arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> Iterable[Any]:
    return (*arguments[:1], *named.values())


def _made_of(arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> Iterable[Any]:
    """Key is never text: what is came from a test, words included, and would be found everywhere."""
    given = (*arguments[1:2], *named.values())
    return (value for value in given if isinstance(value, bytes | bytearray) and not is_text(value))


def _file(arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> Iterable[Any]:
    return (*arguments, *named.values(), result)


def _root(arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> Iterable[Any]:
    return (arguments[0].root,)


def _private_number(arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> Iterable[Any]:
    number: int = arguments[0].private_numbers().private_value
    return (number.to_bytes(-(-arguments[0].key_size // 8), "big"),)


SOURCES: Mapping[str, Sequence[Source]] = {
    "quoit.model.secret": (Source("Secret.__init__", _made_of),),
    "quoit.adapters.crypto.kek": (
        Source("must_be_a_data_key", _first),  # every key-encryption key asks it before it wraps
        Source("read_secret_file", _file),  # key-encryption keys, PINs, tokens
    ),
    "quoit.adapters.crypto.pki": (Source("_key_pem", _private_number),),
    "quoit.scenario.assemble": (Source("Parts.__init__", _root),),
}
"""Each module of the product where bytes become secret."""


def listen(take: Taker) -> Callable[[], None]:
    """Have `take` called with each value that becomes a secret from now on. Returns what ends it."""
    undo: list[Callable[[], None]] = []

    def attach(module: ModuleType) -> None:
        undo.extend(_wrap(module, source, take) for source in SOURCES[module.__name__])

    watcher = _Watcher(attach)
    for name in SOURCES:
        if name in sys.modules:
            attach(sys.modules[name])
    sys.meta_path.insert(0, watcher)

    def end() -> None:
        sys.meta_path.remove(watcher)
        for one in reversed(undo):
            one()

    return end


def _wrap(module: ModuleType, source: Source, take: Taker) -> Callable[[], None]:
    *path, last = source.name.split(".")
    owner: Any = functools.reduce(getattr, path, module)
    inner = getattr(owner, last)

    @functools.wraps(inner)
    def outer(*arguments: Any, **named: Any) -> Any:
        result = inner(*arguments, **named)
        for value in source.shows(arguments, named, result):
            if isinstance(value, bytes | bytearray | Path):
                take(value)
        return result

    setattr(owner, last, outer)
    return lambda: setattr(owner, last, inner)


class _Watcher(importlib.abc.MetaPathFinder):
    """Calls back when one of the modules of `SOURCES` has been imported."""

    def __init__(self, attach: Callable[[ModuleType], None]) -> None:
        self._attach = attach
        self._busy: set[str] = set()

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in SOURCES or name in self._busy:
            return None
        self._busy.add(name)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._busy.discard(name)
        if spec is not None and spec.loader is not None:
            execute, attach = spec.loader.exec_module, self._attach

            def exec_module(module: ModuleType) -> None:
                execute(module)
                attach(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
