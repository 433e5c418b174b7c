"""Sets of YANG modules: which are there, which a server implements, and what its YANG library says of them."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from yangson import DataModel
from yangson.exceptions import YangsonException
from yangson.statement import ModuleParser

SHIPPED = ("ietf", "quoit")
"""Folders of modules in this package: the IETF's own texts, and those in quoit's wording."""

SERVER_MODULES = (
    "ietf-yang-library",
    "ietf-restconf-monitoring",
    "ietf-subscribed-notifications",
    "ietf-yang-push",
    "ietf-restconf-subscribed-notifications",
)
"""What every server here implements, whatever else it serves."""

FEATURES: Mapping[str, frozenset[str]] = {
    "ietf-subscribed-notifications": frozenset({"encode-json", "replay", "xpath"}),
    "ietf-yang-push": frozenset({"on-change"}),
}
"""Features of modules that are supported; of modules not named here, all."""

_OBJECT_TYPE = re.compile(
    r"(derived-from-or-self\([^,()]+,\s*[\"'])(OBJECT_TYPE_(?:PROFILE|SERVICE_INTERFACE_POINT)\b)"
)
_LEAFREF = re.compile(r"(type\s+leafref\s*\{\s*path\s+(?:'[^']*'|\"[^\"]*\")\s*;)(?!\s*require-instance)(\s*\})")
_DATA = frozenset({"container", "list", "leaf", "leaf-list", "choice", "uses", "augment", "rpc", "notification"})
MAX_MODULE_BYTES = 4 * 1024 * 1024


class YangError(Exception):
    """Modules that are missing or cannot be used; says which, why and how to mend it."""


@dataclass(frozen=True, slots=True)
class Module:
    """What the head of a YANG module says. `revision` is the first that it names, "" if none."""

    name: str
    revision: str
    namespace: str
    imports: tuple[str, ...]
    features: tuple[str, ...]
    text: str
    only_identities: bool = False
    implemented: bool = False

    @property
    def supported(self) -> tuple[str, ...]:
        """Its features that a server here supports."""
        known = FEATURES.get(self.name)
        return tuple(f for f in self.features if known is None or f in known)


def mend_leafrefs(text: str) -> str:
    """The module with `require-instance false` in its leafrefs.

    Modules of ONF TAPI let configuration refer to state, which RFC 7950 cl. 9.9.2 forbids: with the default, no
    configuration of theirs could be valid.
    """
    return _LEAFREF.sub(r"\1 require-instance false;\2", text)


def mend_object_types(text: str) -> str:
    """The module with the object types of tapi-common under their module's prefix.

    The conditions of ONF TAPI's notification and streaming modules compare with names of tapi-common's identities and
    leave its prefix out, so that by RFC 7950 cl. 6.4.1 they name identities of their own, which do not exist: never
    true to one reader, an error for another.
    """
    return _OBJECT_TYPE.sub(r"\1tapi-common:\2", text)


def read_module(text: str, where: str) -> Module:
    """What a module's text says of itself. Raises YangError for text that is no YANG module."""
    try:
        parser = ModuleParser(text)
        parser.opt_separator()
        statement = parser.statement()
        if statement.keyword != "module":
            raise YangError(f"{where}: expected a module, found a {statement.keyword}")
        name = statement.argument
        if name.startswith("tapi-"):
            text = mend_object_types(mend_leafrefs(text))
        revision = statement.find1("revision")
        keywords = {s.keyword for s in statement.substatements}
        return Module(
            name,
            revision.argument if revision else "",
            statement.find1("namespace", required=True).argument,
            tuple(dict.fromkeys(s.argument for s in statement.find_all("import"))),
            tuple(s.argument for s in statement.find_all("feature")),
            text,
            "identity" in keywords and not keywords & _DATA,
        )
    except (YangsonException, IndexError) as fault:
        raise YangError(f"{where}: not a YANG module that can be read: {fault}") from None


def shipped() -> tuple[str, ...]:
    """Names of the modules of this package."""
    return tuple(sorted(file.name.removesuffix(".yang") for file in _shipped_files()))


def _shipped_files() -> Iterator[Traversable]:
    for folder in SHIPPED:
        for file in resources.files("quoit.interfaces.restconf").joinpath("yang", folder).iterdir():
            if file.name.endswith(".yang"):
                yield file


@cache
def shipped_module(name: str) -> Module | None:
    """A module of this package, or None if it has none of that name."""
    for file in _shipped_files():
        if file.name == f"{name}.yang":
            return read_module(file.read_text("utf-8"), file.name)
    return None


