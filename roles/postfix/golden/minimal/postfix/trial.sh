#!/bin/bash
# Runs beside a Postfix that was started on the new files, in a throwaway container where no other service exists and main.cf may be
# written. What needs others (filters, logins, the store's status) is taken out of this copy; then each service is spoken to as far as
# the last of its restrictions, because a misspelt one is found by no `postfix check` but only when smtpd comes to it ("451 4.3.5").
set -u
probe='probe-goldenprobe00000@minimal.example'
name='mail.minimal.example'
service=postfix said="connect" round=1

fail() {
    echo "$1" >&2
    exit 1
}

# One whole answer: its first line in $first, its last in $line (RFC 5321, 4.2.1).
answer() {
    first=
    while IFS= read -r -t 10 -u "$in" line; do
        line=${line%$'\r'}
        first=${first:-$line}
        [[ $line == [0-9][0-9][0-9]-* ]] || return 0
    done
    return 1
}

# say COMMAND EXPECTED
say() {
    said=$1
    printf '%s\r\n' "$1" >&"$out"
    answer || fail "$service: no answer to $said"
    [[ $line == $2* ]] || fail "$service: expected $2 to $said, got: $line"
}

# From EHLO to RCPT; 1 when a process from before the last reload answered. $1 is what the last restriction answers.
dialogue() {
    say "EHLO trial.invalid" 250
    [[ $first == "250-round$round."* ]] || return 1
    say "MAIL FROM:<>" 250
    say "RCPT TO:<$probe>" "$1"
    # nobody has logged in: whatever else is allowed, this is not
    say "RCPT TO:<x@elsewhere.invalid>" 554
    say QUIT 221
}

# plain SERVICE PORT EXPECTED
plain() {
    service=$1
    exec 3<>"/dev/tcp/127.0.0.1/$2" || fail "$service: nothing listens on port $2"
    in=3 out=3
    answer || fail "$service: no banner"
    dialogue "$3"
    local done=$?
    exec 3>&-
    return $done
}

# encrypted SERVICE EXPECTED ARGUMENT…: the same through TLS, which also proves that key and certificate belong together.
encrypted() {
    service=$1
    local expected=$2
    shift 2
    coproc TLS { exec openssl s_client -quiet "$@" 2>/tmp/s_client; }
    in=${TLS[0]} out=${TLS[1]}
    local pid=$TLS_PID
    # with -starttls the banner was for openssl
    [[ $1 == -starttls ]] || answer || fail "$service: no banner: $(tail -n 1 /tmp/s_client)"
    dialogue "$expected"
    local done=$?
    kill "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    return $done
}

# until_new FUNCTION ARGUMENT…: again until a process of this round answers.
until_new() {
    local deadline=$((SECONDS + 10))
    until "$@"; do
        ((SECONDS < deadline)) || fail "$service: still answers with the configuration of before"
        sleep 0.2
    done
}

speak_to_all() {
    postconf -e "myhostname = round$round.$name" || fail "main.cf cannot be written"
    postfix reload 2>/dev/null || fail "postfix reload failed"
    until_new plain mx 25 250
    until_new encrypted submission 554 -starttls smtp -connect 127.0.0.1:587
    until_new encrypted submissions 554 -connect 127.0.0.1:465
    until_new encrypted reinjected 554 -starttls smtp -connect 127.0.0.1:10587
}

until (exec 3<>/dev/tcp/127.0.0.1/25) 2>/dev/null; do
    ((SECONDS < 20)) || fail "Postfix does not listen on port 25 after 20 s"
    sleep 0.2
done

# first as it is: every service ends at its relay restrictions
postconf -e mx_milters= submission_milters= reinjected_milters= recipient_status=
postconf -P {submission,submissions}/inet/smtpd_sasl_auth_enable=no
speak_to_all
# then with those open, so that the recipient restrictions are heard to their end
round=2
postconf -e submission_relay=permit
postconf -P 10587/inet/smtpd_{client,relay}_restrictions=permit
speak_to_all
