"""What several rooms of tests use: a token in software, a transit server; and the search for secrets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import softhsm
from transit_server import TransitServer

pytest_plugins = ["quoit.testing.leaks.plugin", "pytester"]


@pytest.fixture(scope="module")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[softhsm.SoftHsm]:
    """SoftHSM with tokens quoit, other, and two of the label twin; skips where it is missing."""
    why = softhsm.missing()
    if why is not None:
        pytest.skip(why)
    import pkcs11

    found = softhsm.SoftHsm(tmp_path_factory.mktemp("hsm"))
    found.make("quoit", "other", "twin", "twin")
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(found.conf)
    try:
        pkcs11.lib(str(softhsm.MODULE)).reinitialize()  # the module reads where its tokens are when it is initialised
        yield found
    finally:
        if before is None:
            del os.environ["SOFTHSM2_CONF"]
        else:
            os.environ["SOFTHSM2_CONF"] = before


@pytest.fixture
def transit(tmp_path: Path) -> Iterator[TransitServer]:
    """A transit server with a token in a file."""
    directory = tmp_path / "transit"
    directory.mkdir()
    server = TransitServer(directory)
    yield server
    server.close()
