"""`appliance build`: the images that the spec needs, built where they are missing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click

from appliance.cli.app import App, pass_app
from appliance.errors import Exit


@click.command()
@click.argument("names", nargs=-1)
@click.option("--refresh", is_flag=True, help="today's packages: moves the date in images.lock and builds all of them anew")
@click.option("--mirror", default="", metavar="URL", help="a Debian mirror (default: APPLIANCE_MIRROR, else the machine's own)")
@pass_app
def command(app: App, names: tuple[str, ...], refresh: bool, mirror: str) -> int:
    """Build the images that are missing; without NAMES those that the spec needs.

    What is there already is not built again: a tag is a digest of all that decides what is in the image. `--refresh` dates the
    packages to today, so that `plan` shows what they bring. Nothing that runs is touched.
    """
    from appliance.cli.progress import Plain
    from appliance.engines.docker.engine import connect
    from appliance.images import lock as locks
    from appliance.images.build import build, stock

    lock = locks.read(app.folder)
    if refresh:
        lock = lock.next(datetime.now(UTC).date())
    wanted = names or wanted_images(app)
    client = connect().client
    report = Plain(app) if app.json else app.report()  # one document on stdout, so progress goes to stderr
    try:
        built = build(client, wanted, lock, report, mirror=mirror, fresh=refresh)
        if refresh:  # last, so that a failed refresh leaves the old images wanted
            locks.write(app.folder, lock)
    finally:
        report.close()
    tags = stock(client, wanted, lock).wanted
    show(app, client, tags, built, lock.stamp)
    return Exit.DONE


def wanted_images(app: App) -> tuple[str, ...]:
    """The images of the spec's services; without a spec those of the roles that run unless switched off."""
    if app.file.exists():
        return tuple(dict.fromkeys(node.service.image for node in app.topology().nodes))
    services = (service for role in app.catalog().values() if role.enabled for service in role.services)
    return tuple(dict.fromkeys(service.image for service in services))


def show(app: App, client: Any, tags: Mapping[str, str], built: tuple[str, ...], refreshed: str) -> None:
    """One line for each image, or one document with their packages."""
    from appliance.images.build import packages

    if app.json:
        images = {
            name: {"tag": tag, "built": name in built, "packages": packages(client, tag)} for name, tag in sorted(tags.items())
        }
        app.print_json({"refreshed": refreshed or None, "images": images})
        return
    for name, tag in sorted(tags.items()):
        app.print(f"{tag}  {'built' if name in built else 'was there'}")
