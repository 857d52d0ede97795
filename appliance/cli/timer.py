"""The systemd timer that runs `appliance tend`: its two unit files, written and removed, never enabled behind one's back."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from appliance.cli.app import App
from appliance.errors import ApplianceError, Exit

MARK = "# Written by `appliance tend --install`; `appliance tend --uninstall` removes it."
#: what the service must find again: where the engine is, whom to trust, further roles
KEPT = ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "APPLIANCE_ROLES")

SERVICE = """{mark}
[Unit]
Description=Renew what is due of the mail system {name}
Documentation=man:systemd.service(5)
Wants=network-online.target
After=network-online.target docker.service

[Service]
Type=oneshot
WorkingDirectory={folder}
{environment}ExecStart={command}
Nice=10
TimeoutStartSec=20min
"""

# Twice a day, as authorities advise; at another minute on each machine, so that they are not asked by all at once.
TIMER = """{mark}
[Unit]
Description=Twice a day: renew what is due of the mail system {name}

[Timer]
OnCalendar=*-*-* 00,12:00:00
RandomizedDelaySec=6h
Persistent=true

[Install]
WantedBy=timers.target
"""


def folder(*, root: bool) -> Path:
    """Where units lie: of the system for root, of the user otherwise (systemd.unit(5))."""
    if root:
        return Path("/etc/systemd/system")
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd/user"


def units(name: str, spec: Path, environment: Mapping[str, str]) -> Mapping[str, str]:
    """File name → text of the two units of an instance. ``spec``: its absolute path."""
    settings = "".join(f"Environment={_word(f'{key}={environment[key]}')}\n" for key in KEPT if environment.get(key))
    argv = (sys.executable, "-m", "appliance", "-f", str(spec), "tend")
    words = {
        "mark": MARK,
        "name": name,
        "folder": str(spec.parent).replace("%", "%%"),
        "environment": settings,
        "command": " ".join(_word(w, command=True) for w in argv),
    }
    stem = f"appliance-tend-{name}"
    return {f"{stem}.service": SERVICE.format(**words), f"{stem}.timer": TIMER.format(**words)}


def install(app: App) -> int:
    """Writes the units and says how to enable them. A different file of that name stays, unless -y."""
    root = os.geteuid() == 0
    place, made = folder(root=root), units(app.spec().name, app.file.resolve(), os.environ)
    different = [name for name, text in made.items() if (place / name).exists() and _read(place / name) != text]
    if different and not app.yes:
        raise ApplianceError(f"{place / different[0]} is there already and different", hint="say -y to overwrite it")
    try:
        place.mkdir(parents=True, exist_ok=True)
        for name, text in made.items():
            (place / name).write_text(text, encoding="utf-8")
            app.print(str(place / name))
    except OSError as why:
        raise ApplianceError(f"cannot write into {place}: {why.strerror}") from None
    timer, ctl = next(n for n in made if n.endswith(".timer")), _systemctl(root)
    app.say(f"enable it: {ctl} daemon-reload && {ctl} enable --now {timer}")
    if not root:
        app.say("and, so that it runs while you are not logged in: loginctl enable-linger")
    return Exit.DONE


def uninstall(app: App) -> int:
    """Removes the units that were written here; others of that name stay, unless -y."""
    root = os.geteuid() == 0
    place = folder(root=root)
    found = [place / name for name in units(app.spec().name, app.file.resolve(), os.environ) if (place / name).exists()]
    strange = [path for path in found if not _read(path).startswith(MARK)]
    if strange and not app.yes:
        raise ApplianceError(f"{strange[0]} was not written by `appliance tend --install`", hint="say -y to remove it")
    for path in found:
        try:
            path.unlink()
        except OSError as why:
            raise ApplianceError(f"cannot remove {path}: {why.strerror}") from None
        app.print(str(path))
    if not found:
        app.say(f"there is no timer of {app.spec().name} in {place}")
        return Exit.DONE
    timer, ctl = f"appliance-tend-{app.spec().name}.timer", _systemctl(root)
    app.say(f"removed; if it was enabled: {ctl} disable --now {timer}; {ctl} daemon-reload")
    return Exit.DONE


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as why:
        raise ApplianceError(f"cannot read {path}: {why.strerror}") from None


def _systemctl(root: bool) -> str:
    return "systemctl" if root else "systemctl --user"


def _word(text: str, *, command: bool = False) -> str:
    """One word of a unit file, quoted (systemd.syntax(7)); in a command line ``$`` would be a variable (systemd.service(5))."""
    if any(ord(c) < 32 for c in text):
        raise ApplianceError(f"{text!r} has a control character, which no unit file can hold")
    safe = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{safe.replace("$", "$$") if command else safe}"'
