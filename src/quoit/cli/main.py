"""quoit: a digital twin of the Quantum Internet. The entry point; its commands are in `quoit.cli.commands`."""

from __future__ import annotations

import sys
from typing import Any

from quoit.cli import show
from quoit.cli.commands import app


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the `quoit` command."""
    try:
        code: Any = app(arguments)
    except show.UserError as fault:
        show.error(str(fault))
        code = 2
    except OSError as fault:
        if fault.filename is None:
            raise
        show.error(f"{fault.filename}: {fault.strerror}")
        code = 2
    except KeyboardInterrupt:
        show.error("interrupted")
        code = 130
    sys.exit(int(code or 0))


if __name__ == "__main__":
    main()
