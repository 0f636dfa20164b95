# Reads the messages NAME.eml of a folder with MIME::Parser; prints a JSON object: name to what it found.
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use Encode qw(decode find_encoding);
use File::Basename qw(basename);
use JSON::PP;
use Mail::Address;
use MIME::Parser;

sub words { # what a field says, its encoded words decoded
    my ($value) = @_;
    return "" unless defined $value;
    $value =~ s/\r?\n(?=[ \t])//g;
    $value =~ s/\s+\z//;
    return decode("MIME-Header", $value) if $value !~ /[^\x00-\x7f]/;
    # Octets are UTF-8; what is not has been decoded before.
    my $octets = $value;
    return utf8::downgrade($octets, 1) && utf8::decode($octets) ? $octets : $value;
}

sub people { # all mailboxes of all fields of the name; Mail::Address knows no groups
    my ($head, $name) = @_;
    my @found;
    for my $value ($head->get_all($name)) {
        $value =~ s/\r?\n(?=[ \t])//g;
        for my $box (Mail::Address->parse($value)) {
            my $phrase = $box->phrase;
            $phrase =~ s/\A"(.*)"\z/$1/s and $phrase =~ s/\\(.)/$1/g;
            push @found, [words($phrase), words($box->address)];
        }
    }
    return \@found;
}

sub parts { # the leaves: type, name of the file, disposition, text or digest, identifier
    my ($entity) = @_;
    return map { parts($_) } $entity->parts if $entity->parts;
    my $head = $entity->head;
    my $octets = $entity->bodyhandle ? $entity->bodyhandle->as_string : "";
    my $type = lc $entity->effective_type;
    my $disposition = lc($head->mime_attr("content-disposition") || "");
    my $charset = find_encoding($head->mime_attr("content-type.charset") || "us-ascii");
    my $is_text = $type =~ m{\Atext/} && $disposition ne "attachment" && $charset;
    $octets =~ s/\r\n/\n/g if $type =~ m{\Atext/};
    my $content = $is_text ? $charset->decode($octets) : sha256_hex($octets);
    my $identifier = $head->get("Content-ID") || "";
    $identifier =~ s/\s+\z//;
    return [$type, words($head->recommended_filename), $disposition, $content, $identifier];
}

my $parser = MIME::Parser->new;
$parser->output_to_core(1);
$parser->tmp_to_core(1);
my %found;
for my $file (glob("$ARGV[0]/*.eml")) {
    my $entity = $parser->parse_open($file);
    my $head = $entity->head;
    $found{basename($file, ".eml")} = {
        (map { $_ => words($head->get($_)) } qw(subject date message-id references)),
        (map { $_ => people($head, $_) } qw(from to cc bcc reply-to)),
        parts => [parts($entity)],
    };
}
print JSON::PP->new->canonical->ascii->encode(\%found);
