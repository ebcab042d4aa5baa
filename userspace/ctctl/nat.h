/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTCTL_NAT_H
#define BPFCT_CTCTL_NAT_H

#include "../lib/nat_maps.h"
#include "ctctl.h"

/* What the maps say of one pool. */
struct nat_counts {
	uint32_t size;
	uint32_t leased; /* ports that lie in its rings */
	uint32_t used;	 /* ports with a use */
	uint32_t held;	 /* ... whose last use ended less than the hold-down ago */
	uint32_t reserved;
	uint64_t tuples; /* connections that hold one of its ports */
	uint64_t refused;
	uint64_t lost;
	uint64_t path[NAT_PATH_SLOTS];
};

/* now: ticks / 8, as in nat_use_v1. */
void nat_pool_count(const struct nat_maps *m, uint32_t index, uint32_t now, struct nat_counts *out);

/* The pins and the arrays, or one line on err why not. */
int nat_open(struct ctctl *c, struct bpfct_pins *p, struct nat_maps *m);
void nat_close(struct bpfct_pins *p, struct nat_maps *m);

const char *nat_class_text(unsigned int class);
const char *nat_path_text(unsigned int path);
const char *nat_addr_text(int family, const __be32 *addr, char *buf, size_t len);

#endif
