"""Bounds and fractions that hold whatever the device.

Sources: Pirandola, Laurenza, Ottaviani, Banchi, Nat. Commun. 8, 15043 (2017), doi:10.1038/ncomms15043;
Bruss, PRL 81, 3018 (1998) for six states; Acin et al., PRL 98, 230501 (2007) for device independence.
"""

from __future__ import annotations

from math import inf, log, log1p, log2, sqrt

from quoit.engine.physics.bb84 import binary_entropy


def plob(eta: float) -> float:
    """Repeaterless bound, secret bits per pulse or mode: -log2(1 - eta).

    `eta` is the channel's alone, without detectors. No point-to-point link and no repeater without memory
    exceeds it; twin-field links and quantum memories may.
    """
    return -log1p(-eta) / log(2) if eta < 1 else inf


def six_state_fraction(q: float) -> float:
    """Secret bits per sifted bit of the six-state protocol, one-way, depolarising noise of QBER q <= 2/3."""
    weights = (1 - 1.5 * q, q / 2, q / 2, q / 2)
    return 1 + sum(w * log2(w) for w in weights if w > 0)


def diqkd_fraction(S: float, q: float) -> float:
    """Device-independent secret bits per sifted bit at CHSH value S <= 2 sqrt 2 and error q.

    At or below the classical bound S = 2 nothing is secret and the value is not positive.
    """
    if S <= 2:
        return -binary_entropy(q)
    return 1 - binary_entropy(q) - binary_entropy((1 + sqrt((S / 2) ** 2 - 1)) / 2)
