from netqasm.sdk import EPRSocket
from netqasm.sdk.external import NetQASMConnection


def main(app_config=None):
    epr_socket = EPRSocket("alice")
    with NetQASMConnection("bob", epr_sockets=[epr_socket]):
        half = epr_socket.recv_keep()[0]
        outcome = half.measure()
    return {"outcome": int(outcome)}
