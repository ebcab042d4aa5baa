#!/bin/bash
# In a guest (tests/long/kernels_check_ovs): groups of OVS's own suite that want devices which other kernels lack.
# GROUPS_OF_OVS: their numbers. A group is a test, named by its number; what failed shows the end of its log.
set -u
suite=/tmp/check-ovs
cp -r "$O/guest-check-ovs" $suite || exit 1
# Emulation is slow: what waits for vswitchd waits longer, and pings have more than two seconds for three packets.
sed -i 's/^OVS_CTL_TIMEOUT=.*/OVS_CTL_TIMEOUT=300/' $suite/tests/atlocal
cat >$suite/bin/ping <<'END'
#!/bin/bash
args=()
while [ $# -gt 0 ]; do
	[ "$1" = -w ] && args+=(-w $(($2 * 10))) && shift 2 && continue
	args+=("$1") && shift
done
exec /usr/bin/ping "${args[@]}"
END
chmod +x $suite/bin/ping
# shellcheck disable=SC2086 # numbers
tests/check-ovs --run $suite $GROUPS_OF_OVS >/tmp/check-ovs.out 2>&1
failed=0
for group in $GROUPS_OF_OVS; do
	line=$(grep -aE "^ *$group: " /tmp/check-ovs.out)
	case $line in
	*" ok") echo "ok ovs_group_$group" ;;
	*skipped*) echo "skip ovs_group_$group: ${line##*skipped}" ;;
	*)
		echo "FAIL ovs_group_$group: ${line:-not run}"
		tail -n 60 "$suite/tests/testsuite.dir/$(printf %03d "$group")/testsuite.log" | sed 's/^/  /'
		failed=1
		;;
	esac
done
tail -n 1 /tmp/check-ovs.out | sed 's/^/  /'
exit $failed
