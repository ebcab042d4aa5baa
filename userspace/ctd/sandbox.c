// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "sandbox.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

#include <cap-ng.h>
#include <seccomp.h>

#include "log.h"

/* PERFMON: iterators. NET_RAW: packets that ctd sends itself (ALG, errors). */
static const capng_type_t held[] = {CAPNG_EFFECTIVE, CAPNG_PERMITTED};
static const unsigned int kept[] = {CAP_BPF, CAP_NET_ADMIN, CAP_NET_RAW, CAP_PERFMON};

static const int allowed[] = {
	/* files: the configuration on SIGHUP, lock, pins, log */
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(readv),
	SCMP_SYS(writev),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(openat),
	SCMP_SYS(open),
	SCMP_SYS(close),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(stat),
	SCMP_SYS(lstat),
	SCMP_SYS(statx),
	SCMP_SYS(lseek),
	SCMP_SYS(fcntl),
	SCMP_SYS(dup),
	SCMP_SYS(dup2),
	SCMP_SYS(dup3),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	SCMP_SYS(rename),
	SCMP_SYS(renameat),
	SCMP_SYS(ftruncate),
	SCMP_SYS(flock),
	SCMP_SYS(access),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(ioctl),
	/* memory */
	SCMP_SYS(mmap),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(mprotect),
	SCMP_SYS(brk),
	SCMP_SYS(madvise),
	/* sockets: control, netlink, sd_notify */
	SCMP_SYS(socket),
	SCMP_SYS(bind),
	SCMP_SYS(connect),
	SCMP_SYS(accept),
	SCMP_SYS(accept4),
	SCMP_SYS(getsockname),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(shutdown),
	/* the event loop, time */
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(eventfd2),
	SCMP_SYS(pipe2),
	SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep),
	/* the process */
	SCMP_SYS(uname),
	SCMP_SYS(prlimit64),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(tgkill),
	SCMP_SYS(futex),
	SCMP_SYS(getrandom),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(sched_yield),
	/* maps, iterators, ct_control */
	SCMP_SYS(bpf),
};

int sandbox_check(void)
{
	static const char *const name[] = {"CAP_BPF", "CAP_NET_ADMIN", "CAP_NET_RAW",
					   "CAP_PERFMON"};
	unsigned int i;

	capng_get_caps_process();
	for (i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		if (capng_have_capability(CAPNG_EFFECTIVE, kept[i]))
			continue;
		log_fail("no privilege: %s is missing, must be run as root", name[i]);
		return -EPERM;
	}
	return 0;
}

static int drop_capabilities(void)
{
	unsigned int i, j;

	capng_clear(CAPNG_SELECT_BOTH);
	for (i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		for (j = 0; j < sizeof(held) / sizeof(held[0]); j++)
			if (capng_update(CAPNG_ADD, held[j], kept[i]))
				return -EINVAL;
	/* The bounding set goes too if a unit file has not taken CAP_SETPCAP already. */
	if (!capng_apply(CAPNG_SELECT_BOTH))
		return 0;
	return capng_apply(CAPNG_SELECT_CAPS) ? -EPERM : 0;
}

static int filter_syscalls(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	unsigned int i;
	int ret = 0;

	if (!ctx)
		return -ENOMEM;
	for (i = 0; i < sizeof(allowed) / sizeof(allowed[0]) && !ret; i++)
		ret = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	if (!ret)
		ret = seccomp_load(ctx);
	seccomp_release(ctx);
	return ret;
}

int sandbox_enter(void)
{
	int ret;

	ret = drop_capabilities();
	if (!ret && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		ret = -errno;
	if (!ret)
		ret = filter_syscalls();
	if (ret)
		log_fail("cannot drop privileges: %s", strerror(-ret));
	return ret;
}
