#!/bin/sh
# One question, as Postfix asks it.
exec python3 -I -m mailpolicy.health milter /sock/policy/milter.sock probe-goldenprobe00000@minimal.example
