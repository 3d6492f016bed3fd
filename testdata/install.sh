#!/bin/bash
# Installs the Debian packages that the tests use. As another user than root it
# says what is missing and exits 1. Does nothing where all is there.
#   dovecot-imapd …    real IMAP servers; the libraries are for Cyrus and Courier,
#                      which testdata/servers unpacks and does not install
#   bind9 nsd unbound  name servers for the tests of dnsaudit
#   python3-spf        brings the test suite of RFC 7208
#   qpdf poppler-utils chromium fonts-dejavu-core   look at the reports;
#   fonts-ipafont-gothic  has the letters of the Japanese one
#   tmux               looks at the terminal
#   jq openssh-client python3  check an evidence bundle without mailproof, beside openssl
set -euo pipefail
packages="
  dovecot-imapd openssl gcc libc6-dev procps
  libxapian30 libpcre3 libical3 libidn12 libcourier-unicode4 libltdl7 libsasl2-modules libgdbm6 libgnutls30
  libicu72 libjansson4 libgssapi-krb5-2 libldap-2.5-0 libnsl2 libpq5 libsqlite3-0 libssl3 libuuid1 libwrap0 libxml2
  bind9 bind9-dnsutils nsd unbound python3-spf
  qpdf poppler-utils chromium fonts-dejavu-core fonts-ipafont-gothic tmux jq openssh-client python3"

installed=" $(dpkg-query -W -f '${Status}:${Package} ' 2>/dev/null)"
missing=
for p in $packages; do
  [[ $installed == *" install ok installed:$p "* ]] || missing+=" $p"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
  echo "install.sh: needs root to install:$missing" >&2
  exit 1
fi

# The tests run the servers themselves, on ports of their own: no service of
# the system is to be started by its package.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q >/dev/null
# shellcheck disable=SC2086 # a list of names
apt-get install -y -q --no-install-recommends $missing >/dev/null
