"""What a process that holds keys asks of its system."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

ASK = """
import ctypes, resource
from quoit.adapters.hardening import harden
harden()
print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""


@pytest.mark.skipif(platform.system() != "Linux", reason="prctl is Linux's")
def test_no_core_file_and_no_reading_of_its_memory() -> None:
    """3 is PR_GET_DUMPABLE."""
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split("\n")[0] == "(0, 0) 0"
