#!/bin/bash
# beside: yes
# The same traffic through nf_conntrack and through bpfct: `conntrack -L` and
# `ctctl -L` print the same lines. Numbers that time decides (seconds left, TCP's
# segment counts) are masked, everything else is compared, counters included.
#
#   client ── lan0 router wan0 ── server
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
need conntrack nft

net_router
serve_echo "$S" 7000

traffic()
{
	echo_from "$C" udp "$1" 7000 42001 quiet
	echo_from "$C" udp "$1" 7000 42002
	echo_from "$C" tcp "$1" 7000 42003
	echo_from "$C" tcp "$1" 7999 42004
	on "$C" ping -c 2 -i 0.2 -e 4242 -W 2 "$1"
	# a SYN that nobody answers
	on "$C" timeout 1 bash -c "exec 3<>/dev/tcp/$2/7000"
	true
}
all_traffic()
{
	traffic "$S4" 203.0.113.9
	traffic "$S6" 2001:db8:2::9
} >/dev/null 2>&1
# no answer, and no neighbour either: the SYN must leave the router
on "$R" ip neigh add 203.0.113.9 lladdr 02:00:00:00:00:09 dev wan0
on "$R" ip -6 neigh add 2001:db8:2::9 lladdr 02:00:00:00:00:09 dev wan0

# The unanswered SYN's source port is the system's choice, so both its numbers are masked.
masked()
{
	sed -E -e 's/^(ipv[46] +[0-9]+ )?((tcp|udp|icmp|icmpv6) +[0-9]+ )[0-9]+ /\1\2N /' \
		-e '/^(ipv[46] +[0-9]+ )?tcp /s/(packets|bytes)=[0-9]+/\1=N/g' \
		-e '/(dst=203\.0\.113\.9|dst=2001:db8:2::9) /s/sport=[0-9]+/sport=N/; /(dst=203\.0\.113\.9|dst=2001:db8:2::9) /s/dport=[0-9]+ *([a-z]+=N)? *\[/dport=N [/' \
		-e '/(dst=203\.0\.113\.9|dst=2001:db8:2::9) /s/dport=[0-9]+/dport=N/g' | sort
}

# What each connection went through, in its order. Left out is what the time decides: seconds left at
# the end, TCP's segments, whether a FIN's ACK comes by itself (CLOSE_WAIT); and whose command ended it.
lives()
{
	sed -E -e 's/^ *\[/[/; s/ +/ /g; s/ \[USERSPACE\].*$//; / CLOSE_WAIT /d' \
		-e '/dst=203\.0\.113\.9 |dst=2001:db8:2::9 /s/(packets|bytes|sport|dport)=[0-9]+/\1=N/g' \
		-e '/sport=42003 /s/(packets|bytes)=[0-9]+/\1=N/g' \
		-e 's/^(\[DESTROY\] [a-z0-9]+ [0-9]+) [0-9]+ /\1 N /' "$1" |
		awk '$4 % 10 == 9 { $4++ } # the second ended between timer and event
			{ match($0, /src=/); split(substr($0, RSTART), w); print w[1] w[2] w[3], $0 }' |
		sort -s -k1,1
}
events()
{
	local whose
	poll_until 5 ended || echo "the flush is not told"
	for whose in kernel our; do
		lives "$TMP/$whose.events" >"$TMP/$whose.lives"
	done
	[ "$(grep -c . "$TMP/kernel.lives")" -ge 30 ] || { echo "the kernel told of too little"; return 1; }
	diff -u "$TMP/kernel.lives" "$TMP/our.lives"
}
ended()
{
	[ "$(grep -c DESTROY "$TMP/our.events")" = "$(grep -c DESTROY "$TMP/kernel.events")" ]
}

on "$R" sysctl -qw net.netfilter.nf_conntrack_acct=1
on "$R" conntrack -E >"$TMP/kernel.events" 2>/dev/null &
PIDS+=($!)
sleep 0.5
on "$R" nft -f - <<-END
	table inet masq {
		chain post {
			type nat hook postrouting priority 100;
			oifname wan0 masquerade;
		}
	}
END
all_traffic
sleep 0.3
on "$R" conntrack -L -o extended >"$TMP/kernel.extended" 2>/dev/null
on "$R" conntrack -L >"$TMP/kernel.list" 2>/dev/null
on "$R" conntrack -L -f ipv6 >"$TMP/kernel6" 2>/dev/null
on "$R" conntrack -L -p udp -o id 2>/dev/null | sed -E 's/id=[0-9]+/id=N/' >"$TMP/kernel.id"
on "$R" conntrack -C >"$TMP/kernel.count" 2>/dev/null
on "$R" conntrack -S 2>&1 | sed -E 's/=[0-9]+ /=N /g' >"$TMP/kernel.counters"
cat >"$TMP/filters" <<-END
	-p udp
	-p udp -f ipv4
	-p udp --sport 42001
	-p tcp --sport 42003 --dport 7000
	-p icmp
	-p icmpv6
	-p tcp --state TIME_WAIT
	-p sctp
	-s 10.0.0.2
	-s 10.0.0.3
	-s 10.0.0.0/24 -p tcp
	-d 203.0.113.2 -f ipv4
	-r 203.0.113.2 -p udp
	-q 203.0.113.1 -p icmp
	-s fd00:1::2
	-u SEEN_REPLY
	-u ASSURED
	-m 0 -p udp
	-w 0
	-n 203.0.113.1
