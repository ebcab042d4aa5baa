#!/bin/bash
# beside: yes
# timeout: 400
# From nftables to bpfct and back under live connections, whose NAT the kernel has chosen.
#
#   client ── lan0 router wan0 ── server        (tests/lib/netns.sh: addresses)
#   10.0.0.2 .3   sshd            203.0.113.2
#
# 10.0.0.2 and 10.0.0.3 use the same source ports towards the same server, so the kernel
# gives one of each pair a port that nobody could guess. On both sides packets from the middle of
# a connection that is not known are dropped: what goes on has been handed over.
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"
# shellcheck source=tests/lib/servers.sh
. tests/lib/servers.sh
need nft conntrack curl ping jq

net_router
net_addr "$C" c0 10.0.0.3/24 fd00:1::3/64
serve_http "$S" 80
serve_echo "$S" 7000
serve_echo "$C" 7100

cat >"$TMP/router.nft" <<-END
	table inet router {
		chain pre {
			type nat hook prerouting priority -100;
			iifname wan0 meta nfproto ipv4 tcp dport 8080 dnat ip to 10.0.0.2:7100;
		}
		chain post {
			type nat hook postrouting priority 100;
			oifname wan0 masquerade;
		}
		chain forward {
			type filter hook forward priority 0; policy drop;
			ct state established,related accept;
			ct state invalid drop;
			tcp flags & (fin | syn | rst | ack) != syn drop;
			iifname lan0 th dport 7000 ct mark set 7;
			iifname lan0 accept;
			iifname wan0 tcp dport 7100 accept;
		}
		chain input {
			type filter hook input priority 0; policy drop;
			ct state established,related accept;
			meta l4proto { icmp, ipv6-icmp } accept;
			tcp flags & (fin | syn | rst | ack) != syn drop;
			iifname lan0 accept;
		}
	}
END
nft_on()
{
	on "$R" nft -f "$TMP/router.nft" || exit 1
}

conf=$(
	config takeover <<-END
		set default deny
		set tcp loose no
		wan = wan0
		lan = lan0
		nat out on \$wan from \$lan.net -> (\$wan)
		forward in on \$wan proto tcp port 8080 -> 10.0.0.2 port 7100
		pass in on \$lan
	END
)

# session NAME NS COMMAND... : a command that answers lines, its input and output kept
declare -A INPUT
session()
{
	local name=$1 ns=$2 fd
	shift 2
	mkfifo "$TMP/$name.in"
	nsenter --net="/run/netns/$ns" -- "$@" <"$TMP/$name.in" >"$TMP/$name.out" 2>"$TMP/$name.err" &
	PIDS+=($!)
	exec {fd}>"$TMP/$name.in"
	INPUT[$name]=$fd
}

ssh_session()
{
	session "$1" "$C" env "LD_LIBRARY_PATH=$SSH_LIB" "$SSH" -T "${SSH_OPTIONS[@]}" "root@$2" cat
}

answered()
{
	grep -q "$2\$" "$TMP/$1.out" || { tail -n 2 "$TMP/$1.err" "$TMP/$1.out"; echo "$1: no answer"; return 1; }
}

# says NAME [SECONDS]: a line there and back
TURN=0
says()
{
	local word
	TURN=$((TURN + 1))
	word=word$BASHPID.$TURN
	echo "$word" >&"${INPUT[$1]}" || return
	poll_until "${2:-15}" answered "$1" "$word"
}

# What the server sees of a session: its external address and port
external()
{
	says "$1" 1>&2 && tail -n 1 "$TMP/$1.out" | cut -d ' ' -f 1,2
}

SESSIONS=()
talk()
{
	SESSIONS+=("$1")
	session "$1" "$2" /usr/bin/python3 tests/lib/talk.py "${@:3}"
}

# download NAME URL : by curl, whose reader is slow until $TMP/go is there
download()
{
	{
		on "$C" curl -sS --max-time 300 "$2" 2>"$TMP/$1.err" | {
			while [ ! -e "$TMP/go" ]; do
				head -c 20000
				sleep 0.1
			done
			cat
		} >"$TMP/$1"
		echo "${PIPESTATUS[0]}" >"$TMP/$1.status"
	} &
	PIDS+=($!)
}

