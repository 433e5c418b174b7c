"""First of three: makes the GHZ state's first pair."""

from netqasm.sdk import EPRSocket
from netqasm.sdk.external import NetQASMConnection, Socket
from netqasm.sdk.toolbox import create_ghz


def main(app_config=None, basis="Z"):
    up, up_socket = EPRSocket("bob"), Socket("alice", "bob")
    with NetQASMConnection("alice", epr_sockets=[up]) as alice:
        qubit, _ = create_ghz(up_epr_socket=up, up_socket=up_socket, do_corrections=True)
        if basis == "X":
            qubit.H()
        outcome = qubit.measure()
        alice.flush()
    return {"outcome": int(outcome)}
