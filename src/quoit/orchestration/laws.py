"""Which cause may bring about which alarm: what is known of light, error rates, pools and sessions.

A law says that an explanation is possible, not that it is true: an eavesdropper may act while somebody lights a
classical channel. What follows from an alarm (a quarantine, void keys) follows whether it is explained or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_LIGHT = frozenset({"loss of signal", "degraded", "unexpected light", "too much power", "quoit_span_loss_db"})
_VOID = frozenset({"suspected eavesdropping", "photon-number splitting", "detectors blinded", "telemetry disagreement"})
_LESS = frozenset({"noise light", "loss of light", "no light"})
_LINK = frozenset({"dark", "authentication key runs out"}) | _VOID | _LESS
_RATES = frozenset({"quoit_link_qber", "quoit_link_sifted_bps", "quoit_link_secret_bps", "quoit_pool_bits"})
_KEYS = _LIGHT | _LINK | _RATES
_SERVICE = frozenset({"key cannot be refilled", "key store was put back"})
_SHORT = frozenset({"session has not the routes it was promised"})

LAWS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "dark": frozenset({"loss of signal"}),
        # Neighbours' light is noise; less signal over the same dark counts is a higher error rate.
        "suspected eavesdropping": _LIGHT | _LESS,
        "noise light": _LIGHT,
        "loss of light": _LIGHT,
        "no light": _LIGHT | {"dark"},
        "more light than before": _LIGHT,
        "quoit_link_qber": _LIGHT | _LESS | {"suspected eavesdropping"},
        "quoit_link_sifted_bps": _LIGHT | _LESS | {"dark", "photon-number splitting"},
        "quoit_link_secret_bps": _LIGHT | _LINK | {"quoit_link_qber", "quoit_link_sifted_bps"},
        "quoit_pool_bits": _LIGHT | _LINK | (_RATES - {"quoit_pool_bits"}),
        "key cannot be refilled": _KEYS,
        "session has not the routes it was promised": _KEYS,
        "session is not served as agreed": _KEYS | _SERVICE | _SHORT,
        "quoit_session_latency_seconds": _KEYS | _SERVICE | _SHORT,
    }
)
"""Causes of alarms, and the causes that each may have in turn. Threshold alarms are called by their metric."""