# ping_on NAME NS OPTION... : several a second, to the end
PINGS=()
ping_on()
{
	PINGS+=("$1")
	serve "$2" stdbuf -oL ping -i 0.3 "${@:3}"
	eval "PING_$1=\$TMP/serve.$((${#PIDS[@]} - 1))"
}
replies()
{
	local file=PING_$1
	grep -c 'bytes from' "${!file}"
}

more_replies()
{
	[ "$(replies "$1")" -gt "$2" ] || { echo "ping $1: no further answer"; return 1; }
}

more_bytes()
{
	[ "$(stat -c %s "$TMP/$1")" -gt "$2" ] || { echo "$1: stands at $2 bytes"; return 1; }
}

# Every session answers as the same external endpoint; pings and downloads move on.
declare -A WAS
all_go_on()
{
	local name now
	for name in ssh4 ssh6; do
		says "$name" || return
	done
	for name in "${SESSIONS[@]}"; do
		now=$(external "$name") || return
		[ "$now" = "${WAS[$name]}" ] || { echo "$name: was ${WAS[$name]}, is $now"; return 1; }
	done
	for name in "${PINGS[@]}"; do
		poll_until 10 more_replies "$name" "$(replies "$name")" || return
	done
	for name in file4 file6; do
		[ ! -e "$TMP/$name.status" ] || { cat "$TMP/$name.err"; echo "$name: has ended"; return 1; }
		poll_until 10 more_bytes "$name" "$(stat -c %s "$TMP/$name")" || return
	done
}

nft_on
start_sshd "$R" || { echo "FAIL sshd_starts: cannot be fetched or does not start"; exit 1; }
ssh_session ssh4 $RL4
ssh_session ssh6 $RL6
talk tcp4 "$C" tcp 10.0.0.2 5000 $S4 7000
talk udp4 "$C" udp 10.0.0.2 5001 $S4 7000
talk tcp6 "$C" tcp fd00:1::2 5000 $S6 7000
talk udp6 "$C" udp fd00:1::2 5001 $S6 7000
talk in4 "$S" tcp $S4 5002 $RW4 8080
for name in tcp4 udp4 tcp6 udp6; do
	WAS[$name]=$(external "$name") || { echo "FAIL ${name}_under_nft: no answer"; exit 1; }
done
# the same ports once more: the kernel has to choose others
talk tcp4b "$C" tcp 10.0.0.3 5000 $S4 7000
talk udp4b "$C" udp 10.0.0.3 5001 $S4 7000
talk tcp6b "$C" tcp fd00:1::3 5000 $S6 7000
talk udp6b "$C" udp fd00:1::3 5001 $S6 7000
for name in tcp4b udp4b tcp6b udp6b in4; do
	WAS[$name]=$(external "$name") || { echo "FAIL ${name}_under_nft: no answer"; exit 1; }
done
ping_on p4 "$C" -e 77 -I 10.0.0.2 $S4
ping_on p4b "$C" -e 77 -I 10.0.0.3 $S4
ping_on p6 "$C" -e 78 -I fd00:1::2 $S6
download file4 "http://$S4/large"
download file6 "http://[$S6]/large"
t under_nft_all_go_on all_go_on
other_ports()
{
	local name
	for name in tcp4 udp4 tcp6 udp6; do
		[ "${WAS[$name]}" != "${WAS[${name}b]}" ] || { echo "$name and ${name}b: both ${WAS[$name]}"; return 1; }
	done
}
t the_kernel_has_given_one_of_each_pair_another_port other_ports

# bpfct beside the rules, then instead of them.
start_ctd "$R" "$conf"
t bpfct_beside_nft_all_go_on all_go_on
# Without a neighbour's address a packet goes by the stack, where the old rules translate it.
on "$R" ip neigh flush dev wan0
t bpfct_beside_nft_by_the_stack all_go_on
on "$R" nft flush ruleset
on "$R" conntrack -F >/dev/null 2>&1 # the kernel forgets: what comes back is ours
t bpfct_alone_all_go_on all_go_on

