# shellcheck shell=bash
# Namespaces, servers, ctd and verdicts for the suites of tests/netns. Source it
# first: it puts the suite into namespaces of its own (tests/lib/isolate), so
# whatever is left at its end goes with it.
#
#   net_router            client -- router -- server, see below
#   on NS CMD...          runs a command in a namespace
#   serve NS CMD...       starts one in the background; ended with the suite
#   start_ctd NS CONF     waits until it is ready; stop_ctd, kill_ctd
#   poll_until SECS CMD.. repeats a command until it succeeds
#   t NAME CMD...         one test: a line `ok NAME` or `FAIL NAME: why`
#   finish                exits 0 or 1
#
# net_router draws this, all names prefixed with $T:
#
#   C (client)              R (router)                     S (server)
#   10.0.0.2/24    c0 ── lan0  10.0.0.1/24
#   fd00:1::2/64               fd00:1::1/64
#                              203.0.113.1/24    wan0 ── s0  203.0.113.2/24
#                              2001:db8:2::1/64              2001:db8:2::2/64
#
# The server knows no way to 10.0.0.0/24 and fd00:1::/64: without masquerade
# nothing comes back. GRO is on everywhere. `tx off` on the router's two devices
# makes the kernel complete every partial checksum there, and so shows wrong ones.
set -u

NETNS_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
if [ "${BPFCT_ISOLATED:-}" != yes ]; then
	unset BPFCT_ISOLATED
	exec "$NETNS_TOP/tests/lib/isolate" "$0" "$@"
fi
cd "$NETNS_TOP" || exit 2
# shellcheck source=tests/lib/fetch.sh
. tests/lib/fetch.sh

O=$(realpath "${O:-build}")
T=${BPFCT_TEST_NAME:-in-$$}
TMP=$(mktemp -d "${TMPDIR:-/tmp}/$T.XXXXXX")
CTD=$O/ctd
CTCTL=$O/ctctl
PIDS=()      # of servers
CTD_PID=     # of the last ctd started
FAILED=0

C=$T-c R=$T-r S=$T-s
C4=10.0.0.2 C6=fd00:1::2
RL4=10.0.0.1 RL6=fd00:1::1
RW4=203.0.113.1 RW6=2001:db8:2::1
S4=203.0.113.2 S6=2001:db8:2::2

cleanup()
{
	local pid ns
	trap '' INT TERM HUP
	for pid in "${PIDS[@]}" $CTD_PID; do
		kill "$pid" 2>/dev/null
	done
	for ns in $(ip netns list | awk '{ print $1 }' | grep "^$T-"); do
		ip netns del "$ns"
	done
	rm -rf "$TMP"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

finish()
{
	exit $FAILED
}

# need TOOL... : a missing tool fails the suite by name, it is never skipped
need()
{
	local tool
	for tool; do
		command -v "$tool" >/dev/null || {
			echo "FAIL needs_$tool: not installed (packaging/packages.txt)"
			exit 1
		}
	done
}

# poll_until SECONDS COMMAND... : its last output is shown if it never succeeds
poll_until()
{
	local end=$((SECONDS + $1)) out
	shift
	until out=$("$@" 2>&1); do
		if [ "$SECONDS" -ge "$end" ]; then
			echo "$out"
			echo "never became true: $*"
			return 1
		fi
		sleep 0.1
	done
}

# The command runs in a subshell of its own; what it prints is shown when it fails.
t()
{
	local name=$1 out rc=0
	shift
	out=$("$@" 2>&1) || rc=$?
	if [ $rc = 0 ]; then
		echo "ok $name"
	else
		echo "FAIL $name: $(printf '%s' "$out" | grep -v '^$' | tail -n 1 | cut -c 1-200) (status $rc)"
		printf '%s\n' "$out" | tail -n 25 | sed 's/^/  /'
		if [ -n "${CTD_LOG:-}" ]; then
			tail -n 5 "$CTD_LOG" | sed 's/^/  ctd: /'
		fi
		FAILED=1
	fi
}

fails()
{
	if "$@"; then
		echo "succeeded but should not: $*"
		return 1
	fi
}

# `ip netns exec` would give the command another /sys, without our bpffs.
on()
{
	local ns=$1
	shift
	nsenter --net="/run/netns/$ns" -- "$@"
}

serve()
{
	local ns=$1
	shift
	nsenter --net="/run/netns/$ns" -- "$@" >"$TMP/serve.$((${#PIDS[@]}))" 2>&1 </dev/null &
	PIDS+=($!)
}

net_ns()
{
	local ns
	for ns; do
		ip netns add "$ns" || exit 1
		on "$ns" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
			net.ipv6.conf.default.router_solicitations=0 net.ipv4.ping_group_range="0 0"
		on "$ns" ip link set lo up
	done
}

# net_link NS1 DEV1 NS2 DEV2
net_link()
{
	ip link add "$2" netns "$1" type veth peer name "$4" netns "$3" || exit 1
	on "$1" ethtool -K "$2" gro on
	on "$3" ethtool -K "$4" gro on
	on "$1" ip link set "$2" up
	on "$3" ip link set "$4" up
}

# net_addr NS DEV ADDRESS/LENGTH...
net_addr()
{
	local ns=$1 dev=$2 addr opt
	shift 2
	for addr; do
		opt=
		case $addr in *:*) opt=nodad ;; esac
		on "$ns" ip addr add "$addr" dev "$dev" $opt || exit 1
	done
}

