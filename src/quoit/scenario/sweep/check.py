"""Checking a sweep file: all faults at once, those of its base and of each value on its axes among them.

Every value is tried in the base with the other axes at their first. What only a combination of values does wrong is a
fault of its point, when that is run.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from quoit.scenario import yamlfile
from quoit.scenario.check import Fault, did_you_mean, examine, in_order, nearest, translate
from quoit.scenario.schema import NetworkFile
from quoit.scenario.sweep import chain, networks
from quoit.scenario.sweep.axes import Axis, PathFault, changed, located
from quoit.scenario.sweep.schema import MAX_RUNS, Base, Chain, Range, SweepFile, Values
from quoit.scenario.sweep.study import Study, seeds_of
from quoit.scenario.yamlfile import Document, Loc, Place


class SweepFileFaults(ValueError):
    """A sweep file that cannot be used; `faults` lists everything that is wrong with it."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


def is_sweep(path: Path) -> bool:
    """Whether a file calls itself a sweep; False for one that cannot be read."""
    try:
        values = yamlfile.read(path.read_text(encoding="utf-8")).values
    except (OSError, UnicodeDecodeError):
        return False
    return isinstance(values, dict) and "sweep" in values


def load(path: Path) -> Study:
    """Read and check a file. Raises `SweepFileFaults`, and OSError if it cannot be read."""
    study, faults = _Examination(path, path.read_text(encoding="utf-8")).result()
    if faults or study is None:
        raise SweepFileFaults(faults)
    return study


