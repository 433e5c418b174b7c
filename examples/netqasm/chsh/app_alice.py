"""CHSH: measures her halves of pairs at 0 and a right angle, tells Bob how his are to be measured, and works out S."""

import json

from netqasm.sdk import EPRSocket
from netqasm.sdk.external import NetQASMConnection, Socket

SETTINGS = ((0, 4, 1), (0, 28, 1), (8, 4, 1), (8, 28, -1))
"""Rotations about Y at both ends, in pi/16, and the sign of their correlation in S."""


def main(app_config=None, pairs=50):
    pairs_socket, socket = EPRSocket("bob"), Socket("alice", "bob")
    found = []
    with NetQASMConnection("alice", epr_sockets=[pairs_socket]) as alice:
        for mine, theirs, _ in SETTINGS:
            results = pairs_socket.create_measure(
                number=pairs, rotations_local=(0, mine, 0), rotations_remote=(0, theirs, 0)
            )
            alice.flush()
            found.append([int(result.raw_measurement_outcome) for result in results])
    s = 0.0
    for outcomes, (_, _, sign) in zip(found, SETTINGS, strict=True):
        others = json.loads(socket.recv())
        s += sign * sum(1 if x == y else -1 for x, y in zip(outcomes, others, strict=True)) / pairs
    return {"S": s, "pairs": len(SETTINGS) * pairs}
