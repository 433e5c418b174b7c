"""What the search does in a process that tests have started."""

from __future__ import annotations

from pathlib import Path

from quoit.testing.leaks.collector import collect_into
from quoit.testing.leaks.commands import watch_commands
from quoit.testing.leaks.search import prints_of
from quoit.testing.leaks.sources import listen


def start(directory: Path) -> None:
    """Leave prints of all secrets of this process in `directory`, and of the command lines that it starts."""
    file, collector = collect_into(directory)

    def note(program: str, text: bytes) -> None:
        collector.flush()
        file.note_command(prints_of(file.key, text))

    listen(collector.take)
    watch_commands(note)
