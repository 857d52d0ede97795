# One delivery to Dovecot's LMTP socket: the argument is the recipient, the message comes on stdin with CRLF and no dots to stuff.
use strict;
use warnings;
use IO::Socket::UNIX;

my $lmtp = IO::Socket::UNIX->new(Peer => "/sock/dovecot/lmtp") or die "no LMTP: $!\n";
alarm 60;

sub answer {
    while (my $line = <$lmtp>) {
        print $line;
        return if $line =~ /^\d\d\d /;
    }
}

answer();
for ("LHLO tests", "MAIL FROM:<tests\@sender.invalid>", "RCPT TO:<$ARGV[0]>", "DATA") {
    print $lmtp "$_\r\n";
    $lmtp->flush;
    answer();
}
while (read STDIN, my $piece, 65536) {
    print $lmtp $piece;
}
print $lmtp ".\r\n";
$lmtp->flush;
answer();
