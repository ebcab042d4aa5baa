/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_TESTS_OVS_HOOKS_H
#define BPFCT_TESTS_OVS_HOOKS_H

#include <linux/types.h>

/* As struct bpf_tunnel_key, which two headers of the kernel's define. */
struct ovs_hook_tunnel {
	__u32 id;
	__u8 remote[16]; /* IPv4: the first four, host order */
	__u8 tos, ttl;
	__be16 flags; /* TUNNEL_* */
	__u32 label;
	__u8 local[16];
};

struct ovs_hook {
	/* what the last redirection in a run of ovs_hooks.bpf.c asked for; 0: the packet ended */
	__u32 ifindex;
	/* what a tunnel device says of the packet, and what the run told one */
	__u32 family; /* 4, 6; 0: nothing is said */
	struct ovs_hook_tunnel in;
	struct ovs_hook_tunnel out;
	__u64 out_flags; /* BPF_F_* */
};

#endif
