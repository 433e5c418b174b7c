"""quoit: a digital twin of the Quantum Internet. Commands are thin: what they do lives in the rooms below."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from quoit.cli import show

app = App(
    name="quoit",
    help=(
        "A digital twin of the Quantum Internet and its control stack.\n\n"
        "Begin with `quoit check FILE`, then `quoit run FILE --until 10min` (virtual time, with a report) or "
        "`quoit up FILE` (live, real clients). Exit codes: 0 good; 1 a check failed, a request was refused or a run "
        "was not faithful; 2 wrong use or unusable input; 130 interrupted."
    ),
)

KEK_FORMS = "a file, pkcs11:... or vault+https://... See docs/keys-at-rest.md."
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON instead of text.")]
Seed = Annotated[int | None, Parameter(help="Seed of all physics; the file's own if not given.")]


@app.command
def check(file: Path, /, *, json: Json = False) -> int:
    """Check a network, sweep or attack file: every fault with its line, what was expected and how to mend it."""
    from quoit.cli.check import check_file

    return check_file(file, json)


@app.command
def schema(of: Literal["network", "sweep", "attack"] = "network", /) -> int:
    """Print the JSON Schema of network, sweep or attack files, for editors (it is JSON in any case)."""
    from quoit.scenario import check
    from quoit.scenario.attacks import check as attacks
    from quoit.scenario.sweep import check as sweeps

    texts = {"network": check.schema_text, "sweep": sweeps.schema_text, "attack": attacks.schema_text}
    sys.stdout.write(texts[of]())
    return 0


@app.command
def run(
    file: Path,
    /,
    *,
    until: str = "10min",
    seed: Seed = None,
    digest: Annotated[bool, Parameter(negative="", help="Print only the trace digest, on the last line.")] = False,
    out: Annotated[Path | None, Parameter(help="Write report, tables, plots and event log here.")] = None,
    traces: Annotated[Path | None, Parameter(help="Write traces of requests here (OTLP/JSON, a batch a line).")] = None,
    json: Json = False,
) -> int:
    """Run a network in virtual time, as fast as the machine can, and report what happened."""
    from quoit.cli.run import run_file

    return run_file(file, until, seed, digest, out, json, traces)


@app.command
def sweep(
    file: Path,
    /,
    *,
    out: Annotated[Path, Parameter(help="Directory of the study: its runs, tables and plot.")],
    workers: Annotated[int | None, Parameter(help="Runs at a time; as many as there are cores if not given.")] = None,
    executor: Annotated[
        Literal["processes", "dask"], Parameter(help="processes of this machine, or a Dask cluster (quoit[dask]).")
    ] = "processes",
    scheduler: Annotated[
        str | None, Parameter(help="With dask: address of a scheduler; else a cluster is made on this machine.")
    ] = None,
    resume: Annotated[bool, Parameter(negative="", help="Go on with the study that was begun in --out.")] = False,
    plot: Annotated[
        bool, Parameter(negative="", help="Draw the figures over the first axis, a line for each value of the second.")
    ] = False,
    json: Json = False,
) -> int:
    """Run a parameter study: all points of a sweep file with all their seeds, on all cores. See docs/sweeps.md."""
    from quoit.cli.sweep import sweep_file

    return sweep_file(file, out, workers, executor, scheduler, resume, plot, json)


@app.command
def attack(
    file: Path,
    /,
    *,
    seeds: Annotated[int | None, Parameter(help="How many runs; the file's own number if not given.")] = None,
    json: Json = False,
) -> int:
    """Play an attack in virtual time and score what telemetry made of it. See docs/attacks.md."""
    from quoit.cli.attack import attack_file

    return attack_file(file, seeds, json)


@app.command
def compare(
    file: Path | None = None,
    /,
    *,
    chain: Annotated[int | None, Parameter(help="Instead of a file: so many alike hops.")] = None,
    compilers: Annotated[
        str | None, Parameter(help="Names with commas between; all that are installed if not.")
    ] = None,
    pairs: Annotated[int | None, Parameter(help="How many; the file's own if not given.")] = None,
    floor: Annotated[float | None, Parameter(help="Fidelity that no pair may fall below.")] = None,
    seed: Seed = None,
    plot: Annotated[Path | None, Parameter(help="Draw it: a .png, .svg or .pdf file.")] = None,
    json: Json = False,
) -> int:
    """Run one chain of repeaters under several compilers and compare rate, fidelity, latency, memory and messages."""
    from quoit.cli.compare import compare_file

    return compare_file(file, chain, compilers, pairs, floor, seed, plot, json)


@app.command
def up(
    file: Path,
    /,
    *,
    dir: Annotated[Path, Parameter(help="Directory of the run: certificates, stores, logs.")] = Path("out/quoit"),
    start: Annotated[str, Parameter(name="--from", help="Fast-forward to this instant, then go live.")] = "0s",
    until: Annotated[str | None, Parameter(help="Stop at this instant of simulated time.")] = None,
    speed: Annotated[float, Parameter(help="Simulated seconds per second: 0.1, 1, 10.")] = 1.0,
    seed: Seed = None,
    port: Annotated[int, Parameter(help="Port of every KME's listener.")] = 8443,
    digest: Annotated[bool, Parameter(negative="", help="With --until: print only the trace digest.")] = False,
    processes: Annotated[int, Parameter(help="Run in so many processes over a NATS bus.")] = 1,
    resume: Annotated[
        bool, Parameter(negative="", help="Go on where the twin in --dir stopped or was killed, with its key stores.")
    ] = False,
    store: Annotated[
        str | None, Parameter(help="postgresql://... that holds the key stores, one schema a KME, instead of files.")
    ] = None,
    tls: Annotated[
        Literal["standard", "modern"],
        Parameter(help="standard: TLS 1.3 and 1.2, as ETSI GS QKD 014 permits; modern: 1.3 alone."),
    ] = "standard",
    certificate_life: Annotated[
        str, Parameter(help="Of KMEs' and applications' certificates, renewed at 2/3.")
    ] = "24h",
    management_port: Annotated[
        int | None,
        Parameter(
            help="Also serve operator and observers over mutual TLS, on this port of 127.0.0.1 (0: any free one)."
        ),
    ] = None,
    agents: Annotated[
        int | None,
        Parameter(
            help="Also serve the nodes' SDN agents (ETSI GS QKD 015) over RESTCONF, on ports from this one on "
            "(0: any free ones)."
        ),
    ] = None,
    kek: Annotated[
        str | None, Parameter(help=f"Key-encryption key of all stores, instead of a file in each: {KEK_FORMS}")
    ] = None,
    traces: Annotated[Path | None, Parameter(help="Write traces of requests here (OTLP/JSON, a batch a line).")] = None,
    netqasm: Annotated[
        int | None, Parameter(help="Open a door for NetQASM programs at each node, with so many of its memories.")
    ] = None,
    tapi_port: Annotated[
        int | None, Parameter(help="Also serve the optical network (ONF TAPI 2.4.0), on this port of 127.0.0.1.")
    ] = None,
    tapi_yang: Annotated[
        Path | None,
        Parameter(env_var="QUOIT_TAPI_YANG", help="Directory of TAPI's YANG modules, which are not shipped."),
    ] = None,
    json: Annotated[
        bool, Parameter(name="--json", negative="", help="Tell the doors as JSON, and log in JSON lines.")
    ] = False,
    part: Annotated[int | None, Parameter(show=False)] = None,
    nats: Annotated[str, Parameter(show=False)] = "",
    run: Annotated[str, Parameter(show=False)] = "",
) -> int:
    """Run a network live: real ETSI 014 clients may connect over mutual TLS. Ctrl-C ends it."""
    from quoit.cli.up import UpOptions, bring_up

    options = UpOptions(dir, start, until, speed, seed, port, digest, processes, json, part, nats, run, resume, store)
    return bring_up(
        file,
        replace(
            options,
            kek=kek,
            traces=traces,
            netqasm=netqasm,
            tls13_only=tls == "modern",
            certificate_life=certificate_life,
            management_port=management_port,
            tapi_port=tapi_port,
            tapi_yang=tapi_yang,
            agents_port=agents,
        ),
    )


@app.command
def demo(
    file: Annotated[Path, Parameter(help="A network with two applications at its far ends.")] = Path(
        "examples/madrid.yaml"
    ),
    /,
    *,
    dir: Path = Path("out/demo"),
    stay: Annotated[bool | None, Parameter(help="Stay up until Ctrl-C; default: only on a terminal.")] = None,
    json: Json = False,
) -> int:
    """Bring up Madrid live, take a key at both far ends, let an eavesdropper in and be caught."""
    from quoit.cli.demo import play

    return play(file, dir, stay, json)


@app.command
def top(
    *, dir: Path = Path("out/quoit"), once: Annotated[bool, Parameter(negative="")] = False, json: Json = False
) -> int:
    """Live view of a running twin's links: QBER, rates, pools, states."""
    from quoit.cli.top import watch

    return watch(dir, once, json)


