#!/bin/bash
# beside: yes
# Who may do what: root everything; the group bpfct looks, over the socket; nobody
# else reads, changes or takes our names first. What was there before is taken over
# only if it is root's and has the layout that we know.
#
#   router (lan0, wan0), nobody behind it
#
# shellcheck source=tests/lib/netns.sh
. "$(dirname "$0")/../lib/netns.sh"

GROUP=64990
{ cat /etc/group && echo "bpfct:x:$GROUP:"; } | grep -v '^bpfct:x:[^6]' >"$TMP/group"
mount --bind "$TMP/group" /etc/group || exit 1
# Where a stranger finds the way to; the build directory may be closed to him.
mkdir /run/here && install -m 755 "$CTD" "$CTCTL" /run/here || exit 1
net_router
install -m 644 "$(gateway_config)" /run/here/conf
conf=/run/here/conf
pins=/sys/fs/bpf/bpfct/$T

nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
member=(setpriv --reuid 65534 --regid 65534 --groups "$GROUP")
# denied PATTERN COMMAND... : status 1, and one line that says so
denied()
{
	local pattern=$1 rc=0
	shift
	timeout 20 "$@" >"$TMP/said" 2>&1 </dev/null || rc=$?
	cat "$TMP/said"
	[ "$rc" = 1 ] || { echo "exit status $rc, not 1"; return 1; }
	grep -qiE -- "$pattern" "$TMP/said" || { echo "does not say $pattern"; return 1; }
}
run_ctd=("$CTD" -f "$conf" --instance "$T" --netns "$R")

# First come: bpffs open to all, as it is when the system mounts it
chmod 1777 /sys/fs/bpf
"${nobody[@]}" mkdir /sys/fs/bpf/bpfct
t pin_directory_that_a_stranger_made_first denied 'bpfct: owned by uid 65534' "${run_ctd[@]}"
rmdir /sys/fs/bpf/bpfct
"${nobody[@]}" mkdir "/sys/fs/bpf/elsewhere"
"${nobody[@]}" ln -s /sys/fs/bpf/elsewhere /sys/fs/bpf/bpfct
t symbolic_link_that_a_stranger_made denied 'bpfct: (owned by uid 65534|is a symbolic link)' "${run_ctd[@]}"
rm /sys/fs/bpf/bpfct && rmdir /sys/fs/bpf/elsewhere
mkdir -m 777 /sys/fs/bpf/bpfct
t pin_directory_open_to_all denied 'writable by others' "${run_ctd[@]}"
rmdir /sys/fs/bpf/bpfct
mkdir /run/bpfct && chown 65534 /run/bpfct
t run_directory_of_a_stranger denied '/run/bpfct: owned by uid 65534' "${run_ctd[@]}"
chown 0 /run/bpfct && chmod 777 /run/bpfct
t run_directory_open_to_all denied 'writable by others' "${run_ctd[@]}"
chmod 755 /run/bpfct
echo 'set default pass' >"/run/bpfct/$T.before" && chown 65534 "/run/bpfct/$T.before"
t rules_that_a_stranger_would_have_us_go_back_to denied 'before: owned by uid 65534' "${run_ctd[@]}"
rm "/run/bpfct/$T.before"
: >"$TMP/victim"
ln -s "$TMP/victim" "/run/bpfct/$T.lock"
t lock_that_is_a_symbolic_link denied 'lock' "${run_ctd[@]}"
rm "/run/bpfct/$T.lock"
none_left()
{
	[ ! -s "$TMP/victim" ] && [ ! -e /sys/fs/bpf/bpfct ] && [ -z "$(on "$R" nft list ruleset)" ] &&
		[ -z "$(on "$R" tests/lib/hooks)" ]
}
t all_that_has_changed_nothing none_left

umask 0
start_ctd "$R" "$conf"
umask 022
serve_echo "$S" 7000
echo_from "$C" tcp "$S4" 7000 >/dev/null || exit 1
sock=/run/bpfct/$T.sock
modes()
{
	local odd
	odd=$(find "$pins" -type f ! -perm 600 -o -type f ! -user root)
	[ -z "$odd" ] || { echo "$odd"; return 1; }
	[ "$(find "$pins" -type f | wc -l)" -gt 40 ] && [ "$(stat -c %a /sys/fs/bpf/bpfct "$pins" | sort -u)" = 700 ]
}
t pins_are_0600_in_directories_0700 modes
t socket_is_root_bpfct_0660 test "$(stat -c %U:%G:%a "$sock")" = root:bpfct:660
t lock_is_0600 test "$(stat -c %a "/run/bpfct/$T.lock")" = 600