kill_ctd
t ctd_dead_all_go_on all_go_on
start_ctd "$R" "$conf"
t ctd_restarted_all_go_on all_go_on
t import_is_not_repeated fails grep event=import "$CTD_LOG"

# field NAME PATTERN: of the record of a session, as `ctctl -L` prints it
recorded()
{
	local family=ipv4
	[[ ${WAS[$1]} == *:* ]] && family=ipv6
	ctctl -L -f "$family" 2>/dev/null | grep "dport=${WAS[$1]#* } " | grep -q "$2" || {
		ctctl -L -f "$family" 2>/dev/null
		echo "$1 (${WAS[$1]}): no record with '$2'"
		return 1
	}
}
records_say_what_netfilter_said()
{
	recorded tcp4b 'ESTABLISHED src=10.0.0.3 dst=203.0.113.2 sport=5000 dport=7000 .*ASSURED.* mark=7' &&
		recorded udp4b 'src=10.0.0.3 .*sport=5001' &&
		recorded tcp6b 'ESTABLISHED src=fd00:1::3 .*ASSURED' &&
		ctctl -L -p tcp 2>/dev/null | grep -q 'src=203.0.113.2 dst=203.0.113.1 .*dport=8080 .*src=10.0.0.2 .*sport=7100' &&
		ctctl -L -p icmp 2>/dev/null | grep 'src=10.0.0.3' | grep -q ' id=77 '
}
t records_say_what_netfilter_said records_say_what_netfilter_said
t tables_are_consistent ctctl check

# The external port of an imported connection is used, as ctd and ctctl see it.
ports_are_held()
{
	local name
	for name in tcp4b udp4b tcp6b udp6b; do
		# shellcheck disable=SC2086 # address and port
		ctctl nat whois ${WAS[$name]} | grep -q '10.0.0.3\|fd00:1::3' || { echo "nobody has ${WAS[$name]}"; return 1; }
	done
	ctctl nat -j | jq -e '[.. | objects | select(.tuples?) | .tuples] | add >= 8'
}
t external_ports_are_held ports_are_held
entered_by_hand_holds_its_port()
{
	local before
	ctctl -I -p sctp -s 10.0.0.9 -d 192.0.2.9 --sport 1 --dport 2 -t 900 --src-nat 203.0.113.1:45678 \
		--state ESTABLISHED --orig-vtag 1 --reply-vtag 2 2>&1 || return
	before=$(ctctl nat -j | jq '[.. | objects | select(.class? == "sctp") | .used] | add')
	ctctl -D -p sctp 2>/dev/null
	[ "$before" = 1 ] && poll_until 10 sctp_unused
}
sctp_unused()
{
	[ "$(ctctl nat -j | jq '[.. | objects | select(.class? == "sctp") | .used] | add')" = 0 ]
}
t entered_by_hand_holds_its_port entered_by_hand_holds_its_port
t new_connections_begin page "$C" "http://$S4/page"
nobody_is_refused()
{
	local out
	out=$(setpriv --reuid=65534 --regid=65534 --clear-groups "$CTCTL" --instance "$T" flow import 2>&1) && return 1
	if [ "$(wc -l <<<"$out")" != 1 ] || [[ $out != *"Permission denied"* ]]; then
		echo "$out"
		return 1
	fi
}
t import_without_privilege_is_one_line nobody_is_refused
by_hand_is_harmless()
{
	ctctl flow import && all_go_on && ctctl check
}
t import_by_hand_changes_nothing by_hand_is_harmless

# And back: the records, the rules, then bpfct goes. Here also what began under bpfct: two with one
# source port, so that ours has chosen one.
talk new4 "$C" tcp 10.0.0.2 5005 $S4 7000
talk new4b "$C" tcp 10.0.0.3 5005 $S4 7000
for name in new4 new4b; do
	WAS[$name]=$(external "$name") || echo "FAIL ${name}_under_bpfct: no answer"
