"""`quoit netqasm run`: an application of the NetQASM SDK, in virtual time or against a live twin."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from quoit.cli import show
from quoit.model.quantity import format_duration


@dataclass(frozen=True, slots=True)
class NetqasmOptions:
    """As the command line says them. `set`: ROLE.NAME=VALUE, the value as JSON or else as text. `twin`: directory of
    a live one. `names`: ROLE=SAE."""

    directory: Path | None
    example: str | None
    hardware: str | None
    seed: int
    rounds: int
    patience_s: float
    set: tuple[str, ...]
    json: bool
    twin: Path | None = None
    roles: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


def run(options: NetqasmOptions) -> int:
    """Run it and show what its programs returned. 1 if one of them failed."""
    if importlib.util.find_spec("netqasm") is None:
        raise show.UserError("`quoit netqasm` needs the SDK: pip install 'quoit[netqasm]'")
    from quoit.scenario.netqasm.application import ApplicationFault, example, load
    from quoit.scenario.netqasm.hardware import HardwareFault, by_profile
    from quoit.scenario.netqasm.run import RunOptions, run_application

    if (options.directory is None) == (options.example is None):
        raise show.UserError("expected either the directory of an application or --example NAME")
    if options.twin is not None:
        return _live(options.twin, options)
    if options.roles or options.names:
        raise show.UserError("--role and --as are for a live twin: expected --dir")
    try:
        if options.directory is not None and options.directory.is_file():
            return _script(options.directory, options)
        application = load(options.directory or example(str(options.example)))
        hardware = by_profile(options.hardware) if options.hardware is not None else None
    except (ApplicationFault, HardwareFault) as fault:
        raise show.UserError(str(fault)) from fault
    inputs = _inputs(options.set, application.programs)
    chosen = RunOptions(options.seed, options.rounds, hardware, inputs, options.patience_s)
    # What programs print is theirs; with --json standard output is ours alone.
    with contextlib.redirect_stdout(sys.stderr if options.json else sys.stdout):
        try:
            report = run_application(application, chosen)
        except RuntimeError as fault:
            show.error(str(fault))
            return 1
    report = replace(report, results=plain(report.results))
    if options.json:
        show.json_line(report)
    else:
        _show(application.name, report)
    return 1 if report.failures else 0


def _live(twin: Path, options: NetqasmOptions) -> int:
    """Against a twin that is up. Its hardware and its randomness are its own."""
    from quoit.scenario.netqasm.application import ApplicationFault, example, load
    from quoit.scenario.netqasm.hardware import HardwareFault
    from quoit.scenario.netqasm.live import LiveOptions, TwinFault, run_live

    if options.hardware is not None or options.seed:
        raise show.UserError("a live twin has its own hardware and randomness: expected no --hardware and no --seed")
    if options.directory is not None and options.directory.is_file():
        raise show.UserError("expected the directory of an application: scripts run in virtual time alone")
    try:
        application = load(options.directory or example(str(options.example)))
        chosen = LiveOptions(
            twin, options.roles, _names(options.names), options.rounds, _inputs(options.set, application.programs)
        )
        with contextlib.redirect_stdout(sys.stderr if options.json else sys.stdout):
            report = run_live(application, chosen)
    except (ApplicationFault, HardwareFault, TwinFault) as fault:
        raise show.UserError(str(fault)) from fault
    report = replace(report, results=plain(report.results))
    if options.json:
        show.json_line(report)
    else:
        _show_results(report)
    return 1 if report.failures else 0


def _names(given: tuple[str, ...]) -> dict[str, str]:
    names = {}
    for text in given:
        role, equals, sae = text.partition("=")
        if not equals or not sae:
            raise show.UserError(f"--as: expected ROLE=SAE, found {text!r}")
        names[role] = sae
    return names


def _script(path: Path, options: NetqasmOptions) -> int:
    """A script prints for itself; with --json the reports of its applications follow."""
    from quoit.scenario.netqasm.hardware import by_profile
    from quoit.scenario.netqasm.run import RunOptions
    from quoit.scenario.netqasm.script import run_script

    if options.set or options.rounds != 1:
        raise show.UserError("a script gives its programs their inputs and rounds: expected no --set and no --rounds")
    hardware = by_profile(options.hardware) if options.hardware is not None else None
    chosen = RunOptions(options.seed, hardware=hardware, patience_s=options.patience_s)
    with contextlib.redirect_stdout(sys.stderr if options.json else sys.stdout):
        reports = run_script(path, chosen)
    for report in reports:
        if options.json:
            show.json_line(replace(report, results=plain(report.results)))
        else:
            print(f"{path.name}: {format_duration(report.time_ns)} of simulated time, {report.pairs} pairs")
    return 0


def plain(value: Any) -> Any:
    """What JSON can hold: complex numbers as [real, imaginary], arrays as lists, everything unknown as its text."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(item) for item in value]
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, complex):
        return [value.real, value.imag]
    as_list = getattr(value, "tolist", None)
    return plain(as_list()) if as_list is not None else str(value)


def _inputs(settings: tuple[str, ...], roles: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
    inputs: dict[str, dict[str, Any]] = {}
    for setting in settings:
        place, equals, text = setting.partition("=")
        role, dot, name = place.partition(".")
        if not equals or not dot or role not in roles:
            raise show.UserError(
                f"--set: expected ROLE.NAME=VALUE with a role of {', '.join(roles)}; found {setting!r}"
            )
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        inputs.setdefault(role, {})[name] = value
    return inputs


def _show(name: str, report: Any) -> None:
    for note in report.notes:
        print(f"note: {note}")
    _show_results(report)
    print(f"{name}: {format_duration(report.time_ns)} of simulated time, {report.pairs} pairs")


def _show_results(report: Any) -> None:
    for number, results in enumerate(report.results):
        for role, result in results.items():
            where = role if len(report.results) == 1 else f"{number} {role}"
            print(f"{where}: {json.dumps(result)}")
    for failure in report.failures:
        show.error(f"round {failure.round}, {failure.role}: {failure.error}")
