"""A proof as JUnit XML, the form that CI systems read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree import ElementTree as ET

from appliance.verify.proof import Proof, Step, stamp

#: XML 1.0 has no place for these, not even escaped
CONTROL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(proof: Proof) -> bytes:
    """One testsuite, one testcase per step; conversations stand in system-out."""
    attributes = {
        "name": f"appliance verify {proof.instance} {proof.suite}",
        "tests": str(len(proof.steps)),
        "failures": str(proof.count("failed")),
        "skipped": str(proof.count("not-run")),
        "errors": "0",
        "time": f"{proof.seconds:.3f}",
        "timestamp": stamp(proof.started),
        "hostname": proof.hostname,
    }
    root = ET.Element("testsuites", {k: v for k, v in attributes.items() if k not in ("timestamp", "hostname")})
    suite = ET.SubElement(root, "testsuite", attributes)
    names = ("release", "spec_digest", "run_id", "seen_from", "outwards")
    _properties(suite, {name: str(getattr(proof, name)) for name in names})
    for step in proof.steps:
        _case(suite, step)
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _properties(suite: ET.Element, values: Mapping[str, str]) -> None:
    place = ET.SubElement(suite, "properties")
    for name, value in values.items():
        ET.SubElement(place, "property", {"name": name, "value": CONTROL.sub("�", value)})


def _case(suite: ET.Element, step: Step) -> None:
    case = ET.SubElement(suite, "testcase", {"classname": step.group, "name": step.name, "time": f"{step.seconds:.3f}"})
    if step.status == "failed":
        place = ET.SubElement(case, "failure", {"message": CONTROL.sub("�", step.reason), "type": "failed"})
        place.text = CONTROL.sub("�", f"{step.title}\n{step.reason}\nremedy: {step.remedy}")
    elif step.status == "not-run":
        ET.SubElement(case, "skipped", {"message": CONTROL.sub("�", step.reason)})
    lines = step.evidence.get("dialogue") or (*(f"> {line}" for line in step.sent), *(f"< {line}" for line in step.received))
    if lines:
        ET.SubElement(case, "system-out").text = CONTROL.sub("�", "\n".join(lines))
