"""`python tests/fuzz/run.py TARGET SECONDS [DIRECTORY]`: fuzz one parser, guided by coverage (atheris, libFuzzer).

What it finds is a file `find-*` in DIRECTORY (the present one, if none is given); `run.py TARGET FILE` repeats it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["quoit", "targets", "yaml"]):
    from targets import TARGETS

LONGEST = 8_192


def main(name: str, what: str, directory: str = ".") -> None:
    """Fuzz for `what` seconds, or repeat the find in file `what`. Ends the process: 0 if nothing was found."""
    target = TARGETS[name]
    if Path(what).is_file():
        print(target.call(Path(what).read_bytes()))
        return
    with tempfile.TemporaryDirectory(prefix="quoit-fuzz-") as corpus:
        for number, seed in enumerate(target.seeds):
            (Path(corpus) / f"seed{number}").write_bytes(seed)
        options = [f"-max_total_time={what}", f"-max_len={LONGEST}", "-timeout=20", "-rss_limit_mb=2048"]
        options += [f"-artifact_prefix={directory}/find-", "-print_final_stats=1", "-seed=1"]
        atheris.Setup([sys.argv[0], *options, corpus], lambda data: target.call(data) and None)
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
