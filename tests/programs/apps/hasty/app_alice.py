from netqasm.sdk import EPRSocket, Qubit
from netqasm.sdk.external import NetQASMConnection, Socket


def main(app_config=None, patience=0.0):
    """Fails while its node is in the middle of long operations that nobody waits for."""
    socket, epr_socket = Socket("alice", "bob"), EPRSocket("bob")
    with NetQASMConnection("alice", epr_sockets=[epr_socket]) as alice:
        half = epr_socket.create_keep()[0]
        qubit = Qubit(alice)
        for _ in range(5):
            half.cnot(qubit)
        alice.flush(block=False)
        socket.recv(timeout=patience)
