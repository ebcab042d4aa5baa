/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_FW_EXPLAIN_H
#define BPFCT_FW_EXPLAIN_H

#include "../../bpf/abi/ct_key.h"
#include "../../bpf/nat/nat_args.h"
#include "fw_abi.h"

/*
 * A packet that nobody sends, and what the firewall would do with it: the question
 * and the answer of fw_explain.bpf.c, in its .bss. Results are as in the datapath:
 * >= 0, or a drop reason (negative).
 */
struct fw_question {
	/* asked */
	struct ct_tuple tuple; /* as it arrives */
	__u8 pkt_flags;	       /* CT_PKT_* */
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 ttl;
	__u8 pad[3];
	/* its connection: word 0, there is none */
	__u64 word;
	__u32 dir;
	__s32 opens; /* may it open one? */
	/* what stops it before the rules */
	__s32 reverse;
	/* another destination: 1, 0 none, or a reason; dst_rule 0: by a binding */
	__s32 dst;
	__u32 dst_rule;
	struct ct_tuple seen; /* as route and rules see it */
	/* the way */
	__s32 fib; /* BPF_FIB_LKUP_RET_* */
	__u32 out_ifindex;
	__u32 mtu;
	__be32 gateway[4]; /* or the destination itself */
	__u32 aside;	   /* CT_ASIDE_* */
	__u32 redirected;  /* by TC, not by the stack */
	/* rules */
	__s32 in;
	__s32 out;
	struct fw_verdict in_by;
	struct fw_verdict out_by;
	/* another source: 1, 0 none, or a reason */
	__s32 src;
	__u32 src_rule;
	__u32 src_flags; /* FW_N_* of it */
	struct ct_nat_args nat;
};

#endif
