/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTCTL_NFCT_EXPECT_H
#define BPFCT_CTCTL_NFCT_EXPECT_H

#include <json-c/json.h>

#include "../lib/pins.h"

/* One expectation, and the moment it is looked at. */
struct expect_view {
	struct ct_tuple key;
	struct ct_expect x;
	uint32_t left; /* seconds until its time-out */
};

void expect_view_fill(struct expect_view *v, const struct ct_tuple *key, const struct ct_expect *x,
		      const struct bpfct_pins *p, uint32_t now);

/* Netfilter's name of a helper (enum alg_helper), NULL: none. */
const char *expect_helper(uint8_t helper);

/* The line of conntrack(8), without its end, by libnetfilter_conntrack. type: NFCT_T_*. The
 * length, 0: no memory. */
size_t expect_text(char *buf, size_t len, const struct expect_view *v, unsigned int type, bool xml,
		   bool when);

struct json_object *expect_json(const struct expect_view *v);

/* All that are not claimed yet. fn's non-zero ends the walk and is returned; -errno. */
typedef int (*expect_fn)(const struct expect_view *v, void *arg);
int expect_walk(struct bpfct_pins *p, expect_fn fn, void *arg);

/* Bytes as the control socket takes them. */
struct json_object *expect_hex(const void *data, size_t len);

#endif
