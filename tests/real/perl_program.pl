# A mail server made of Net::Server::Mail, run as a program: PORT HOST_NAME DIRECTORY.
use strict;
use warnings;
use IO::Socket::INET;
use Net::Server::Mail::ESMTP;

my %at_rcpt = (nouser => [550, 'no such user'], tempfail => [451, 'try again later'], full => [452, 'mailbox full']);
my %at_content = (rejectdot => [550, 'content refused'], deferdot => [451, 'content deferred']);

my ($port, $host_name, $directory) = @ARGV;
my $listener = IO::Socket::INET->new(Listen => 64, LocalAddr => '127.0.0.1', LocalPort => $port, ReuseAddr => 1)
  or die "port $port: $!";
$SIG{CHLD} = 'IGNORE';
my $number = 0;

sub recipient { # <bob@example.test> and the like
    my ($local, $domain) = shift =~ /^<?([^@>]*)@?([^>]*)>?$/;
    return ($local, $domain);
}

sub at_rcpt {
    my ($local, $domain) = recipient($_[1]);
    return (0, 550, 'no relaying') if $domain ne 'example.test';
    return (0, @{ $at_rcpt{$local} }) if $at_rcpt{$local};
    return 1;
}

sub at_content {
    my ($session, $content) = @_;
    for my $recipient ($session->get_recipients) {
        my ($local) = recipient($recipient);
        return (0, @{ $at_content{$local} }) if $at_content{$local};
    }
    my $file = "$directory/$$-" . $number++;
    open my $out, '>:raw', "$file.part" or return (0, 451, 'disk');
    print $out $$content;
    close $out or return (0, 451, 'disk');
    rename "$file.part", "$file.eml" or return (0, 451, 'disk');
    return (1, 250, 'stored');
}

while (1) {
    my $connection = $listener->accept or next;
    if (fork) { close $connection; next }
    close $listener;
    # The greeting is the user's to choose, and so it does not name the program.
    my $session = Net::Server::Mail::ESMTP->new(socket => $connection);
    $session->{banner_string} = "$host_name ESMTP";
    { no warnings 'redefine'; *Net::Server::Mail::get_hostname = sub { $host_name }; }
    $session->register("Net::Server::Mail::ESMTP::$_") for qw(8BITMIME PIPELINING);
    $session->set_callback(RCPT => \&at_rcpt);
    $session->set_callback(DATA => \&at_content);
    $session->process;
    exit;
}
