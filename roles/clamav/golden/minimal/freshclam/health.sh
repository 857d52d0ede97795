#!/bin/sh
# Healthy means: signatures are there. How old they are is `verify`'s and `status`'s question. 75 (EX_TEMPFAIL): nothing is broken, the
# first ones are still on their way, which takes minutes; `up` waits for them outside its deadline.
ls /var/lib/clamav/daily.c[lv]d /var/lib/clamav/main.c[lv]d >/dev/null 2>&1 || { echo "no signatures yet" >&2; exit 75; }
