/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTCTL_NFCT_TEXT_H
#define BPFCT_CTCTL_NFCT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/text_flow.h"

struct nf_conntrack;
struct nfct_labelmap;

/* How a flow is printed through libnetfilter_conntrack. */
struct nfct_style {
	bool xml;
	bool when;		   /* XML: <when> of the event */
	struct nfct_labelmap *map; /* NULL: no label names */
};

/* The flow as libnetfilter_conntrack's object, by way of a netlink message, as
 * its setters ignore counters, use and timestamps. NULL if out of memory; the
 * caller gives it to nfct_destroy(). */
struct nf_conntrack *nfct_from_view(const struct ct_view *v, unsigned int show);

/* One line without newline, as conntrack(8) 1.4.7 prints it; 0 on failure. */
size_t nfct_flow_text(char *buf, size_t len, const struct ct_view *v, unsigned int show,
		      const struct nfct_style *style);

#endif