def read_directory(directory: Path) -> dict[str, Module]:
    """Modules in a directory's `*.yang` files; of several revisions the newest. Raises YangError."""
    found: dict[str, Module] = {}
    files = sorted(directory.glob("*.yang"))
    if not files:
        raise YangError(f"{directory}: expected a directory with *.yang files, found none; check the path")
    for file in files:
        if file.stat().st_size > MAX_MODULE_BYTES:
            raise YangError(f"{file}: larger than {MAX_MODULE_BYTES} bytes")
        try:
            text = file.read_text("utf-8")
        except UnicodeDecodeError:
            raise YangError(f"{file}: expected UTF-8") from None
        if re.search(r"^\s*submodule\s", text, re.MULTILINE):
            raise YangError(f"{file}: submodules are not supported; give the modules without them")
        module = read_module(text, str(file))
        if module.name not in found or module.revision > found[module.name].revision:
            found[module.name] = module
    return found


@dataclass(frozen=True)
class ModuleSet:
    """Modules that belong together, each implemented or imported only."""

    modules: tuple[Module, ...]

    @classmethod
    def of(
        cls, implement: Iterable[str], directories: Sequence[Path] = (), *, base: Sequence[str] = SERVER_MODULES
    ) -> ModuleSet:
        """`implement` and what every server implements (`base`), with all that they import.

        Modules are looked for in `directories` first, then among the shipped ones. A module that has identities and
        nothing else is implemented, too: of an imported one, no identity would be a value (RFC 7950 cl. 9.10.2).
        Raises YangError if one is missing.
        """
        known: dict[str, Module] = {}
        for directory in reversed(directories):
            known.update(read_directory(directory))
        implemented = list(dict.fromkeys((*base, *implement)))
        wanted, chosen = list(implemented), {}
        while wanted:
            name = wanted.pop()
            if name in chosen:
                continue
            module = known.get(name) or shipped_module(name)
            if module is None:
                raise YangError(
                    f"no module {name!r}: name the directory that has it, or see `quoit yang` for those here"
                )
            here = name in implemented or module.only_identities
            chosen[name] = replace(module, implemented=here)
            wanted.extend(module.imports)
        return cls(tuple(chosen[name] for name in sorted(chosen)))

    def __contains__(self, name: str) -> bool:
        return any(m.name == name for m in self.modules)

    @cached_property
    def content_id(self) -> str:
        """Changes when a module, its text, its conformance or a feature does."""
        digest = hashlib.sha256()
        for m in self.modules:
            digest.update(json.dumps([m.name, m.revision, m.implemented, m.supported, m.text]).encode())
        return digest.hexdigest()[:32]

    def load(self) -> DataModel:
        """The data model; each call makes one of its own. Takes up to a second for large sets."""
        listed = [
            {
                "name": m.name,
                "revision": m.revision,
                "namespace": m.namespace,
                "feature": list(m.supported),
                "conformance-type": "implement" if m.implemented else "import",
            }
            for m in self.modules
        ]
        library = {"ietf-yang-library:modules-state": {"module-set-id": self.content_id, "module": listed}}
        with tempfile.TemporaryDirectory(prefix="quoit-yang-") as folder:
            for m in self.modules:
                Path(folder, f"{m.name}.yang").write_text(m.text, "utf-8")
            try:
                return DataModel(json.dumps(library), (folder,))
            except YangsonException as fault:
                raise YangError(f"the modules do not fit together: {type(fault).__name__}: {fault}") from None

    def instance(self, uris: Mapping[str, str] = {}) -> dict[str, Any]:
        """What `ietf-yang-library:yang-library` shows (RFC 8525): one module set, one schema, two datastores."""
        implemented, imported = [], []
        for m in self.modules:
            row: dict[str, Any] = {"name": m.name, "namespace": m.namespace}
            if m.revision:
                row["revision"] = m.revision
            if m.implemented:
                if m.supported:
                    row["feature"] = list(m.supported)
                implemented.append(row)
            else:
                row["revision"] = m.revision
                imported.append(row)
        stores = ("ietf-datastores:running", "ietf-datastores:operational")
        return {
            "module-set": [{"name": "all", "module": implemented, "import-only-module": imported}],
            "schema": [{"name": "all", "module-set": ["all"]}],
            "datastore": [{"name": name, "schema": "all"} for name in stores],
            "content-id": self.content_id,
        }
