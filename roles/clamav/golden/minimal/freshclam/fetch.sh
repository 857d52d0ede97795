#!/bin/sh
# Fetches the first signatures, as often as it takes, and then runs the program that the arguments name. By itself freshclam would try
# for half a minute and then again after two hours; until there are signatures mail is answered 4xx.
set -eu
trap 'exit 0' TERM INT
until ls /var/lib/clamav/daily.c[lv]d /var/lib/clamav/main.c[lv]d >/dev/null 2>&1; do
  # in the background: a shell acts on signals only between its commands
  freshclam --config-file=/config/current/freshclam.conf &
  wait $! || true
  sleep 30 &
  wait $!
done
trap - TERM INT
exec "$@"
