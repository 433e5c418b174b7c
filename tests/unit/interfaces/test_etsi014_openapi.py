"""The served contract states the limits of the KME that serves it."""

from __future__ import annotations

from typing import Any

from openapi_spec_validator import validate

from quoit.interfaces.etsi014.codec import Limits
from quoit.interfaces.etsi014.server import openapi


def test_limits_of_the_policy_are_in_the_contract() -> None:
    document = openapi(Limits(min_key_size_bits=128, max_key_size_bits=512, max_key_per_request=7, max_sae_id_count=2))
    validate(document)
    text = repr(document)
    assert "'maximum': 7" in text
    assert "'maximum': 4096" not in text
    schemas: dict[str, Any] = document["components"]["schemas"]
    request = next(s for s in schemas.values() if "number" in s.get("properties", {}))
    assert request["properties"]["size"] == {"type": "integer", "minimum": 128, "maximum": 512, "multipleOf": 8}
    assert request["properties"]["additional_slave_SAE_IDs"]["maxItems"] == 2
