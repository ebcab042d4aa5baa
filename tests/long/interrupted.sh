#!/bin/bash
# timeout: 3600
# `make check`, ended by ^C at random moments in random suites, leaves the
# machine as it was: links, qdiscs, pins, mounts, nft rules, sysctls, services,
# apt sources, processes, files in /tmp. The machine here is the suite's own
# namespaces, in which the runner makes its own.
# SEED=N repeats a sequence, TIMES=N (12) is how often each.
set -u
if [ "${BPFCT_ISOLATED:-}" != yes ]; then
	exec "$(dirname "$0")/../lib/isolate" "$0" "$@"
fi
cd "$(dirname "$0")/../.." || exit 2
O=$(realpath "${O:-build}")
export O
tmp=$(mktemp -d)
pid=
failed=0
cleanup()
{
	[ -z "$pid" ] || kill -TERM -- "-$pid" 2>/dev/null
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 143' INT TERM HUP
: "${SEED:=$RANDOM}"
RANDOM=$SEED
export TMPDIR=$tmp/tmp
mkdir "$TMPDIR"

state()
{
	tests/lib/host_state fast
	find "$TMPDIR" -mindepth 1 | sed 's/^/tmp: /'
}

# interrupt MILLISECONDS COMMAND... : as from a terminal, to the whole process group
interrupt()
{
	local ms=$1 rc=0 began
	shift
	state >"$tmp/before"
	setsid env -u BPFCT_ISOLATED --default-signal=INT,TERM,HUP "$@" >"$tmp/out" 2>&1 </dev/null &
	pid=$!
	sleep "$((ms / 1000)).$(printf %03d $((ms % 1000)))"
	kill -INT -- "-$pid" 2>/dev/null || echo "it had ended before"
	began=$SECONDS
	wait "$pid" || rc=$?
	pid=
	state >"$tmp/after"
	diff "$tmp/before" "$tmp/after" || return
	[ $((SECONDS - began)) -lt 45 ] || { echo "took $((SECONDS - began)) s to end"; return 1; }
	# ended by the signal, or too early or too late for it
	case $rc in
	0 | 2 | 130) ;;
	*) tail -n 5 "$tmp/out"; echo "exit status $rc"; return 1 ;;
	esac
	[ -z "$(pgrep -f "$O/ctd")" ] || { echo "a ctd still runs"; return 1; }
}

t()
{
	local name=$1 out
	shift
	if out=$("$@" 2>&1); then
		echo "ok $name"
	else
		echo "FAIL $name: $* (SEED=$SEED)"
		printf '%s\n' "$out" | tail -n 25 | sed 's/^/  /'
		failed=1
	fi
}

echo "SEED=$SEED"
mapfile -t suites < <(tests/run --list)
for ((i = 1; i <= ${TIMES:-12}; i++)); do
	suite=${suites[RANDOM % ${#suites[@]}]}
	t "interrupted_${i}_in_${suite//\//_}" interrupt $((RANDOM % 8000)) /usr/bin/python3 tests/run "$suite"
done
for ((i = 1; i <= ${TIMES:-12} / 3; i++)); do
	t "make_check_interrupted_$i" interrupt $((RANDOM % 30000)) make -s check
done
exit $failed
