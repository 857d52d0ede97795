#!/bin/sh
# Starts the program that the arguments name, once there is something to scan with.
set -eu
# left by a clamd that was killed
rm -rf /var/tmp/clamav/* 2>/dev/null || true
# Signatures come from freshclam; the first download takes minutes. Until then there is no socket, and mail is answered 4xx.
trap 'exit 0' TERM INT
until ls /var/lib/clamav/daily.c[lv]d /var/lib/clamav/main.c[lv]d >/dev/null 2>&1; do
  echo "waiting for the first signatures"
  sleep 10 &
  wait $!
done
trap - TERM INT
exec "$@"
