"""Commands that bring a twin up, live: whole, or in parts over a bus."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from quoit.cli.commands.root import KEK_FORMS, Json, Seed, app


@Parameter(name="*")
@dataclass(frozen=True)
class PartChoice:
    """What this process holds of a twin that runs apart."""

    bus: Annotated[str | None, Parameter(help="Be a part of the twin whose bus is there: nats://127.0.0.1:4222.")] = (
        None
    )
    stratum: Annotated[
        tuple[Literal["service", "fabric", "connectivity", "engine"], ...],
        Parameter(negative="", help="With --bus: hold this stratum. May be given again; all if not given."),
    ] = ()
    plane: Annotated[
        tuple[Literal["resource", "control", "management", "telemetry"], ...],
        Parameter(negative="", help="With --bus: of these strata hold this plane. May be given again; all if not."),
    ] = ()
    without: Annotated[
        tuple[str, ...],
        Parameter(
            negative="",
            help="With --bus: but not this stratum, plane, cell or element, such as fabric-control, "
            "service-control-access-1.",
        ),
    ] = ()
    element: Annotated[
        tuple[str, ...],
        Parameter(
            negative="",
            help="With --bus: of this stratum and plane hold one function alone, such as access, or one instance of "
            "it, such as access-1. May be given again.",
        ),
    ] = ()
    credentials: Annotated[
        Path | None, Parameter(help="With --bus: directory of this part's; default out/bus/parts/PART.")
    ] = None
    wait: Annotated[str, Parameter(help="With --bus: how long to wait for the other parts.")] = "60s"


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
    orchestration_port: Annotated[
        int | None,
        Parameter(help="Also serve intents and the view of all strata, on this port of 127.0.0.1 (0: any free one)."),
    ] = None,
    join_port: Annotated[
        int | None,
        Parameter(help="Let devices with a token enrol, on this port of 127.0.0.1 (0: any free one). See quoit token."),
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
    teraflow: Annotated[
        bool,
        Parameter(
            negative="",
            help="Let TeraFlowSDN's drivers in, by passwords instead of certificates: at agents of its dialect over "
            "plain HTTP, at the optical network over TLS. See docs/teraflow.md.",
        ),
    ] = False,
    json: Annotated[
        bool, Parameter(name="--json", negative="", help="Tell the doors as JSON, and log in JSON lines.")
    ] = False,
    by: Annotated[
        Literal["place", "stratum", "plane", "cell"],
        Parameter(help="place: as --processes says; else a process for each of these, and a bus. See docs/parts.md."),
    ] = "place",
    apart: PartChoice = PartChoice(),
    part: Annotated[int | None, Parameter(show=False)] = None,
    nats: Annotated[str, Parameter(show=False)] = "",
    run: Annotated[str, Parameter(show=False)] = "",
) -> int:
    """Run a network live: real ETSI 014 clients may connect over mutual TLS. Ctrl-C ends it."""
    from quoit.cli.apart import place_of
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
            orchestration_port=orchestration_port,
            join_port=join_port,
            by=by,
            place=place_of(
                apart.bus, apart.credentials, (apart.stratum, apart.plane, apart.without, apart.element), apart.wait
            ),
            tapi_port=tapi_port,
            tapi_yang=tapi_yang,
            teraflow=teraflow,
            agents_port=agents,
        ),
    )


@app.command(name="bus")
def serve_bus(
    file: Path,
    /,
    *,
    dir: Annotated[Path, Parameter(help="Where credentials of the parts are put.")] = Path("out/bus"),
    port: Annotated[int, Parameter(help="Of 127.0.0.1; 0: any free one.")] = 4222,
    part: Annotated[
        tuple[str, ...], Parameter(negative="", help="Credentials for this part, too: such as fabric-control_service.")
    ] = (),
    json: Json = False,
) -> int:
    """Serve the bus of a twin whose strata and planes are started apart (`quoit up --bus`). See docs/parts.md."""
    from quoit.cli.apart import serve_bus as serve

    return serve(file, dir, port, part, json)


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
def scene(
    *,
    every: Annotated[float, Parameter(help="Seconds between fresh keys of the tunnel.")] = 3.0,
    calm: Annotated[float, Parameter(help="Seconds to look on before the attack and after.")] = 6.0,
) -> int:
    """Watch a real WireGuard tunnel live through an eavesdropper (Linux, root, wireguard-go)."""
    from quoit.cli.scene import show_scene

    return show_scene(every, calm)
