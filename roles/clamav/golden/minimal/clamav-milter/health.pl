# Healthy means: the milter answers Postfix's first word (option negotiation). Whether clamd answers is clamd's health; without it the
# milter answers 4xx. An argument is a number of seconds to wait.
use strict;
use warnings;
use IO::Socket::UNIX;

my $wait = shift // 0;
my $deadline = time + $wait;
alarm $wait + 8;

sub negotiates {
    my $milter = IO::Socket::UNIX->new(Peer => "/sock/clamav-milter/milter.sock") or return 0;
    print $milter pack("N a N N N", 13, "O", 6, 0x1ff, 0x1fffff);
    $milter->flush;
    my $got = read $milter, my $answer, 17;
    print $milter pack("N a", 1, "Q");
    return defined $got && $got == 17 && substr($answer, 4, 1) eq "O";
}

until (negotiates()) {
    die "the milter does not answer\n" if time >= $deadline;
    select undef, undef, undef, 0.2;
}
