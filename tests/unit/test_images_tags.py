"""A tag counts what decides what is in an image, and nothing else."""

from __future__ import annotations

import io
import os
import tarfile
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from appliance.errors import ApplianceError
from appliance.images import context as images
from appliance.images.context import BASE, Context, ContextFile, contexts, read
from appliance.images.lock import Lock
from appliance.images.tags import tags
from appliance.resources import folder

DOCKERFILE = ContextFile("Dockerfile", b"ARG BASE\nFROM ${BASE}\n")
SCRIPT = ContextFile("bin/start.sh", b"#!/bin/sh\n", executable=True)
POSTFIX = Context("postfix", (DOCKERFILE, SCRIPT))
AMONG = {BASE: Context(BASE, (DOCKERFILE,)), "postfix": POSTFIX}
JANUARY = Lock(date(2026, 1, 31))


def postfix(*files: ContextFile, lock: Lock = JANUARY, base: Context = AMONG[BASE]) -> str:
    return tags(lock, {BASE: base, "postfix": Context("postfix", files or POSTFIX.files)})["postfix"]


def test_a_tag_is_a_name_and_twelve_hexadecimal_digits() -> None:
    found = tags(Lock(), AMONG)
    assert sorted(found) == [BASE, "postfix"]
    for name, tag in found.items():
        prefix, _, digest = tag.partition(":")
        assert prefix == f"appliance/{name}"
        assert len(digest) == 12
        assert set(digest) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(postfix(DOCKERFILE, replace(SCRIPT, data=b"#!/bin/sh\n#")), id="bytes of a file"),
        pytest.param(postfix(DOCKERFILE, replace(SCRIPT, path="bin/run.sh")), id="path of a file"),
        pytest.param(postfix(DOCKERFILE, replace(SCRIPT, executable=False)), id="executable bit"),
        pytest.param(postfix(DOCKERFILE), id="a file less"),
        pytest.param(postfix(DOCKERFILE, SCRIPT, ContextFile("empty", b"")), id="an empty file more"),
        pytest.param(postfix(base=Context(BASE, (replace(DOCKERFILE, data=b"FROM x\n"),))), id="the base's definition"),
        pytest.param(postfix(lock=Lock()), id="no refresh date"),
        pytest.param(postfix(lock=Lock(date(2026, 2, 1))), id="another refresh date"),
        pytest.param(postfix(lock=Lock(date(2026, 1, 31), 2)), id="a second refresh of the day"),
    ],
)
def test_counted(other: str) -> None:
    assert other != postfix()


def test_not_counted_the_order_and_the_place() -> None:
    assert postfix(SCRIPT, DOCKERFILE) == postfix()
    assert tags(JANUARY, {**AMONG, "postfix": replace(POSTFIX, origin="/elsewhere")})["postfix"] == postfix()


def test_bytes_cannot_move_between_path_and_content() -> None:
    assert postfix(DOCKERFILE, ContextFile("ab", b"c")) != postfix(DOCKERFILE, ContextFile("a", b"bc"))


def test_the_base_counts_the_date_but_no_role() -> None:
    assert tags(JANUARY, AMONG)[BASE] == tags(JANUARY, {BASE: AMONG[BASE]})[BASE]
    assert tags(JANUARY, AMONG)[BASE] != tags(Lock(), AMONG)[BASE]


def write(root: Path, *files: ContextFile) -> Path:
    for file in files:
        path = root / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.data)
        path.chmod(0o755 if file.executable else 0o644)
    return root


def test_a_folder_reads_as_its_files(tmp_path: Path) -> None:
    assert read("postfix", write(tmp_path, SCRIPT, DOCKERFILE)).files == (DOCKERFILE, SCRIPT)


@pytest.mark.parametrize(
    "litter", ["__pycache__/policy.cpython-311.pyc", "policy.pyc", "Dockerfile~", ".Dockerfile.swp", ".DS_Store", ".gitkeep"]
)
def test_litter_of_programs_changes_no_tag(tmp_path: Path, litter: str) -> None:
    before = read("postfix", write(tmp_path, DOCKERFILE))
    assert read("postfix", write(tmp_path, ContextFile(litter, b"x"))) == before


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o775])
def test_the_umask_and_the_time_of_a_checkout_change_nothing(tmp_path: Path, mode: int) -> None:
    write(tmp_path, DOCKERFILE, SCRIPT)
    (tmp_path / SCRIPT.path).chmod(mode)
    (tmp_path / "Dockerfile").chmod(mode & 0o666)
    os.utime(tmp_path / "Dockerfile", (1, 1))
    assert read("postfix", tmp_path).files == (DOCKERFILE, SCRIPT)


def test_a_link_is_refused_because_a_wheel_has_none(tmp_path: Path) -> None:
    write(tmp_path, DOCKERFILE)
    (tmp_path / "link").symlink_to("Dockerfile")
    with pytest.raises(ApplianceError, match="neither a file nor a folder"):
        read("postfix", tmp_path)


def test_images_stand_below_images_and_in_roles(tmp_path: Path) -> None:
    write(tmp_path / "images" / "postfix", DOCKERFILE)
    write(tmp_path / "roles" / "greylist" / "image", DOCKERFILE)
    write(tmp_path / "roles" / "plain", ContextFile("role.yml", b""))
    found = contexts(tmp_path / "images", [tmp_path / "roles"])
    assert {name: Path(c.origin).name for name, c in found.items()} == {"greylist": "image", "postfix": "postfix"}


def test_two_images_of_one_name_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "images" / "postfix", DOCKERFILE)
    write(tmp_path / "roles" / "postfix" / "image", DOCKERFILE)
    with pytest.raises(ApplianceError, match="the image postfix stands in"):
        contexts(tmp_path / "images", [tmp_path / "roles"])


def test_a_folder_without_a_dockerfile_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "images" / "postfix", SCRIPT)
    with pytest.raises(ApplianceError, match="the image postfix has no Dockerfile"):
        contexts(tmp_path / "images", [])


def test_what_is_sent_has_one_owner_one_time_and_two_modes() -> None:
    with tarfile.open(fileobj=io.BytesIO(POSTFIX.tar())) as archive:
        found = [(m.name, m.mode, m.uid, m.gid, m.mtime) for m in archive.getmembers()]
    assert found == [("Dockerfile", 0o644, 0, 0, 0), ("bin/start.sh", 0o755, 0, 0, 0)]


def test_our_own_images_build_on_the_base() -> None:
    for name, context in contexts(folder("images"), [folder("roles")]).items():
        lines = [line.split() for line in context.file("Dockerfile").decode().splitlines()]
        assert ["ARG", "BASE"] in lines, name
        assert [words[1] for words in lines if words[:1] == ["FROM"]] == ["${BASE}"], name


def test_the_dockerfile_and_the_program_agree_on_the_suite() -> None:
    from appliance.images.tags import SUITE
    from appliance.preflight import PULLED

    text = read(BASE, folder("images") / BASE).file("Dockerfile").decode()
    assert f"deb %s {SUITE}-security main" in text
    assert f"debian:{SUITE}-slim" == PULLED
    assert images.BASE == BASE
