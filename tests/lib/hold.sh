# shellcheck shell=bash
# Many TCP connections that stay, held by tests/lib/hold.py behind two pipes. Sourced after
# netns.sh; the client is $C, the echo server listens on port 7000.

# holder 4|6 ADDRESS
holder()
{
	mkfifo "$TMP/to$1" "$TMP/from$1"
	nsenter --net="/run/netns/$C" -- /usr/bin/python3 tests/lib/hold.py "$2" 7000 <"$TMP/to$1" >"$TMP/from$1" 2>&1 &
	PIDS+=($!)
	eval "exec {to$1}>'$TMP/to$1' {from$1}<'$TMP/from$1'"
}

# hold 4|6 COMMAND...
hold()
{
	local to=to$1 from=from$1 answer
	shift
	echo "$*" >&"${!to}"
	read -r -t 120 answer <&"${!from}" || { echo "no answer to $*"; return 1; }
	[[ $answer == ok* ]] || { echo "$*: $answer"; return 1; }
}
