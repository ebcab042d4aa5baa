/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_TESTS_CT_PACKETS_H
#define BPFCT_TESTS_CT_PACKETS_H

#include <linux/types.h>

#include "../../bpf/nat/nat_args.h"

/* How ct_packets.bpf.c is to treat a packet, and what came of it. */
struct pkt_case {
	__u32 l2;
	__u32 zone;
	__u32 commit; /* 1: a packet that is NEW, 2: any (mark and label) */
	__u32 which;  /* CT_XLATE_* */
	struct ct_nat_args nat;
	__u32 mark;
	__u32 label[4];
	__u8 set_mark;
	__u8 set_label;
	__u8 inside;
	__u8 local;
	__u8 inbound; /* look for a binding of the destination */
	__u8 pad[7];
	/* out */
	__s32 verdict; /* of ct_lookup, or the first negative one of any stage */
	__u32 flags;   /* ct_pkt.flags */
	__u64 word;
	__u32 result_mark;
	__u8 state;
	__u8 dir;
	__u8 translate;
	__u8 fresh;
};

#endif
