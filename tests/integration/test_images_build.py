"""Images are built where they are missing, complete or not at all, and an interrupted build leaves nothing."""

from __future__ import annotations

import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from appliance.errors import ApplianceError, UsageError
from appliance.images.build import build, packages, present, stock
from appliance.images.context import BASE, Context, ContextFile, read
from appliance.images.lock import Lock
from appliance.images.ship import load, save_tags
from appliance.images.tags import tags
from appliance.resources import folder
from tests.reports import Recorder

if TYPE_CHECKING:
    import docker

HEAD = "ARG BASE\nFROM ${BASE}\n"


@pytest.fixture
def token(engine: docker.DockerClient) -> Iterator[str]:
    """A word that stands in the names of all images of a test; they are removed by it."""
    word = f"t-images-{secrets.token_hex(3)}"
    yield word
    for image in engine.images.list(all=False):
        for tag in image.tags:
            if word in tag:
                engine.images.remove(tag, force=True)


@pytest.fixture
def base(engine: docker.DockerClient) -> Context:
    """The real base, built when it is not there yet."""
    build(engine, [BASE], Lock(), Recorder())
    return read(BASE, folder("images") / BASE)


def among(base: Context, **images: str) -> Mapping[str, Context]:
    """Contexts of images by the text of their Dockerfiles; an underscore in a name stands for a dash."""
    named = {name.replace("_", "-"): HEAD + text for name, text in images.items()}
    return {BASE: base, **{n: Context(n, (ContextFile("Dockerfile", text.encode()),)) for n, text in named.items()}}


def images_of(engine: docker.DockerClient, token: str) -> list[str]:
    return sorted(tag for image in engine.images.list() for tag in image.tags if token in tag)


def containers_of(engine: docker.DockerClient, token: str) -> list[str]:
    """Containers whose command has the token, those of a build as well."""
    return [str(c["Id"]) for c in engine.api.containers(all=True) if token in c["Command"]]


def until(condition: Any, seconds: float = 30) -> bool:
    """Waits for a condition, at most that long."""
    deadline = time.monotonic() + seconds
    while not (met := bool(condition())) and time.monotonic() < deadline:
        time.sleep(0.1)
    return met


def test_an_image_is_built_once_with_its_labels(engine: docker.DockerClient, token: str, base: Context) -> None:
    known, report = among(base, **{token: "RUN touch /built\n"}), Recorder()
    assert build(engine, [token], Lock(), report, among=known) == (token,)
    tag = tags(Lock(), known)[token]
    image = engine.images.get(tag)
    assert image.labels["appliance.image"] == token
    assert image.labels["appliance.base"] in ("pulled", "bootstrapped")
    assert {"dpkg", "libc6", "ca-certificates"} < set(packages(engine, tag))
    assert images_of(engine, token) == [tag]  # nothing half-made
    assert report.steps(f"image {token}") == ["start", "done"]
    assert f"{token}: step 3 of 3, RUN touch /built" in report.notes

    assert build(engine, [token], Lock(), report, among=known) == ()
    assert engine.images.get(tag).id == image.id


def test_labels_keep_what_the_dockerfile_said(engine: docker.DockerClient, token: str, base: Context) -> None:
    text = 'ENV MAIL_CONFIG=/config\nUSER 65534:900\nCMD ["postfix", "start-fg"]\nSTOPSIGNAL SIGINT\n'
    known = among(base, **{token: text})
    build(engine, [token], Lock(), Recorder(), among=known)
    found = engine.images.get(tags(Lock(), known)[token]).attrs["Config"]
    assert "MAIL_CONFIG=/config" in found["Env"]
    assert (found["User"], found["Cmd"], found["StopSignal"]) == ("65534:900", ["postfix", "start-fg"], "SIGINT")
    assert not found["Entrypoint"]


def test_the_executable_bit_arrives(engine: docker.DockerClient, token: str, base: Context) -> None:
    files = (
        ContextFile("Dockerfile", f"{HEAD}COPY bin /bin-of-ours\nRUN /bin-of-ours/yes && ! /bin-of-ours/no\n".encode()),
        ContextFile("bin/yes", b"#!/bin/sh\n", executable=True),
        ContextFile("bin/no", b"#!/bin/sh\n"),
    )
    assert build(engine, [token], Lock(), Recorder(), among={BASE: base, token: Context(token, files)}) == (token,)


def test_two_are_built_at_a_time(engine: docker.DockerClient, token: str, base: Context) -> None:
    names = [f"{token}-{letter}" for letter in "abc"]
    # hadolint would rather have no sleep; the point is that they overlap
    known, report = among(base, **{name: f"RUN sleep 1 # {name}\n" for name in names}), Recorder()
    assert sorted(build(engine, names, Lock(), report, among=known)) == names
    running, most = 0, 0
    for kind, step, _text in report.events:
        if step.startswith("image "):
            running += {"start": 1, "done": -1}.get(kind, 0)
            most = max(most, running)
    assert most == 2


