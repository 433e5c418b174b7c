"""From raw detections to secret bits: sifting, reconciliation, verification, amplification, tags."""
