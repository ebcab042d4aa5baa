# shellcheck shell=bash
# Guests that run another kernel: QEMU without KVM, about 10 s to boot. Source
# tests/lib/fetch.sh first; kills its guests if QEMU_PIDS are killed on exit.
#
#   qemu_find                         or says what is missing
#   qemu_start SERIES LOG INITRAMFS OPTION...   in the background; console in LOG
#   qemu_wait                         until all of them are off

QEMU=()
QEMU_PIDS=()

qemu_find()
{
	local tree lib
	if command -v qemu-system-x86_64 >/dev/null; then
		QEMU=(qemu-system-x86_64)
		return
	fi
	tree=$(fetch_closure qemu-system-x86) || return
	lib=$tree/usr/lib/x86_64-linux-gnu
	QEMU=(env "LD_LIBRARY_PATH=$lib:$lib/pulseaudio:$tree/lib/x86_64-linux-gnu" "$tree/usr/bin/qemu-system-x86_64"
		-L "$tree/usr/share/qemu" -L "$tree/usr/share/seabios")
}

# no_timer_check: on a busy machine the emulated timer looks broken to a kernel that boots.
qemu_start()
{
	local series=$1 log=$2 initramfs=$3 kernel
	shift 3
	kernel=$(fetch_kernel "$series") || return
	timeout -k 5 "${QEMU_SECONDS:-900}" "${QEMU[@]}" -accel tcg -cpu max -m 1024 -nographic -no-reboot -nodefaults \
		-net none -serial stdio -kernel "$kernel/vmlinuz" -initrd "$initramfs" \
		-append "console=ttyS0 quiet panic=-1 oops=panic no_timer_check rdinit=/init" "$@" \
		>"$log" 2>"$log.err" </dev/null &
	QEMU_PIDS+=($!)
}

qemu_wait()
{
	wait "${QEMU_PIDS[@]}"
	QEMU_PIDS=()
}

# No kernel for a series: 6.1 is Debian 12's own and must be there, others may be missing.
qemu_missing()
{
	if [ "$1" = 6.1 ]; then
		echo "FAIL kernel_$1_boots: no kernel image"
		return 1
	fi
	echo "skip kernel_$1_boots: no kernel image in $BPFCT_CACHE and none could be fetched"
}

# qemu_ended SERIES LOG : did it say its last line? If not, shows what it said.
qemu_ended()
{
	grep -aq '^guest done' "$2" && return
	echo "FAIL kernel_$1_boots: the guest did not finish"
	tail -n 15 "$2" "$2.err" | tr -d '\r' | sed 's/^/  | /'
	return 1
}
