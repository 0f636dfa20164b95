#!/bin/sh
# Installs the servers that tests/real talks to: Postfix (SMTP), Dovecot (SASL for Postfix, with Kerberos, its own
# submission service, and LMTP), an MIT Kerberos KDC, Cyrus SASL and GNU SASL, the proxies microsocks, Dante, tinyproxy and
# OpenSSH; PostgreSQL, pgbouncer and faketime; RabbitMQ; the verifiers of DKIM signatures OpenDKIM and Mail::DKIM; GnuPG; Chromium and SpamAssassin, for
# the inbox; the shells zsh and fish, for the completion of the command; what Python's binding to
# Kerberos is built with; and, by install-go-servers.sh, servers written in Go.
#
# The tests start their own instances on loopback ports, so nothing is started here. Where the servers cannot be
# installed (not root, not Debian) this says so and succeeds: those tests are then skipped.
set -eu

PATH=$PATH:/usr/sbin:/sbin
policy=/usr/sbin/policy-rc.d
here=$(cd "$(dirname "$0")" && pwd)

have() {
    for program in "$@"; do command -v "$program" >/dev/null 2>&1 || return 1; done
}
have_files() {
    for file in "$@"; do [ -e "$file" ] || return 1; done
}
have_headers() { # of Debian's own Python, if that is what there is
    ! have /usr/bin/python3.11 || have_files /usr/include/python3.11/Python.h
}
have_all() {
    have chromium chromedriver spamassassin zsh fish &&
        have postfix dovecot krb5kdc kadmin.local kinit krb5-config cc saslpasswd2 go opendkim gpg openssl &&
        have microsocks danted tinyproxy sshd ssh pgbouncer &&
        have_files /usr/lib/postgresql/*/bin/initdb /usr/lib/rabbitmq/bin/rabbitmq-server &&
        have_files /usr/lib/*/faketime/libfaketime.so.1 &&
        have_headers &&
        have_files /usr/lib/dovecot/modules/auth/libmech_gssapi.so /usr/lib/dovecot/submission-login \
            /usr/lib/dovecot/lmtp /usr/lib/*/libgsasl.so.18 /usr/lib/*/sasl2/libscram.so \
            /usr/share/perl5/Mail/DKIM/Verifier.pm
}

if have_all; then
    exec sh "$here/install-go-servers.sh"
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "Not all test servers are installed, and installing them needs root."
    exit 0
fi
if ! have apt-get; then
    echo "Not all test servers are installed, and there is no apt-get to install them with."
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

headers=
if ! have_headers; then headers=python3.11-dev; fi
apt-get update -q
DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
    postfix dovecot-core dovecot-lmtpd \
    dovecot-gssapi dovecot-submissiond krb5-kdc krb5-admin-server krb5-user libkrb5-dev gcc libc6-dev \
    libsasl2-modules sasl2-bin libgsasl18 \
    microsocks dante-server tinyproxy openssh-server openssh-client golang-go \
    opendkim libmail-dkim-perl gnupg openssl postgresql pgbouncer faketime rabbitmq-server \
    chromium chromium-driver fonts-dejavu-core spamassassin zsh fish $headers

have_all
sh "$here/install-go-servers.sh"