# net_reflects NS DEV : every UDP datagram to port 7 comes back at once (tests/netns/reflect.bpf.c)
net_reflects()
{
	on "$1" tc qdisc add dev "$2" clsact
	on "$1" tc filter add dev "$2" ingress bpf direct-action object-file "$O/tests/netns/reflect.bpf.o" section tc ||
		echo "FAIL reflector_attaches: $2"
}

net_router()
{
	net_ns "$C" "$R" "$S"
	net_link "$C" c0 "$R" lan0
	net_link "$R" wan0 "$S" s0
	net_addr "$C" c0 $C4/24 $C6/64
	net_addr "$R" lan0 $RL4/24 $RL6/64
	net_addr "$R" wan0 $RW4/24 $RW6/64
	net_addr "$S" s0 $S4/24 $S6/64
	on "$C" ip route add default via $RL4
	on "$C" ip -6 route add default via $RL6
	on "$R" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	on "$R" ethtool -K wan0 tx off >/dev/null
	on "$R" ethtool -K lan0 tx off >/dev/null
}

# config NAME <<EOF ... : a rule file, prints its path
config()
{
	cat >"$TMP/$1.conf"
	echo "$TMP/$1.conf"
}

gateway_config()
{
	config gateway <<-EOF
		set default deny
		wan = wan0
		lan = lan0
		nat out on \$wan from \$lan.net -> (\$wan)
		pass in on \$lan
	EOF
}

ctd_ready()
{
	kill -0 "$CTD_PID" 2>/dev/null || { cat "$CTD_LOG"; echo "ctd has ended"; return 1; }
	grep -qw ready "$CTD_LOG"
}

# start_ctd NS CONFIG [INSTANCE]
start_ctd()
{
	CTD_INSTANCE=${3:-$T}
	CTD_LOG=$TMP/ctd.$CTD_INSTANCE.log
	if [ "${NETNS_WITH:-}" = nft ]; then # to see that a suite's expectations are the kernel's own
		on "$1" nft -f - <<-EOF || exit 1
			table inet masq {
				chain post {
					type nat hook postrouting priority 100;
					oifname wan0 masquerade;
				}
			}
		EOF
		echo ready >"$CTD_LOG"
		return
	fi
	[ -x "$CTD" ] || { echo "FAIL ctd_starts: $CTD is not built"; exit 1; }
	: >"$CTD_LOG" # now and not when the child gets there: a killed one's says ready
	# shellcheck disable=SC2086 # CTD_ARGS: options, none mostly
	"$CTD" -f "$2" --instance "$CTD_INSTANCE" --netns "$1" ${CTD_ARGS:-} >"$CTD_LOG" 2>&1 </dev/null &
	CTD_PID=$!
	poll_until "${CTD_PATIENCE:-60}" ctd_ready >"$TMP/ctd_ready" || {
		echo "FAIL ctd_starts: $(tail -n 1 "$CTD_LOG")"
		sed 's/^/  /' "$CTD_LOG"
		exit 1
	}
}

