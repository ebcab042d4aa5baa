/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CT_WORK_H
#define BPFCT_CT_WORK_H

#include "ct_maps.h"
#include "ct_result.h"

/* Per-CPU working area of entry programs. Not live across bpf_clone_redirect():
 * the target's egress program would run inside and use it too. */
CT_SCRATCH_FITS(struct ct_work);

static __always_inline struct ct_work *ct_work(void)
{
	return ct_scratch(CT_SCRATCH_WORK);
}

#endif
