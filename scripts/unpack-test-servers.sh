#!/bin/sh
# Unpacks the mail servers that Debian does not let one install beside each other: Exim, Cyrus and OpenSMTPD or Sendmail.
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
opensmtpd-7.4 bookworm-backports opensmtpd"

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

# The system's own list of sources and its archives are left alone.
use_private_apt() {
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/sources"
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    cat >"$apt/sources/debian.sources" <<END
Types: deb
URIs: http://deb.debian.org/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main
Signed-By: $keyring

Types: deb
URIs: http://deb.debian.org/debian-security
Suites: bookworm-security
Components: main
Signed-By: $keyring
END
    cat >"$apt/apt.conf" <<END
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$apt/sources";
Dir::State::lists "$apt/lists";
Dir::Cache "$apt/cache";
END
    export APT_CONFIG="$apt/apt.conf"
    apt-get update -q
}

unpack() {
    folder=$root/$1 suite=$2 line=$*
    shift 2
    rm -rf "$folder" "$apt/cache/archives"
    mkdir -p "$apt/cache/archives/partial" "$folder/usr/lib" "$folder/usr/bin" "$folder/usr/sbin"
    # It would remove another server; but it only downloads: the packages, and what they need and is not here.
    apt-get install -y -q --download-only --no-install-recommends -t "$suite" "$@"
    # As in the system itself, where these are links.
    for name in lib bin sbin; do ln -s "usr/$name" "$folder/$name"; done
    for package in "$apt"/cache/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -x -p --keep-directory-symlink -C "$folder"
    done
    echo "$line" >"$folder/.unpacked"
}

use_private_apt
echo "$servers" | while read -r line; do
    # shellcheck disable=SC2086 # words are meant to be split
    is_unpacked $line || unpack $line
done
rm -rf "$apt"
