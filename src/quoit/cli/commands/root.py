"""The command `quoit` itself, and the options that many of its commands share."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

app = App(
    name="quoit",
    help=(
        "A digital twin of the Quantum Internet and its control stack.\n\n"
        "Begin with `quoit check FILE`, then `quoit run FILE --until 10min` (virtual time, with a report) or "
        "`quoit up FILE` (live, real clients). Exit codes: 0 good; 1 a check failed, a request was refused or a run "
        "was not faithful; 2 wrong use or unusable input; 130 interrupted."
    ),
)

KEK_FORMS = "a file, pkcs11:... or vault+https://... See docs/keys-at-rest.md."
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON instead of text.")]
Seed = Annotated[int | None, Parameter(help="Seed of all physics; the file's own if not given.")]
