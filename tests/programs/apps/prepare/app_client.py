from netqasm.sdk import EPRSocket
from netqasm.sdk.external import NetQASMConnection, Socket


def main(app_config=None, turn=0, use_rsp=True):
    """Leave Rz(turn pi/16 + outcome pi)|+> at the server, by remote preparation or by a kept pair."""
    epr_socket, socket = EPRSocket("server"), Socket("client", "server")
    with NetQASMConnection("client", epr_sockets=[epr_socket]):
        if use_rsp:
            outcome = epr_socket.create_rsp(rotations_local=(0, 8, (16 + turn) % 32))[0].raw_measurement_outcome
        else:
            half = epr_socket.create_keep()[0]
            half.rot_Z(n=turn, d=4)
            half.H()
            outcome = half.measure(store_array=False)
    socket.send(str(int(outcome)))
    return {"outcome": int(outcome)}
