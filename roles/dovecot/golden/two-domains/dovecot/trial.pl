# One dialogue with the daemon started on the new files: a login that must be refused as wrong, which needs imap-login, auth, a worker
# and the users file. From the container's own loopback no TLS is asked for.
use strict;
use warnings;
use IO::Socket::INET;

system("perl", "/config/current/health.pl", 20) == 0 or exit 1;
my $imap = IO::Socket::INET->new(PeerAddr => "127.0.0.1:143", Timeout => 5) or die "no IMAP: $!\n";
alarm 15;
<$imap>;
print $imap "a LOGIN nobody\@trial.invalid wrong\r\n";
while (my $line = <$imap>) {
    next if $line =~ /^\*/;
    exit 0 if $line =~ /^a NO \[AUTHENTICATIONFAILED\]/;
    die "a login with a wrong password was answered: $line";
}
die "IMAP closed the connection during a login\n";