# A stranger
S_CTL=(/run/here/ctctl --instance "$T")
t stranger_does_not_list denied 'permi' "${nobody[@]}" "${S_CTL[@]}" -L
t stranger_does_not_flush denied 'permi' "${nobody[@]}" "${S_CTL[@]}" -F
t stranger_does_not_delete denied 'permi' "${nobody[@]}" "${S_CTL[@]}" -D -s "$C4"
t stranger_sees_no_counters denied 'permi' "${nobody[@]}" "${S_CTL[@]}" stats
t stranger_sees_no_rules denied 'permi' "${nobody[@]}" "${S_CTL[@]}" fw show
t stranger_loads_no_rules denied 'permi' "${nobody[@]}" "${S_CTL[@]}" fw load "$conf"
t stranger_confirms_none denied 'permi' "${nobody[@]}" "${S_CTL[@]}" fw confirm
t stranger_unloads_nothing denied 'permi' "${nobody[@]}" "${S_CTL[@]}" fw unload
t stranger_unloads_nothing_by_ctd denied 'must be run as root' "${nobody[@]}" /run/here/ctd --unload --instance "$T"
t stranger_makes_no_guard denied 'must be run as root' "${nobody[@]}" /run/here/ctd --guard --instance "$T" -f "$conf"
squat()
{
	fails "${nobody[@]}" touch "/run/bpfct/$T-2.sock" && fails "${nobody[@]}" rm -f "$sock" &&
		fails "${nobody[@]}" mkdir "/sys/fs/bpf/bpfct/$T-2" && fails "${nobody[@]}" rm -f "$pins/ct_conn4_v1" &&
		fails "${nobody[@]}" ls "$pins"
}
t stranger_takes_no_name_of_ours squat

# A member of the group
t member_sees_the_rules "${member[@]}" "${S_CTL[@]}" fw show
ask()
{
	"${member[@]}" /usr/bin/python3 - "$sock" "$1" <<-'EOF'
		import socket, sys
		s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		s.settimeout(10)
		s.connect(sys.argv[1])
		s.send(sys.argv[2].encode())
		print(s.recv(1 << 20).decode())
	EOF
}
may()
{
	ask "$1" | tee "$TMP/said" | grep -q '"ok":true' || { cat "$TMP/said"; return 1; }
}
may_not()
{
	ask "$1" | tee "$TMP/said" | grep -q '"ok":false.*only root may do that' || { cat "$TMP/said"; return 1; }
}
t member_asks_for_the_state may '{"op":"status"}'
t member_follows_events may '{"op":"events"}'
t member_loads_no_rules may_not '{"op":"load","text":"set default pass","force":true}'
t member_confirms_none may_not '{"op":"confirm"}'
t member_ends_no_ctd may_not '{"op":"quit"}'
t member_does_not_flush denied 'permi' "${member[@]}" "${S_CTL[@]}" -F
t member_does_not_unload denied 'only root' "${member[@]}" "${S_CTL[@]}" fw unload
unharmed()
{
	[ "$(ctctl -L -p tcp 2>/dev/null | grep -c 'dport=7000')" = 1 ] && ctctl fw show | grep -q 'default deny' &&
		[ ! -e "/run/bpfct/$T.before" ]
}
t nothing_of_that_did_anything unharmed

# What is taken over
stop_ctd
t pins_are_there_for_the_next test -e "$pins/ct_conn4_v1"
# refuses_pin NAME MAP-ARGUMENTS : a map of that name made otherwise
refuses_pin()
{
	local name=$1 rc
	shift
	mv "$pins/$name" "$pins/kept" && /usr/sbin/bpftool map create "$pins/$name" "$@" name "${name:0:15}" || return
	denied "$name: wrong map layout" "${run_ctd[@]}"
	rc=$?
	rm "$pins/$name" && mv "$pins/kept" "$pins/$name"
	return "$rc"
}
fw_map=$(find "$pins" -name 'fw_config_v*' -printf '%f')
t map_of_another_type_is_refused refuses_pin ct_drop_v1 type array key 4 value 8 entries 256
t map_of_another_value_size_is_refused refuses_pin ct_stat_v1 type percpu_array key 4 value 16 entries 256
t map_with_other_flags_is_refused refuses_pin ct_zone_v1 type array key 4 value 16 entries 65536
t map_of_the_firewall_likewise refuses_pin "$fw_map" type array key 4 value 4 entries 1
chown 65534 "$pins/ct_table_v1"
t pin_of_another_owner_is_refused denied 'ct_table_v1: owned by uid 65534' "${run_ctd[@]}"
chown 0 "$pins/ct_table_v1"
chmod 606 "$pins/ct_table_v1"
t pin_that_others_may_write_is_refused denied 'ct_table_v1: writable by others' "${run_ctd[@]}"
chmod 600 "$pins/ct_table_v1"
chmod 707 "$pins"
t directory_that_others_may_write_is_refused denied 'writable by others' "${run_ctd[@]}"
chmod 700 "$pins"
t refused_starts_leave_the_guard on "$R" nft list table inet "bpfct_guard_$T"
start_ctd "$R" "$conf"
t what_is_as_it_was_is_taken_over unharmed
finish
