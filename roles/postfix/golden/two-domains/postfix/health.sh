#!/bin/bash
# Healthy: the MX says 220 and answers MAIL. A filter's 4xx is an answer (that filter is ill, not Postfix); a full queue (452) is not.
# Only loopback is asked, so health never depends on a resolver or on the internet.
set -u
exec 3<>/dev/tcp/127.0.0.1/25 || exit 1

# The last line of an answer (RFC 5321, 4.2.1); fails when none comes in time.
answer() {
    while IFS= read -r -t 15 -u 3 line; do
        [[ $line == ???-* ]] || { line=${line%$'\r'}; return 0; }
    done
    echo "no answer on port 25"
    exit 1
}

ask() {
    printf '%s\r\n' "$1" >&3
    answer
}

answer
[[ $line == 220* ]] || { echo "$line"; exit 1; }
ask "EHLO localhost"
ask "MAIL FROM:<>"
case $line in
    250* | 421* | 45[01]*) ;;
    *) echo "$line"; exit 1 ;;
esac
ask QUIT
