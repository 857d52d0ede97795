#!/bin/sh
# The same question, once the program listens on its new files.
exec python3 -I -m mailpolicy.health --wait 20 recipients /sock/policy-recipients/recipients.sock probe-goldenprobe00000@minimal.example
