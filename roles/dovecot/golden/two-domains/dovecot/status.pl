# For `appliance status`: whether the disk below the mail has room. Ends with 1 when the largest message does not fit any more: LMTP
# answers 4xx then, and mail waits in the queue.
use strict;
use warnings;

# (total, free) of the file system below a folder, in bytes (-B1) or files (-i: 0 in all where they are not counted)
sub room {
    my ($unit, $folder) = @_;
    open my $df, "-|", "df", "-P", $unit, $folder or die "df: $!\n";
    my @line = <$df>;
    close $df;
    die "df says nothing of $folder\n" unless @line == 2;
    return (split " ", $line[1])[1, 3];
}

my $needed = 2 * 14348935;
my ($size, $free) = room("-B1", "/srv/mail");
my ($files, $unused) = room("-i", "/srv/mail");
my $full = $free < $needed || ($files && $unused < 10);
printf "no room for mail: %.1f MiB and %s files free; it waits in the queue until there is", $free / 2**20, $unused if $full;
printf "%.0f %% of the disk is used", 100 * (1 - $free / $size) unless $full;
print "\n";
exit($full ? 1 : 0);
