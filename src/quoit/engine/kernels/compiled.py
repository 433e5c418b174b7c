"""The pair machine's functions as machine code: the same source, bound to the heap in arrays.

Numba keeps what it made on disk. The functions' names carry a digest of the source, so that no stale code is found.
"""

from __future__ import annotations

import dis
import functools
import hashlib
import inspect
import sys
import types
from collections.abc import Iterator
from typing import Any

import numba

from quoit.engine.kernels import heap_arrays, pairs, tables

OPTIONS: dict[str, Any] = {
    "cache": True,
    # Nothing here makes an array or keeps one. Counting references to all tables at each call took most of the time.
    "_nrt": False,
    "error_model": "numpy",
}

ENTRIES = ("run", "start", "at", "tries_at")
"""What is called from Python; the others are for each other."""

INLINED = (
    *("at", "pop", "attempt", "herald", "stored", "swap", "joined", "aged", "drop_pair", "new_serial"),
    *("begin_swap", "known", "grown", "ready_a", "ready_b", "deliver", "both_ends", "outcome", "free_a", "free_b"),
)
"""What is called most: its callers do it themselves."""


@functools.cache
def functions_of(kinds: tuple[tuple[str, Any], ...]) -> types.SimpleNamespace:
    """All functions, callees first, each for the one type that its annotations say: so that it is compiled once, and
    not anew for each constant that somebody passes."""
    known = dict(kinds)
    sources = (heap_arrays, pairs, tables, sys.modules[__name__])
    digest = hashlib.sha256("".join(map(inspect.getsource, sources)).encode()).hexdigest()[:16]
    machine = dict(vars(pairs))
    scopes = {pairs.__name__: machine, heap_arrays.__name__: dict(vars(heap_arrays))}
    made = types.SimpleNamespace()
    for function in in_order([*own(heap_arrays), *own(pairs)]):
        name = function.__name__
        bound = types.FunctionType(function.__code__, scopes[function.__module__], name)
        bound.__qualname__ = f"{name}_{digest}"
        signature = tuple(known[kind] for argument, kind in function.__annotations__.items() if argument != "return")
        jit: Any = numba.njit  # numba's stubs lack half of the options
        inner = name not in ENTRIES
        machine[name] = jit(
            [signature], forceinline=name in INLINED, no_cpython_wrapper=inner, no_cfunc_wrapper=True, **OPTIONS
        )(bound)
        setattr(made, name, machine[name])
    return made


def functions(m: tables.Tables) -> types.SimpleNamespace:
    """Functions for tables like these, by name."""
    typeof: Any = numba.typeof
    rows = {
        "CircuitRow": m.circuits,
        "PositionRow": m.positions,
        "HopRow": m.hops,
        "SlotRow": m.slots,
        "PairRow": m.pairs,
    }
    return functions_of(
        (
            ("int", numba.int64),
            ("float", numba.float64),
            ("bool", numba.boolean),
            ("Tables", typeof(m)),
            *((name, typeof(table).dtype) for name, table in rows.items()),
        )
    )


def own(module: types.ModuleType) -> Iterator[types.FunctionType]:
    """Functions that are written in the module."""
    for value in vars(module).values():
        if isinstance(value, types.FunctionType) and value.__module__ == module.__name__:
            yield value


def in_order(all_of_them: list[types.FunctionType]) -> list[types.FunctionType]:
    """Each after those that it calls."""
    by_name = {function.__name__: function for function in all_of_them}
    placed: dict[str, types.FunctionType] = {}

    def place(name: str) -> None:
        if name in by_name and name not in placed:
            for step in dis.get_instructions(by_name[name]):
                if step.opname == "LOAD_GLOBAL":  # an attribute may have a function's name
                    place(step.argval)
            placed[name] = by_name[name]

    for name in by_name:
        place(name)
    return list(placed.values())
