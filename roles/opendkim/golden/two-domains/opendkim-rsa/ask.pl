#!/usr/bin/perl
# Speaks to the signer as Postfix does (libmilter's protocol, version 6) and demands a signature: of the first domain (health), or of
# every domain with --all (trial), which also proves that each key can be read: `opendkim -n` answers 0 without it.
# --wait SECONDS waits for the socket first. perl-base is in every Debian image.
use strict;
use warnings;
use Socket;

my $socket = '/sock/opendkim-rsa/milter.sock';
my @domains = (
    ['golden.example', 'g1-rsa'],
    ['xn--bcher-kva.example', 'b2-rsa'],
);

my $current = 'start';
my ($wait, $all) = (0, 0);
while (defined(my $word = shift @ARGV)) {
    if    ($word eq '--wait') { $wait = shift @ARGV }
    elsif ($word eq '--all')  { $all  = 1 }
    else                      { die "unknown argument $word\n" }
}
$SIG{ALRM} = sub { die "$socket: no answer\n" };

# A packet is length, command, data.
sub out {
    my ($fh, $command, $data) = @_;
    my $packet = pack('N/a*', $command . ($data // ''));
    while (length $packet) {
        my $n = syswrite($fh, $packet) // die "$socket: $!\n";
        substr($packet, 0, $n) = '';
    }
}

sub exactly {
    my ($fh, $size) = @_;
    my $data = '';
    while (length $data < $size) {
        sysread($fh, $data, $size - length $data, length $data) or die "$socket: the connection was closed\n";
    }
    return $data;
}

sub in {
    my ($fh) = @_;
    my $data = exactly($fh, unpack('N', exactly($fh, 4)));
    return (substr($data, 0, 1), substr($data, 1));
}

my %words = (a => 'it is none of my business', d => 'discard', r => 'refuse', t => 'try again later');

# What an answer other than "continue" says.
sub words {
    my ($answer, $data) = @_;
    return $answer eq 'y' ? $data =~ s/\0//gr : $words{$answer} // "answer $answer";
}

# Sends a command and demands "continue".
sub ask {
    my ($fh, $command, $data) = @_;
    out($fh, $command, $data);
    my ($answer, $more) = in($fh);
    die "$current: the signer says: " . words($answer, $more) . "\n" if $answer ne 'c';
}

sub strings { return join('', map {"$_\0"} @_) }

# The DKIM-Signature that a message From an address of the domain gets.
sub signature {
    my ($domain) = @_;
    $current = $domain;
    socket(my $fh, PF_UNIX, SOCK_STREAM, 0) or die "$socket: $!\n";
    my $deadline = time + $wait;
    until (connect($fh, pack_sockaddr_un($socket))) {
        die "$socket: $!\n" if time >= $deadline;
        select(undef, undef, undef, 0.1);
    }
    alarm 10;
    # every action is allowed, no step is left out
    out($fh, 'O', pack('NNN', 6, 0x1FF, 0));
    my ($negotiated) = in($fh);
    die "$socket: no negotiation\n" if $negotiated ne 'O';
    out($fh, 'D', 'C' . strings('{daemon_name}', 'submission', 'j', 'localhost'));
    ask($fh, 'C', strings('localhost') . 'L' . pack('n', 0) . strings('/trial'));
    ask($fh, 'H', strings('localhost'));
    out($fh, 'D', 'M' . strings('i', 'trial'));
    ask($fh, 'M', strings("<trial\@$domain>"));
    ask($fh, 'R', strings("<trial\@$domain>"));
    ask($fh, 'L', strings(@$_)) for ['From', "trial\@$domain"], ['Date', 'Thu, 01 Jan 1970 00:00:00 +0000'], ['Subject', 'trial'];
    ask($fh, 'N');
    ask($fh, 'B', "trial\r\n");
    out($fh, 'E');
    my $found = '';
    while (1) {
        my ($answer, $data) = in($fh);
        $found = $data if ($answer eq 'i' || $answer eq 'h') && $data =~ /DKIM-Signature\0/;
        next if $answer =~ /[ihmp+]/;
        die "$domain: the signer says: " . words($answer, $data) . "\n" if $answer !~ /[ca]/;
        last;
    }
    out($fh, 'Q');
    alarm 0;
    close $fh;
    return $found;
}

for my $entry ($all ? @domains : $domains[0]) {
    my ($domain, $selector) = @$entry;
    my $field = signature($domain);
    $field =~ s/\s+//g;
    die "$domain: not signed\n" if !length $field;
    die "$domain: signed as another: $field\n" if $field !~ /;d=\Q$domain\E;/ || $field !~ /;s=\Q$selector\E;/;
}
