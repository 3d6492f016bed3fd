#!/bin/bash
# A laboratory of real name servers on loopback, for the tests of dnsaudit:
# named, two nsd secondaries, two unbound resolvers and a black hole, with one
# stale secondary, one that lost its primary, a TXT set too large for UDP, and
# a signed, a bogus and an expired zone.
#
# usage: lab.sh up|flip|down DIR PORT
#   DIR   an empty folder; all files stay in it
#   PORT  the first of ten free ports:
#         +1 named  +2 nsd, stale  +3 nsd, dead primary  +4 black hole
#         +5 and +6 unbound, fed by named and by the stale secondary
#         +9 nobody: the lost primary
# needs: named, dnssec-keygen, dnssec-signzone, dnssec-dsfromkey, nsd, unbound, python3
set -eu
command=$1 dir=$2 port=$3
zones="example signed bogus expired"
at() { echo $((port + $1)); }

zone() { # NAME SERIAL TTL EXCHANGE
  cat <<END
\$TTL $3
@ SOA ns1 hostmaster $2 14400 3600 604800 300
@ NS ns1
@ NS ns2
@ NS ns3
@ MX 10 $4
@ TXT "v=spf1 include:_spf -all"
ns1 A 127.0.0.1
ns2 A 127.0.0.1
ns3 A 127.0.0.1
mx-old A 192.0.2.1
mx-new A 192.0.2.2
_spf TXT "v=spf1 ip4:192.0.2.0/28 -all"
autodiscover CNAME ${4/mx/ad}
ad-old A 192.0.2.3
ad-new A 192.0.2.4
END
  for c in a b c d e f g h i; do printf '_dmarc TXT "filler=%0240d%s"\n' 0 $c; done
  echo '_dmarc TXT "v=DMARC1; p=none"'
}

write_zone() { zone "$@" | sed "s/include:_spf/include:_spf.$1.test/" >"$6"; }

nsd_conf() { # N EXTRA
  cat <<END
server:
  ip-address: 127.0.0.1@$(at "$1")
  username: ""
  database: ""
  server-count: 1
  pidfile: "$dir/n$1/pid"
  xfrdfile: "$dir/n$1/xfrd"
  zonelistfile: "$dir/n$1/zonelist"
  logfile: "$dir/n$1/log"
  zonesdir: "$dir/n$1"
  xfrdir: "$dir/n$1"
remote-control:
  control-enable: no
zone:
  name: example.test
  $2
END
}

unbound_conf() { # N UPSTREAM
  cat <<END
server:
  interface: 127.0.0.1@$(at "$1")
  port: $(at "$1")
  directory: "$dir"
  pidfile: "$dir/u$1.pid"
  logfile: "$dir/u$1.log"
  use-syslog: no
  chroot: ""
  username: ""
  do-not-query-localhost: no
  module-config: "validator iterator"
  local-zone: "test." nodefault
  domain-insecure: example.test
END
  for z in signed bogus expired; do echo "  trust-anchor: \"$(cat "k/$z.ds")\""; done
  printf 'remote-control:\n  control-enable: no\n'
  for z in $zones; do
    p=$(at 1); [ $z = example ] && p=$(at "$2")
    printf 'stub-zone:\n  name: %s.test\n  stub-addr: 127.0.0.1@%s\n' $z "$p"
  done
}

sign() { # ZONE [OPTIONS]
  key=$(dnssec-keygen -q -K k -a 13 -f KSK "$1.test")
  dnssec-keygen -q -K k -a 13 "$1.test" >k/zsk
  dnssec-signzone -S -K k -o "$1.test" "${@:2}" -f "a/$1.test" "a/$1.plain" >"a/$1.log" 2>&1
  dnssec-dsfromkey -2 "k/$key.key" >"k/$1.ds"
}

up() {
  mkdir -p "$dir"/{a,n2,n3,k}; cd "$dir"
  write_zone example 2026112102 300 mx-new . a/example.test
  write_zone example 2026112101 3600 mx-old . n2/example.test
  for z in signed bogus expired; do write_zone $z 1 300 mx-new . a/$z.plain; done
  sign signed; sign bogus; sign expired -P -s 20250101000000 -e 20250201000000
  other=$(dnssec-keygen -q -K k -a 13 -f KSK bogus.test); dnssec-dsfromkey -2 "k/$other.key" >k/bogus.ds # of a key that the zone lacks
  { echo "options { directory \"$dir\"; pid-file \"$dir/a/pid\"; session-keyfile \"$dir/a/sk\"; listen-on port $(at 1) {127.0.0.1;}; listen-on-v6 {none;}; recursion no; dnssec-validation no; notify no; max-udp-size 1232; }; controls {};"
    for z in $zones; do echo "zone \"$z.test\" { type primary; file \"$dir/a/$z.test\"; };"; done; } >named.conf
  nsd_conf 2 'zonefile: example.test' >n2.conf
  nsd_conf 3 "$(printf 'zonefile: none\n  request-xfr: 127.0.0.1@%s NOKEY' "$(at 9)")" >n3.conf
  unbound_conf 5 1 >u5.conf; unbound_conf 6 2 >u6.conf
  named -c named.conf -g >a/log 2>&1 & echo $! >named.pid
  nsd -c n2.conf; nsd -c n3.conf; unbound -c u5.conf; unbound -c u6.conf
  python3 -c 'import socket, sys, time
a = ("127.0.0.1", int(sys.argv[1]))
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(a)
t = socket.socket(); t.bind(a); t.listen()
open(sys.argv[2], "w").close()
time.sleep(600)' "$(at 4)" "$dir/hole.ready" >/dev/null 2>&1 & echo $! >hole.pid
  for _ in {1..100}; do [ -e hole.ready ] && return; sleep .05; done
  echo "the black hole does not start" >&2; return 1
}

flip() { # the stale secondary gets the new zone
  cd "$dir"; write_zone example 2026112102 300 mx-new . n2/example.test
  kill -HUP "$(cat n2/pid)"
}

down() {
  cd "$dir"
  for f in named.pid hole.pid n2/pid n3/pid u5.pid u6.pid; do
    if [ -s $f ]; then kill "$(cat $f)" 2>/dev/null || true; fi
  done
}

"$command"
