# shellcheck shell=bash
# For suites about ports; after net_router of netns.sh.
#
#   HOSTS                       10.0.0.10 to .29, the client's beside its own and .3
#   rules NAME NAT-RULE...      a rule file with these nat rules; prints its path
#   pool ADDRESS CLASS FIELD    of `ctctl -j nat`
#   at_least N ADDRESS CLASS FIELD... ; at_most: the fields' sum
#   many NAME ARGS...           tests/lib/open_many.py in the client's namespace
#   said NAME LINE              its next answer is this line
#   ask NAME COMMAND LINE       ... after this command
#   done_with NAME

ulimit -n "$(ulimit -H -n)"
HOSTS=()
for ((i = 10; i < 30; i++)); do
	on "$C" ip addr add 10.0.0.$i/24 dev c0
	HOSTS+=("10.0.0.$i")
done
on "$C" ip addr add 10.0.0.3/24 dev c0

rules()
{
	{
		printf 'set default deny\nset nat hold-down %s\nwan = wan0\nlan = lan0\n' "${HOLD:-10s}"
		printf '%s\n' "${@:2}"
		echo "pass in on lan0"
	} | config "$1"
}

pool()
{
	ctctl -j nat | /usr/bin/python3 -c '
import json, sys
address, cls, field = sys.argv[1:]
for p in json.load(sys.stdin):
    if p["address"] == address and p["class"] == cls and p["live"]:
        print(p.get(field, p["paths"].get(field)))' "$@"
}

pool_sum()
{
	local sum=0 field
	for field in "${@:3}"; do
		sum=$((sum + $(pool "$1" "$2" "$field")))
	done
	echo $sum
}

at_least()
{
	local sum
	sum=$(pool_sum "${@:2}")
	[ "$sum" -ge "$1" ] || { ctctl nat; echo "$3 ${*:4}: $sum, expected $1 or more"; return 1; }
}

at_most()
{
	local sum
	sum=$(pool_sum "${@:2}")
	[ "$sum" -le "$1" ] || { ctctl nat; echo "$3 ${*:4}: $sum, expected $1 or less"; return 1; }
}

many()
{
	local name=$1
	shift
	mkfifo "$TMP/to.$name" "$TMP/from.$name"
	nsenter --net="/run/netns/$C" -- /usr/bin/python3 tests/lib/open_many.py "$@" \
		<"$TMP/to.$name" >"$TMP/from.$name" 2>&1 &
	PIDS+=($!)
	eval "exec {to_$name}>'$TMP/to.$name' {from_$name}<'$TMP/from.$name'"
}

said()
{
	local line from=from_$1
	read -r -t 120 line <&"${!from}" || { echo "no answer of $1"; return 1; }
	[ "$line" = "$2" ] || { echo "$1 says '$line', expected '$2'"; return 1; }
}

ask()
{
	local to=to_$1
	echo "$2" >&"${!to}"
	said "$1" "$3"
}

done_with()
{
	local to=to_$1 from=from_$1
	eval "exec ${!to}>&- ${!from}<&-"
}
