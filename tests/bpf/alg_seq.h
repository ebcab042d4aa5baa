/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_TESTS_ALG_SEQ_H
#define BPFCT_TESTS_ALG_SEQ_H

#include <linux/types.h>

/* How alg_seq.bpf.c is to treat a segment, and what came of it. */
struct seq_case {
	__u32 dir;
	__u32 gen;	/* of the connection's word, and of its key in ct_alg_v1 */
	__u32 redirect; /* device that the segment is to leave by; 0: none */
	/* out */
	__s32 verdict;
	__u32 ack; /* as the tracker will see it */
};

#endif
