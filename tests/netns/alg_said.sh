#!/bin/bash
# beside: yes
# FTP and SIP word by word: attacks on the helpers (alg_attacks.py) and calls in their
# forms (alg_calls.py), said by programs of ours that hold both ends. SAID: only these (calls).
#
#   client ── lan0 router wan0 ── server        (tests/lib/netns.sh: addresses)
#   and 10.0.0.3                  and 203.0.113.77
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

net_router
on "$C" ip addr add 10.0.0.3/24 dev c0
on "$S" ip addr add 203.0.113.77/24 dev s0
on "$C" ethtool -K c0 tso off gso off # segments are what the wire shows
start_ctd "$R" "$(config said <<-END
	set default deny
	wan = wan0
	lan = lan0
	nat out on \$wan from \$lan.net -> (\$wan)
	alg ftp on \$lan
	alg sip on \$lan
	pass in on \$lan
	END
)"
export CLIENT_NS=$C SERVER_NS=$S CTCTL INSTANCE=$CTD_INSTANCE CTD_LOG
for said in ${SAID:-attacks calls}; do
	/usr/bin/python3 "tests/netns/alg_$said.py" || FAILED=1
done
t tables_are_whole ctctl check
finish
