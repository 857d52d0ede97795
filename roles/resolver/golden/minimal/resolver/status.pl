# For `appliance status`: when the root's keys were last confirmed. Ends with 1 from 30 days on: RFC 5011 lets a new key be taken
# after that time (2.4.1), so an anchor that nobody asked about for as long may have missed one.
# Argument: another file.
use strict;
use warnings;

my $file = shift // "/var/lib/unbound/root.key";
my $old = 30 * 86400;

open my $anchor, "<", $file or do { print "the trust anchor cannot be read: $!\n"; exit 1 };
# Unbound writes it as a remark when the root has answered; the copy that came with the image has none
my ($confirmed) = map { /^;;last_success: ([1-9]\d*)/ ? $1 : () } <$anchor>;
my $passed = time - ($confirmed // (stat $anchor)[9]);
$passed = 0 if $passed < 0;
my $age = $passed < 48 * 3600 ? sprintf("%.0f h", $passed / 3600) : sprintf("%.0f days", $passed / 86400);
print $confirmed ? "trust anchor confirmed $age ago\n" : "trust anchor as it came with the image, $age old\n";
exit($passed > $old ? 1 : 0);
