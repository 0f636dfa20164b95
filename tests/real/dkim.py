"""Verifiers of DKIM signatures that this project did not write: OpenDKIM, Mail::DKIM (Perl) and dkimpy. Each is asked
once for all messages, in files of a folder, and given the public keys in a file of lines ``name record``."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import dkim

from . import find_program

_PERL = """
use Mail::DKIM::Verifier;
use Mail::DKIM::DNS;
my ($keys, @files) = @ARGV; my %records;
open(my $lines, '<', $keys) or die;
while (<$lines>) { chomp; my ($name, $record) = split / /, $_, 2; $records{$name} = $record }
package Answer { sub type { 'TXT' } sub char_str_list { $_[0]{text} } sub txtdata { $_[0]{text} } }
no warnings 'redefine';
*Mail::DKIM::DNS::query = sub { map { bless {text => $_}, 'Answer' } grep { defined } $records{$_[0]} };
for my $file (@files) {
    my $verifier = Mail::DKIM::Verifier->new; open(my $in, '<:raw', $file) or die;
    while (<$in>) { $verifier->PRINT($_) } $verifier->CLOSE;
    my @results = map { $_->result_detail } $verifier->signatures;
    print join(',', @results) || 'none', "\\n";
}
"""


def _by_opendkim(files: list[Path], keys: Path) -> list[list[str]]:
    program = find_program("opendkim")
    assert program is not None
    settings = keys.with_suffix(".conf")
    settings.write_text(f"Mode v\nTestPublicKeys {keys}\nOn-Default accept\nOn-BadSignature reject\n")
    names = ",".join(file.name for file in files)
    done = subprocess.run(
        [program, "-x", settings, "-v", "-t", names], cwd=files[0].parent, capture_output=True, text=True, timeout=50
    )
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():  # "opendkim: 1.eml: verification (s=rsa, d=example.com, …) succeeded"
        _, name, words = line.split(": ", 2)
        if words.startswith("verification"):
            found.setdefault(name, []).append("pass" if words.endswith("succeeded") else words)
    return [found.get(file.name, ["none"]) for file in files]


def _by_perl(files: list[Path], keys: Path) -> list[list[str]]:
    done = subprocess.run(["perl", "-e", _PERL, keys, *files], capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    unknown = "invalid (unsupported algorithm ed25519-sha256)"  # it knows RSA only
    return [[result for result in line.split(",") if result != unknown] for line in done.stdout.splitlines()]


def _by_dkimpy(files: list[Path], keys: Path) -> list[list[str]]:
    records = dict(line.split(" ", 1) for line in keys.read_text().splitlines())

    def look_up(name: bytes, timeout: int = 5) -> bytes:
        return records[name.decode().rstrip(".")].encode()

    results = []
    for file in files:
        octets = file.read_bytes()
        count = sum(name.lower() == b"dkim-signature" for name, _ in dkim.DKIM(octets).headers)
        results.append([_dkimpy(octets, place, look_up) for place in range(count)] or ["none"])
    return results


def _dkimpy(octets: bytes, place: int, look_up: Callable[..., bytes]) -> str:
    try:
        return "pass" if dkim.DKIM(octets).verify(place, dnsfunc=look_up) else "fail"
    except dkim.DKIMException as error:
        return str(error)


VERIFIERS: dict[str, Callable[[list[Path], Path], list[list[str]]]] = {
    "OpenDKIM": _by_opendkim,
    "Mail::DKIM": _by_perl,
    "dkimpy": _by_dkimpy,
}
"""Each gives the results of the signatures of each file, "pass" for one that is valid. OpenDKIM tells that of one,
Mail::DKIM those of RSA keys."""


def what_is_missing(verifier: str) -> str | None:
    """Why a verifier cannot be asked here."""
    if verifier == "OpenDKIM" and find_program("opendkim") is None:
        return "opendkim is not installed: sh scripts/install-test-servers.sh (as root, on Debian)"
    if verifier == "Mail::DKIM":
        command = ["perl", "-MMail::DKIM", "-e", "1"]
        if find_program("perl") is None or subprocess.run(command, capture_output=True, env=os.environ).returncode:
            return "Mail::DKIM is not installed: sh scripts/install-test-servers.sh (as root, on Debian)"
    return None
