"""One search through one run of tests: what it knows, what it looked at, what it found."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from quoit.testing.leaks.collector import KEY_FILE, Collector, PrintFile, PrintFiles
from quoit.testing.leaks.commands import watch_commands
from quoit.testing.leaks.exempt import why_exempt
from quoit.testing.leaks.prints import KEY_BYTES
from quoit.testing.leaks.search import Search
from quoit.testing.leaks.sources import listen

VARIABLE = "QUOIT_LEAKS_DIR"
HEARD_BYTES = 1 << 18
"""So much text of one channel is kept before it is looked at."""


class Leak(NamedTuple):
    """Bytes of a secret where none may be. `test`: which test, or which directory of its run."""

    test: str
    channel: str
    forms: tuple[str, ...]

    def __str__(self) -> str:
        return f"bytes of a secret in {self.channel} ({', '.join(self.forms)}) - {self.test}"


class Watch:
    """Begin with `start`, ask with `look`, `settle` and `search_files`, and `stop` at the end."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="quoit-leaks-"))  # mode 0700
        key = os.urandom(KEY_BYTES)
        (self._directory / KEY_FILE).write_bytes(key)
        self.search = Search(key)
        self._secret_files: set[Path] = set()
        self.collector = Collector(self.search.key, self.search.index.add, self._secret_files.add)
        self.leaks: list[Leak] = []
        self._told = 0
        self.spent_s = 0.0
        self.looked_at_bytes = 0
        self._files = PrintFiles(self._directory)
        self._heard: dict[str, list[bytes]] = {}
        self._undo: list[Callable[[], None]] = []

    def start(self) -> None:
        """Listen in this process and in those that it starts."""
        self._undo.append(listen(self.collector.take))
        self._undo.append(watch_commands(self._command, lambda program, text: self.hear(f"output of {program}", text)))
        self._undo.append(_environment(VARIABLE, str(self._directory)))
        here = str(Path(__file__).parent / "child")
        old = os.environ.get("PYTHONPATH")
        self._undo.append(_environment("PYTHONPATH", here if not old else f"{here}{os.pathsep}{old}"))
        os.register_at_fork(after_in_child=self._after_fork)

    def _after_fork(self) -> None:
        if self._undo:
            self.collector.divert(PrintFile(self._directory))

    def stop(self) -> None:
        """Listen no more, and forget everything."""
        for undo in reversed(self._undo):
            undo()
        self._undo.clear()
        shutil.rmtree(self._directory, ignore_errors=True)

    # -- texts ---------------------------------------------------------------------------------------

    def hear(self, channel: str, text: bytes) -> None:
        """Something was said; it is looked at by `settle`, or now if there is much of it."""
        self._heard.setdefault(channel, []).append(text)
        if sum(map(len, self._heard[channel])) > HEARD_BYTES:
            self._settle(channel, self._running)

    _running = "before the first test"

    def running(self, test: str) -> None:
        """The test that is run from now on."""
        self._running = test

    def settle(self) -> list[Leak]:
        """Look at all that was heard; what is found is the running test's. Returns what was not returned before."""
        for channel in list(self._heard):
            self._settle(channel, self._running)
        self._note(self._running, "a command line of a process of the test's", self._commands())
        return self._news()

    def _news(self) -> list[Leak]:
        news, self._told = self.leaks[self._told :], len(self.leaks)
        return news

    def _settle(self, channel: str, test: str) -> None:
        # Lines of one channel follow each other; a limit is no border that a key could hide at.
        self._note(test, channel, self.look(b"".join(self._heard.pop(channel)).decode("utf-8", "surrogateescape"))[1])

    def look(self, text: str) -> tuple[str, tuple[str, ...]]:
        """A text without secrets, and the forms of those that were in it."""
        if not text:
            return text, ()
        began = time.perf_counter()
        self.learn()
        masked, forms = self.search.masked(text)
        self.looked_at_bytes += len(text)
        self.spent_s += time.perf_counter() - began
        return masked, tuple(forms)

    def learn(self) -> None:
        """Know what has become secret until now, here and in processes of the tests."""
        self.collector.flush()
        self.search.index.add(self._files.news("prints"))

    def _commands(self) -> tuple[str, ...]:
        self.learn()
        return ("any form",) if self.search.index.has(self._files.news("commands")).any() else ()

    def _command(self, program: str, text: bytes) -> None:
        self._note(self._running, f"a command line or environment of {program}", self.look(os.fsdecode(text))[1])

    def _note(self, test: str, channel: str, forms: tuple[str, ...]) -> None:
        if forms:
            self.leaks.append(Leak(test, channel, forms))

    # -- files ---------------------------------------------------------------------------------------

    def search_files(self, root: Path, owner: Callable[[Path], str | None]) -> list[Leak]:
        """Look into all files below `root`, but those made for secrets; `owner` tells whose a file is, and nobody's
        are passed over."""
        self.learn()
        self._secret_files |= self._files.secret_files()
        began = time.perf_counter()
        for path in sorted(p for p in root.rglob("*") if p.is_file() and not p.is_symlink()):
            size = path.stat().st_size
            whose = owner(path)
            if whose and why_exempt(path, self._secret_files) is None and size:
                self.looked_at_bytes += size
                self._note(whose, f"the file {path.relative_to(root)}", tuple(self.search.forms_in_file(path)))
        self.spent_s += time.perf_counter() - began
        return self._news()


def _environment(name: str, value: str) -> Callable[[], None]:
    old = os.environ.get(name)
    os.environ[name] = value

    def undo() -> None:
        if old is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = old

    return undo
