/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What the tests of the port space have in common. */
#ifndef BPFCT_TEST_NAT_ALLOC_H
#define BPFCT_TEST_NAT_ALLOC_H

#include "../../userspace/lib/nat_alloc.h"

/* xorshift64*: fixed seeds, so that a failure comes again. */
static uint32_t next_random(void *arg)
{
	uint64_t *x = arg;

	*x ^= *x >> 12;
	*x ^= *x << 25;
	*x ^= *x >> 27;
	return (*x * 0x2545f4914f6cdd1dull) >> 32;
}

static uint64_t seed;

static struct nat_alloc_conf conf_of(uint16_t min, uint16_t max, bool one_owner)
{
	seed = 0x9e3779b97f4a7c15ull;
	return (struct nat_alloc_conf){.port_min = min,
				       .port_max = max,
				       .one_owner = one_owner,
				       .hold = 100,
				       .grace = 8,
				       .random = next_random,
				       .random_arg = &seed};
}

static uint32_t word(uint16_t uses, uint32_t released)
{
	return uses | (released & 0xfff) << 20;
}

#endif
