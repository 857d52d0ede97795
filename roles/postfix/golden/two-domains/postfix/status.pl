# For `appliance status`: how much waits in the queue, since when, and whether the disk below it has room. Ends with 1 when the queue
# cannot be read, and when smtpd answers 452 for want of room: below 1.5 times the largest message, or without a free inode
# (https://www.postfix.org/postconf.5.html#queue_minfree).
use strict;
use warnings;

# one JSON object a line for each message (postqueue(1)); an address inside it cannot look like the line's beginning
open my $queue, "-|", "postqueue", "-j" or die "postqueue: $!\n";
my ($messages, $held, $oldest) = (0, 0, time);
while (<$queue>) {
    my ($name) = /^\{"queue_name": ?"(\w+)"/ or next;
    my ($arrived) = /^[^\[]*?"arrival_time": ?(\d+)/ or next;
    $messages++;
    $held++ if $name eq "hold";
    $oldest = $arrived if $arrived < $oldest;
}
close $queue or do { print "the queue cannot be read\n"; exit 1 };

# (total, free) of the file system below a folder, in bytes (-B1) or files (-i: 0 in all where they are not counted)
sub room {
    my ($unit, $folder) = @_;
    open my $df, "-|", "df", "-P", $unit, $folder or die "df: $!\n";
    my @line = <$df>;
    close $df;
    die "df says nothing of $folder\n" unless @line == 2;
    return (split " ", $line[1])[1, 3];
}

sub age {
    my $minutes = shift() / 60;
    return sprintf "%.0f min", $minutes if $minutes < 120;
    return $minutes < 2880 ? sprintf("%.0f h", $minutes / 60) : sprintf("%.0f days", $minutes / 1440);
}

my $needed = 21523402;
my ($size, $free) = room("-B1", "/var/spool/postfix");
my ($files, $unused) = room("-i", "/var/spool/postfix");
my $full = $free < $needed || ($files && $unused < 10);
printf "no room: %.1f MiB and %s files free, mail is answered 452 below %.1f MiB; ", $free / 2**20, $unused, $needed / 2**20 if $full;
if ($messages) {
    printf "%d message%s in the queue, the oldest for %s", $messages, $messages == 1 ? "" : "s", age(time - $oldest);
    printf ", %d on hold", $held if $held;
    print "\n";
} else {
    print "the queue is empty\n";
}
exit($full ? 1 : 0);
