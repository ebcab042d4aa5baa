/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_ABI_CT_SWEEP_H
#define BPFCT_ABI_CT_SWEEP_H

#include <linux/types.h>

/*
 * Context of SEC("syscall") ct_sweep_listed: a stretch of the regular pass over what lists a
 * family's records (half-open rings, clock, grave; ct_half.h). A pass begins with zeroes and
 * the family; the program is run again with what it left, until more is 0.
 */
struct ct_sweep_req {
	__u32 family; /* 4 or 6 */
	__u32 at;     /* where it goes on */
	__u32 looks;  /* records that were looked at in this stretch */
	__u32 more;   /* the pass is not at its end */
};
_Static_assert(sizeof(struct ct_sweep_req) == 16, "ct_sweep_req");

#endif
