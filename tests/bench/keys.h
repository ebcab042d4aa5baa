/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef TESTS_BENCH_KEYS_H
#define TESTS_BENCH_KEYS_H

#include <linux/types.h>

/* The one global of keys.bpf.c. */
struct keys_state {
	__u32 flows;  /* connections in the map */
	__u32 todo;   /* steps of the next run */
	__u32 at;     /* insert: next connection; look-up: where the chase stands */
	__u32 missed; /* look-ups that found nothing, inserts that failed: must stay 0 */
	__u64 ns;     /* sum of the runs' times */
};

#endif
