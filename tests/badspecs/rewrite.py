"""`make golden`: writes every ``.expected`` anew and prints what changed."""

from __future__ import annotations

import difflib
import sys

from tests.badspecs.gallery import HERE, report, specs


def main() -> None:
    """Rewrites the gallery's reports; a report without its spec is removed."""
    wanted = {path.with_suffix(".expected"): report(path) for path in specs()}
    for path, now in wanted.items():
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        if before != now:
            old, new = before.splitlines(keepends=True), now.splitlines(keepends=True)
            sys.stdout.writelines(difflib.unified_diff(old, new, f"{path.name} (before)", f"{path.name} (now)"))
            path.write_text(now, encoding="utf-8")
    for path in sorted(set(HERE.glob("*.expected")) - set(wanted)):
        sys.stdout.write(f"removed {path.name}\n")
        path.unlink()


if __name__ == "__main__":
    main()
