/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CT_DUMP_H
#define BPFCT_CT_DUMP_H

#include "ct_life.h"

/*
 * What is printed is one connection, never two halves. A walk may be preempted between
 * key and value for longer than a dead node rests: so after the copy the key is compared
 * once more, and then the word. A node is DEAD before it changes hands: is it not, and
 * of the same generation, then the key was this life's. Others are left out.
 */
static __always_inline int ct_dump_whole(const void *at, const union ct_key *key,
					 const struct ct_conn *conn, __u64 word, __u8 family)
{
	__u64 now;

	asm volatile("" : : : "memory");
	if (!ct_key_same(at, key, family))
		return 0;
	now = ct_word(conn);
	return ct_w_gen(now) == ct_w_gen(word) && ct_w_life(now) != CT_LIFE_DEAD;
}

#endif
