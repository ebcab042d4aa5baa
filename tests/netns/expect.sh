#!/bin/bash
# Expectations in a running ctd, and conntrack(8)'s table expect.
#
#   client ── lan0 router wan0 ── server        (tests/lib/netns.sh: addresses)
#
# The server knows the way to the client's network, but the rules let nothing in on wan0: what
# gets through was expected. A namespace of its own (O) has the kernel's TFTP helper: what
# conntrack(8) prints of its expectation is what ctctl has to print of ours.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
need conntrack nft jq

net_router
on "$S" ip route add 10.0.0.0/24 via $RW4
on "$S" ip -6 route add fd00:1::/64 via $RW6
conf=$(config expect <<-END
	set default deny
	wan = wan0
	lan = lan0
	block in on \$wan proto udp to \$lan.net port 5009
	pass in on \$lan
	END
)
start_ctd "$R" "$conf"
serve_echo "$C" 5001 5002 5003 5009
serve_echo "$S" 69

E=$T-o # the kernel's own helper
net_ns "$E"
on "$E" ip link add o0 type veth peer name o1
on "$E" ip link set o0 up
on "$E" ip link set o1 up
on "$E" ip addr add $C4/32 dev o0
on "$E" ip route add $S4 dev o0
on "$E" ip neigh add $S4 lladdr 02:00:00:00:00:09 dev o0
on "$E" nft -f - <<-END
	table ip x {
		ct helper h { type "tftp" protocol udp; }
		chain o { type filter hook output priority 0; udp dport 69 ct helper set "h"; }
	}
END

# master NS : a datagram that looks like a request to read, from port 4000
master()
{
	on "$1" /usr/bin/python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('$C4', 4000))
s.sendto(b'\0\1file\0octet\0', ('$S4', 69))"
}
# expect_words SECONDS PORT : the arguments that enter the server's answer to this port
expect_words()
{
	echo "-I expect -p udp -s $C4 -d $S4 --sport 4000 --dport 69 -t $1 --tuple-src $S4" \
		"--tuple-dst $C4 --tuple-port-src 0 --tuple-port-dst $2 --mask-src 255.255.255.255" \
		"--mask-dst 255.255.255.255 --mask-port-src 0 --mask-port-dst 65535"
}
expect()
{
	master "$C" # it lives 30 s without
	# shellcheck disable=SC2046 # words they are
	ctctl $(expect_words "$@")
}
masked()
{
	sed -E -e 's/^(\[[0-9.]+\]\t)?( *\[[A-Z]+\] )?[0-9]+ /\2N /' -e 's/ helper=tftp//' \
		-e 's/<helper-name>tftp<.helper-name>//; s/<timeout>[0-9]+</<timeout>N</'
}
same()
{
	diff <(masked <"$1") <(masked <"$2")
}

on "$E" conntrack -E expect >"$TMP/kernel.events" 2>/dev/null &
events=$!
PIDS+=($!)
"$CTCTL" --instance "$T" -E expect >"$TMP/our.events" 2>"$TMP/our.events.err" &
our_events=$!
PIDS+=($!)
sleep 0.5
master "$E"
expect 300 4000

prints_as_conntrack_does()
{
	local how
	for how in "" "-o xml" "-o extended" "-o timestamp" "-f ipv4"; do
		# shellcheck disable=SC2086
		on "$E" conntrack -L expect $how >"$TMP/kernel" 2>"$TMP/kernel.err"
		# shellcheck disable=SC2086
		ctctl -L expect $how >"$TMP/ours" 2>"$TMP/ours.err"
		grep -q 4000 "$TMP/kernel" || { echo "the kernel expects nothing"; return 1; }
		same "$TMP/kernel" "$TMP/ours" && same "$TMP/kernel.err" "$TMP/ours.err" || return
	done
	[ "$(ctctl -C expect)" = "$(on "$E" conntrack -C expect)" ]
}
t list_of_expectations_is_that_of_conntrack prints_as_conntrack_does

found_and_not()
{
	ctctl -G expect -p udp -s "$S4" -d "$C4" --sport 77 --dport 4000 | grep -q dport=4000 || return
	fails ctctl -G expect -p udp -s "$S4" -d "$C4" --sport 77 --dport 4001 || return
	fails ctctl -G expect -p udp -s "$RW4" -d "$C4" --sport 77 --dport 4000 || return
	[ "$(ctctl -j expect list | jq -r '.[0].expected.dport')" = 4000 ]
}
t one_is_found_by_what_would_use_it found_and_not

