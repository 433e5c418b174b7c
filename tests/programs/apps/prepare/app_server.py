from netqasm.lang.operand import Template
from netqasm.sdk import EPRSocket
from netqasm.sdk.external import NetQASMConnection, Socket


def main(app_config=None, turn=0, use_rsp=True):
    """Measure along the state that the client says it prepared: the outcome is certain. The subroutine is compiled
    before the client's bit has come."""
    epr_socket, socket = EPRSocket("client"), Socket("server", "client")
    with NetQASMConnection("server", epr_sockets=[epr_socket]) as server:
        qubit = (epr_socket.recv_rsp() if use_rsp else epr_socket.recv_keep())[0]
        server.flush()
        qubit.rot_Z(n=Template("back"), d=4)
        qubit.H()
        outcome = qubit.measure(store_array=False)
        subroutine = server.compile()
        bit = int(socket.recv())
        subroutine.instantiate(server.app_id, arguments={"back": (-turn - 16 * bit) % 32})
        server.commit_subroutine(subroutine)
    return {"outcome": int(outcome)}