done
t export_before_the_rules ctctl flow export
nft_on
t rules_are_back_all_go_on all_go_on
back()
{
	local out
	out=$(ctctl fw unload --export 2>&1) || { echo "$out"; return 1; }
	grep -q '^[1-9][0-9]* connections entered into nf_conntrack' <<<"$out" || { echo "$out"; return 1; }
	[ ! -e "/sys/fs/bpf/bpfct/$T" ] || { echo "$out"; echo "pins are left"; return 1; }
}
t unload_exports_first back
wait "$CTD_PID" 2>/dev/null
CTD_PID=
t nft_again_all_go_on all_go_on
kernel_says()
{
	on "$R" conntrack -L -p tcp 2>/dev/null | grep "src=10.0.0.3 .*sport=5000 .*dport=${WAS[tcp4b]#* } " | grep -q 'ASSURED.* mark=7' ||
		{ on "$R" conntrack -L; return 1; }
}
t the_kernel_has_the_translations kernel_says

touch "$TMP/go"
whole()
{
	poll_until 60 test -s "$TMP/$1.status" || return
	[ "$(cat "$TMP/$1.status")" = 0 ] || { cat "$TMP/$1.err"; return 1; }
	cmp "$TMP/$1" "$TMP/www/large"
}
t download_is_whole_v4 whole file4
t download_is_whole_v6 whole file6

# More lives than there is room for, and a ctd that is killed while it imports. No rule of
# either side lets the ssh session in from here on.
on "$R" nft flush ruleset
on "$R" conntrack -F >/dev/null 2>&1
/usr/bin/python3 - >"$TMP/many" <<-END
	for i in range(10000):
	    print("-A -p udp -s 10.1.%d.%d -d 198.51.100.1 --sport 9999 --dport 53 -t 900 -u %s"
	          % (i >> 8, i & 255, "SEEN_REPLY,ASSURED" if i % 2 else "SEEN_REPLY"))
END
on "$R" conntrack -R "$TMP/many" >/dev/null 2>&1
on "$R" conntrack -I -p udp -s 10.0.0.2 -d $S4 --sport 6000 --dport 9 -t 900 -u SEEN_REPLY,ASSURED \
	--src-nat $RW4:6111 >/dev/null 2>&1
full=$(
	config full <<-END
		set default deny
		set tcp loose no
		set limit confirmed 5001
		nat out on wan0 proto udp from 10.0.0.0/24 -> (wan0) eim
		pass in on lan0 proto udp
	END
)
"$CTD" -f "$full" --instance "$T" --netns "$R" >"$TMP/killed.log" 2>&1 </dev/null &
CTD_PID=$!
until [ "$(ctctl -C 2>/dev/null || echo 0)" -gt 0 ] || ! kill -0 "$CTD_PID"; do
	:
done
kill_ctd
start_ctd "$R" "$full"
as_many_as_there_is_room_for()
{
	[ "$(ctctl -L -f ipv4 2>/dev/null | wc -l)" = 5001 ] || { ctctl -C; return 1; }
	[ "$(ctctl -L -u ASSURED 2>/dev/null | grep -c sport=9999)" = 5000 ] || { echo "not those that are assured"; return 1; }
	grep -q 'event=import .*no_room=500[0-9] reason=' "$CTD_LOG" && ctctl check
}
t limit_is_kept_and_said_and_assured_ones_come_first as_many_as_there_is_room_for

# The host's own sockets, tracked by nobody.
on "$R" conntrack -F >/dev/null 2>&1
ctctl -F >/dev/null 2>&1
mapping_is_kept()
{
	local got
	ctctl nat bindings | grep -q 6111 || { ctctl nat bindings; return 1; }
	got=$(echo_from "$C" udp "$S4" 7000 6000) || { echo "$got"; return 1; }
	[ "$got" = "$RW4 6111 hello" ] || { echo "mapped to $got"; return 1; }
}
t endpoint_independent_mapping_is_imported poll_until 10 mapping_is_kept
t unknown_session_is_stopped fails says ssh4 2
ctctl flow import >"$TMP/by_hand" 2>&1
t sockets_are_imported_v4 says ssh4 30
t sockets_are_imported_v6 says ssh6 30
begun_by_the_client()
{
	ctctl -L -p tcp 2>/dev/null | grep -q 'ESTABLISHED src=10.0.0.2 dst=10.0.0.1 .*dport=22 .*ASSURED' ||
		{ cat "$TMP/by_hand"; ctctl -L; return 1; }
}
t a_listener_tells_who_began begun_by_the_client
finish