@app.command
def observe(*, out: Annotated[Path, Parameter(help="Directory for the files.")], force: bool = False) -> int:
    """Write a Grafana dashboard, Prometheus alert rules and a scrape configuration for a running twin.

    See docs/telemetry.md. Files that are there already stay, unless --force is given.
    """
    from quoit.cli.observe import write_files

    return write_files(out, force)


@app.command
def alarms(*, dir: Path = Path("out/quoit"), json: Json = False) -> int:
    """List what is wrong in a running twin: severity, since when, and which alarm explains it.

    Ends with 1 if an alarm is critical or major.
    """
    from quoit.cli.top import list_alarms

    return list_alarms(dir, json)


@app.command
def strike(kind: str, target: str, amount: float = 0.0, /, *, dir: Path = Path("out/quoit"), json: Json = False) -> int:
    """Do something to a running twin's world: cut|splice SPAN, bend SPAN DB, intercept|tamper LINK FRACTION.

    `light SPAN DBM`, `extinguish SPAN`: classical light of which no inventory knows; `power CHANNEL DBM`: a channel
    sends with another power than it was told to; `weather SPAN DB`: loss of a path through air. Write a negative
    amount after `--`: `quoit strike light SPAN -- -20`.

    `tap SPAN DB`: a coupler leads light away; `split LINK FRACTION`: photon-number splitting; `blind LINK 1`: bright
    light on the detectors; `falsify-sender LINK 1`, `falsify-receiver LINK 1`: the agent of that end tells what is not
    so. Amount 0 ends each.

    `intercept` takes pair links too, `depolarise LINK FRACTION` makes a fault of one, and `commission LINK` brings
    both ends of a link fresh key to authenticate their messages with.
    """
    from quoit.cli.top import strike_at

    return strike_at(dir, kind, target, amount, json)


