"""Keys of entangled pairs over two repeaters, live: a twin in a process of its own, 014 clients over mutual TLS."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import httpx2
import pytest

pytestmark = pytest.mark.live
DELFT = Path(__file__).parents[2] / "examples" / "delft.yaml"


def client(doors: dict[str, Any], sae: str) -> httpx2.Client:
    own = doors["applications"][sae]
    context = ssl.create_default_context(cafile=doors["ca"])
    context.load_cert_chain(own["cert"], own["key"])
    return httpx2.Client(base_url=own["url"], verify=context, trust_env=False)


@pytest.mark.realises("C1", "C3", "D1")
def test_two_applications_take_a_key_that_was_made_over_repeaters(tmp_path: Path, live_twin: Any) -> None:
    """Ten seconds of pairs fill a short block before the doors open."""
    text = DELFT.read_text().replace("    width: 2", "    width: 4\n    profile: quick")
    text = text[: text.index("  - {name: e91")] + text[text.index("profiles:") :]
    text = text.replace(
        "quick-e91: {base: e91-pairs, block_bits: 30000}",
        "quick: {base: bbm92-pairs, block_bits: 8000, post_time_s: 0.2, auth_bits_per_block: 0}",
    )
    file = tmp_path / "delft.yaml"
    file.write_text(text)
    directory = tmp_path / "run"
    with live_twin(file, directory) as doors:
        with client(doors, "alice") as alice, client(doors, "bob") as bob:
            opened = alice.get("/api/v1/keys/bob/enc_keys")
            assert opened.status_code == 200, opened.text
            (key,) = opened.json()["keys"]
            taken = bob.get("/api/v1/keys/alice/dec_keys", params={"key_ID": key["key_ID"]})
            assert taken.json()["keys"] == [key]
        transport = httpx2.HTTPTransport(uds=str(directory / "operator.sock"))
        with httpx2.Client(transport=transport, base_url="http://operator", trust_env=False) as operator:
            (link,) = operator.get("/links").json()["rows"]
            assert link["state"] == "up"
            assert link["over"] == ["leiden--hague", "hague--delft", "delft--rotterdam"]
            struck = operator.post("/strike", json={"kind": "intercept", "target": link["link"], "amount": 0.5})
            assert struck.status_code != 200
            assert "has no light of its own" in struck.json()["message"]
            struck = operator.post("/strike", json={"kind": "depolarise", "target": "hague--delft", "amount": 0.5})
            assert struck.status_code == 200, struck.text