goes()
{
	ctctl expect delete -p udp -s "$S4" -d "$C4" --sport 77 --dport 4000 || return
	[ "$(ctctl expect count)" = 0 ] || return
	fails ctctl -D expect -p udp -s "$S4" -d "$C4" --sport 77 --dport 4000 || return
	on "$E" conntrack -F expect 2>/dev/null
	poll_until 10 grep -q DESTROY "$TMP/our.events" &&
		poll_until 10 grep -q DESTROY "$TMP/kernel.events" &&
		same "$TMP/kernel.events" "$TMP/our.events"
}
t it_is_deleted_and_both_events_are_told goes

summed()
{
	kill "$our_events" "$events"
	poll_until 10 grep -q "2 expectation events have been shown" "$TMP/our.events.err" && return
	cat "$TMP/our.events" "$TMP/our.events.err"
	return 1
}
t events_end_with_their_number summed

# left N : so many expectations
left()
{
	[ "$(ctctl -C expect)" = "$1" ]
}
reach()
{
	WAIT=1 echo_from "$S" udp "$C4" "$@"
}
nothing_before()
{
	fails reach 5001
}
t without_expectation_nothing_gets_in nothing_before
used_once()
{
	expect 60 5001 || return
	reach 5001 41001 || return
	ctctl -L -u EXPECTED | grep -q "sport=41001 dport=5001" || { ctctl -L; return 1; }
	fails reach 5001 41002 || return
	reach 5001 41001 || return # the connection goes on
	poll_until 10 left 0
}
t the_expected_connection_passes_once used_once

blocked()
{
	expect 60 5009 || return
	fails reach 5009 || return
	ctctl -C expect | grep -qx 1 || return
	ctctl -F expect
}
t a_rule_that_blocks_blocks_it_and_leaves_the_expectation blocked

# The one made now is used by a packet that comes while there is no ctd, the other is there
# for the next ctd.
without_ctd()
{
	expect 60 5002 && expect 60 5003 || return
	kill_ctd
	reach 5002 41003 || return
	start_ctd "$R" "$conf"
	poll_until 10 left 1 || return
	reach 5003 41004 || return
	poll_until 10 left 0
}
t with_ctd_killed_they_match_and_a_new_ctd_keeps_them without_ctd

over()
{
	expect 20 5001 || return
	ctctl clock --advance 25
	fails reach 5001
}
t after_its_time_it_does_not_match over

ends_with_master()
{
	expect 600 5001 || return
	ctctl -D -p udp --orig-port-src 4000 >/dev/null 2>&1 || return
	fails reach 5001 || return
	poll_until 10 left 0
}
t it_ends_with_its_master ends_with_master

# A ctd that does not get to it: check sees what packets see at once.
told()
{
	local ctd
	expect 600 5001 || return
	ctctl check || return
	ctd=$(ctctl_pid) && kill -STOP "$ctd" || return
	ctctl -D -p udp --orig-port-src 4000 >/dev/null 2>&1
	ctctl check >"$TMP/check"
	kill -CONT "$ctd"
	cat "$TMP/check"
	grep -q "expectation without its master" "$TMP/check" || return
	poll_until 10 left 0 && ctctl check
}
ctctl_pid()
{
	pgrep -f "^$CTD .*--instance $T " | tail -n 1
}
t check_tells_of_a_dead_master told

no_master()
{
	# shellcheck disable=SC2046 # words they are
	fails ctctl $(expect_words 600 5001)
}
t without_master_none_is_made no_master

# flood NUMBER PORT... : so many of each of the masters that send from these ports
flood()
{
	local m i n=$1
	shift
	for m; do
		on "$C" /usr/bin/python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('$C4', $m))
s.sendto(b'x', ('$S4', 69))"
		for ((i = 0; i < n; i++)); do
			expect_words 60 $((10000 + i)) | sed "s/--sport 4000/--sport $m/; s/--tuple-dst $C4/--tuple-dst 10.0.$((m - 6000)).9/"
		done
	done >"$TMP/flood"
	ctctl -R "$TMP/flood" >"$TMP/flood.out" 2>&1
	true
}
per_master()
{
	flood 257 6001
	[ "$(ctctl -C expect)" = 256 ] || { ctctl -C expect; tail -3 "$TMP/flood.out"; return 1; }
	[ "$(counter expect_refused_master)" = 1 ]
}
t a_master_has_its_limit per_master
in_all()
{
	ctctl -F expect
	ctctl expect limit 400 || return
	flood 256 6002 6003
	[ "$(ctctl -C expect)" = 400 ] || { ctctl -C expect; tail -3 "$TMP/flood.out"; return 1; }
	[ "$(counter expect_refused)" = 1 ] || return
	ctctl -F expect
	[ "$(ctctl -C expect)" = 0 ] && ctctl check
}
t all_have_their_limit in_all
finish
