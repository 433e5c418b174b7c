"""Command lines, environments and outputs of started processes."""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from quoit.testing.leaks.search import encoded

Note = Callable[[str, bytes], None]
"""Called with the name of a program, and a text."""


def watch_commands(note: Note, printed: Note | None = None) -> Callable[[], None]:
    """Have `note` called with each command line and what is new in its environment, and `printed` with what commands
    of quoit write into pipes. Other programs are clients: they are given keys. Returns what ends it."""
    init, communicate = subprocess.Popen.__init__, subprocess.Popen.communicate

    @functools.wraps(init)
    def outer(self: Any, args: Any, *more: Any, **named: Any) -> None:
        words = [args] if isinstance(args, str | bytes | os.PathLike) else list(args)
        texts = [os.fsencode(word) for word in words]
        program = Path(os.fsdecode(texts[0])).name if texts else "?"
        note(program, b"\n".join([*texts, *_new_in(named.get("env"))]))
        init(self, args, *more, **named)
        if printed is not None and any(b"quoit.cli" in text or text.endswith(b"/quoit") for text in texts):
            heard = functools.partial(printed, " ".join(["quoit", *_subcommand(texts)]))
            self.stdout, self.stderr = _tee(self.stdout, heard), _tee(self.stderr, heard)

    @functools.wraps(communicate)
    def both(self: Any, *arguments: Any, **named: Any) -> Any:
        answers = communicate(self, *arguments, **named)
        for pipe, answer in zip((self.stdout, self.stderr), answers, strict=True):
            if isinstance(pipe, Tee):
                pipe.hear(answer)
        return answers

    subprocess.Popen.__init__ = outer  # type: ignore[method-assign]
    subprocess.Popen.communicate = both  # type: ignore[method-assign]

    def end() -> None:
        subprocess.Popen.__init__ = init  # type: ignore[method-assign]
        subprocess.Popen.communicate = communicate  # type: ignore[method-assign]

    return end


def _new_in(environment: Any) -> list[bytes]:
    """Variables that this process has not itself: its own were looked at when it was started."""
    return [os.fsencode(v) for k, v in (environment or {}).items() if os.environ.get(os.fsdecode(k)) != os.fsdecode(v)]


def _subcommand(texts: list[bytes]) -> list[str]:
    place = next(i for i, text in enumerate(texts) if b"quoit.cli" in text or text.endswith(b"/quoit"))
    return [os.fsdecode(text) for text in texts[place + 1 : place + 2]]


def _tee(pipe: Any, heard: Callable[[bytes], None]) -> Any:
    return None if pipe is None else Tee(pipe, heard)


class Tee:
    """A pipe's reading end that lets somebody hear what is read."""

    def __init__(self, pipe: Any, heard: Callable[[bytes], None]) -> None:
        self._pipe = pipe
        self._heard = heard

    def hear(self, data: Any) -> Any:
        """Pass these data on and give them back."""
        if data:
            self._heard(encoded(data) if isinstance(data, str) else bytes(data))
        return data

    def read(self, *size: int) -> Any:
        return self.hear(self._pipe.read(*size))

    def readline(self, *size: int) -> Any:
        return self.hear(self._pipe.readline(*size))

    def readlines(self, *hint: int) -> Any:
        return [self.hear(line) for line in self._pipe.readlines(*hint)]

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self.hear(next(self._pipe))

    def __enter__(self) -> Tee:
        return self

    def __exit__(self, *exc: object) -> None:
        self._pipe.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pipe, name)
