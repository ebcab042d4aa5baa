#!/bin/bash
# beside: yes
# PPTP through NAT: both ends of the control connection and of enhanced GRE are programs of ours
# (alg_pptp.py), or pptp and pptpd without pppd, as this kernel has no PPP (tests/long/kernels_pptp has).
#
#   client ── lan0 router wan0 ── server        (tests/lib/netns.sh: addresses)
#   and 10.0.0.3                  and 203.0.113.77
#
# Either side has clients and a server: those of the LAN are masqueraded, the server at 10.0.0.2 is
# reached by a forward rule.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/pptp.sh
. tests/lib/pptp.sh
need conntrack

net_router
on "$C" ip addr add 10.0.0.3/24 dev c0
on "$S" ip addr add 203.0.113.77/24 dev s0
CONF=$(config pptp <<-END
	set default deny
	wan = wan0
	lan = lan0
	forward in on \$wan proto tcp port 1723 -> 10.0.0.2 hairpin
	nat out on \$wan from \$lan.net -> (\$wan)
	alg pptp on { \$lan, \$wan }
	pass in on \$lan
	END
)
start_ctd "$R" "$CONF"
pptp_prepare "$PWD/tests/lib/hdlc.py" || { echo "FAIL pptp_is_prepared: cannot"; exit 1; }
pptp_serve "$S" 203.0.113.77 192.168.77 ||
	{ echo "FAIL pptpd_serves: port 1723 stays closed"; exit 1; }
mkdir "$TMP/callers"
export PPTP CALLERS=$TMP/callers
export CLIENT_NS=$C SERVER_NS=$S ROUTER_NS=$R CTD CTD_PID CONF CTCTL INSTANCE=$CTD_INSTANCE CTD_LOG
# shellcheck disable=SC2086 # words: names of tests
/usr/bin/python3 tests/netns/alg_pptp.py ${SAID:-} || FAILED=1
t tables_are_whole ctctl check
finish
