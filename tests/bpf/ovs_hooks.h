/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_TESTS_OVS_HOOKS_H
#define BPFCT_TESTS_OVS_HOOKS_H

#include <linux/types.h>

/* What the last redirection in a run of ovs_hooks.bpf.c asked for; 0: the packet ended. */
struct ovs_hook {
	__u32 ifindex;
	__u32 flags;
};

#endif
