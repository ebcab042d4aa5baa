/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_LIB_NFCT_EXPORT_H
#define BPFCT_LIB_NFCT_EXPORT_H

#include "pins.h"

/* The way back: live records become entries of the kernel's nf_conntrack. */
struct nfct_exported {
	uint32_t flows;	   /* entered */
	uint32_t replaced; /* of these: in place of an entry of the same original tuple */
	uint32_t failed;   /* refused by the kernel */
	int first;	   /* -errno of the first that failed */
};

/*
 * Enters every live record into nf_conntrack of the caller's network namespace,
 * translated as here. Rules that track (ct state, a nat chain) must be in force there, else
 * the entries are there and no packet is asked of them. Loopback is left out. A kernel
 * without marks or labels gets the rest. 0, or -errno: nothing could be asked.
 */
int nfct_export(struct bpfct_pins *p, struct nfct_exported *out);

#endif
