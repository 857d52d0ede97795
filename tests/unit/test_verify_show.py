"""A proof as people, programs and CI systems read it."""

from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree as ET

from appliance.verify.junit import junit
from appliance.verify.proof import Proof, Step
from appliance.verify.show import render_lines

OK = Step(
    "submission",
    "mail goes through",
    "delivery",
    "ok",
    1.0,
    0.25,
    ("MAIL", "RCPT"),
    ("250 ok",),
    evidence={"dialogue": ("> MAIL", "< 250 ok")},
)
BAD = replace(
    OK, name="relay", title="no relay", group="relay", status="failed", reason="RCPT was answered 250", remedy="close it"
)
NOT = replace(
    OK,
    name="eicar",
    title="no virus",
    group="filters",
    status="not-run",
    reason="clamav is off",
    sent=(),
    received=(),
    evidence={},
)


def proof(*steps: Step) -> Proof:
    return Proof(
        "example",
        "mail.example.org",
        "0123456789abcdef",
        "fedcba9876543210",
        "smoke",
        "cafe",
        "seen from this host only",
        0.0,
        2.5,
        steps,
    )


def test_what_came_in_several_lines_is_several_lines() -> None:
    lines = render_lines(proof(replace(BAD, received=("250 ok", "fatal: no such table\nHint: build it\n"))))
    answers = [x.strip() for x in lines if x.startswith("      ←")]
    assert answers == ["← 250 ok", "← fatal: no such table", "← Hint: build it"]
    assert not any("\n" in line for line in lines)


def test_lines_are_short_unless_asked() -> None:
    assert render_lines(proof(OK, NOT)) == (
        "delivery",
        "  ✓ mail goes through (0.25 s)",
        "      → MAIL (+1)",
        "      ← 250 ok",
        "filters",
        "  - no virus (0.25 s): not run: clamav is off",
        "",
        "proven: example (mail.example.org), suite smoke: 1 ok, 0 failed, 1 not run in 2.5 s",
        "release 0123456789abcdef, spec fedcba9876543210, run cafe, seen from this host only",
    )


def test_verbose_shows_the_conversation() -> None:
    assert render_lines(proof(OK), verbose=1)[2:4] == ("      > MAIL", "      < 250 ok")


def test_a_failure_shows_everything_and_what_to_do() -> None:
    lines = render_lines(proof(BAD))
    assert "  ✗ no relay (0.25 s)" in lines
    assert "      → RCPT" in lines
    assert "      failed: RCPT was answered 250" in lines
    assert "      remedy: close it" in lines
    assert lines[-2].startswith("NOT proven: example")


def test_nothing_tried_is_nothing_proven() -> None:
    assert not proof().proven
    assert not proof(NOT).proven
    assert proof(OK, NOT).proven
    assert not proof(OK, BAD).proven


def test_the_document_is_json() -> None:
    document = json.loads(json.dumps(proof(OK, BAD, NOT).document()))
    assert document["schema_version"] == 1
    assert (document["ok"], document["failed"], document["not_run"], document["proven"]) == (1, 1, 1, False)
    assert document["steps"][0]["started"] == "1970-01-01T00:00:01.000+00:00"
    assert document["steps"][0]["evidence"] == {"dialogue": ["> MAIL", "< 250 ok"]}


def test_junit_is_xml_whatever_a_server_says() -> None:
    odd = replace(BAD, reason="answered \x00\x1b[31m<&>", evidence={"dialogue": ("< \x07bell", "> ü")})
    root = ET.fromstring(junit(proof(OK, odd, NOT)))  # noqa: S314 - our own
    suite = root.find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    cases = {c.get("name"): c for c in suite.iter("testcase")}
    failure, skipped = cases["relay"].find("failure"), cases["eicar"].find("skipped")
    assert failure is not None
    assert failure.get("message") == "answered ��[31m<&>"
    assert skipped is not None
    assert skipped.get("message") == "clamav is off"
    assert cases["submission"].findtext("system-out") == "> MAIL\n< 250 ok"
