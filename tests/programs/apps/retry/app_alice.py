from netqasm.sdk import EPRSocket, Qubit
from netqasm.sdk.external import NetQASMConnection, Socket


def main(app_config=None, fail=False):
    """What programs do between subroutines: flush without blocking, poll, time out."""
    socket, epr_socket = Socket("alice", "bob"), EPRSocket("bob")
    with NetQASMConnection("alice", epr_sockets=[epr_socket]) as alice:
        if fail:
            raise RuntimeError("on purpose")
        qubit = Qubit(alice)
        qubit.X()
        outcome = qubit.measure()
        heard = []
        alice.flush(block=False, callback=lambda: heard.append("ran"))
        try:
            socket.recv(block=False)
            polled = "something"
        except RuntimeError:
            polled = "nothing"
        try:
            socket.recv(timeout=0.5)
            waited = "something"
        except TimeoutError:
            waited = "nothing"
        alice.block()
        socket.send("go")
        with alice.loop(3):
            q = Qubit(alice)
            q.H()
            q.free()
        alice.flush()
        word = socket.recv()
    return {"outcome": int(outcome), "heard": heard, "polled": polled, "waited": waited, "word": word}
