#!/bin/sh
# One question, as Postfix asks it.
exec python3 -I -m mailpolicy.health recipients /sock/policy-recipients/recipients.sock probe-goldenprobe00000@minimal.example
