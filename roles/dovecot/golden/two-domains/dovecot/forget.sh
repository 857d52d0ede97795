#!/bin/sh
# Ends the mail of people who left: reads addresses, one a line, and says what it removed. Run as vmail by `appliance tend`, when the
# mail of a removed mailbox has been kept for its time. Whoever has a mailbox here keeps it, whatever the list says.
set -eu
cd /srv/mail
while IFS= read -r address; do
  case $address in
    */* | .* | *@.* | @* | *@ | *@*@*) echo "not an address: $address" >&2 && exit 1 ;;
    *@*) ;;
    *) echo "not an address: $address" >&2 && exit 1 ;;
  esac
  if cut -d: -f1 /config/live/users /config/live/nologin | grep -qxF -e "$address"; then
    echo "$address has a mailbox: its mail stays" >&2
    exit 1
  fi
  home=./${address##*@}/${address%@*}
  [ -d "$home" ] || continue
  size=$(du -sh "$home" | cut -f1)
  rm -rf "$home"
  echo "the mail of $address is removed ($size)"
done
