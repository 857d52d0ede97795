"""The golden files: what each role renders from the two specs beside this file.

They are kept in ``roles/<role>/golden/<spec>/<service>/``. `make golden` rewrites them and prints the diff; ``test_golden.py``
compares. Keys are fixed fakes, image tags too, so that nothing but a template, a filter or the golden specs can change a file.
"""

from __future__ import annotations

import difflib
import hashlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from appliance.catalog.load import load as load_catalog
from appliance.catalog.role import Role
from appliance.images.context import contexts
from appliance.keys import view
from appliance.keys.view import KeyView
from appliance.render.bundle import Bundle, File
from appliance.render.render import render
from appliance.resources import folder
from appliance.spec.load import DiskReader, load
from appliance.spec.model import Spec
from appliance.topology import resolve

HERE = Path(__file__).parent
SPECS = ("two-domains", "minimal")


def fake_keys(spec: Spec) -> KeyView:
    """A ring that does not exist: every fingerprint and public half is a digest of its own name."""
    refs = [v for k, v in vars(view).items() if k.startswith(("TLS_", "INTERNAL_", "RELAY_"))]
    refs += [view.dkim_ref(d, s.dkim.selector, a) for d, s in spec.domains.items() for a in s.dkim.algorithms]
    halves = {ref: hashlib.sha256(ref.encode()).hexdigest().upper() for ref in refs}
    return KeyView(
        ring_id="golden",
        fingerprints={ref: half[:16].lower() for ref, half in halves.items()},
        public={ref: ":".join(half[i : i + 2] for i in range(0, 64, 2)) for ref, half in halves.items()},
        tokens={"probe": "goldenprobe00000", "double-bounce": "goldenbounce0000"},
        removed=frozenset({"left@xn--bcher-kva.example"}),
    )


def catalog() -> Mapping[str, Role]:
    """The roles of this tree alone."""
    return load_catalog([folder("roles")])


def spec(name: str) -> Spec:
    """One of the golden specs."""
    path = HERE / f"{name}.yml"
    return load(path.read_text(encoding="utf-8"), path.name, catalog(), DiskReader(HERE)).spec


def bundle(name: str) -> Bundle:
    """A golden spec, rendered."""
    wanted = spec(name)
    tags = {image: f"appliance/{image}:golden" for image in contexts()}
    return render(resolve(wanted, catalog()), fake_keys(wanted), tags, families=(4, 6))


def files(name: str) -> Iterator[tuple[Path, bytes]]:
    """(path of the golden file, bytes) for every rendered text; keys and copies of programs are left out."""
    for service in bundle(name).services:
        where = folder("roles") / service.role / "golden" / name / service.name
        for file in service.files:
            if isinstance(file, File):
                yield where / file.path, file.data


def stale(name: str) -> list[Path]:
    """Golden files that nothing renders any more."""
    wanted = {path for path, _ in files(name)}
    found = [p for p in folder("roles").glob(f"*/golden/{name}/**/*") if p.is_file()]
    return sorted(p for p in found if p not in wanted)


def difference(path: Path, data: bytes) -> list[str]:
    """A unified diff from the golden file to what is rendered now; empty when they agree."""
    before = path.read_bytes() if path.exists() else b""
    if before == data and path.exists():
        return []
    label = path.relative_to(folder("roles").parent).as_posix()
    old, new = (b.decode(errors="replace").splitlines() for b in (before, data))
    return list(difflib.unified_diff(old, new, f"{label} (golden)", f"{label} (now)", lineterm="")) or [f"{label}: new and empty"]


def main() -> None:
    """Rewrites every golden file and prints what changed."""
    for name in SPECS:
        for path, data in files(name):
            lines = difference(path, data)
            if lines:
                sys.stdout.write("\n".join(lines) + "\n")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        for path in stale(name):
            sys.stdout.write(f"removed {path}\n")
            path.unlink()


if __name__ == "__main__":
    main()
