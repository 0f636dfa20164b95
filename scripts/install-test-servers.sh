#!/bin/sh
# Installs the mail servers that tests/real talks to: Postfix (SMTP) and Dovecot (SASL for Postfix).
#
# The tests start their own instances on loopback ports, so nothing is started here. Where the servers cannot be
# installed (not root, not Debian) this says so and succeeds: those tests are then skipped.
set -eu

PATH=$PATH:/usr/sbin:/sbin
policy=/usr/sbin/policy-rc.d

have() { command -v "$1" >/dev/null 2>&1; }

if have postfix && have dovecot; then
    exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "Postfix and Dovecot are not installed, and installing them needs root."
    exit 0
fi
if ! have apt-get; then
    echo "Postfix and Dovecot are not installed, and there is no apt-get to install them with."
    exit 0
fi

# 101 means "forbidden by policy": the packages' own scripts then start no service. A policy that is already there may
# say otherwise, so it is put aside and put back.
restore_policy() {
    rm -f "$policy"
    if [ -e "$policy.before-tests" ]; then mv "$policy.before-tests" "$policy"; fi
}
trap restore_policy EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
if [ -e "$policy" ] && [ ! -e "$policy.before-tests" ]; then mv "$policy" "$policy.before-tests"; fi
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"

apt-get update -q
DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends postfix dovecot-core

have postfix && have dovecot
