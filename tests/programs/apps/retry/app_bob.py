from netqasm.sdk import EPRSocket
from netqasm.sdk.external import NetQASMConnection, Socket


def main(app_config=None):
    socket, epr_socket = Socket("bob", "alice"), EPRSocket("alice")
    with NetQASMConnection("bob", epr_sockets=[epr_socket]):
        word = socket.recv()
        socket.send(word + " on")
    return {"word": word}
