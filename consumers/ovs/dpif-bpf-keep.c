// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * What ctd does for its instance and nobody else would do for ours: what ends expired
 * connections (userspace/lib/sweep.h) and held fragments runs in the kernel, when somebody asks for
 * it. A record whose time is over is dead to packets in any case, so a vswitchd that is away costs
 * room only.
 */
#include "dpif-bpf.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "openvswitch/vlog.h"
#include "ovs-rcu.h"
#include "userspace/lib/sweep.h"

VLOG_DEFINE_THIS_MODULE(dpif_bpf_keep);

#define FRAGMENTS_PERIOD 0.5  /* s */
#define CPU_SHARE	 0.05 /* of one CPU, at most: a large table's walk is stretched */

static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, 5);

static double now_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* True: told to stop. */
static bool rest(struct dp_bpf *dp, double secs)
{
	struct pollfd p = {.fd = dp->keeper_stop[0], .events = POLLIN};

	return poll(&p, 1, secs * 1000 + 0.999) != 0; /* not too early */
}

/* The walk over held fragments, a stretch at a time: the program writes now and then so that we get
 * the CPU back. */
static bool walk_fragments(struct dp_bpf *dp)
{
	int fd = bpf_iter_create(bpf_link__fd(dp->core.sweep[BPFCT_SWEEPS]));
	char buf[sizeof(struct frag_expired)];
	bool stop = false;
	double cpu;
	ssize_t n;

	while (fd >= 0 && !stop) {
		cpu = cpu_seconds();
		n = read(fd, buf, sizeof(buf));
		if (!n || (n < 0 && errno != EAGAIN && errno != EINTR))
			break;
		stop = rest(dp, (cpu_seconds() - cpu) / CPU_SHARE);
	}
	if (fd < 0 || (!stop && n < 0))
		VLOG_ERR_RL(&rl, "%s: sweep of fragments: %s", dp->name, ovs_strerror(errno));
	if (fd >= 0)
		close(fd);
	return stop;
}

/* Buckets cost time though they are empty. */
static bool holds_fragments(const struct dp_bpf *dp)
{
	return __atomic_load_n(&dp->core.pins.frag->use.datagrams, __ATOMIC_RELAXED);
}

static void fault(void *arg, unsigned int walk, int err)
{
	const struct dp_bpf *dp = arg;

	VLOG_ERR_RL(&rl, "%s: sweep %u: %s", dp->name, walk, ovs_strerror(err));
}

static void *keep(void *arg)
{
	struct dp_bpf *dp = arg;
	double now, connections = 0, fragments = 0; /* when it is their turn */

	ovsrcu_quiesce_start(); /* nothing here is protected by RCU */
	do {
		now = now_seconds();
		if (now >= connections)
			connections = now + bpfct_sweep_run(dp->sweep);
		if (now >= fragments) {
			if (holds_fragments(dp) && walk_fragments(dp))
				break;
			fragments = now_seconds() + FRAGMENTS_PERIOD;
		}
		now = now_seconds();
	} while (!rest(dp, MAX(0, MIN(connections, fragments) - now)));
	return NULL;
}

int dp_bpf_keep_start(struct dp_bpf *dp)
{
	dp->sweep = bpfct_sweep_new(&dp->core, fault, dp);
	if (!dp->sweep)
		return ENOMEM;
	if (pipe2(dp->keeper_stop, O_CLOEXEC))
		return errno;
	dp->keeper = ovs_thread_create("bpf_keeper", keep, dp);
	dp->keeper_runs = true;
	return 0;
}

void dp_bpf_keep_stop(struct dp_bpf *dp)
{
	if (dp->keeper_runs) {
		close(dp->keeper_stop[1]);
		xpthread_join(dp->keeper, NULL);
		close(dp->keeper_stop[0]);
	}
	dp->keeper_runs = false;
	bpfct_sweep_free(dp->sweep);
	dp->sweep = NULL;
}
