// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * What ctd does for its instance and nobody else would do for ours: the kernel's walks over
 * connections, stubs, bindings and held fragments begin when somebody reads their iterators. A
 * record whose time is over is dead to packets in any case, so a vswitchd that is away costs room
 * only.
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

VLOG_DEFINE_THIS_MODULE(dpif_bpf_keep);

#define PERIOD_MS 500
#define CPU_SHARE 0.05 /* of one CPU, at most: a large table's walk is stretched */

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

	return poll(&p, 1, secs * 1000) != 0;
}

/* One walk, a stretch at a time: the program writes now and then so that we get the CPU back. */
static bool walk(struct dp_bpf *dp, unsigned int table)
{
	static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, 5);
	int fd = bpf_iter_create(bpf_link__fd(dp->core.sweep[table]));
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
		VLOG_ERR_RL(&rl, "%s: sweep %u: %s", dp->name, table, ovs_strerror(errno));
	if (fd >= 0)
		close(fd);
	return stop;
}

/* Buckets cost time though they are empty. Of what has no count: every 8 s. */
static bool empty(const struct dp_bpf *dp, unsigned int table, unsigned int pass)
{
	const struct ct_table *t = &dp->core.pins.table[table & 1];

	if (table == BPFCT_SWEEPS)
		return !__atomic_load_n(&dp->core.pins.frag->use.datagrams, __ATOMIC_RELAXED);
	if (table < 4)
		return !__atomic_load_n(table < 2 ? &t->nodes : &t->stubs, __ATOMIC_RELAXED);
	return pass % 16;
}

static void *keep(void *arg)
{
	struct dp_bpf *dp = arg;

	ovsrcu_quiesce_start(); /* nothing here is protected by RCU */
	for (unsigned int pass = 0; !rest(dp, PERIOD_MS / 1000.0); pass++)
		for (unsigned int table = 0; table < BPFCT_LINKS; table++)
			if ((table == BPFCT_SWEEPS || !(pass & 1)) && !empty(dp, table, pass) &&
			    walk(dp, table))
				return NULL;
	return NULL;
}

int dp_bpf_keep_start(struct dp_bpf *dp)
{
	if (pipe2(dp->keeper_stop, O_CLOEXEC))
		return errno;
	dp->keeper = ovs_thread_create("bpf_keeper", keep, dp);
	dp->keeper_runs = true;
	return 0;
}

void dp_bpf_keep_stop(struct dp_bpf *dp)
{
	if (!dp->keeper_runs)
		return;
	close(dp->keeper_stop[1]);
	xpthread_join(dp->keeper, NULL);
	close(dp->keeper_stop[0]);
	dp->keeper_runs = false;
}
