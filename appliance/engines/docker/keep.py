"""The last words of a container that is replaced: with json-file they would go with it.

They stay in the service's configuration volume (``logs/<seconds>.log``, readable by root only), lines with their times, as
long as the spec wants logs kept; a tail, because what a container said in months is more than that volume should hold.
"""

from __future__ import annotations

from appliance.engines.docker.archive import Entry, pack
from appliance.engines.docker.hand import VOLUMES
from appliance.engines.docker.logs import LOGS, lines_of
from appliance.engines.docker.site import Site
from appliance.render.bundle import ServiceBundle

LAST_LINES = 50_000


def keep_last_words(site: Site, container: str, service: ServiceBundle | None) -> None:
    """Stores the lines of a container; of a service that goes altogether they go too."""
    if service is None:
        return
    since = site.time - service.runtime.log_keep
    lines = lines_of(site.api, container, tail=LAST_LINES, since=since, stamps=True)
    folder = f"{VOLUMES}/{service.name}"
    if lines:
        entry = Entry(f"{LOGS}/{int(site.time)}.log", b"\n".join(lines) + b"\n", 0o400)
        site.hand.put(folder, pack([entry], time=site.time))
    minutes = max(1, service.runtime.log_keep // 60)
    script = f"cd {folder}; [ ! -d {LOGS} ] || find {LOGS} -type f -mmin +{minutes} -delete"
    site.hand.run(script, f"dropping old logs of {service.name}")
