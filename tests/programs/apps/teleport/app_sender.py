from netqasm.sdk import EPRSocket, Qubit
from netqasm.sdk.classical_communication.message import StructuredMessage
from netqasm.sdk.external import NetQASMConnection, Socket
from netqasm.sdk.toolbox import set_qubit_state


def main(app_config=None, phi=0.0, theta=0.0):
    socket, epr_socket = Socket("sender", "receiver"), EPRSocket("receiver")
    with NetQASMConnection("sender", epr_sockets=[epr_socket]) as sender:
        qubit = Qubit(sender)
        set_qubit_state(qubit, phi, theta)
        half = epr_socket.create_keep()[0]
        qubit.cnot(half)
        qubit.H()
        m1, m2 = qubit.measure(), half.measure()
    socket.send_structured(StructuredMessage("corrections", (int(m1), int(m2))))
    return {"bits": [int(m1), int(m2)]}
