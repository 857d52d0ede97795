"""What README.md claims and a machine can check: its spec, its verbs, its exit codes, its links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from appliance.catalog.load import load as load_catalog
from appliance.cli.main import VERBS
from appliance.errors import Exit
from appliance.resources import folder
from appliance.spec.load import DiskReader, load

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
HASH = "$argon2id$v=19$m=19456,t=2,p=1$1QhRN5MTlhBhLpn7KfVeXQ$1yzZCqLlK6CpI+Xo6JNY50Q84O86WSNUi2IAXBJn7iw"


def test_the_spec_of_the_first_screen_is_valid_and_has_twelve_lines() -> None:
    text = README.partition("```yaml\n")[2].partition("```")[0]
    assert len(text.splitlines()) == 12
    whole = re.sub(r"(?<=\{ARGON2ID\})[^\"]*…", lambda _: HASH, text)
    assert load(whole, "mail.yml", load_catalog([folder("roles")]), DiskReader(ROOT)).warnings == ()


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_named(verb: str) -> None:
    assert re.search(rf"`(?:appliance )?{verb}\b", README)


@pytest.mark.parametrize("code", [c for c in Exit if c is not Exit.PARTIAL])
def test_every_exit_code_is_named(code: Exit) -> None:
    assert re.search(
        rf"(?:^|·|: | ){int(code)} \w", README.partition("**Exit codes**")[2].partition("\n\n")[0].replace("\n", " ")
    )


@pytest.mark.parametrize(
    "name", ["README.md", "CONTRIBUTING.md", *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("roles/*/*.md"))]
)
def test_links_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert ((ROOT / name).parent / target).exists(), target
