#!/bin/bash
# beside: yes
# The two example programs of a consumer, with real traffic: what is begun inside
# goes out and is answered, what is begun outside is refused.
#
#   client ── lan0 router wan0 ── server     (routed both ways, nothing translated)
#      `inside` on lan0's ingress, `outside` on wan0's
#
# Checksum offload is off in the ends: an XDP program would see partial ones.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
need curl

net_router
on "$S" ip route add 10.0.0.0/24 via "$RW4"
on "$S" ip route add fd00:1::/64 via "$RW6"
on "$C" ethtool -K c0 tx off >/dev/null
on "$S" ethtool -K s0 tx off >/dev/null
serve_http "$S" 80
serve_echo "$S" 7000
serve_echo "$C" 7000
[ -x "$O/tests/lib/example" ] || { echo "FAIL example_is_built: $O/tests/lib/example"; exit 1; }

ready()
{
	kill -0 "$EXAMPLE" 2>/dev/null || { cat "$TMP/example"; return 1; }
	grep -q ready "$TMP/example"
}
download()
{
	on "$C" curl -sS --max-time 60 -o "$TMP/got" "http://$1/large" && cmp "$TMP/got" "$TMP/www/large"
}
refused()
{
	local before after
	before=$(counter fw_default)
	WAIT=1 fails echo_from "$@" || return
	after=$(counter fw_default)
	[ "$after" -gt "$before" ] || { echo "refused, but not by the example: $before, $after"; return 1; }
}
tracked()
{
	ctctl -L -p tcp --dport 80 2>/dev/null | grep -q "src=$C4 dst=$S4 .*ASSURED" &&
		ctctl -L -f ipv6 -p tcp --dport 80 2>/dev/null | grep -q "src=$C6 dst=$S6 .*ASSURED"
}
gone()
{
	[ ! -e "/sys/fs/bpf/bpfct/$CTD_INSTANCE" ] && echo_from "$S" tcp "$C4" 7000
}

for hook in tc xdp; do
	object=minimal
	[ $hook = tc ] || object=minimal_xdp
	CTD_INSTANCE=$T-$hook
	"$O/tests/lib/example" $hook "$O/examples/$object.bpf.o" "$CTD_INSTANCE" "$R" lan0 wan0 >"$TMP/example" 2>&1 &
	EXAMPLE=$!
	PIDS+=("$EXAMPLE")
	t ${hook}_attaches poll_until 60 ready
	t ${hook}_page_v4 page "$C" "http://$S4/page"
	t ${hook}_page_v6 page "$C" "http://[$S6]/page"
	t ${hook}_download_v4 download "$S4"
	t ${hook}_download_v6 download "[$S6]"
	t ${hook}_udp_v4 echo_from "$C" udp "$S4" 7000
	t ${hook}_udp_v6 echo_from "$C" udp "$S6" 7000
	t ${hook}_ping_v4 on "$C" ping -c 2 -i 0.2 -W 2 "$S4"
	t ${hook}_ping_v6 on "$C" ping -c 2 -i 0.2 -W 2 "$S6"
	t ${hook}_refuses_tcp_from_outside_v4 refused "$S" tcp "$C4" 7000
	t ${hook}_refuses_tcp_from_outside_v6 refused "$S" tcp "$C6" 7000
	t ${hook}_refuses_udp_from_outside_v4 refused "$S" udp "$C4" 7000
	t ${hook}_refuses_udp_from_outside_v6 refused "$S" udp "$C6" 7000
	t ${hook}_refuses_ping_from_outside fails on "$S" ping -c 1 -W 1 "$C4"
	t ${hook}_connections_are_in_the_table tracked
	kill "$EXAMPLE"
	wait "$EXAMPLE"
	t ${hook}_leaves_nothing gone
done
finish