END
while read -r args; do
	# shellcheck disable=SC2086 # several arguments
	echo "$args:$(on "$R" conntrack -L $args 2>/dev/null | wc -l)"
done <"$TMP/filters" >"$TMP/kernel.filters"
on "$R" nft flush ruleset
on "$R" conntrack -F 2>/dev/null

start_ctd "$R" "$(gateway_config)"
ctctl -E >"$TMP/our.events" 2>/dev/null &
PIDS+=($!)
sleep 0.5
all_traffic
sleep 0.3

same()
{
	local name=$1
	masked <"$TMP/$name" >"$TMP/$name.masked"
	[ -s "$TMP/$name.masked" ] || { echo "the kernel listed nothing"; return 1; }
	masked >"$TMP/ours.masked"
	diff -u "$TMP/$name.masked" "$TMP/ours.masked"
}
list_all() { ctctl -L 2>/dev/null | same kernel.list; }
list_v6() { ctctl -L -f ipv6 2>/dev/null | same kernel6; }
list_extended() { ctctl -L -o extended 2>/dev/null | same kernel.extended; }
list_ids() { ctctl -L -p udp -o id 2>/dev/null | sed -E 's/id=[0-9]+/id=N/' | same kernel.id; }
summary()
{
	ctctl -L 2>"$TMP/stderr" >"$TMP/stdout" || return
	cat "$TMP/stderr"
	grep -qE '^conntrack v[0-9.]+ \(conntrack-tools\): [0-9]+ flow entries have been shown\.$' "$TMP/stderr" &&
		fails grep -q 'flow entries' "$TMP/stdout"
}
count()
{
	local ours
	ours=$(ctctl -C 2>/dev/null)
	[ "$ours" = "$(cat "$TMP/kernel.count")" ] || { echo "$ours entries, the kernel had $(cat "$TMP/kernel.count")"; return 1; }
}
# The same counters in the same order; that they count: `insert` is what -E announced.
counters()
{
	ctctl -S >"$TMP/counters" && sed -E 's/=[0-9]+ /=N /g' "$TMP/counters" | diff -u "$TMP/kernel.counters" - || return
	[ "$(grep -oE 'insert=[0-9]+' "$TMP/counters" | awk -F= '{ n += $2 } END { print n }')" = \
		"$(grep -c '\[NEW\]' "$TMP/our.events")" ]
}
filters()
{
	local ours
	while read -r args; do
		# shellcheck disable=SC2086 # several arguments
		ours=$(ctctl -L $args 2>/dev/null | wc -l)
		theirs=$(grep -m 1 -- "^$args:" "$TMP/kernel.filters")
		[ "$args:$ours" = "$theirs" ] || { echo "ctctl -L $args: $ours lines; the kernel's conntrack $theirs"; return 1; }
	done <"$TMP/filters"
}
delete_one()
{
	ctctl -D -f ipv4 -p udp --sport 42001 >"$TMP/deleted" 2>"$TMP/deleted.err" || { cat "$TMP/deleted.err"; return 1; }
	grep -q 'sport=42001' "$TMP/deleted" && grep -q '1 flow entries have been deleted' "$TMP/deleted.err" || return
	fails ctctl -D -f ipv4 -p udp --sport 42001 >/dev/null 2>&1 # nothing there: status 1, as conntrack's
}
named_conntrack()
{
	ln -sf "$CTCTL" "$TMP/conntrack"
	"$TMP/conntrack" --instance "$T" -L -p udp 2>/dev/null | grep -q 'sport=42002'
}
json()
{
	ctctl -j -L >"$TMP/json" 2>/dev/null || ctctl flow list -j >"$TMP/json" || return
	jq -e . "$TMP/json" >/dev/null
}
flush()
{
	ctctl -F || return
	[ "$(ctctl -C 2>/dev/null)" = 0 ]
}
t list_is_conntracks list_all
t list_v6_is_conntracks list_v6
t list_extended_is_conntracks list_extended
t list_with_ids_is_conntracks list_ids
t summary_goes_to_stderr summary
t count_is_the_kernels count
t counters_are_named_as_the_kernels counters
t filters_pick filters
t answers_under_the_name_conntrack named_conntrack
t json_is_valid json
t consistency_check_finds_nothing ctctl check
t delete_prints_and_removes delete_one
t flush_empties flush
t events_are_the_kernels events
finish
