"""CHSH: takes part in Alice's pairs, and tells her what was found."""

import json

from netqasm.sdk import EPRSocket
from netqasm.sdk.external import NetQASMConnection, Socket


def main(app_config=None, pairs=50):
    pairs_socket, socket = EPRSocket("alice"), Socket("bob", "alice")
    with NetQASMConnection("bob", epr_sockets=[pairs_socket]) as bob:
        for _ in range(4):
            results = pairs_socket.recv_measure(number=pairs)
            bob.flush()
            socket.send(json.dumps([int(result.raw_measurement_outcome) for result in results]))
