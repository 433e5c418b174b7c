"""SDK applications: a directory with `app_ROLE.py` for each role, as `netqasm new` makes it."""

from __future__ import annotations

import contextlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from quoit.scenario.netqasm.hardware import Hardware, by_network_config


class ApplicationFault(ValueError):
    """A directory that is no application; says what is missing."""


@dataclass(frozen=True, slots=True)
class Application:
    """`programs`: file of each role. `inputs`: arguments of its `main`, from ROLE.yaml. `allocation`: node of each
    role, from roles.yaml; the role's own name without it. `hardware`: from network.yaml, None without it."""

    name: str
    directory: Path
    programs: Mapping[str, Path]
    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    allocation: Mapping[str, str] = field(default_factory=dict)
    hardware: Hardware | None = None


def load(directory: Path) -> Application:
    """`ApplicationFault` if it has no programs or a YAML file of it is no mapping; `HardwareFault` for network.yaml."""
    files = {found.stem.removeprefix("app_"): found for found in sorted(directory.glob("app_*.py"))}
    if not files:
        raise ApplicationFault(f"{directory}: expected files app_ROLE.py, found none")
    roles = _mapping(directory / "roles.yaml")
    unknown = sorted(set(roles) - set(files))
    if unknown:
        raise ApplicationFault(f"{directory / 'roles.yaml'}: expected roles {', '.join(files)}; found {unknown}")
    network = directory / "network.yaml"
    return Application(
        directory.name,
        directory,
        files,
        {role: _mapping(directory / f"{role}.yaml") for role in files},
        {role: str(roles.get(role, role)) for role in files},
        by_network_config(_mapping(network)) if network.exists() else None,
    )


def example(name: str) -> Path:
    """Directory of an example that the SDK ships. `ApplicationFault` lists them."""
    import netqasm.examples

    apps = Path(str(netqasm.examples.__file__)).parent / "apps"
    found = sorted(path.name for path in apps.iterdir() if any(path.glob("app_*.py")))
    if name not in found:
        raise ApplicationFault(f"expected an example of {', '.join(found)}; found {name!r}")
    return apps / name


def _mapping(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        found = yaml.safe_load(path.read_text())
    except yaml.YAMLError as fault:
        raise ApplicationFault(f"{path}: {fault}") from fault
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ApplicationFault(f"{path}: expected a mapping, found {type(found).__name__}")
    return found


@contextlib.contextmanager
def imported(application: Application) -> Iterator[dict[str, Callable[..., Any]]]:
    """`main` of each role, freshly imported with the directory on the path. Afterwards its modules are forgotten, so
    that another application may have modules of the same names."""
    before = set(sys.modules)
    sys.path.insert(0, str(application.directory))
    try:
        yield {role: _main(role, path) for role, path in application.programs.items()}
    finally:
        sys.path.remove(str(application.directory))
        for name in set(sys.modules) - before:
            if _lies_in(sys.modules[name], application.directory):
                del sys.modules[name]


def _main(role: str, path: Path) -> Callable[..., Any]:
    name = re.sub(r"\W", "_", path.stem)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ApplicationFault(f"{path} cannot be imported")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    main = getattr(module, "main", None)
    if not callable(main):
        raise ApplicationFault(f"{path}: expected a function main")
    return main  # type: ignore[no-any-return]


def _lies_in(module: ModuleType, directory: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and directory in Path(file).parents
