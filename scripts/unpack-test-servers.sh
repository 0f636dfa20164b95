#!/bin/sh
# Unpacks the mail servers that Debian does not let one install beside each other: Exim, Cyrus, OpenSMTPD, Sendmail,
# Courier and msmtpd, and Dovecot of a later Debian; a Perl module that servers are made of; and the sendmail programs
# of msmtp, esmtp, dma and ssmtp.
#
# Each goes into a folder of its own, .servers/NAME, with the libraries that this machine lacks. The tests lay that folder
# over the system's files in a private mount namespace (tests/real/namespace.py); nothing is installed or started here.
# Where the servers cannot be had (not root, not Debian 12) this says so and succeeds: those tests are then skipped.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)/.servers
apt=$root/apt

# One line a server: its folder, the suite, the packages.
servers="\
exim-4.96 bookworm exim4-daemon-heavy exim4-base
exim-4.98 bookworm-backports exim4-daemon-heavy exim4-base
cyrus-3.6 bookworm cyrus-imapd
sendmail-8.18 bookworm-backports sendmail-bin
opensmtpd-7.4 bookworm-backports opensmtpd
net-server-mail-0.28 bookworm libnet-server-mail-perl
msmtpd-1.8 bookworm msmtp-mta
courier-1.0 bookworm courier-mta
esmtp-1.2 bookworm esmtp-run
dma-0.13 bookworm dma
ssmtp-2.64 bookworm ssmtp
dovecot-2.4 trixie dovecot-submissiond"

is_unpacked() { # the stamp holds the line that it was unpacked by
    [ "$(cat "$root/$1/.unpacked" 2>/dev/null)" = "$*" ]
}
all_are_unpacked() {
    echo "$servers" | while read -r line; do
        # shellcheck disable=SC2086 # words are meant to be split
        is_unpacked $line || return 1
    done
}

if all_are_unpacked; then
    exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "Not all test servers are unpacked, and running them needs root."
    exit 0
fi
if ! grep -qs '^VERSION_CODENAME=bookworm' /etc/os-release || ! command -v apt-get >/dev/null; then
    echo "Not all test servers are unpacked, and their packages are for Debian 12."
    exit 0
fi

# The system's own list of sources and its archives are left alone. Servers of another release of Debian are unpacked with
# all that they need, the C library too, as if nothing were installed here.
use_apt_of() { # RELEASE
    private=$apt/$1
    export APT_CONFIG="$private/apt.conf"
    if [ -e "$APT_CONFIG" ]; then return; fi
    mkdir -p "$private/lists/partial" "$private/sources"
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    status=/var/lib/dpkg/status suites="bookworm bookworm-updates bookworm-backports"
    if [ "$1" != bookworm ]; then
        status=$private/status suites=$1
        : >"$status"
    fi
    cat >"$private/sources/debian.sources" <<END
Types: deb
URIs: http://deb.debian.org/debian
Suites: $suites
Components: main
Signed-By: $keyring

Types: deb
URIs: http://deb.debian.org/debian-security
Suites: $1-security
Components: main
Signed-By: $keyring
END
    cat >"$private/apt.conf" <<END
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$private/sources";
Dir::State::lists "$private/lists";
Dir::State::status "$status";
Dir::Cache "$private/cache";
Acquire::Languages "none";
END
    apt-get update -q
}

unpack() {
    folder=$root/$1 suite=$2 line=$*
    shift 2
    use_apt_of "${suite%%-*}"
    rm -rf "$folder" "$private/cache"
    mkdir -p "$private/cache/archives/partial" "$folder/usr/lib" "$folder/usr/lib64" "$folder/usr/bin" "$folder/usr/sbin"
    # It would remove another server; but it only downloads: the packages, and what they need and is not here.
    apt-get install -y -q --download-only --no-install-recommends -t "$suite" "$@"
    # As in the system itself, where these are links.
    for name in lib lib64 bin sbin; do ln -s "usr/$name" "$folder/$name"; done
    for package in "$private"/cache/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -x -p --keep-directory-symlink -C "$folder"
    done
    echo "$line" >"$folder/.unpacked"
}

echo "$servers" | while read -r line; do
    # shellcheck disable=SC2086 # words are meant to be split
    is_unpacked $line || unpack $line
done
rm -rf "$apt"
