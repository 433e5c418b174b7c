"""What a process that holds keys asks of its system: no core dumps, and no reading of its memory by its own user."""

from __future__ import annotations

import ctypes
import platform

_PR_SET_DUMPABLE = 4


def harden() -> None:
    """Leave no memory in core files; on Linux, let only root attach to the process. Whatever the system does not
    offer is left out: these are fences, not walls."""
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if platform.system() == "Linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
