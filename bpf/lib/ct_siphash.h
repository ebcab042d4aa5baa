/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_LIB_CT_SIPHASH_H
#define BPFCT_LIB_CT_SIPHASH_H

#include "../abi/ct_key.h"

/*
 * SipHash-1-3 (Aumasson and Bernstein; one round a word, three to finish) of an IPv6
 * key, under the instance's secret: the key of its stub (ct_stub6). Without the secret
 * nobody finds two tuples of one hash, nor a second for another's.
 */
struct ct_sip {
	__u64 a, b, c, d;
};

#define CT_SIP_ROTATE(x, n) ((x) << (n) | (x) >> (64 - (n)))

static inline __attribute__((always_inline)) void ct_sip_round(struct ct_sip *v)
{
	v->a += v->b;
	v->c += v->d;
	v->b = CT_SIP_ROTATE(v->b, 13) ^ v->a;
	v->d = CT_SIP_ROTATE(v->d, 16) ^ v->c;
	v->a = CT_SIP_ROTATE(v->a, 32);
	v->c += v->b;
	v->a += v->d;
	v->b = CT_SIP_ROTATE(v->b, 17) ^ v->c;
	v->d = CT_SIP_ROTATE(v->d, 21) ^ v->a;
	v->c = CT_SIP_ROTATE(v->c, 32);
}

static inline __attribute__((always_inline)) void ct_sip_word(struct ct_sip *v, __u32 low,
							      __u32 high)
{
	__u64 word = (__u64)high << 32 | low;

	v->d ^= word;
	ct_sip_round(v);
	v->a ^= word;
}

static inline __attribute__((always_inline)) __u64 ct_key6_siphash(const __u64 secret[2],
								   const struct ct_key6 *k)
{
	struct ct_sip v = {secret[0] ^ 0x736f6d6570736575ULL, secret[1] ^ 0x646f72616e646f6dULL,
			   secret[0] ^ 0x6c7967656e657261ULL, secret[1] ^ 0x7465646279746573ULL};

	ct_sip_word(&v, k->addr[0][0], k->addr[0][1]);
	ct_sip_word(&v, k->addr[0][2], k->addr[0][3]);
	ct_sip_word(&v, k->addr[1][0], k->addr[1][1]);
	ct_sip_word(&v, k->addr[1][2], k->addr[1][3]);
	ct_sip_word(&v, k->port[0] | (__u32)k->port[1] << 16,
		    k->zone | (__u32)k->proto << 16 | (__u32)k->pad << 24);
	ct_sip_word(&v, 0, (__u32)sizeof(*k) << 24); /* the length, as the last byte */
	v.c ^= 0xff;
	ct_sip_round(&v);
	ct_sip_round(&v);
	ct_sip_round(&v);
	return v.a ^ v.b ^ v.c ^ v.d;
}

#endif
