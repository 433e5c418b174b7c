"""Other simulators beside quoit, each in an environment of its own: `.peers/NAME`, made when first asked for.

Some need another Python than ours, some are under the GPL; so they are only ever run as programs, by a script of our
own that takes a workload on standard input and prints figures. What is installed stands in `NAME.lock`.
"""

from __future__ import annotations

import functools
import glob
import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOME = Path(".peers")
HERE = Path(__file__).parent


class PeerUnable(RuntimeError):
    """A peer cannot be run here, or failed; says why."""


@dataclass(frozen=True)
class Edition:
    """A version of a peer. `title`: as people know it. `lock`: what is installed, a file beside this one without its
    `.lock`, and the name of its environment. `pythons`: minor versions of Python 3 that it runs on, the best first."""

    title: str
    lock: str
    pythons: tuple[int, ...]


@dataclass(frozen=True)
class Peer:
    """`name`: for short. `editions`: the best first; the one that runs is the first that finds a Python here."""

    name: str
    script: str
    editions: tuple[Edition, ...]

    @property
    def title(self) -> str:
        """Of the edition that runs here, or would best."""
        found = self._found()
        return (self.editions[0] if found is None else found[0]).title

    def run(self, work: dict[str, Any], within_s: float = 1_800) -> dict[str, float]:
        """Its figures for the workload: `pairs`, `fidelity`, `fidelity_sigma`, `cpu_s`, `build_s`. Raises
        PeerUnable if it has no environment and none can be made, fails, or takes too long."""
        command = [str(self._environment()), "-W", "ignore", str(HERE / self.script)]
        done = _ran(command, within_s, f"{self.title} failed", json.dumps(work))
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return found

    def _environment(self) -> Path:
        """The Python of its environment."""
        found = self._found()
        if found is None:
            expected = ", or ".join(
                f"Python {' or '.join(f'3.{minor}' for minor in edition.pythons)} for {edition.title}"
                for edition in self.editions
            )
            raise PeerUnable(f"no environment for {self.title}: expected {expected}, found none")
        edition, interpreter = found
        lock = HERE / f"{edition.lock}.lock"
        digest = hashlib.sha256(lock.read_bytes()).hexdigest()
        home = HOME / edition.lock
        python, ready = home / "bin" / "python", home / ".ready"
        if ready.exists() and ready.read_text() == digest:
            return python
        print(f"making {home} for {edition.title}", file=sys.stderr, flush=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        for step in (
            [interpreter, "-m", "venv", "--clear", str(home)],
            [*install, "--no-deps", "--require-hashes", "-r", str(lock)],
        ):
            _ran(step, 1_800, f"no environment for {edition.title}")
        ready.write_text(digest)
        return python

    def _found(self) -> tuple[Edition, str] | None:
        for edition in self.editions:
            for minor in edition.pythons:
                interpreter = interpreter_of(minor)
                if interpreter is not None:
                    return edition, interpreter
        return None


@functools.cache
def interpreter_of(minor: int) -> str | None:
    """A Python 3 of that minor version that can make environments; None if there is none here."""
    name = f"python3.{minor}"
    # pyenv puts a name on the path that only complains; what it stands for lies with its versions.
    versions = glob.glob(str(Path.home() / f".pyenv/versions/3.{minor}.*/bin/{name}"))
    for candidate in filter(None, (shutil.which(name), *versions)):
        if subprocess.run([candidate, "-c", "import ensurepip"], capture_output=True).returncode == 0:
            return candidate
    return None


def _ran(command: list[str], within_s: float, complaint: str, told: str = "") -> subprocess.CompletedProcess[str]:
    try:
        done = subprocess.run(command, input=told, capture_output=True, text=True, timeout=within_s, check=False)
    except subprocess.TimeoutExpired as late:
        raise PeerUnable(f"{complaint}: took longer than {within_s} s") from late
    if done.returncode:
        raise PeerUnable(f"{complaint}: {' '.join(done.stderr.strip().splitlines()[-1:])}")
    return done


SEQUENCE = Peer(
    "sequence",
    "sequence_paths.py",
    (
        Edition("SeQUeNCe 1.3.1", "sequence", (12, 13, 14)),
        Edition("SeQUeNCe 0.8.5", "sequence-0.8", (11,)),
    ),
)
SIMQN = Peer("qns", "qns_paths.py", (Edition("SimQN 0.2.3", "qns", (11, 12, 13)),))
