/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_LIB_SWEEP_H
#define BPFCT_LIB_SWEEP_H

#include "loader.h"

/*
 * Expiry. Programs in the kernel judge and delete; user space only says when: ctd for its
 * instance, a thread of vswitchd for Open vSwitch's. Two rounds run beside each other, and each
 * keeps under a twentieth of one CPU, so that over large tables it takes longer:
 *
 *  - the regular pass, begun every second: it looks at those records whose slots in rings, clock
 *    and grave say that their time has come (bpf/ct/ct_sweep.h);
 *  - the whole walk, begun every minute and when the grave did not hold all the dead: over all
 *    records and stubs, for what no slot names and what a lost race left.
 */
struct bpfct_sweep_stats {
	uint64_t passes;
	double last_cpu_s;  /* CPU time of the last one as a whole */
	double last_wall_s; /* from its begin to its end */
};

struct bpfct_sweep;

/* What ends a walk before its time: errno, and the number of the walk in its round. */
typedef void bpfct_sweep_fault(void *arg, unsigned int walk, int err);

/* Both rounds are due at once. NULL: no memory. One thread's, as long as `core` is loaded. */
struct bpfct_sweep *bpfct_sweep_new(struct bpfct_core *core, bpfct_sweep_fault *fault, void *arg);
void bpfct_sweep_free(struct bpfct_sweep *s);

/* Goes on with what is due, a stretch at most. How many seconds the caller should let pass
 * before the next call; after fewer the call does nothing. */
double bpfct_sweep_run(struct bpfct_sweep *s);

const struct bpfct_sweep_stats *bpfct_sweep_pass(const struct bpfct_sweep *s);
const struct bpfct_sweep_stats *bpfct_sweep_whole(const struct bpfct_sweep *s);

#endif
