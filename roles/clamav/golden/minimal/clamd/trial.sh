#!/bin/sh
# clamd starts on these settings and answers.
set -eu
# There are no signatures in a trial: the same settings, with one signature and a socket of its own.
mkdir -p /tmp/trial
echo 'Trial:0:*:747269616c206f6e6c79' > /tmp/trial/trial.ndb
sed -e 's#^DatabaseDirectory .*#DatabaseDirectory /tmp/trial#' -e 's#^LocalSocket .*#LocalSocket /tmp/trial/clamd.sock#' \
  /config/current/clamd.conf > /tmp/trial/clamd.conf
clamd --foreground --config-file=/tmp/trial/clamd.conf &
perl /config/current/health.pl 40 /tmp/trial/clamd.sock
kill $!
