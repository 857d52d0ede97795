# For `appliance status`: what is scanned with, and how old it is. Ends with 1 when there is nothing, or nothing of this week.
# Argument: another folder.
use strict;
use warnings;

my $folder = shift // "/var/lib/clamav";
# clamd itself warns from here on
my $old = 7 * 86400;

sub age {
    my $hours = shift() / 3600;
    return $hours < 48 ? sprintf("%.0f h", $hours) : sprintf("%.0f days", $hours / 24);
}

my @found = (glob("$folder/daily.c[lv]d"), glob("$folder/main.c[lv]d"));
unless (@found) {
    print "waiting for the first signatures; mail is answered 4xx until then\n";
    exit 1;
}
# The first 512 bytes of a database: ClamAV-VDB:words:version:signatures:level:digest:signature:builder:seconds (libclamav's cvd.c)
open my $database, "<:raw", $found[0] or die "$found[0]: $!\n";
read $database, my $head, 512;
my @field = split /:/, $head // "";
my $made = ($field[8] // "") =~ /^(\d+)/ ? $1 : (stat $database)[9];
my $passed = time - $made;
$passed = 0 if $passed < 0;
printf "signatures %s, %s old\n", $field[2] // "of an unknown version", age($passed);
exit($passed > $old ? 1 : 0);
