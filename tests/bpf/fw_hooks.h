/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_TESTS_FW_HOOKS_H
#define BPFCT_TESTS_FW_HOOKS_H

#include <linux/types.h>

/* What a run of fw_hooks.bpf.c is given beside the packet, and what it leaves. */
struct hook_case {
	__u32 tc_index;	 /* as the packet carries it into the hook, and out of it */
	__u32 new_epoch; /* ctd raises the epoch while the FIB is looked up */
	__u32 fib_lookups;
};

#endif
