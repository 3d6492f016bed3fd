#!/bin/bash
# Real IMAP servers on loopback for the tests; see README beside this file.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(cd "$here/../.." && pwd)
export PATH=$PATH:/usr/sbin:/sbin:/usr/local/go/bin

port_dovecot=${MAILPROOF_PORT_DOVECOT:-24301}
port_dovecot2=${MAILPROOF_PORT_DOVECOT2:-24303}
port_cyrus=${MAILPROOF_PORT_CYRUS:-24310}
port_courier=${MAILPROOF_PORT_COURIER:-24320}
port_dovecotauth=${MAILPROOF_PORT_DOVECOTAUTH:-24330}
port_cyrusauth=${MAILPROOF_PORT_CYRUSAUTH:-24332}
servers="dovecot dovecot2 cyrus courier dovecotauth cyrusauth"

die() { echo "servers.sh: $*" >&2; exit 1; }

# Servers run as other users and have sockets, whose paths are short: a state
# directory that those users cannot reach, or with a long path, will not do.
reachable() {
  local d=$1
  [ ${#d} -le 60 ] || return 1
  while [ "$d" != / ]; do
    d=$(dirname "$d")
    [ $((0$(stat -c %a "$d") & 1)) -eq 1 ] || return 1
  done
}

id=$(printf %s "$repo" | cksum | cut -d' ' -f1)
state=${MAILPROOF_TESTBED:-$repo/.testbed}
if [ -z "${MAILPROOF_TESTBED:-}" ] && ! reachable "$state"; then
  state=/var/tmp/mailproof-testbed-$id
fi
volatile=$state/volatile
if [ -d /dev/shm ] && [ -w /dev/shm ]; then
  volatile=/dev/shm/mailproof-testbed-$(printf %s "$state" | cksum | cut -d' ' -f1)
fi
courier=$state/courier-root
cyrus=$state/cyrus-root
# Of the same length as /etc/courier, /usr/lib/courier and /run/courier, and of
# this state directory alone.
short=$(printf %04x $(($(printf %s "$state" | cksum | cut -d' ' -f1) % 65536)))
courier_etc=/tmp/mp${short}e
courier_lib=/tmp/mp${short}-libc
courier_run=/tmp/mp${short}r

fill() { # TEMPLATE FILE [SED-EXPRESSION…]
  local from=$1 to=$2
  shift 2
  sed -e "s#@STATE@#$state#g; s#@VOLATILE@#$volatile#g" "$@" "$from" >"$to"
  if [ -x "$from" ]; then chmod +x "$to"; fi
}

port() { local v=port_$1; echo "${!v}"; }

# The greeting of the server at a port, or nothing.
greeting() (
  exec 2>/dev/null 7<>"/dev/tcp/127.0.0.1/$1" || exit 0
  IFS= read -r -t 5 line <&7 || exit 0
  if [[ $line == "* OK"* ]]; then printf '%s\n' "${line%$'\r'}"; fi
)

pidfile() {
  case $1 in
  dovecot*) echo "$volatile/$1/run/master.pid" ;;
  cyrus*) echo "$volatile/$1/master.pid" ;;
  courier) echo "$volatile/courier/imapd.pid" ;;
  *) die "no server named $1: there are $servers" ;;
  esac
}

# A process that has ended and waits for its parent to notice is not alive.
alive() { [ -n "$1" ] && kill -0 "$1" 2>/dev/null && [[ $(ps -o stat= -p "$1") != Z* ]]; }

running() {
  local f
  f=$(pidfile "$1")
  [ -s "$f" ] && alive "$(cat "$f")"
}

await() { # SERVER
  local i
  for i in $(seq 200); do
    if running "$1" && [ -n "$(greeting "$(port "$1")")" ]; then return 0; fi
    sleep 0.1
  done
  die "$1 does not answer at 127.0.0.1:$(port "$1"); its log is in $state/log"
}

# setup

