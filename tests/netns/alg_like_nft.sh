#!/bin/bash
# beside: yes
# Real exchanges through our helpers and through netfilter's (nf_conntrack_ftp, nf_nat_ftp,
# nf_conntrack_sip, nf_nat_sip, set by nft's `ct helper`; built in or modules).
#
#   client ── lan0 router wan0 ── server        twice: one router has ctd, the other nft
#   10.0.0.23                     203.0.113.2
#
# The addresses are those of the recordings: FTP's client asks for 192.0.2.1 and is seen as 192.0.2.77, so
# both directions are edited; SIP's is seen as 192.0.2.1.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
need nft conntrack

# addresses : what the recordings need beyond net_router()
addresses()
{
	on "$C" ip addr add 10.0.0.23/24 dev c0
	on "$R" ip addr add 192.0.2.1/32 dev wan0
	on "$R" ip addr add 192.0.2.77/32 dev wan0
	on "$S" ip route add 192.0.2.0/24 via $RW4
}
net_router
addresses
OURS=$R
export OUR_CLIENT_NS=$C OUR_SERVER_NS=$S
C=$T-nc R=$T-nr S=$T-ns
net_router
addresses
export NFT_CLIENT_NS=$C NFT_SERVER_NS=$S NFT_ROUTER_NS=$R
modprobe -qa nf_nat_ftp nf_nat_sip 2>/dev/null # nft asks for the helpers only; where all are built in there is nothing to load
on "$R" nft -f - <<-END || { echo "FAIL kernel_has_helpers: nft refuses ct helper"; exit 1; }
	table ip x {
		ct helper f { type "ftp" protocol tcp; }
		ct helper s { type "sip" protocol udp; }
		chain help {
			type filter hook prerouting priority 0;
			iifname lan0 tcp dport 21 ct helper set "f"
			iifname lan0 udp dport 5060 ct helper set "s"
		}
		chain in {
			type nat hook prerouting priority -100;
			iifname lan0 ip daddr 192.0.2.1 tcp dport 21 dnat to $S4
		}
		chain out {
			type nat hook postrouting priority 100;
			oifname wan0 tcp dport 21 snat to 192.0.2.77
			oifname wan0 udp dport 5060 snat to 192.0.2.1
		}
	}
END
start_ctd "$OURS" "$(config recorded <<-END
	set default deny
	wan = wan0
	lan = lan0
	forward in on \$lan proto tcp to 192.0.2.1 port 21 -> $S4
	nat out on \$wan proto tcp from \$lan.net -> 192.0.2.77
	nat out on \$wan proto udp from \$lan.net -> 192.0.2.1
	alg ftp on \$lan
	alg sip on \$lan
	pass in on \$lan
	END
)"
export CTCTL INSTANCE=$CTD_INSTANCE CTD_LOG
/usr/bin/python3 tests/netns/alg_like_nft.py || FAILED=1
finish
