# For `appliance status`: how much waits in the queue, and since when. Ends with 1 when the queue cannot be read.
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

sub age {
    my $minutes = shift() / 60;
    return sprintf "%.0f min", $minutes if $minutes < 120;
    return $minutes < 2880 ? sprintf("%.0f h", $minutes / 60) : sprintf("%.0f days", $minutes / 1440);
}

if ($messages) {
    printf "%d message%s in the queue, the oldest for %s", $messages, $messages == 1 ? "" : "s", age(time - $oldest);
    printf ", %d on hold", $held if $held;
    print "\n";
} else {
    print "the queue is empty\n";
}
