#!/bin/sh
# Healthy means: signatures are there. How old they are is `verify`'s and `status`'s question.
ls /var/lib/clamav/daily.c[lv]d /var/lib/clamav/main.c[lv]d >/dev/null 2>&1 || { echo "no signatures yet" >&2; exit 1; }