certificates() {
  local c=$state/certs
  [ -s "$c/courier.pem" ] && return
  mkdir -p "$c"
  local key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
  openssl req -x509 "${key[@]}" -days 3650 -subj "/CN=mailproof test authority" -keyout "$c/ca-key.pem" -out "$c/ca.pem" 2>/dev/null
  openssl req "${key[@]}" -subj /CN=localhost -keyout "$c/key.pem" -out "$c/request.pem" 2>/dev/null
  openssl x509 -req -in "$c/request.pem" -CA "$c/ca.pem" -CAkey "$c/ca-key.pem" -CAcreateserial -days 3650 -out "$c/cert.pem" 2>/dev/null \
    -extfile <(printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n')
  chmod 644 "$c/key.pem" # a test key, which the users of the servers read
  cat "$c/key.pem" "$c/cert.pem" >"$c/courier.pem"
}

# Who signs in with a certificate, and what signs access tokens.
client_credentials() {
  local c=$state/certs
  if [ ! -s "$c/client.pem" ] || [ "$c/ca.pem" -nt "$c/client.pem" ]; then
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=auth-cert -keyout "$c/client-key.pem" -out "$c/request.pem" 2>/dev/null
    openssl x509 -req -in "$c/request.pem" -CA "$c/ca.pem" -CAkey "$c/ca-key.pem" -CAcreateserial -days 3650 -out "$c/client.pem" 2>/dev/null \
      -extfile <(printf 'extendedKeyUsage=clientAuth\n')
  fi
  # Dovecot looks for the key of a token by its azp, algorithm and kid.
  local k=$state/tokens/default/HS256
  if [ ! -s "$k/default" ]; then
    mkdir -p "$k"
    openssl rand -base64 32 | tr -d '\n' >"$k/default"
    chmod -R a+rX "$state/tokens" # a test key, which Dovecot's user reads
  fi
}

unpack() { # ROOT PACKAGE…
  local root=$1 deb
  shift
  [ -e "$root/.unpacked" ] && return
  rm -rf "$root" "$root.debs"
  mkdir -p "$root" "$root.debs"
  (
    cd "$root.debs"
    apt-get download -q "$@" >/dev/null 2>&1 || { apt-get update -q >/dev/null && apt-get download -q "$@" >/dev/null; }
  ) || die "cannot download $*"
  for deb in "$root.debs"/*.deb; do dpkg -x "$deb" "$root"; done
  rm -rf "$root.debs"
  touch "$root/.unpacked"
}

setup_courier() {
  [ -e "$courier/.ready-$short" ] && return
  rm -rf "$courier"
  unpack "$courier" courier-imap courier-base courier-authlib courier-authdaemon courier-authlib-pipe
  # The compiled-in paths, octet for octet of the same length.
  grep -rlE '/etc/courier|/usr/lib/courier|/run/courier' "$courier/usr/bin" "$courier/usr/sbin" "$courier/usr/lib" "$courier/etc/courier" |
    xargs -r sed -i "s#/usr/lib/courier#$courier_lib#g; s#/etc/courier#$courier_etc#g; s#/run/courier#$courier_run#g"
  gcc -shared -fPIC -Wl,-soname,libfam.so.0 -o "$courier/usr/lib/libfam.so.0" "$here/courier/fam.c"
  sed -i 's/^authmodulelist=.*/authmodulelist="authpipe"/; s/^authmodulelistorig=.*/authmodulelistorig="authpipe"/' "$courier/etc/courier/authdaemonrc"
  fill "$here/courier/authProg" "$courier/etc/courier/authProg"
  touch "$courier/.ready-$short"
}

setup() {
  [ "$(id -u)" = 0 ] || die "needs root: mail servers change their user"
  mkdir -p "$state/log" "$state/bin" "$volatile/mail"
  chmod 755 "$state" "$volatile"
  chmod 1777 "$state/log"
  chown 5000:5000 "$volatile/mail"
  certificates
  client_credentials
  if [ "$here/fakeauth/main.go" -nt "$state/bin/fakeauth" ]; then
    (cd "$repo" && go build -o "$state/bin/fakeauth" ./testdata/servers/fakeauth)
  fi
  unpack "$cyrus" cyrus-imapd cyrus-common
  unpack "$state/sasl-root" sasl2-bin
  setup_courier
}

# start and stop

# Runs a program that goes into the background, without our output, which the
# caller may be reading to its end.
daemon() { # NAME PROGRAM…
  local log=$state/log/$1.start
  shift
  "$@" >"$log" 2>&1 </dev/null || { cat "$log" >&2; die "$1 does not start"; }
}

start_dovecot() { # NAME
  local d=$volatile/$1 p
  p=$(port "$1")
  mkdir -p "$d" "$volatile/mail/$1"
  chown 5000:5000 "$volatile/mail/$1"
  fill "$here/dovecot/dovecot.conf" "$d/dovecot.conf" -e "s#@NAME@#$1#g; s#@PORT@#$p#g; s#@TLSPORT@#$((p + 1))#g"
  daemon "$1" dovecot -c "$d/dovecot.conf"
}
stop_dovecot() { dovecot -c "$volatile/$1/dovecot.conf" stop; }

# Dovecot with every mechanism: plain passwords are known, so that all that are
# made of them can be had; access tokens are JWTs that it checks itself.
start_dovecotauth() {
  local d=$volatile/dovecotauth p
  p=$(port dovecotauth)
  mkdir -p "$d" "$volatile/mail/dovecotauth"
  chown 5000:5000 "$volatile/mail/dovecotauth"
  fill "$here/dovecot/auth.conf" "$d/dovecot.conf" -e "s#@NAME@#dovecotauth#g; s#@PORT@#$p#g; s#@TLSPORT@#$((p + 1))#g"
  fill "$here/dovecot/oauth2.conf" "$d/oauth2.conf"
  daemon dovecotauth dovecot -c "$d/dovecot.conf"
}

# Cyrus with passwords in a database of Cyrus SASL, which SCRAM needs, and a
# user "proxy" that may sign in for others.
start_cyrusauth() {
  local d=$volatile/cyrusauth p u f
  p=$(port cyrusauth)
  mkdir -p "$d"/conf/{db,socket,proc,log,msg,user,quota,lock} "$d/spool"
  rm -f "$d/conf/sasldb2"
  for u in auth-anna auth-bob cyrus; do
    printf pw | "$state/sasl-root/usr/sbin/saslpasswd2" -p -c -f "$d/conf/sasldb2" -u localhost "$u"
  done
  printf proxypw | "$state/sasl-root/usr/sbin/saslpasswd2" -p -c -f "$d/conf/sasldb2" -u localhost proxy
  chown -R mail:mail "$d/conf" "$d/spool"
  fill "$here/cyrus/cyrus.conf" "$d/cyrus.conf" -e "s#@PORT@#$p#g; s#@TLSPORT@#$((p + 1))#g"
  sed -i "s#$volatile/cyrus/#$volatile/cyrusauth/#g" "$d/cyrus.conf"
  fill "$here/cyrus/imapd.conf" "$d/imapd.conf"
  sed -i "s#$volatile/cyrus/#$volatile/cyrusauth/#g; /^sasl_/d" "$d/imapd.conf"
  cat >>"$d/imapd.conf" <<END
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: $d/conf/sasldb2
sasl_mech_list: PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256
proxyservers: proxy
failedloginpause: 0
END
  LD_LIBRARY_PATH=$cyrus/usr/lib/$(gcc -print-multiarch) daemon cyrusauth \
    "$cyrus/usr/lib/cyrus/bin/master" -C "$d/imapd.conf" -M "$d/cyrus.conf" -p "$d/master.pid" -d -L "$state/log/cyrusauth"
}
stop_cyrusauth() { terminate "$volatile/cyrusauth/master.pid"; }

start_cyrus() {
  local d=$volatile/cyrus p
  p=$(port cyrus)
  mkdir -p "$d"/conf/{db,socket,proc,log,msg,user,quota,lock} "$d/spool"
  chown -R mail:mail "$d/conf" "$d/spool"
  local f
  for f in cyrus.conf imapd.conf; do
    fill "$here/cyrus/$f" "$d/$f" -e "s#@PORT@#$p#g; s#@TLSPORT@#$((p + 1))#g"
  done
  setsid "$state/bin/fakeauth" saslauthd "$d/conf/socket/mux" pw >"$state/log/fakeauth.log" 2>&1 </dev/null &
  echo $! >"$d/fakeauth.pid"
  for _ in $(seq 100); do
    [ -S "$d/conf/socket/mux" ] && break
    sleep 0.05
  done
  LD_LIBRARY_PATH=$cyrus/usr/lib/$(gcc -print-multiarch) daemon cyrus \
    "$cyrus/usr/lib/cyrus/bin/master" -C "$d/imapd.conf" -M "$d/cyrus.conf" -p "$d/master.pid" -d -L "$state/log/cyrus"
}
stop_cyrus() {
  local d=$volatile/cyrus
  terminate "$d/master.pid"
  terminate "$d/fakeauth.pid" group
}

start_courier() {
  local d=$volatile/courier p link
  p=$(port courier)
  mkdir -p "$d" "$volatile/courier-run/authdaemon" "$volatile/mail/courier"
  chown 5000:5000 "$volatile/mail/courier"
  ln -sfn "$courier/etc/courier" "$courier_etc"
  ln -sfn "$courier/usr/lib/courier" "$courier_lib"
  ln -sfn "$courier/usr/lib/courier-authlib" "$courier_lib-authlib"
  ln -sfn "$volatile/courier-run" "$courier_run"
  (
    export LD_LIBRARY_PATH=$courier/usr/lib
    setsid "$courier/usr/lib/courier/courier-authlib/authdaemond" >"$state/log/authdaemond.log" 2>&1 </dev/null &
    echo $! >"$d/authdaemond.pid"
    for _ in $(seq 100); do
      [ -S "$volatile/courier-run/authdaemon/socket" ] && break
      sleep 0.05
    done
    set -a +u
    . "$courier/etc/courier/imapd"
    . "$courier/etc/courier/imapd-ssl"
    IMAP_ULIMITD=0 IMAP_USELOCKS=0 IMAP_STARTTLS=NO IMAP_EMPTYTRASH= TLS_CACHEFILE=
    TLS_CERTFILE=$state/certs/courier.pem COURIERTLS=$courier/usr/bin/couriertls
    IMAP_CAPABILITY="IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA IDLE ACL ACL2=UNION"
    set +a
    local tcpd=(setsid "$courier/usr/sbin/couriertcpd" -address=127.0.0.1 -maxprocs=400 -maxperip=400 -nodnslookup -noidentlookup)
    local imap=("$courier/usr/lib/courier/courier/imaplogin" "$courier/usr/bin/imapd" Maildir)
    "${tcpd[@]}" "$p" "${imap[@]}" >"$state/log/courier.log" 2>&1 </dev/null &
    echo $! >"$d/imapd.pid"
    "${tcpd[@]}" $((p + 1)) "$courier/usr/bin/couriertls" -server -tcpd "${imap[@]}" >"$state/log/courier-tls.log" 2>&1 </dev/null &
    echo $! >"$d/imapds.pid"
  )
}
stop_courier() {
  local p
  for p in imapd imapds authdaemond; do terminate "$volatile/courier/$p.pid" group; done
  rm -f "$courier_etc" "$courier_lib" "$courier_lib-authlib" "$courier_run"
}

# Ends the process of a pid file, or its whole group, kindly first.
terminate() {
  local file=$1 pid target i
  [ -s "$file" ] || return 0
  pid=$(cat "$file")
  target=$pid
  if [ "${2:-}" = group ]; then target=-$pid; fi
  kill -TERM -- "$target" 2>/dev/null || true
  for i in $(seq 50); do
    alive "$pid" || break
    sleep 0.1
  done
  kill -KILL -- "$target" 2>/dev/null || true
  rm -f "$file"
}

start() {
  local s=$1
  running "$s" && [ -n "$(greeting "$(port "$s")")" ] && return 0
  if [ -n "$(greeting "$(port "$s")")" ]; then
    die "port $(port "$s") is taken by another server: set MAILPROOF_PORT_${s^^} to a free one"
  fi
  # What is left of a server that was killed.
  stop "$s"
  "start_${s%2}" "$s" 9>&-
  await "$s"
}

stop() {
  local s=$1 i
  pidfile "$s" >/dev/null
  case $s in
  dovecot*) if running "$s"; then stop_dovecot "$s"; fi ;;
  *) "stop_$s" ;;
  esac
  for i in $(seq 100); do
    running "$s" || return 0
    sleep 0.1
  done
  die "$s does not stop"
}

