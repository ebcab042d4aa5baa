#!/bin/bash
# Hundreds of inside hosts use the same source port to the same server at once:
# only one can keep it. Every one gets a tuple of its own (I2), gets its own
# answers, and the router's own connection from that port works beside them.
#
#   400 x 10.0.N.N ── lan0 router wan0 ── server
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

HOSTS=400
net_router
on "$R" ip addr add 10.0.0.1/16 dev lan0
for ((i = 0; i < HOSTS; i++)); do
	echo "addr add 10.0.$((i / 200 + 1)).$((i % 200 + 1))/32 dev c0"
	echo "addr add fd00:1::$((i / 200 + 1)):$((i % 200 + 1))/128 dev c0 nodad"
done >"$TMP/addresses"
on "$C" ip -batch "$TMP/addresses"
start_ctd "$R" "$(gateway_config)"
serve_echo "$S" 7000

# The client holds all connections open until each has had its answer.
cat >"$TMP/many.py" <<'END'
import select, socket, sys
proto, server, router, prefix, hosts = sys.argv[1:6]
family = socket.AF_INET6 if ":" in server else socket.AF_INET
kind = socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM
sep = ":" if family == socket.AF_INET6 else "."
left, seen, wrong = {}, {}, []
for i in range(int(hosts)):
    addr = f"{prefix}{i // 200 + 1}{sep}{i % 200 + 1}"
    s = socket.socket(family, kind)
    s.bind((addr, 40000))
    s.setblocking(False)
    s.connect_ex((server, 7000))
    left[s] = addr
for turn in range(2):
    waiting = dict(left)
    for s, addr in waiting.items():
        select.select([], [s], [], 3)
        try:
            s.send(f"{addr} {turn}\n".encode())
        except OSError as e:
            wrong.append(f"{addr}: {e}")
    while waiting:
        ready, _, _ = select.select(list(waiting), [], [], 5)
        if not ready:
            break
        for s in ready:
            addr = waiting.pop(s)
            try:
                got = s.recv(4096).decode().split()
            except OSError as e:
                wrong.append(f"{addr}: {e}")
                continue
            if len(got) != 4 or got[0] != router or got[2:] != [addr, str(turn)]:
                wrong.append(f"{addr}: answer {got}")
            elif seen.setdefault(got[1], addr) != addr:
                wrong.append(f"{addr} and {seen[got[1]]} both have port {got[1]}")
    wrong += [f"{addr}: no answer in turn {turn}" for addr in waiting.values()]
for w in wrong[:10]:
    print(w)
print(f"{len(seen)} ports for {len(left)} hosts, {len(wrong)} wrong")
sys.exit(bool(wrong) or len(seen) != len(left))
END
many()
{
	on "$C" /usr/bin/python3 "$TMP/many.py" "$1" "$2" "$3" "$4" "$HOSTS"
}
t same_source_port_tcp_v4 many tcp $S4 $RW4 10.0.
t same_source_port_udp_v4 many udp $S4 $RW4 10.0.
t same_source_port_tcp_v6 many tcp $S6 $RW6 fd00:1::
t same_source_port_udp_v6 many udp $S6 $RW6 fd00:1::

# The router's own packets claim a tuple like any other.
router_too()
{
	local proto=$1 server=$2 got
	got=$(echo_from "$R" "$proto" "$server" 7000 40000 mine) || { echo "$got"; return 1; }
	[[ $got == *" mine" ]] || { echo "answer '$got'"; return 1; }
}
t router_uses_the_same_port_too_udp_v4 router_too udp $S4
t router_uses_the_same_port_too_udp_v6 router_too udp $S6
t router_uses_the_same_port_too_tcp_v4 router_too tcp $S4
t router_uses_the_same_port_too_tcp_v6 router_too tcp $S6
t table_is_consistent_afterwards ctctl check
finish
