#!/bin/sh
# Takes the new settings. Logged-in sessions live on (shutdown_clients = no); the helpers that others hold open would keep the old
# settings for as long, so they are told to end: Postfix connects again by itself.
set -eu
doveadm reload
doveadm service stop quota-status
exec perl /config/current/health.pl 10
