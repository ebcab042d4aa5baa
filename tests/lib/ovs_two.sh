# shellcheck shell=bash
# Two namespaces at a bridge of our datapath, for suites that want the same of it on different
# kernels; source it behind ovs.sh. PING_WAIT: seconds that an answer may take.
#
#   A 10.1.1.1, fd00::1 ── A ┐
#                           br0 (datapath_type=bpf) ── br0 10.1.1.100
#   B 10.1.1.2, fd00::2 ── B ┘

A=$T-a B=$T-b
PING_WAIT=${PING_WAIT:-2}

ovs_cleanup()
{
	ovs_stop
	cleanup
}
trap ovs_cleanup EXIT

draw()
{
	ovs_start && vsctl add-br br0 -- set bridge br0 datapath_type=bpf || return
	ovs_port "$A" 10.1.1.1/24 fd00::1/64 && ovs_port "$B" 10.1.1.2/24 fd00::2/64
}

ping_once()
{
	on "$1" ping -qc 1 -W "$PING_WAIT" "$2"
}

internal_port_works()
{
	ip addr add 10.1.1.100/24 dev br0 && ip link set br0 up && ping_once "$A" 10.1.1.100 &&
		ping -qc 1 -W "$PING_WAIT" 10.1.1.2
}

# A bridged device is no way into the host: what it receives is the bridge's alone. (br0 is down: through it
# the host would answer for all its addresses.)
port_address_is_silent()
{
	ip addr add 10.1.1.77/32 dev "$A" || return
	fails ping_once "$B" 10.1.1.77
	local rc=$?
	ip addr del 10.1.1.77/32 dev "$A"
	return "$rc"
}

# A's connections leave as 10.1.1.240; only what belongs to one comes back.
pipeline()
{
	ofctl del-flows br0 && ofctl add-flows br0 - <<'END'
table=0,priority=100,arp,action=normal
table=0,priority=50,ip,in_port=1,action=ct(commit,zone=7,nat(src=10.1.1.240),table=1)
table=0,priority=50,ip,in_port=2,ct_state=-trk,action=ct(zone=7,nat,table=2)
table=1,ip,action=2
table=2,ip,ct_state=+est+rpl,ct_zone=7,action=1
END
}

# So that B's answers to 10.1.1.240 come to A.
nat_answers()
{
	local mac
	mac=$(on "$A" ip -j link show p0 | jq -r ".[0].address") &&
		on "$B" ip neigh replace 10.1.1.240 lladdr "$mac" dev p0
}

# What B serves: 300,000 bytes at once, LONG bytes slowly.
web() # LONG
{
	mkdir "$TMP/www" && head -c 300000 /dev/urandom >"$TMP/www/index.html" && head -c "$1" /dev/urandom >"$TMP/www/long" &&
		serve "$B" /usr/bin/python3 -m http.server -d "$TMP/www" 8000
}
fetches_a_page() # SECONDS
{
	on "$A" curl -sf -m "$1" -o "$TMP/got" http://10.1.1.2:8000/ && cmp "$TMP/got" "$TMP/www/index.html"
}

# A's connection to the web server is listed by dpctl, and any of its by ctctl.
nat_is_in_the_table()
{
	appctl dpctl/dump-conntrack bpf@ovs-bpf | tee "$TMP/ct"
	grep -q '^tcp,orig=(src=10.1.1.1,dst=10.1.1.2,sport=[0-9]*,dport=8000),reply=(src=10.1.1.2,dst=10.1.1.240,sport=8000,dport=[0-9]*),zone=7' "$TMP/ct" &&
		ctctl_lists
}
ctctl_lists()
{
	"$CTCTL" --instance ovs-bpf -L 2>/dev/null | grep -q 'src=10.1.1.1 dst=10.1.1.2 .*dst=10.1.1.240'
}
