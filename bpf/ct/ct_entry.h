/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CT_ENTRY_H
#define BPFCT_CT_ENTRY_H

#include "../lib/ct_siphash.h"
#include "ct_maps.h"

/*
 * What the two families' entries have in common, by either's key: record, stub, slot.
 * Each returns NULL for nothing there. A key for a map stands on the caller's stack or
 * in a work area (Linux 6.1 takes no argument of a global function for one).
 */

static __always_inline int ct_key_same(const union ct_key *a, const union ct_key *b, __u8 family)
{
	const __u32 *x = (const __u32 *)a, *y = (const __u32 *)b;
	__u32 diff = 0, i;

#pragma unroll
	for (i = 0; i < (family == 4 ? sizeof(struct ct_key4) : sizeof(struct ct_key6)) / 4; i++)
		diff |= x[i] ^ y[i];
	return !diff;
}

static __always_inline struct ct_conn *ct_conn_at(const union ct_key *key, __u8 family)
{
	if (family == 4)
		return bpf_map_lookup_elem(&ct_conn4_v1, &key->k4);
	return bpf_map_lookup_elem(&ct_conn6_v1, &key->k6);
}

/* &p->s, or NULL. The verifier wants the question before the sum, clang not always. */
#define CT_ENTRY_TAIL(p)                                                                           \
	({                                                                                         \
		if (!(p))                                                                          \
			return NULL;                                                               \
		asm volatile("" : "+r"(p));                                                        \
		&(p)->s;                                                                           \
	})

/*
 * Where the stub of an IPv6 tuple lies: 8 bytes in place of 40. A stub is believed only when
 * its record's own reply tuple is the one asked for, so what two tuples of one hash cost is
 * that the second counts as taken. A global function: many ask.
 */
__noinline __u64 ct_stub6_hash(const struct ct_key6 *tuple)
{
	const struct ct_settings *set = ct_settings();

	return tuple && set ? ct_key6_siphash(set->secret, tuple) : 0;
}

/* The stub under a reply tuple's key; *conn (may be NULL) is the key that it leads to. *at
 * is the caller's: IPv6's hash, left there, as a key for a map. */
static __always_inline struct ct_stub *ct_stub_at(const union ct_key *skey, __u64 *at,
						  union ct_key *conn, __u8 family)
{
	if (family == 4) {
		struct ct_stub4 *s = bpf_map_lookup_elem(&ct_stub4_v1, &skey->k4);

		if (s && conn)
			conn->k4 = s->conn;
		return CT_ENTRY_TAIL(s);
	} else {
		struct ct_stub6 *s;

		*at = ct_stub6_hash(&skey->k6);
		s = bpf_map_lookup_elem(&ct_stub6_v1, at);
		if (s && conn)
			conn->k6 = s->conn;
		return CT_ENTRY_TAIL(s);
	}
}

/* The key that a stub which lies in a ct_stub4 or ct_stub6 leads to. */
static __always_inline const union ct_key *ct_stub_conn(const struct ct_stub *s, __u8 family)
{
	if (family == 4)
		return (const void *)s - offsetof(struct ct_stub4, s);
	return (const void *)s - offsetof(struct ct_stub6, s);
}

/* A slot that lies in a ct_slot4 or ct_slot6. */
static __always_inline struct ct_slot4 *ct_slot4_of(struct ct_slot *s)
{
	return (void *)s - offsetof(struct ct_slot4, s);
}

static __always_inline struct ct_slot6 *ct_slot6_of(struct ct_slot *s)
{
	return (void *)s - offsetof(struct ct_slot6, s);
}

#define CT_SLOT_AT(name)                                                                           \
	static __always_inline struct ct_slot *name##_at(const __u32 *at, __u8 family)             \
	{                                                                                          \
		if (family == 4) {                                                                 \
			struct ct_slot4 *s = bpf_map_lookup_elem(&name##4_v1, at);                 \
                                                                                                   \
			return CT_ENTRY_TAIL(s);                                                   \
		} else {                                                                           \
			struct ct_slot6 *s = bpf_map_lookup_elem(&name##6_v1, at);                 \
                                                                                                   \
			return CT_ENTRY_TAIL(s);                                                   \
		}                                                                                  \
	}
CT_SLOT_AT(ct_half)
CT_SLOT_AT(ct_clock)
CT_SLOT_AT(ct_grave)

static __always_inline void ct_slot_key(struct ct_slot *s, union ct_key *key, __u8 family)
{
	if (family == 4)
		key->k4 = ct_slot4_of(s)->key;
	else
		key->k6 = ct_slot6_of(s)->key;
}

/* The generation last: who sees it finds the rest. */
static __always_inline void ct_slot_set(struct ct_slot *s, const union ct_key *key, __u32 gen,
					__u32 now, __u8 family)
{
	if (family == 4)
		ct_slot4_of(s)->key = key->k4;
	else
		ct_slot6_of(s)->key = key->k6;
	s->born = now;
	*(volatile __u32 *)&s->gen = gen;
}

#endif
