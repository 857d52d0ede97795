#!/bin/sh
# The socket, the table, and the mail store's own answer to "is there room?"
exec python3 -I -m mailpolicy.recipients /sock/policy-recipients/recipients.sock /config/live/members /sock/dovecot/quota-status
