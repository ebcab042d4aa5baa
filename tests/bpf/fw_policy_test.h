/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_TESTS_FW_POLICY_TEST_H
#define BPFCT_TESTS_FW_POLICY_TEST_H

#include <linux/types.h>

#include "../../bpf/nat/nat_args.h"
#include "../../consumers/firewall/fw_abi.h"

/* Question and answer of one run of fw_policy_test.bpf.c. */
struct fwt_case {
	__u32 in_ifindex;
	__u32 out_ifindex;
	__u32 dir;
	__u32 to_self;
	__u32 kind; /* FW_NAT_DST: fw_nat_dst is asked, else fw_nat */
	__u32 inside;
	__u32 hairpin;
	__s32 parsed; /* of ct_parse */
	__s32 judged; /* of fw_judge */
	struct fw_verdict verdict;
	__s32 nat; /* of fw_nat */
	struct ct_nat_args args;
	/* how often fw_judge said what, over repeated runs */
	__u32 runs;
	__u32 wrong; /* neither rule 1 nor rule `last`, passed */
	__u32 last;
	__u32 first_seen;
	__u32 last_seen;
};

#endif
