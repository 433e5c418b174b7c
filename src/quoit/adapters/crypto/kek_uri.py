"""Key-encryption keys by their names: a file's path, `pkcs11:...` (RFC 7512), or `vault+https://...`."""

from __future__ import annotations

from pathlib import Path

from quoit.adapters.crypto.kek import FileKek, Kek, KekError
from quoit.adapters.crypto.pkcs11_uri import Pkcs11Uri

FORMS = "a file, pkcs11:token=...;object=...?module-path=...&pin-source=..., or vault+https://HOST/MOUNT/NAME?token-file=..."


def open_kek(name: str, make: bool = False) -> Kek:
    """The key of this name, tried; the caller closes it. `make` a file if there is none: keys in tokens and vaults are
    made there. Raises `KekError`."""
    scheme = name.partition(":")[0].lower()
    if scheme == "pkcs11":
        try:
            from quoit.adapters.crypto.pkcs11_kek import Pkcs11Kek
        except ImportError as fault:
            raise KekError("keys in PKCS#11 tokens need python-pkcs11; run: pip install 'quoit[hsm]'") from fault
        return Pkcs11Kek(Pkcs11Uri.parse(name))
    if scheme.startswith("vault+"):
        from quoit.adapters.crypto.vault_kek import VaultKek, VaultUri  # no other form needs HTTP

        return VaultKek(VaultUri.parse(name))
    if "://" in name or not name:
        raise KekError(f"expected {FORMS}")
    return FileKek(Path(name), make)


def has_versions(name: str) -> bool:
    """Whether a key of this name is renewed where it is: wrapped anew, data keys are under its latest version."""
    return name.lower().startswith("vault+")
