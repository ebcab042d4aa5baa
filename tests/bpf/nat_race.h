/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_TESTS_NAT_RACE_H
#define BPFCT_TESTS_NAT_RACE_H

#include <linux/types.h>

/* What nat_race.bpf.c is to do in one run, and what came of it; one a CPU. */
struct nat_race {
	__u32 pool;
	__u32 rounds;
	__u64 taken;
	__u64 empty;
	__u64 twice;  /* took a port that was taken */
	__u64 differ; /* `bind`: one endpoint, two ports */
	__u64 failed; /* `bind`: refused */
};

/* Word of nat_owner_v1: 0: ctd's, else who has taken it. */
#define NAT_RACE_PORTS 65536

#endif
