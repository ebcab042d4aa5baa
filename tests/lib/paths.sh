# shellcheck shell=bash
# Everything that has to get through from one place to another. Source it after netns.sh.
# shellcheck source=tests/lib/paced.sh
. tests/lib/paced.sh

# serve_paths NS : what path() asks for
serve_paths()
{
	serve_http "$1" 80
	serve_echo "$1" 7000
	serve "$1" iperf3 -s
	poll_until 10 listening "$1" 5201
}

seen_as()
{
	local want=$1 got
	shift
	got=$(echo_from "$@") || { echo "$got"; return 1; }
	got=${got#::ffff:}
	[[ $got == "$want "* ]] || { echo "seen as '$got', not from $want"; return 1; }
}

# Between two tests iperf3's server listens anew and resets whoever came too early.
bulk()
{
	for _ in 1 2 3 4 5; do
		on "$1" timeout 60 iperf3 -c "${@:2}" -n 10M >"$TMP/iperf" 2>&1 && return
		grep -qE 'unable to (receive control message|connect to server): Connection reset' "$TMP/iperf" || break
		sleep 0.2
	done
	cat "$TMP/iperf"
	return 1
}

both_ways()
{
	bulk "$1" "$2" && bulk "$1" "$2" -R
}

# over_a_kill CONFIG FROM SERVER COMMAND... : a download from before goes on, and the command succeeds, with
# ctd killed, and again with the next one. Not in a test: it has tests.
over_a_kill()
{
	local conf=$1
	t download_before_the_kill paced kill "$2" "$3"
	shift 3
	kill_ctd
	paced_note kill
	t with_ctd_killed "$@"
	t download_outlives_the_kill paced_goes_on kill
	start_ctd "$R" "$conf"
	paced_note kill
	t with_the_next_ctd "$@"
	t download_outlives_the_restart paced_goes_on kill
	t download_ends_well paced_ends kill
}

# over_a_move CONFIG FROM SERVER LANS COMMAND... : a download that began under nft's masquerade, out of all
# interfaces but LANS, goes on when ctd has taken over and nft's rules are gone, and the command succeeds.
over_a_move()
{
	local conf=$1 lans=$4
	stop_ctd
	unload_ctd "$CTD_INSTANCE" "$R"
	on "$R" nft -f - <<-END || exit 1
		table inet moved { chain post { type nat hook postrouting priority 100; oifname != { $lans } masquerade; }; }
	END
	t download_under_nft paced move "$2" "$3"
	shift 4
	start_ctd "$R" "$conf"
	on "$R" nft delete table inet moved
	paced_note move
	t taken_over_from_nft "$@"
	t download_outlives_the_move paced_goes_on move
	t download_moved_ends_well paced_ends move
}

# path NAME FROM SERVER4 SERVER6 SEEN4 SEEN6
path()
{
	t "page_v4_$1" page "$2" "http://$3/page"
	t "page_v6_$1" page "$2" "http://[$4]/page"
	t "ping_v4_$1" on "$2" ping -c 2 -i 0.2 -W 2 "$3"
	t "ping_v6_$1" on "$2" ping -c 2 -i 0.2 -W 2 "$4"
	t "fragments_v4_$1" on "$2" ping -c 2 -i 0.2 -W 2 -s 4000 "$3"
	t "udp_v4_$1" seen_as "$5" "$2" udp "$3" 7000
	t "tcp_v4_$1" seen_as "$5" "$2" tcp "$3" 7000
	t "tcp_v6_$1" seen_as "$6" "$2" tcp "$4" 7000
	t "bulk_v4_$1" both_ways "$2" "$3"
	t "bulk_v6_$1" both_ways "$2" "$4"
}
