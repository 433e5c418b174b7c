"""Every key-encryption key keeps the port's promises: in a file, in a PKCS#11 token, in a transit engine.

The token is SoftHSM 2; the transit engine is tests/transit_server.py, which is neither Vault nor OpenBao.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from quoit.adapters.crypto.kek import Kek
from quoit.adapters.crypto.kek_uri import open_kek
from quoit.testing.keks import KekContract
from softhsm import SoftHsm
from transit_server import TransitServer


class TestFile(KekContract):
    def make(self, directory: Path) -> Kek:
        return open_kek(str(directory / "kek"), make=True)


class TestPkcs11(KekContract):
    @pytest.fixture(autouse=True)
    def _use(self, hsm: SoftHsm) -> None:
        self.hsm = hsm

    def make(self, directory: Path) -> Kek:
        return open_kek(self.hsm.key(str(directory)))


class TestVault(KekContract):
    @pytest.fixture(autouse=True)
    def _use(self, transit: TransitServer) -> None:
        self.transit = transit

    def make(self, directory: Path) -> Kek:
        return open_kek(self.transit.uri(directory.name))