def check(path: Path) -> list[Fault]:
    """All faults of a file, in order of their place; empty if it can be used."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        return [Fault(str(path), Place(1, 1), (), f"cannot be read: {fault}")]
    return _Examination(path, text).result()[1]


def schema_text() -> str:
    """JSON Schema of the sweep file, as it is committed."""
    schema = SweepFile.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"


@dataclass
class _Given:
    """What the base is made from. `prefix`: where it stands in the sweep file; None for a network in its own file."""

    values: dict[str, Any]
    document: Document
    file: str
    prefix: Loc | None


@dataclass
class _Axis:
    axis: Axis
    listed: bool
    loc: Loc = field(default=())

    def place(self, number: int) -> Loc:
        """Where the value of that number stands in the sweep file."""
        return ("axes", self.axis.name, number) if self.listed else ("axes", self.axis.name)


_AXIS: TypeAdapter[Any] = TypeAdapter(Values)


class _Examination:
    def __init__(self, path: Path, text: str) -> None:
        self._file = str(path)
        self._path = path
        self._document = yamlfile.read(text)
        self._faults = [Fault(self._file, place, loc, what) for place, loc, what in self._document.faults]
        self._model: Chain | NetworkFile | None = None
        self._without: set[Loc] = set()

    def result(self) -> tuple[Study | None, list[Fault]]:
        """The study, if it has no faults, and the faults, those of this file first."""
        values = self._document.values
        if not self._faults and not isinstance(values, dict):
            self._add((), f"expected a mapping with the keys of a sweep, found {str(values)[:60]!r}")
        if self._faults:
            return None, in_order(self._faults)
        axes = self._well_formed_axes(values.get("axes"))
        file = self._sweep_file(values, axes)
        given = self._base(values.get("base"))
        names: list[str] = []
        if given is not None:
            leading = self._leading(axes, given)
            self._try_values(given, leading)
            names = self._figures(values.get("figures"), given.prefix is None)
        if file is not None:
            self._check_size(file, axes)
        if self._faults or file is None or given is None:
            key = lambda f: (f.file != self._file, f.place.line, f.place.column, f.text)  # noqa: E731
            return None, sorted(self._faults, key=key)
        plain, title = tuple(entry.axis for entry in axes), file.title or file.name
        return Study(file.name, title, seeds_of(file), given.values, plain, file.combine, tuple(names)), []

    def _add(self, loc: Loc, text: str) -> None:
        self._faults.append(Fault(self._file, nearest(self._document.places, loc), loc, text))

    # -- the file itself -----------------------------------------------------------------------------

    def _well_formed_axes(self, given: Any) -> list[_Axis]:
        """Those whose values can be told; faults of the others are the whole file's. What only follows from their
        absence in the base is no fault."""
        found = []
        for name, values in given.items() if isinstance(given, dict) else ():
            try:
                read = _AXIS.validate_python(values)
            except ValidationError:
                self._without.add(tuple(name.split(".")))
                continue
            if isinstance(read, Range):
                found.append(_Axis(Axis(name, read.values(), read.scale == "log"), listed=False))
            else:
                found.append(_Axis(Axis(name, tuple(read)), listed=True))
        return found

    def _sweep_file(self, values: dict[str, Any], axes: list[_Axis]) -> SweepFile | None:
        """The file by its schema, or None. What its chain lacks may come from an axis and is looked at later."""
        base = values.get("base")
        chained = isinstance(base, dict) and isinstance(base.get("chain"), dict)
        merged = values
        for entry in axes:
            if entry.axis.name == "until" or (chained and entry.axis.name.startswith("chain.")):
                with contextlib.suppress(PathFault):
                    loc = located(values["base"], entry.axis.name)
                    merged = changed(merged, ("base", *loc), entry.axis.values[0])
        try:
            return SweepFile.model_validate(merged)
        except ValidationError as found:
            for error in found.errors():
                where: Loc = error["loc"]
                if where[0] == "axes":  # without the name of the form that was tried
                    where = where[:2] + where[3:]
                if where[:2] == ("base", "chain") and chained:
                    continue
                told = {**error, "loc": where}
                self._faults.append(translate(self._file, self._document, told, SweepFile))
            return None

    def _check_size(self, file: SweepFile, axes: list[_Axis]) -> None:
        lengths = [len(entry.axis.values) for entry in axes]
        if file.combine == "zip" and len(set(lengths)) > 1:
            told = ", ".join(f"{entry.axis.name} {len(entry.axis.values)}" for entry in axes)
            self._add(("combine",), f"zip pairs the values of all axes: expected as many on each, found {told}")
            return
        runs = len(seeds_of(file)) * (prod(lengths) if file.combine == "product" else lengths[0])
        if runs > MAX_RUNS:
            self._add(("axes",), f"expected at most {MAX_RUNS} runs, found {runs}: take fewer values or seeds")

    def _figures(self, given: Any, of_a_network: bool) -> list[str]:
        """Names of the figures to keep. Of a network that is not whole nobody knows them."""
        known, usual = list(chain.FIGURES), list(chain.DEFAULT_FIGURES)
        if isinstance(self._model, NetworkFile):
            known, usual = networks.figure_names(self._model), list(networks.DEFAULT_FIGURES)
        if not isinstance(given, list) or (of_a_network and self._model is None):
            return usual
        for i, name in enumerate(given):
            if name not in known:
                self._add(("figures", i), f"no figure is called {name!r}; {did_you_mean(str(name), known)}")
            if name in given[:i]:
                self._add(("figures", i), f"the figure {name!r} is named above already; remove one")
        if not given:
            self._add(("figures",), f"expected one figure or more; {did_you_mean('', known)}")
        return given

    # -- the base and the axes through it --------------------------------------------------------------

    def _base(self, written: Any) -> _Given | None:
        if not isinstance(written, dict):
            return None
        if isinstance(written.get("chain"), dict) and "network" not in written:
            return _Given({"chain": written["chain"]}, self._document, self._file, ("base",))
        if not isinstance(written.get("network"), str) or "chain" in written:
            return None
        path = self._path.parent / written["network"]
        try:
            document = yamlfile.read(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as fault:
            why = fault.strerror if isinstance(fault, OSError) else str(fault)
            self._add(("base", "network"), f"{path} cannot be read: {why}; give a path from the sweep file's directory")
            return None
        if document.faults:
            self._faults += [Fault(str(path), place, loc, what) for place, loc, what in document.faults]
            return None
        return _Given({"network": document.values, "until": written.get("until")}, document, str(path), None)

    def _leading(self, axes: list[_Axis], given: _Given) -> list[_Axis]:
        """Axes that lead somewhere. That two change one thing, or one a part of the other's, is a fault."""
        found: list[_Axis] = []
        for entry in axes:
            name = entry.axis.name
            root = name.split(".")[0]
            if root not in given.values or (root == name and root != "until"):
                known = " or ".join(root if root == "until" else f"{root}.PART" for root in given.values)
                self._add(("axes", name), f"expected a path into the base ({known}), found {name!r}")
                continue
            try:
                entry.loc = located(given.values, name)
            except PathFault as fault:
                self._add(("axes", name), str(fault))
                continue
            for other in found:
                shorter = min(len(other.loc), len(entry.loc))
                if other.loc[:shorter] == entry.loc[:shorter]:
                    self._add(("axes", name), f"changes what {other.axis.name!r} changes; sweep it on one axis")
                    break
            else:
                found.append(entry)
        return found

    def _try_values(self, given: _Given, axes: list[_Axis]) -> None:
        """Every value on its own, the others at their first."""
        first = given.values
        for entry in axes:
            first = changed(first, entry.loc, entry.axis.values[0])
        seen = set()
        for loc, text in self._faults_of(first, given):
            seen.add((loc, text))
            if loc in self._without and text.endswith("is missing; add it"):
                continue
            self._place(given, axes, loc, text)
        for entry in axes:
            for i, value in enumerate(entry.axis.values[1:], start=1):
                for loc, text in self._faults_of(changed(first, entry.loc, value), given):
                    if (loc, text) not in seen:
                        where = "" if _within(loc, entry.loc) else f"{'.'.join(map(str, loc))}: "
                        self._add(entry.place(i), f"with {value!r}: {where}{text}")

    def _place(self, given: _Given, axes: list[_Axis], loc: Loc, text: str) -> None:
        """A fault of the base with all first values: at the axis that leads there, or in the base."""
        for entry in axes:
            made = _within(entry.loc, loc) and loc not in self._places_of(given)
            if made or _within(loc, entry.loc):
                self._add(entry.place(0), f"with {entry.axis.values[0]!r}: {text}")
                return
        if given.prefix is not None:
            self._add((*given.prefix, *loc), text)
        else:
            places = given.document.places
            self._faults.append(Fault(given.file, nearest(places, loc[1:]), loc[1:], text))

    def _places_of(self, given: _Given) -> set[Loc]:
        """Where the base as it is written has values."""
        if given.prefix is None:
            return {("network", *loc) for loc in given.document.places} | {("until",)}
        size = len(given.prefix)
        return {loc[size:] for loc in given.document.places if _within(loc, given.prefix)}

    def _faults_of(self, values: dict[str, Any], given: _Given) -> Iterator[tuple[Loc, str]]:
        """(where in the base, what) of one set of values."""
        if "chain" in values:
            yield from self._faults_of_chain(values["chain"])
            return
        network, faults = examine(Document(values["network"], given.document.places, []), given.file)
        self._model = self._model or network
        for fault in faults:
            yield ("network", *fault.loc), fault.text
        if values["until"] != given.values["until"]:  # else it is the file's own and has been looked at
            try:
                Base.model_validate({"network": "as read", "until": values["until"]})
            except ValidationError as found:
                for error in found.errors():
                    yield ("until",), translate(self._file, self._document, error, Base).text

    def _faults_of_chain(self, values: Any) -> Iterator[tuple[Loc, str]]:
        try:
            model = Chain.model_validate(values)
        except ValidationError as found:
            for error in found.errors():
                told = translate(self._file, self._document, error, Chain)
                yield ("chain", *told.loc), told.text
            return
        self._model = self._model or model
        if self._without:
            return
        try:
            chain.circuit(model)
        except ValueError as fault:
            yield ("chain",), str(fault)


def _within(loc: Loc, outer: Loc) -> bool:
    return loc[: len(outer)] == outer
