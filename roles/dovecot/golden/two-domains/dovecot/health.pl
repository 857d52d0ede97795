# Healthy means: LMTP takes a delivery, auth answers Postfix, IMAP greets. Perl is in every Debian image; a shell cannot speak to a
# unix socket. An argument is a number of seconds to wait for it, instead of asking once.
use strict;
use warnings;
use IO::Socket::INET;
use IO::Socket::UNIX;

# the first line that a server says, "" when it does not
sub greeting {
    my ($where) = @_;
    my $socket = $where =~ m{^/}
      ? IO::Socket::UNIX->new(Peer => $where)
      : IO::Socket::INET->new(PeerAddr => $where, Timeout => 3);
    return "" unless $socket;
    my $line = eval {
        local $SIG{ALRM} = sub { die "too slow\n" };
        alarm 3;
        my $read = <$socket>;
        alarm 0;
        $read;
    };
    return $line // "";
}

sub faults {
    my @faults;
    for (
        ["/sock/dovecot/lmtp",  qr/^220 /,          "LMTP"],
        ["/sock/dovecot/auth",  qr/^VERSION\t1\t/,  "the SASL server"],
        ["127.0.0.1:143",       qr/^\* OK /,        "IMAP"],
      ) {
        my ($where, $expected, $name) = @$_;
        push @faults, "$name at $where does not greet\n" unless greeting($where) =~ $expected;
    }
    return @faults;
}

my $deadline = time + (shift // 0);
my @faults = faults();
while (@faults && time < $deadline) {
    select undef, undef, undef, 0.2;
    @faults = faults();
}
print STDERR @faults;
exit(@faults ? 1 : 0);