status() {
  local s p
  for s in $servers; do
    p=$(port "$s")
    if ! running "$s"; then echo "$s: not running"; continue; fi
    echo "$s: 127.0.0.1:$p, TLS 127.0.0.1:$((p + 1)): $(greeting "$p")"
  done
}

environment() {
  local s
  for s in $servers; do
    echo "export MAILPROOF_${s^^}=127.0.0.1:$(port "$s") MAILPROOF_${s^^}_TLS=127.0.0.1:$(($(port "$s") + 1))"
  done
  echo "export MAILPROOF_TEST_CA=$state/certs/ca.pem MAILPROOF_TEST_CLIENT=$state/certs/client.pem MAILPROOF_TEST_CLIENT_KEY=$state/certs/client-key.pem"
  echo "export MAILPROOF_TEST_TOKEN_KEY=$state/tokens/default/HS256/default"
}

each() { # FUNCTION SERVER|all
  local s list=$2
  if [ "$list" = all ]; then list=$servers; fi
  for s in $list; do "$1" "$s"; done
}

locked() {
  mkdir -p "$state"
  exec 9>"$state/lock"
  flock -w 300 9 || die "another servers.sh is at work"
}

case "${1:-}" in
setup) locked; setup ;;
start) locked; setup; each start "${2:?which server}" ;;
stop) locked; each stop "${2:?which server}" ;;
status) status ;;
env) environment ;;
wipe)
  [ -d "$state" ] || exit 0
  locked
  each stop all
  rm -rf "$volatile" "$cyrus" "$courier" "$state"/{log,bin,certs,tokens,sasl-root,lock}
  rmdir --ignore-fail-on-non-empty "$state"
  ;;
*) sed -n '3,8p' "$here/README" >&2; exit 2 ;;
esac
