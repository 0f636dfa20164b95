#!/bin/sh
# Puts readers of messages that are not Python's below .servers/mail-readers, for tests/corpus: mailparser from npm, and
# Perl's MIME::Parser, unpacked from Debian's packages; ical.js from npm, which reads invitations (tests/message);
# mailpit-api, cypress-mailpit, @playwright/test and axe-core from npm, for the API and the page of the inbox (tests/inbox); and
# CPython's own tests of smtplib, from Debian, for a Python that came without them (tests/cpython).
#
# cypress-mailpit comes without Cypress, whose binary is no package of npm (--legacy-peer-deps).
# No root is needed, and nothing of the system is changed. What cannot be had here is left out, and the tests say so.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
readers=$root/.servers/mail-readers
node_readers="mailparser@3.14.2 ical.js@2.2.1 mailpit-api@2.1.0 axe-core@4.14.1 cypress-mailpit@2.0.0 @playwright/test@1.65.1"
packages="libmime-tools-perl libmailtools-perl libtimedate-perl libconvert-binhex-perl"
python=$root/.venv/bin/python

mkdir -p "$readers"

has_node_readers() { [ "$(cat "$readers/node/.version" 2>/dev/null)" = "$node_readers" ]; }
has_tests() { [ ! -e "$python" ] || [ -e "$readers/python" ] || "$python" -c 'import test.test_smtplib' 2>/dev/null; }

if ! has_node_readers && command -v npm >/dev/null; then
    rm -rf "$readers/node"
    # shellcheck disable=SC2086 # words are meant to be split
    if npm install --silent --legacy-peer-deps --no-audit --no-fund --prefix "$readers/node" $node_readers; then
        echo "$node_readers" >"$readers/node/.version"
    else
        echo "npm does not give: $node_readers"
    fi
fi

unpack() { # FOLDER PACKAGE…
    folder=$1 work=$readers/.work
    shift
    rm -rf "$work" "$folder"
    mkdir -p "$work/packages" "$work/lists/partial" "$work/cache/archives/partial"
    # Lists and archives of its own: the system's may be missing, and belong to root.
    cat >"$work/apt.conf" <<END
Dir::State::lists "$work/lists";
Dir::Cache "$work/cache";
Acquire::Languages "none";
END
    # The user that apt downloads as may have no way into this directory.
    if [ "$(id -u)" -eq 0 ]; then echo 'APT::Sandbox::User "root";' >>"$work/apt.conf"; fi
    if (
        export APT_CONFIG="$work/apt.conf"
        apt-get update -q && cd "$work/packages" && apt-get download -q "$@"
    ); then
        mkdir "$folder"
        for package in "$work"/packages/*.deb; do dpkg-deb -x "$package" "$folder"; done
    else
        echo "Debian does not give: $*"
    fi
    rm -rf "$work"
}

if command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null; then
    # shellcheck disable=SC2086 # words are meant to be split
    if [ ! -e "$readers/perl" ]; then unpack "$readers/perl" $packages; fi
    if ! has_tests; then unpack "$readers/python" "libpython$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-testsuite"; fi
fi
