"""In the middle: merges two pairs by half a Bell measurement."""

from netqasm.sdk import EPRSocket
from netqasm.sdk.external import NetQASMConnection, Socket
from netqasm.sdk.toolbox import create_ghz


def main(app_config=None, basis="Z"):
    down, up = EPRSocket("alice"), EPRSocket("charlie")
    down_socket, up_socket = Socket("bob", "alice"), Socket("bob", "charlie")
    with NetQASMConnection("bob", epr_sockets=[down, up]) as bob:
        qubit, _ = create_ghz(down, up, down_socket, up_socket, do_corrections=True)
        if basis == "X":
            qubit.H()
        outcome = qubit.measure()
        bob.flush()
    return {"outcome": int(outcome)}