@pytest.mark.parametrize(
    ("command", "says", "hint"),
    [
        ("echo one && echo the-last-words >&2 && exit 3", "the-last-words", "the end of its log"),
        ("echo Temporary failure resolving mirror.test && exit 100", "returned a non-zero code: 100", "APPLIANCE_MIRROR=URL"),
        ("echo E: Unable to locate package postfiks && exit 100", "postfiks", "not in this suite"),
    ],
)
def test_a_failure_shows_the_end_of_the_log_and_what_to_do(
    engine: docker.DockerClient, token: str, base: Context, command: str, says: str, hint: str
) -> None:
    known = among(base, **{token: f"RUN {command} # {token}\n"})
    with pytest.raises(ApplianceError) as caught:
        build(engine, [token], Lock(), Recorder(), among=known)
    assert f"the image {token} could not be built" in caught.value.message
    assert says in caught.value.message
    assert hint in caught.value.hint
    assert images_of(engine, token) == []
    assert containers_of(engine, token) == []


def test_one_failure_ends_the_other_build(engine: docker.DockerClient, token: str, base: Context) -> None:
    slow, bad = f"{token}-slow", f"{token}-bad"
    known = among(base, **{slow: f"RUN sleep 600 # {token}\n", bad: f"RUN sleep 2 && false # {token}\n"})
    began = time.monotonic()
    with pytest.raises(ApplianceError, match=bad):
        build(engine, [slow, bad], Lock(), Recorder(), among=known)
    assert time.monotonic() - began < 60
    assert until(lambda: not containers_of(engine, token))
    assert images_of(engine, token) == []


PROGRAM = """
import docker, sys
from appliance.images.build import build
from appliance.images.context import BASE, Context, ContextFile, read
from appliance.images.lock import Lock
from appliance.resources import folder
from tests.reports import Recorder
token = sys.argv[1]
text = f"ARG BASE\\nFROM ${{BASE}}\\nRUN sleep 600 # {token}\\n".encode()
known = {BASE: read(BASE, folder("images") / BASE)}
known |= {name: Context(name, (ContextFile("Dockerfile", text),)) for name in (token, token + "-2")}
build(docker.from_env(), [token, token + "-2"], Lock(), Recorder(), among=known)
"""


@pytest.mark.parametrize(("ending", "code"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGKILL, -signal.SIGKILL)])
def test_an_interrupted_build_leaves_nothing(
    engine: docker.DockerClient, token: str, base: Context, ending: signal.Signals, code: int
) -> None:
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, token], cwd=root, stderr=subprocess.DEVNULL)
    try:
        assert until(lambda: len(containers_of(engine, token)) >= 1 or process.poll() is not None)
        assert process.poll() is None
        process.send_signal(ending)
        assert process.wait(30) in (code, 130, 1)
    finally:
        process.kill()
        process.wait()
    assert until(lambda: not containers_of(engine, token))
    assert images_of(engine, token) == []


def test_an_image_travels(engine: docker.DockerClient, token: str, base: Context) -> None:
    known = among(base, **{token: "RUN touch /built\n"})
    build(engine, [token], Lock(), Recorder(), among=known)
    tag, other = tags(Lock(), known)[token], tags(Lock(), known)[BASE]
    id_ = engine.images.get(tag).id
    archive = b"".join(save_tags(engine, [tag, other]))
    engine.images.remove(tag)
    assert not present(engine, tag)
    assert sorted(load(engine, iter([archive]))) == sorted([tag, other])
    assert engine.images.get(tag).id == id_


def test_what_is_no_image_archive_is_refused(engine: docker.DockerClient) -> None:
    with pytest.raises(ApplianceError, match="does not load the images"):
        load(engine, iter([b"no archive"]))


def test_a_refresh_wants_other_images(engine: docker.DockerClient, token: str, base: Context) -> None:
    known = among(base, **{token: "RUN touch /built\n"})
    build(engine, [token], Lock(), Recorder(), among=known)
    assert stock(engine, [token, BASE], Lock(), known).missing == {}
    assert set(stock(engine, [token, BASE], Lock(date(2001, 1, 1)), known).missing) == {token, BASE}


def test_a_name_that_is_no_image(engine: docker.DockerClient, base: Context) -> None:
    with pytest.raises(UsageError, match="there is no image postfiks") as caught:
        build(engine, ["postfiks"], Lock(), Recorder(), among=among(base, postfix=""))
    assert caught.value.hint == "did you mean postfix?"
