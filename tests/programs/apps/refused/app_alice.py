from netqasm.lang.ir import BreakpointAction
from netqasm.sdk import EPRSocket
from netqasm.sdk.build_types import NVHardwareConfig
from netqasm.sdk.external import NetQASMConnection, Socket, simulate_application
from netqasm.sdk.transpile import NVSubroutineTranspiler


def main(app_config=None):
    """What each unsupported thing says."""
    said = {}

    def attempt(name, act):
        try:
            act()
        except (NotImplementedError, ValueError, RuntimeError) as fault:
            said[name] = f"{type(fault).__name__}: {fault}"

    attempt("compiler", lambda: NetQASMConnection("alice", compiler=NVSubroutineTranspiler))
    attempt("hardware", lambda: NetQASMConnection("alice", hardware_config=NVHardwareConfig(3)))
    attempt("callbacks", lambda: Socket("alice", "bob", use_callbacks=True))
    attempt("stranger", lambda: Socket("alice", "nobody"))
    attempt("simulate", lambda: simulate_application(None))
    attempt("memories", lambda: NetQASMConnection("alice", max_qubits=99))
    with NetQASMConnection("alice", epr_sockets=[EPRSocket("bob")]) as alice:
        attempt("breakpoint", lambda: alice.insert_breakpoint(BreakpointAction.DUMP_LOCAL_STATE))
    return said
