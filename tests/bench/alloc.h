/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_BENCH_ALLOC_H
#define BPFCT_BENCH_ALLOC_H

#include <linux/types.h>

/* What alloc.bpf.c is to do in a run, and how long it took; one a CPU. */
struct alloc_run {
	__u32 pool;
	__u32 takes;
	__u32 serial; /* `claim`: of the next tuple */
	__u32 pad;
	__u64 taken;
	__u64 ns;
	__u64 pad2[4]; /* a cache line a CPU */
};

#endif
