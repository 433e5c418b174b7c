"""Python imports this at its start in processes that tests have started: see quoit.testing.leaks.sources.

It stands in a directory of its own that is in PYTHONPATH while tests run, and costs nothing until a module that makes
secrets is imported. A sitecustomize of the system's, which it hides, is run too.
"""

import importlib.machinery
import os
import sys

_directory = os.environ.get("QUOIT_LEAKS_DIR")
_here = os.path.dirname(os.path.abspath(__file__))


def _run_hidden() -> None:
    paths = [path for path in sys.path if os.path.abspath(path) != _here]
    hidden = importlib.machinery.PathFinder.find_spec("sitecustomize", paths)
    if hidden is not None and hidden.loader is not None:
        from importlib import util

        hidden.loader.exec_module(util.module_from_spec(hidden))


class _Trigger:
    """Waits for the first module of quoit, and then has the search listen."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "quoit":
            return
        if name.startswith("quoit.") and not name.startswith("quoit.testing"):
            sys.meta_path.remove(self)
            from pathlib import Path

            from quoit.testing.leaks.child_start import start

            start(Path(str(_directory)))


if _directory and os.path.isdir(_directory):
    sys.meta_path.insert(0, _Trigger())
_run_hidden()
