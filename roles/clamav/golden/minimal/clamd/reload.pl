# Has clamd read its signatures again, and waits until it scans with them.
use strict;
use warnings;
use IO::Socket::UNIX;

alarm 300;

sub ask {
    my ($command) = @_;
    my $clamd = IO::Socket::UNIX->new(Peer => "/sock/clamd/clamd.sock") or die "clamd cannot be reached: $!\n";
    print $clamd "z$command\0";
    $clamd->flush;
    local $/ = "\0";
    return <$clamd> // "";
}

ask("RELOAD") eq "RELOADING\0" or die "clamd does not reload\n";
ask("PING") eq "PONG\0" or die "clamd does not answer after the reload\n";
