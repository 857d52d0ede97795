"""How the base image comes to be: pulled where a registry answers, made from Debian's packages where none does.

Both are only what ``images/base/Dockerfile`` starts from, so both lead to the same tag, and nobody who builds on it can
tell. Which it was is kept in the image's label ``appliance.base``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import docker
import requests
from docker.errors import APIError, ImageNotFound

from appliance import preflight
from appliance.engines.base import Report
from appliance.errors import ApplianceError, Unavailable
from appliance.images.context import Context
from appliance.images.mirror import Mirrors, chosen, mirrors
from appliance.images.tags import PREFIX, SUITE
from appliance.images.work import address, messages

PULLED = preflight.PULLED
ANSWER = 10  # seconds for a registry to answer at all
SILENCE = 60  # seconds without a word during a pull
WHOLE = 600  # seconds for the whole pull, and for the whole bootstrap
#: the engine's names of architectures → Debian's
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "armhf", "ppc64le": "ppc64el"}
STEP = "base"


def origin(
    client: docker.DockerClient, context: Context, tag: str, report: Report, *, fresh: bool, mirror: str
) -> tuple[str, Mirrors | None]:
    """What the base's Dockerfile starts FROM, and the mirror to write into it (None: as the image has it).

    ``fresh``: ask the registry even when there is a copy. Raises Unavailable with what to install when neither way is open.
    """
    named = chosen(mirror)
    if not fresh and _present(client, PULLED):
        return PULLED, named
    problem = pull(client, report)
    if not problem:
        return PULLED, named
    if _present(client, PULLED):
        report.note(f"{PULLED} could not be pulled again ({problem}); the copy that is here takes its updates from Debian")
        return PULLED, named
    report.note(f"{PULLED} cannot be pulled ({problem}); the base is made from Debian's packages")
    source = mirrors(mirror)
    require_tools(client)
    return bootstrap(client, context, source, f"{PREFIX}/bootstrap:{tag.rpartition(':')[2]}", report), source


def pull(client: docker.DockerClient, report: Report) -> str:
    """Pulls debian:trixie-slim; empty when it is there, otherwise why not. Asks first whether a registry answers at all."""
    try:
        answer = client.api.get(address(client, f"/distribution/{PULLED}/json"), timeout=ANSWER)
        if answer.status_code != requests.codes.ok:
            return _reason(answer)
    except (requests.Timeout, requests.ConnectionError) as why:
        return f"no answer in time ({type(why).__name__})"
    report.start(STEP, f"pull {PULLED}")
    if problem := _fetch(client):
        report.failed(STEP, f"{PULLED} not pulled")
        return problem
    report.done(STEP, f"pulled {PULLED}")
    return ""


def _fetch(client: docker.DockerClient) -> str:
    name, _, tag = PULLED.rpartition(":")
    began = time.monotonic()
    try:
        query = {"fromImage": name, "tag": tag}
        response = client.api.post(address(client, "/images/create"), params=query, stream=True, timeout=(ANSWER, SILENCE))
        if response.status_code != requests.codes.ok:
            return _reason(response)
        for message in messages(response):
            if message.get("error"):
                return str(message["error"])
            if time.monotonic() - began > WHOLE:
                return f"not complete after {WHOLE} s"
    except (requests.Timeout, requests.ConnectionError) as why:
        return f"no answer in time ({type(why).__name__})"
    return "" if _present(client, PULLED) else "the engine says it was pulled and does not have it"


def require_tools(client: docker.DockerClient) -> None:
    """Raises Unavailable with one apt line when this machine cannot bootstrap a base for this engine."""
    if lacking := preflight.base(True):
        lines = preflight.report(lacking, "making the base image").removeprefix("error: ").splitlines()
        raise Unavailable("\n".join(lines[:-1]), hint=lines[-1].strip())
    wanted = ARCHITECTURES.get(machine := str(client.info().get("Architecture", "")), machine)
    here = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=False).stdout.strip()
    if here != wanted:
        hint = f"let the engine pull {PULLED}, or load it there with `docker save {PULLED} | docker load`"
        here = here or "no Debian"
        raise Unavailable(f"the engine runs {wanted} and this machine {here}: it cannot make the base image", hint=hint)


def bootstrap(client: docker.DockerClient, context: Context, source: Mirrors, name: str, report: Report) -> str:
    """Makes a minimal Debian with mmdebstrap and imports it under ``name``, which is returned."""
    report.start(STEP, f"bootstrap {SUITE} from Debian's packages")
    try:
        with tempfile.TemporaryDirectory(prefix="appliance-base-") as folder:
            tar = Path(folder) / "base.tar"
            mmdebstrap(argv(context, tar), source.sources(SUITE), folder)
            _import(client, tar, name)
    except BaseException:
        report.failed(STEP, f"{SUITE} not bootstrapped")
        raise
    report.done(STEP, f"bootstrapped {SUITE} from {source.main}")
    return name


def _import(client: docker.DockerClient, tar: Path, name: str) -> None:
    repository, _, tag = name.rpartition(":")
    query = {"fromSrc": "-", "repo": repository, "tag": tag}
    with tar.open("rb") as data:
        response = client.api.post(address(client, "/images/create"), params=query, data=data, stream=True, timeout=WHOLE)
        errors = [str(message["error"]) for message in messages(response) if message.get("error")]
    if errors or not _present(client, name):
        raise ApplianceError(f"the engine did not take the bootstrapped base: {' '.join(errors) or 'no reason given'}")


def argv(context: Context, tar: Path) -> list[str]:
    """The mmdebstrap command; the sources come on its standard input. Options of dpkg are those that the base keeps."""
    lines = context.file("dpkg.cfg").decode().splitlines()
    options = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    mode = "root" if os.geteuid() == 0 else "unshare"
    return [
        *("mmdebstrap", "--variant=minbase", f"--mode={mode}", "--include=ca-certificates", "--format=tar"),
        '--aptopt=Acquire::Languages "none"',
        *(f"--dpkgopt={option}" for option in options),
        *(SUITE, str(tar), "-"),
    ]


def mmdebstrap(command: list[str], sources: str, folder: str) -> None:
    """Runs it to its end. An interrupt is passed on and waited for, because it unmounts and removes what it made.

    It gets a process group of its own: a signal to itself alone would only make it wait for the apt that it runs.
    """
    log = Path(folder) / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=out, process_group=0)
        try:
            process.communicate(sources.encode(), timeout=WHOLE)
        except BaseException as why:
            _end(process)
            if isinstance(why, subprocess.TimeoutExpired):
                raise ApplianceError(f"mmdebstrap was not done after {WHOLE} s", hint="is the mirror slow?") from None
            raise
    if process.returncode:
        lines = log.read_text(errors="replace").splitlines()
        said = "\n".join(f"  | {line}" for line in lines[-15:])
        raise ApplianceError(f"mmdebstrap ended with {process.returncode}:\n{said}", hint=_advice("\n".join(lines)))


def _end(process: subprocess.Popen[bytes]) -> None:
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, ending)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
            return


def _advice(log: str) -> str:
    if "NO_PUBKEY" in log or "not signed" in log or "no signed-by" in log:
        return f"debian-archive-keyring of this machine does not know {SUITE}: install a newer one"
    if "unshare" in log and ("not permitted" in log or "denied" in log):
        return "this machine forbids user namespaces to ordinary users; once as root makes the base for everybody"
    if "-security" in log and "404" in log:
        return "this mirror has no security updates beside it: name both, APPLIANCE_MIRROR='URL SECURITY-URL'"
    return "is the mirror reachable? APPLIANCE_MIRROR=URL or --mirror URL names another"


def _present(client: docker.DockerClient, name: str) -> bool:
    try:
        client.images.get(name)
    except ImageNotFound:
        return False
    except APIError as why:
        raise Unavailable(f"the engine does not answer for {name}: {why.explanation}") from None
    return True


def _reason(response: requests.Response) -> str:
    try:
        text = str(response.json()["message"])
    except (ValueError, KeyError):
        text = response.text
    return text.strip().splitlines()[0][:200] if text.strip() else f"status {response.status_code}"
