"""Commands about files: networks, studies and attacks; logs and journals of runs; what the twin is made of."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from quoit.cli.commands.root import Json, app


@app.command
def check(file: Path, /, *, json: Json = False) -> int:
    """Check a network, sweep or attack file: every fault with its line, what was expected and how to mend it."""
    from quoit.cli.check import check_file

    return check_file(file, json)


@app.command
def schema(of: Literal["network", "sweep", "attack"] = "network", /) -> int:
    """Print the JSON Schema of network, sweep or attack files, for editors (it is JSON in any case)."""
    from quoit.scenario import check
    from quoit.scenario.attacks import check as attacks
    from quoit.scenario.sweep import check as sweeps

    texts = {"network": check.schema_text, "sweep": sweeps.schema_text, "attack": attacks.schema_text}
    sys.stdout.write(texts[of]())
    return 0


@app.command
def replay(
    journal: Path,
    /,
    *,
    until: str | None = None,
    digest: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> int:
    """Repeat a recorded live run in virtual time; prints the digest of its trace."""
    from quoit.cli.run import replay_journal

    return replay_journal(journal, until, digest, json)


@app.command
def verify(log: Path, /, *, json: Json = False) -> int:
    """Check the promises of key delivery on a run's event log (events.jsonl)."""
    from quoit.cli.check import verify_log

    return verify_log(log, json)


@app.command(name="map")
def map_(*, json: Json = False) -> int:
    """Print the elements by stratum and plane, with the requirements that each realises."""
    from quoit.cli.atlas import print_map

    return print_map(json)
