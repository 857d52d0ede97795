# Healthy means: the signatures are loaded and clamd answers (its socket exists only then). Perl is in every Debian image.
# Arguments: a number of seconds to wait, another socket.
use strict;
use warnings;
use IO::Socket::UNIX;

my ($wait, $path) = (shift // 0, shift // "/sock/clamd/clamd.sock");
my $deadline = time + $wait;
alarm $wait + 8;

sub pong {
    my $clamd = IO::Socket::UNIX->new(Peer => $path) or return 0;
    print $clamd "zPING\0";
    $clamd->flush;
    local $/ = "\0";
    return (<$clamd> // "") eq "PONG\0";
}

until (pong()) {
    if (time >= $deadline) {
        # EX_TEMPFAIL: nothing is broken, the first signatures are still on their way
        unless (glob("/var/lib/clamav/daily.c[lv]d") || glob("/var/lib/clamav/main.c[lv]d")) {
            print STDERR "waiting for the first signatures; mail is answered 4xx until then\n";
            exit 75;
        }
        die "clamd does not answer at $path\n";
    }
    select undef, undef, undef, 0.2;
}
