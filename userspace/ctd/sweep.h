/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_SWEEP_H
#define BPFCT_CTD_SWEEP_H

#include "ctd.h"

/*
 * Expiry. The kernel walks the tables (iterator programs judge and delete); ctd
 * only says when: a pass begins every second, and the walk as a whole stays
 * under a twentieth of one CPU, so passes over large tables take longer.
 */
struct sweep_stats {
	uint64_t passes;
	double last_cpu_s;  /* CPU time of the last whole pass */
	double last_wall_s; /* from its begin to its end */
};

int sweep_start(struct ctd *d);
void sweep_stop(struct ctd *d);
const struct sweep_stats *sweep_stats(const struct ctd *d);

#endif
