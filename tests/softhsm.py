"""SoftHSM 2, a PKCS#11 token in software, with tokens of a test's own."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)
MODULE = next((path for path in MODULES if Path(path).exists()), None)
PIN = "tr0ub4dor-3"
"""Of every token."""


def missing() -> str | None:
    """Why its tests cannot run."""
    if importlib.util.find_spec("pkcs11") is None:
        return "python-pkcs11 is not installed (the `hsm` extra)"
    if MODULE is None or shutil.which("softhsm2-util") is None:
        return "SoftHSM 2 is not installed (Debian: softhsm2)"
    return None


@dataclass(frozen=True)
class SoftHsm:
    """Tokens in a directory. `SOFTHSM2_CONF` must name its `conf` before a process first loads the module."""

    directory: Path

    @property
    def conf(self) -> Path:
        return self.directory / "softhsm2.conf"

    @property
    def pin_file(self) -> Path:
        return self.directory / "pin"

    def make(self, *labels: str) -> None:
        """Tokens of these labels, each with a user PIN, `PIN`."""
        tokens = self.directory / "tokens"
        tokens.mkdir(parents=True)
        self.conf.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n")
        self.pin_file.write_text(PIN + "\n")
        self.pin_file.chmod(0o600)
        for label in labels:
            subprocess.run(
                ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "87654321"],
                check=True, capture_output=True, env={**os.environ, "SOFTHSM2_CONF": str(self.conf)},
            )  # fmt: skip

    def uri(self, key: str, token: str = "quoit", pin_source: str | None = None) -> str:
        """Of a key, whether it is there or not."""
        words = f"token={quote(token, safe='')};object={quote(key, safe='')}"
        return f"pkcs11:{words}?module-path={MODULE}&pin-source={pin_source or self.pin_file}"

    def key(self, name: str, token: str = "quoit") -> str:
        """The URI of a key, made if there is none."""
        import contextlib

        from quoit.adapters.crypto.kek import KekError
        from quoit.adapters.crypto.pkcs11_kek import generate_key
        from quoit.adapters.crypto.pkcs11_uri import Pkcs11Uri

        with contextlib.suppress(KekError):  # it has it
            generate_key(Pkcs11Uri.parse(self.uri(name, token)))
        return self.uri(name, token)
