"""`quoit keys` and `quoit pki`: an application's side of a running twin."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from quoit.adapters.crypto.pki import Authority, PkiError
from quoit.cli import show
from quoit.cli.top import Operator
from quoit.interfaces.etsi014.client import Kme014, KmeRefusal


def take(directory: Path, sae: str, peer: str, number: int, size: int | None, json: bool) -> int:
    """Open keys at one end, take them at the other; 0 if both are the same."""
    doors: dict[str, Any] = msgspec.json.decode(Operator(directory).get("/doors"))
    for name in (sae, peer):
        if name not in doors["applications"]:
            raise show.UserError(f"no application {name!r}; there are {', '.join(doors['applications'])}")
    one, other = (doors["applications"][name] for name in (sae, peer))
    try:
        with Kme014(one["url"], one["cert"], one["key"], doors["ca"]) as master:
            opened = master.enc_keys(peer, number, size)
        with Kme014(other["url"], other["cert"], other["key"], doors["ca"]) as slave:
            taken = slave.dec_keys(sae, [key.key_id for key in opened])
    except KmeRefusal as refusal:
        show.error(str(refusal))
        return 1
    same = [a.value == b.value for a, b in zip(opened, taken, strict=True)]
    rows = [
        {"key_id": key.key_id, "bits": 8 * len(key.value), "equal_at_both_ends": equal}
        for key, equal in zip(opened, same, strict=True)
    ]
    if json:
        show.json_line(rows)
    else:
        for row in rows:
            print(f"{row['key_id']}  {row['bits']} bits  {'equal' if row['equal_at_both_ends'] else 'DIFFERENT'}")
    return 0 if all(same) else 1


def issue(directory: Path, sae: str, urn: str | None, hours: float, json: bool) -> int:
    """A new client certificate."""
    try:
        leaf = _authority(directory).issue_application(sae, urn, timedelta(hours=hours))
    except PkiError as fault:
        raise show.UserError(str(fault)) from fault
    if json:
        show.json_line({"certificate": str(leaf.chain), "key": str(leaf.key), "not_after": leaf.not_after.isoformat()})
    else:
        print(f"certificate: {leaf.chain}\nkey:         {leaf.key}\ngood until:  {leaf.not_after:%Y-%m-%d %H:%M} UTC")
    return 0


def revoke(directory: Path, sae: str, json: bool) -> int:
    """Revoke an application's certificate; a running twin cuts its connections within seconds."""
    authority = _authority(directory)
    leaves = {leaf.name: leaf for leaf in authority.issued() if leaf.chain.parent.name == "sae"}
    leaf = leaves.get(sae)
    if leaf is None:
        raise show.UserError(f"no certificate was issued to {sae!r}; there are {', '.join(leaves) or 'none'}")
    authority.revoke(leaf.serial)
    if json:
        show.json_line({"sae": sae, "serial": f"{leaf.serial:x}"})
    else:
        print(f"revoked: {sae}, serial {leaf.serial:x}")
    return 0


def _authority(directory: Path) -> Authority:
    if not (directory / "pki").exists():
        raise show.UserError(f"{directory}/pki does not exist; a twin makes it on its first run: quoit up FILE")
    return Authority(directory / "pki")
