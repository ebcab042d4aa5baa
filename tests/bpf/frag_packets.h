/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_TESTS_FRAG_PACKETS_H
#define BPFCT_TESTS_FRAG_PACKETS_H

#include <linux/types.h>

#include "../../bpf/nat/nat_args.h"

/* How frag_packets.bpf.c is to treat a packet, and what came of it. */
struct frag_case {
	struct ct_nat_args nat;
	__u32 side;
	__u32 out;    /* device by which all fragments but the last leave */
	__u32 flags;  /* of frag_release() */
	__u32 note;   /* left with a datagram that goes up the stack */
	__u32 helper; /* of a new connection; its payload is taken */
	/* out */
	__s32 verdict; /* FRAG_*, or the first negative one of any stage */
	__u32 back;    /* the note of a fragment that has come back */
};

#endif