# end_ctd SIGNAL: and waits for it
end_ctd()
{
	kill "-$1" "$CTD_PID" 2>/dev/null
	wait "$CTD_PID" 2>/dev/null
	CTD_PID=
}

stop_ctd()
{
	end_ctd TERM
}

kill_ctd()
{
	end_ctd KILL
}

unload_ctd()
{
	"$CTD" --unload --instance "${1:-$T}" ${2:+--netns "$2"}
}

ctctl()
{
	if [ "${NETNS_WITH:-}" = nft ]; then
		on "$R" conntrack "$@"
		return
	fi
	"$CTCTL" --instance "${CTD_INSTANCE:-$T}" "$@"
}

# listening NS PORT [t|u]
listening()
{
	on "$1" ss -Hln"${3:-t}" "sport = :$2" | grep -q .
}

# A page over HTTP, v4 and v6, a larger file, and what tests/lib/paced.sh is about
serve_http()
{
	local ns=$1 port=${2:-80}
	mkdir -p "$TMP/www"
	echo "the page behind the router" >"$TMP/www/page"
	[ -f "$TMP/www/large" ] || head -c 20000000 /dev/zero | noise >"$TMP/www/large"
	serve "$ns" /usr/bin/python3 tests/lib/http_server.py "$port" "$TMP/www"
	poll_until 10 listening "$ns" "$port"
}

# not compressible, same bytes each time
noise()
{
	/usr/bin/python3 -c '
import random, sys
r = random.Random(1)
while chunk := sys.stdin.buffer.read(1 << 20):
    sys.stdout.buffer.write(r.randbytes(len(chunk)))'
}

page()
{
	on "$1" curl -sS --max-time 10 "$2" | grep -qx "the page behind the router"
}

# serve_echo NS PORT... : TCP and UDP, see tests/lib/echo_server.py
serve_echo()
{
	local ns=$1
	shift
	serve "$ns" /usr/bin/python3 tests/lib/echo_server.py "$@"
	poll_until 10 listening "$ns" "${*: -1}" u
}

# echo_from NS tcp|udp ADDRESS PORT [SOURCE-PORT [TEXT]]
echo_from()
{
	local ns=$1
	shift
	on "$ns" /usr/bin/python3 tests/lib/echo_client.py "$@"
}

# unanswered, as echo_from: a time-out of a second, not an answer
unanswered()
{
	WAIT=1 fails echo_from "$@"
}

# status FILTER : of what ctd says of itself, by jq
status()
{
	/usr/bin/python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(sys.argv[1])
s.send(b"{\"op\":\"status\"}")
print(s.recv(1 << 20).decode())' "/run/bpfct/$CTD_INSTANCE.sock" | jq -r "$1"
}

# counter NAME : a figure of `ctctl stats` by its name, 0 when it is not shown
counter()
{
	ctctl stats | awk -v n="$1" '$1 == n || $1 == n ":" { print $2; found = 1 } END { if (!found) print 0 }'
}

# grows NAME COMMAND... : the command succeeds, and the figure is larger then
grows()
{
	local name=$1 before after
	shift
	before=$(counter "$name")
	"$@" || return
	after=$(counter "$name")
	[ "$after" -gt "$before" ] || { echo "counter $name did not grow: $before, $after"; return 1; }
}
