"""At the end of the line."""

from netqasm.sdk import EPRSocket
from netqasm.sdk.external import NetQASMConnection, Socket
from netqasm.sdk.toolbox import create_ghz


def main(app_config=None, basis="Z"):
    down, down_socket = EPRSocket("bob"), Socket("charlie", "bob")
    with NetQASMConnection("charlie", epr_sockets=[down]) as charlie:
        qubit, _ = create_ghz(down_epr_socket=down, down_socket=down_socket, do_corrections=True)
        if basis == "X":
            qubit.H()
        outcome = qubit.measure()
        charlie.flush()
    return {"outcome": int(outcome)}
