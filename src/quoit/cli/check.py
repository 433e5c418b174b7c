"""`quoit check` and `quoit verify`."""

from __future__ import annotations

from pathlib import Path

from quoit.cli import show
from quoit.scenario import chain
from quoit.scenario.attacks import check as attacks
from quoit.scenario.check import check
from quoit.scenario.sweep import check as sweeps
from quoit.testing.checkers import verify_events


def check_file(file: Path, json: bool) -> int:
    """All faults of a network file, a sweep file, an attack file or a chain file; 0 if there are none."""
    if attacks.is_attack(file):
        faults = attacks.check(file)
    elif sweeps.is_sweep(file):
        faults = sweeps.check(file)
    elif chain.is_chain(file):
        faults = chain.check(file)
    else:
        faults = check(file)
    if json:
        rows = [
            {"file": f.file, "line": f.place.line, "column": f.place.column, "path": list(f.loc), "text": f.text}
            for f in faults
        ]
        show.json_line({"file": str(file), "faults": rows})
    else:
        for fault in faults:
            print(fault)
        print(f"{file}: {len(faults)} fault(s)" if faults else f"{file}: good")
    return 1 if faults else 0


def verify_log(log: Path, json: bool) -> int:
    """The checkers' verdict on an event log; 0 if no promise was broken."""
    if not log.exists():
        raise show.UserError(f"{log}: no such file; a run writes events.jsonl into its directory")
    report = verify_events(log)
    if json:
        show.json_line(report.as_dict())
    else:
        for violation in report.violations:
            print(f"{log}:{violation.line}: {violation.promise}: {violation.text}")
        print(f"{report.events} events, {report.keys} keys, {len(report.violations)} violation(s)")
    return 1 if report.violations else 0
