/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_SWEEP_H
#define BPFCT_CTD_SWEEP_H

#include "ctd.h"

/*
 * Expiry. Programs in the kernel judge and delete; ctd only says when. Two rounds run beside
 * each other, and each keeps under a twentieth of one CPU, so that over large tables it
 * takes longer:
 *
 *  - the regular pass, begun every second: it looks at those records whose slots in rings, clock
 *    and grave say that their time has come (bpf/ct/ct_sweep.h);
 *  - the whole walk, begun every minute and when the grave did not hold all the dead: over all
 *    records and stubs, for what no slot names and what a lost race left.
 */
struct sweep_stats {
	uint64_t passes;
	double last_cpu_s;  /* CPU time of the last one as a whole */
	double last_wall_s; /* from its begin to its end */
};

int sweep_start(struct ctd *d);
void sweep_stop(struct ctd *d);
const struct sweep_stats *sweep_stats(const struct ctd *d);
const struct sweep_stats *sweep_whole_stats(const struct ctd *d);

#endif
