/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_TESTS_RACE_H
#define BPFCT_TESTS_RACE_H

#include <stdbool.h>

#include "tests/bpf/ct_race.h"
#include "userspace/lib/loader.h"

/* Runs a race of two CPUs (ct_race.bpf.c), then holds the tables against the
 * invariants of DESIGN 3 and the events against each other. For cmocka tests. */

extern struct bpfct_core race_core;
extern uint32_t race_hz;
extern int race_out_fd; /* of struct race_out */

/* A test: what each CPU does step by step, and what to look at between batches. */
struct race_test {
	uint32_t proto;
	uint32_t jitter;
	uint32_t steps;
	struct race_op op[2][RACE_STEPS];
	bool exact; /* every packet passed is counted in some DESTROY */
	void (*between)(int family);
};

/* The rounds of one family (4, 6), half of each on each CPU. */
void run_race(const struct race_test *t, int family);

int race_set_up(void **state);
int race_tear_down(void **state);

#endif
