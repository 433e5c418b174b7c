from netqasm.sdk import EPRSocket
from netqasm.sdk.external import NetQASMConnection, Socket, get_qubit_state


def main(app_config=None):
    socket, epr_socket = Socket("receiver", "sender"), EPRSocket("sender")
    with NetQASMConnection("receiver", epr_sockets=[epr_socket]) as receiver:
        half = epr_socket.recv_keep()[0]
        receiver.flush()
        m1, m2 = socket.recv_structured().payload
        if m2:
            half.X()
        if m1:
            half.Z()
        receiver.flush()
        return {"state": get_qubit_state(half)}
