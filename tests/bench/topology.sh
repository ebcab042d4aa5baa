# shellcheck shell=sh
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# Sourced by run. A side of the comparison is three namespaces, veth with one
# queue each, the same names and addresses on every side:
#
#   be-SIDE-s                 be-SIDE-r                        be-SIDE-d
#   s0 10.1.0.2/24 ── in0 10.1.0.1/24
#      10.64.0.0/16              out0 198.51.100.1/24 ── d0 198.51.100.2/24
#
# The receiver has no route to 10.0.0.0/8: only what was masqueraded gets back.

in_ns() {
	ns=$1
	shift
	ip netns exec "$ns" "$@"
}

veth() { # namespace device address peer-namespace peer-device address
	ip link add "$2" netns "$1" address "$3" numtxqueues 1 numrxqueues 1 type veth \
		peer name "$5" netns "$4" address "$6" numtxqueues 1 numrxqueues 1
}

side_up() {
	s=be-$1-s r=be-$1-r d=be-$1-d
	for ns in "$s" "$r" "$d"; do
		ip netns add "$ns"
		# DAD and MLD would add frames of their own.
		in_ns "$ns" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
		ip -n "$ns" link set lo up
	done
	veth "$s" s0 02:be:00:00:00:01 "$r" in0 02:be:00:00:00:02
	veth "$r" out0 02:be:00:00:00:03 "$d" d0 02:be:00:00:00:04
	ip -n "$s" addr add 10.1.0.2/24 dev s0
	ip -n "$r" addr add 10.1.0.1/24 dev in0
	ip -n "$r" addr add 198.51.100.1/24 dev out0
	ip -n "$d" addr add 198.51.100.2/24 dev d0
	# NAPI on the receiving end of each veth: live frames need it.
	in_ns "$r" ethtool -K in0 gro on
	in_ns "$r" ethtool -K out0 gro on
	for dev in "$s s0" "$r in0" "$r out0" "$d d0"; do
		# shellcheck disable=SC2086 # namespace and device
		set -- $dev
		ip -n "$1" link set "$2" up
	done
	ip -n "$s" neigh add 10.1.0.1 lladdr 02:be:00:00:00:02 dev s0 nud permanent
	ip -n "$r" neigh add 10.1.0.2 lladdr 02:be:00:00:00:01 dev in0 nud permanent
	ip -n "$r" neigh add 198.51.100.2 lladdr 02:be:00:00:00:04 dev out0 nud permanent
	ip -n "$d" neigh add 198.51.100.1 lladdr 02:be:00:00:00:03 dev d0 nud permanent
	ip -n "$s" route add default via 10.1.0.1
	ip -n "$r" route add 10.64.0.0/16 via 10.1.0.2
	# Until the kernel's link watch has run, a device drops what it is to send.
	for dev in "$s s0" "$r in0" "$r out0" "$d d0"; do
		# shellcheck disable=SC2086 # namespace and device
		set -- $dev
		until ip -n "$1" link show dev "$2" | grep -q 'state UP'; do sleep 0.1; done
	done
	in_ns "$r" sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 \
		net.ipv4.conf.in0.rp_filter=0 net.ipv4.conf.out0.rp_filter=0
}

side_down() {
	for role in s r d; do
		ip netns del "be-$1-$role" 2>/dev/null || true
	done
}

# A stateful firewall with masquerade, as one would write it: the same policy as
# bpfct.conf beside this file.
nft_rules() {
	in_ns be-nft-r nft -f - <<'RULES'
table ip bench {
	chain forward {
		type filter hook forward priority filter; policy drop;
		ct state established,related accept
		ct state invalid drop
		iifname "in0" accept
	}
	chain postrouting {
		type nat hook postrouting priority srcnat;
		ip saddr 10.0.0.0/8 oifname "out0" masquerade
	}
}
RULES
}