@app.command
def keys(
    sae: str,
    peer: str,
    /,
    *,
    number: int = 1,
    size: int | None = None,
    dir: Path = Path("out/quoit"),
    json: Json = False,
) -> int:
    """Take keys as application SAE shared with PEER, and the same keys at PEER's end; compare them."""
    from quoit.cli.keys import take

    return take(dir, sae, peer, number, size, json)


@app.command
def pki(
    sae: str,
    /,
    *,
    urn: str | None = None,
    dir: Path = Path("out/quoit"),
    hours: float = 24,
    revoke: Annotated[bool, Parameter(negative="", help="Revoke the application's certificate instead.")] = False,
    json: Json = False,
) -> int:
    """Issue a client certificate for an application from the run's own PKI, or revoke it."""
    from quoit.cli.keys import issue
    from quoit.cli.keys import revoke as revoke_it

    if revoke:
        return revoke_it(dir, sae, json)
    return issue(dir, sae, urn, hours, json)


@app.command
def replay(
    journal: Path,
    /,
    *,
    until: str | None = None,
    digest: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> int:
    """Repeat a recorded live run in virtual time; prints the digest of its trace."""
    from quoit.cli.run import replay_journal

    return replay_journal(journal, until, digest, json)


@app.command
def verify(log: Path, /, *, json: Json = False) -> int:
    """Check the promises of key delivery on a run's event log (events.jsonl)."""
    from quoit.cli.check import verify_log

    return verify_log(log, json)


@app.command(name="map")
def map_(*, json: Json = False) -> int:
    """Print the elements by stratum and plane, with the requirements that each realises."""
    from quoit.cli.atlas import print_map

    return print_map(json)


store_app = App(name="store", help="Care of a KME's key store while no twin has it open.")
app.command(store_app)
StoreDir = Annotated[Path, Parameter(help="Directory of the run.")]
StoreKek = Annotated[str | None, Parameter(help=f"The store's key-encryption key, if not its own file: {KEK_FORMS}")]


@store_app.command
def backup(kme: str, to: Path, /, *, kek: StoreKek = None, dir: StoreDir = Path("out/quoit")) -> int:
    """Copy a KME's store, without its key-encryption key."""
    from quoit.cli.store import back_up

    return back_up(dir, kme, to, kek)


@store_app.command
def restore(
    kme: str,
    copy: Path,
    /,
    *,
    kek: Annotated[str | None, Parameter(help="The copy's own key, if the store's was rotated since.")] = None,
    to: StoreKek = None,
    dir: StoreDir = Path("out/quoit"),
) -> int:
    """Put a copy back. Keys that waited in it are void: they may have been handed out since."""
    from quoit.cli.store import put_back

    return put_back(dir, kme, copy, kek, to)


@store_app.command
def rotate(
    kme: str,
    /,
    *,
    kek: StoreKek = None,
    to: Annotated[
        str | None, Parameter(help="The new key, of any kind. Without it: a fresh one in the store's own file.")
    ] = None,
    store: Annotated[str | None, Parameter(help="postgresql://... if the store is there.")] = None,
    dir: StoreDir = Path("out/quoit"),
) -> int:
    """Give a KME's store a new key-encryption key. Stopped halfway, do it again.

    With the --kek of a Vault and no --to, data keys are wrapped with that key's latest version.
    """
    from quoit.cli.store import rotate_key

    return rotate_key(dir, kme, kek, to, store)


@store_app.command
def keygen(uri: Annotated[str, Parameter(help="pkcs11:... of a key that is not there yet.")], /) -> int:
    """Have a PKCS#11 token make a key-encryption key that never leaves it."""
    from quoit.cli.store import generate

    return generate(uri)


tunnel_app = App(name="tunnel", help="Give keys to a tunnel's end, a fresh one every few seconds. See docs/tunnels.md.")
app.command(tunnel_app)


@Parameter(name="*")
@dataclass(frozen=True)
class TunnelEnd:
    """Which end this is, and where its keys come from."""

    sae: Annotated[str, Parameter(help="This end's application.")]
    peer: Annotated[str, Parameter(help="The other end's application.")]
    agent: Annotated[str, Parameter(help="HOST:PORT of the responder's agent: here it listens, or is called.")]
    initiate: Annotated[bool, Parameter(negative="", help="This end leads: it opens keys and says when.")] = False
    every: Annotated[str, Parameter(help="A fresh key so often.")] = "10s"
    rotations: Annotated[int | None, Parameter(help="End after so many (the leading end).")] = None
    dir: Annotated[Path, Parameter(help="Directory of a twin on this machine, for its doors.")] = Path("out/quoit")
    kme: Annotated[str | None, Parameter(help="Base URL of any KME instead; with --cert, --key, --ca.")] = None
    cert: Path | None = None
    key: Path | None = None
    ca: Path | None = None
    plain: Annotated[
        bool, Parameter(negative="", help="Agents talk without TLS: for certificates that are for clients only.")
    ] = False


def _rotate(end: TunnelEnd, tunnel: Any) -> int:
    from quoit.cli.tunnel import End, rotate

    return rotate(End(*(getattr(end, f.name) for f in fields(end))), tunnel)


@tunnel_app.command
def wireguard(
    *,
    end: TunnelEnd,
    interface: Annotated[str, Parameter(help="The WireGuard interface.")],
    public_key: Annotated[str, Parameter(help="The other end's public key, as `wg` prints it.")],
) -> int:
    """Rotate the pre-shared key of a WireGuard peer."""
    from quoit.tunnels.wireguard import WireGuard

    return _rotate(end, WireGuard(interface, public_key))


@tunnel_app.command
def strongswan(
    *,
    end: TunnelEnd,
    connection: Annotated[Path, Parameter(help="JSON file: the connection's settings as VICI takes them.")],
    name: Annotated[str, Parameter(help="The connection's name.")] = "quoit",
    child: Annotated[str, Parameter(help="The child that is initiated.")] = "net",
    vici: Annotated[str, Parameter(help="Socket of charon.")] = "/run/charon.vici",
) -> int:
    """Rotate the post-quantum pre-shared key (RFC 8784) of a strongSwan connection."""
    from quoit.cli.tunnel import vici_settings
    from quoit.tunnels.strongswan import StrongSwan

    return _rotate(end, StrongSwan(vici, name, vici_settings(connection), child, end.initiate))


@tunnel_app.command
def tls(
    *,
    end: TunnelEnd,
    secrets: Annotated[Path, Parameter(help="stunnel's PSKsecrets file; the agent writes it.")],
    pid_file: Annotated[Path, Parameter(help="stunnel's pid file.")],
) -> int:
    """Rotate the pre-shared keys of a stunnel (TLS 1.3)."""
    from quoit.tunnels.tls import Stunnel

    return _rotate(end, Stunnel(secrets, pid_file, not end.initiate))


simulators_app = App(name="simulators", help="Simulators behind one port, and how far they agree: docs/simulators.md.")
app.command(simulators_app)
SimulatorsDir = Annotated[
    Path | None,
    Parameter(help="Directory of environments; else $QUOIT_SIMULATORS, else ~/.local/share/quoit/simulators."),
]


@simulators_app.command(name="list")
def list_simulators(*, dir: SimulatorsDir = None, json: Json = False) -> int:
    """Which simulators there are, and what each can do."""
    from quoit.cli.simulators import list_all

    return list_all(dir, json)


@simulators_app.command(name="install")
def install_simulator(
    name: str,
    /,
    *,
    dir: SimulatorsDir = None,
    python: Annotated[str | None, Parameter(help="Interpreter to use, instead of the best one found.")] = None,
) -> int:
    """Make the environment of a simulator, apart from quoit's own: sequence or qunetsim."""
    from quoit.cli.simulators import install_one

    return install_one(name, dir, python)


@simulators_app.command(name="compare")
def compare_simulators(
    *only: Annotated[str, Parameter(help="Simulators; without any, all that are there.")],
    dir: SimulatorsDir = None,
    factor: Annotated[float, Parameter(help="Share of the suite's simulated time and repetitions.")] = 1.0,
    within: Annotated[float, Parameter(help="Seconds that a scenario may take.")] = 600.0,
    markdown: Annotated[bool, Parameter(negative="", help="Print the table of docs/simulators.md.")] = False,
    json: Json = False,
) -> int:
    """Play every scenario on every simulator that can, and compare fidelities, rates and error rates."""
    from quoit.cli.simulators import compare

    return compare(dir, only, factor, within, "json" if json else "markdown" if markdown else "text")


@app.command
def controller(
    *,
    dir: Annotated[Path, Parameter(help="A running twin's, for its agents and a certificate.")] = Path("out/quoit"),
    connect: Annotated[
        tuple[str, ...], Parameter(help="NODE:NODE, a route for keys to keep; as often as wanted.")
    ] = (),
    agent: Annotated[tuple[str, ...], Parameter(help="NODE=URL of an agent, instead of a twin's.")] = (),
    network: Annotated[str | None, Parameter(help="Name from which identifiers follow.")] = None,
    ca: Path | None = None,
    cert: Path | None = None,
    key: Path | None = None,
    seconds: Annotated[float | None, Parameter(help="End after so long.")] = None,
    json: Json = False,
) -> int:
    """Control a fabric from outside, by ETSI GS QKD 015 over RESTCONF. Ctrl-C ends it, and keys flow on."""
    from quoit.cli.controller import ControllerOptions, control

    return control(ControllerOptions(dir, agent, connect, network, ca, cert, key, seconds, json))


@app.command
def scene(
    *,
    every: Annotated[float, Parameter(help="Seconds between fresh keys of the tunnel.")] = 3.0,
    calm: Annotated[float, Parameter(help="Seconds to look on before the attack and after.")] = 6.0,
) -> int:
    """Watch a real WireGuard tunnel live through an eavesdropper (Linux, root, wireguard-go)."""
    from quoit.cli.scene import show_scene

    return show_scene(every, calm)


@app.command
def yang(
    module: Annotated[str | None, Parameter(help="Print this module's text; without it, list all.")] = None,
    /,
    *,
    check: Annotated[Path | None, Parameter(help="Instead: is the JSON instance in this file valid?")] = None,
    config: Annotated[bool, Parameter(negative="", help="With --check: as configuration, without state.")] = False,
    path: Annotated[
        tuple[Path, ...], Parameter(negative="", help="A directory with further modules, looked at first.")
    ] = (),
    json: Json = False,
) -> int:
    """YANG modules of the control interfaces, and validation of JSON instances. See docs/restconf.md."""
    from quoit.cli import yang

    if check is not None:
        return yang.check_file(check, path, config, json)
    return yang.list_all(path, json) if module is None else yang.print_one(module, path)


netqasm_app = App(name="netqasm", help="Programs of the NetQASM SDK, with quoit as their quantum nodes.")
app.command(netqasm_app)


@netqasm_app.command(name="run")
def netqasm_run(
    directory: Annotated[
        Path | None, Parameter(help="Directory of an SDK application, with app_ROLE.py, or a script.")
    ] = None,
    /,
    *,
    example: Annotated[str | None, Parameter(help="An application that the SDK ships, instead.")] = None,
    hardware: Annotated[
        str | None, Parameter(help="Published profile of all nodes and links; default: network.yaml, or ideal.")
    ] = None,
    seed: Annotated[int, Parameter(help="Of all physics, and of the programs' own random numbers.")] = 0,
    rounds: Annotated[int, Parameter(help="Run the programs so often, one round after the other.")] = 1,
    patience: Annotated[float, Parameter(help="Simulated seconds that a wait may take.")] = 3600.0,
    set: Annotated[
        tuple[str, ...], Parameter(negative="", help="ROLE.NAME=VALUE: an argument of a role's main, before ROLE.yaml.")
    ] = (),
    dir: Annotated[
        Path | None, Parameter(help="Run directory of a twin that is up: run against it, live, over its doors.")
    ] = None,
    role: Annotated[
        tuple[str, ...], Parameter(negative="", help="With --dir: run this role here, others elsewhere.")
    ] = (),
    as_: Annotated[
        tuple[str, ...],
        Parameter(name="--as", negative="", help="ROLE=SAE, with --dir: which application a role is."),
    ] = (),
    json: Json = False,
) -> int:
    """Run an application and show what its programs return: in virtual time, or with --dir against a live twin. See
    docs/netqasm.md."""
    from quoit.cli.netqasm import NetqasmOptions, run

    return run(NetqasmOptions(directory, example, hardware, seed, rounds, patience, set, json, dir, role, as_))


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the `quoit` command."""
    try:
        code: Any = app(arguments)
    except show.UserError as fault:
        show.error(str(fault))
        code = 2
    except OSError as fault:
        if fault.filename is None:
            raise
        show.error(f"{fault.filename}: {fault.strerror}")
        code = 2
    except KeyboardInterrupt:
        show.error("interrupted")
        code = 130
    sys.exit(int(code or 0))


if __name__ == "__main__":
    main()
