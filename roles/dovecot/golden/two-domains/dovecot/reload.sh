#!/bin/sh
# Takes the new settings. Logged-in sessions live on (shutdown_clients = no); the helpers that others hold open would keep the old
# settings for as long, so they are told to end: Postfix connects again by itself. Before the reload: a service stopped just after it
# stays without its listener until the next one (Dovecot 2.4.1).
set -eu
doveadm service stop quota-status
doveadm reload
exec perl /config/current/health.pl 10
