#!/bin/sh
# Takes the new settings; what was cached is forgotten. Unbound ends on settings that it cannot read, so they are looked at first.
set -eu
unbound-checkconf /config/current/unbound.conf >/dev/null
kill -HUP 1
exec perl /config/current/health.pl 10
