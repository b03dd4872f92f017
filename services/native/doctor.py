"""The command `botwatch doctor`: every diagnostic, with the fix of what is wrong, and the support bundle."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from services.native.compose import COMPOSE
from services.native.diagnostics.finding import Finding, critical, exit_code, lines, ok, summary
from services.native.diagnostics.home import check_process
from services.native.diagnostics.registry import DOCTOR, PREFLIGHT, Diagnostic, diagnose
from services.native.diagnostics.site import Site, Way
from services.native.pid_file import PidFile
from services.native.support_bundle import write_bundle
from shared.runtime.settings import REPOSITORY
from shared.schema.faults import InvalidError

CONTAINER_SECRETS = "/run/botwatch/"
"""Where docker-compose.yml mounts the credentials of a container."""
CONTAINER_TIMEOUT_S = 120.0


app = typer.Typer()


@app.command(epilog="Exit code: 0 all is well, 1 warnings, 2 something is critical.")
def doctor(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    bundle: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write a support bundle (tar.gz): findings, versions, configuration and ends of the "
            "logs without secrets, table sizes, job runs.",
        ),
    ] = None,
    records: Annotated[
        bool, typer.Option("--records", help="With --bundle: also the last 100 rows of every table.")
    ] = False,
) -> int:
    """Find out what is wrong, and how to fix it."""
    return run_doctor(os.environ, as_json=as_json, bundle=bundle, records=records)


def run_doctor(
    environ: Mapping[str, str], *, as_json: bool = False, bundle: Path | None = None, records: bool = False
) -> int:
    """Print all findings; return the exit code of the worst one."""
    try:
        site = _site(environ)
    except InvalidError as error:
        sys.stderr.writelines(f"botwatch doctor: {fault}\n" for fault in error.faults)
        return 2
    findings = list(_findings(site))
    if as_json:
        json.dump(msgspec.to_builtins(findings), sys.stdout, indent=2, ensure_ascii=False)
        sys.stdout.write("\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in [*lines(findings), summary(findings)])
    if bundle:
        try:
            write_bundle(bundle, site, findings, records=records)
        except OSError as error:
            sys.stderr.write(f"botwatch doctor: cannot write {bundle}: {error.strerror}\n")
            return 2
        sys.stderr.write(f"Support bundle: {bundle}; read it before you send it.\n")
    return exit_code(findings)


def _site(environ: Mapping[str, str]) -> Site:
    way: Way = "native"
    if environ.get("REDIS_URL_FILE", "").startswith(CONTAINER_SECRETS):
        way = "container"
    site = Site(environ, way)
    holder = PidFile(site.home).holder()
    if holder and holder.way == "compose":
        return Site(environ, "compose", production=True)
    return Site(environ, way, production=True) if holder else site


def _findings(site: Site) -> Iterator[Finding]:
    if site.way != "compose":
        return diagnose(site, DOCTOR)
    inside = Diagnostic("containers", _findings_inside)
    return diagnose(site, (Diagnostic("process", check_process), *PREFLIGHT, inside))


def _findings_inside(site: Site) -> Iterator[Finding]:
    """Run the doctor in the container `botwatch`, which sees databases, Redis and the parts."""
    command = [*COMPOSE, "run", "--rm", "--no-TTY", "botwatch", "doctor", "--json"]
    try:
        done = subprocess.run(
            command,
            env=site.environ,
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=CONTAINER_TIMEOUT_S,
            check=False,
        )
        found = msgspec.json.decode(done.stdout, type=list[Finding])
    except subprocess.TimeoutExpired:
        yield critical(f"the doctor in the container took longer than {CONTAINER_TIMEOUT_S:g} s", "docker ps")
    except msgspec.MsgspecError:
        reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
        yield critical(f"the doctor in the container failed: {reason}", " ".join(command))
    else:
        for finding in found:
            yield msgspec.structs.replace(finding, what=f"{finding.diagnostic}: {finding.what}")
        yield ok(f"{len(found)} checks in the container")
