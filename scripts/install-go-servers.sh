#!/bin/sh
# Puts the mail servers that are written in Go below .servers: chasquid, unpacked from Debian's package, and a server made of
# go-smtp (tests/real/go_smtp), built from Debian's source packages. scripts/install-test-servers.sh calls this.
#
# go-smtp is wanted as trixie has it, so its sources come by a private configuration of apt: the system's own lists are left
# alone. The build reads no network: GO111MODULE=off looks for sources in the unpacked packages only.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
servers=$root/.servers
program=$root/tests/real/go_smtp/main.go
go_smtp=$servers/go-smtp-0.21
chasquid=$servers/chasquid-1.11

is_built() { [ -x "$go_smtp/server" ] && cmp -s "$program" "$go_smtp/main.go"; }
is_unpacked() { [ -e "$chasquid/.unpacked" ]; }

if is_built && is_unpacked; then
    exit 0
fi
if ! grep -qs '^VERSION_CODENAME=bookworm' /etc/os-release || ! command -v apt-get >/dev/null; then
    echo "Not all test servers written in Go are there, and their packages are for Debian 12."
    exit 0
fi

work=$servers/.go-work
rm -rf "$work"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/sources" "$work/packages"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

cat >"$work/sources/debian.sources" <<END
Types: deb
URIs: http://deb.debian.org/debian
Suites: bookworm trixie
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
cat >"$work/apt.conf" <<END
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$work/sources";
Dir::State::lists "$work/lists";
Dir::Cache "$work/cache";
Acquire::Languages "none";
END
if [ "$(id -u)" -eq 0 ]; then
    # The user that apt downloads as may have no way into this directory.
    echo 'APT::Sandbox::User "root";' >>"$work/apt.conf"
fi
export APT_CONFIG="$work/apt.conf"

unpack() { # FOLDER PACKAGE/SUITE…
    folder=$1
    shift
    rm -rf "$folder" "$work/packages"
    mkdir -p "$folder" "$work/packages"
    (cd "$work/packages" && apt-get download -q "$@")
    for package in "$work"/packages/*.deb; do dpkg-deb -x "$package" "$folder"; done
}

apt-get update -q

if ! is_unpacked; then
    unpack "$chasquid" chasquid/bookworm
    touch "$chasquid/.unpacked"
fi

if ! is_built; then
    if ! command -v go >/dev/null; then
        echo "The server made of go-smtp is not built: there is no Go (Debian's package golang-go)."
        exit 0
    fi
    unpack "$go_smtp" golang-github-emersion-go-smtp-dev/trixie golang-github-emersion-go-sasl-dev/trixie
    GO111MODULE=off GOFLAGS='' GOPROXY=off GOPATH="$go_smtp/usr/share/gocode" GOCACHE="$work/go-cache" \
        go build -o "$go_smtp/server" "$program"
    cp "$program" "$go_smtp/main.go"
fi
