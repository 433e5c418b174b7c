"""`quoit observe`: dashboard, alert rules and scrape configuration as files."""

from __future__ import annotations

from pathlib import Path

from quoit.adapters.exporters.observe import FILES, text_of
from quoit.cli import show


def write_files(out: Path, force: bool) -> int:
    """Write all of them, or none if one is there already and nobody said `force`."""
    standing = [name for name in FILES if (out / name).exists()]
    if standing and not force:
        raise show.UserError(f"{out} holds {', '.join(standing)} already; name another directory, or give --force")
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            (out / name).write_text(text_of(name), encoding="utf-8")
            print(out / name)
    except OSError as fault:
        raise show.UserError(f"{out}: cannot be written: {fault.strerror}") from fault
    return 0
