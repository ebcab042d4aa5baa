/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_LIB_CTX_TC_H
#define BPFCT_LIB_CTX_TC_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

/*
 * Context accessors, TC flavour. An entry program includes this or ctx_xdp.h
 * before any stage; stages use only these names. The checksum helpers keep
 * CHECKSUM_PARTIAL and CHECKSUM_COMPLETE true, which direct writes do not.
 */
#define ct_ctx __sk_buff

/* What __sk_buff does not show, by the kernel's own BTF. */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct sk_buff___csum {
	unsigned char ip_summed : 2;
};
#pragma clang attribute pop

/* Linux 6.2; a call that no kernel function answers is not reached and not verified. */
extern void *bpf_cast_to_kern_ctx(void *ctx) __ksym __weak;

static __always_inline void *ctx_data(struct ct_ctx *ctx)
{
	return (void *)(long)ctx->data;
}

static __always_inline void *ctx_data_end(struct ct_ctx *ctx)
{
	return (void *)(long)ctx->data_end;
}

/* Bytes of the whole packet, paged parts and GSO included. */
static __always_inline __u32 ctx_len(struct ct_ctx *ctx)
{
	return ctx->len;
}

/* Bytes that are directly readable. The barrier keeps the compiler from
 * subtracting pointers in 32 bits, which the verifier refuses. */
static __always_inline __u32 ctx_linear(struct ct_ctx *ctx)
{
	__u64 n = ctx_data_end(ctx) - ctx_data(ctx);

	asm volatile("" : "+r"(n));
	return n;
}

/* The interface whose hook this is. */
static __always_inline __u32 ctx_ifindex(struct ct_ctx *ctx)
{
	return ctx->ifindex;
}

/* Makes the first len bytes directly readable. Invalidates data pointers. */
static __always_inline int ctx_pull(struct ct_ctx *ctx, __u32 len)
{
	return bpf_skb_pull_data(ctx, len);
}

/* A length of 1 to 64 in a form whose bounds every verifier since 6.1 follows. */
static __always_inline __u64 ctx_bound64(__u64 n)
{
	n -= 1;
	asm volatile("" : "+r"(n));
	n &= 63;
	asm volatile("" : "+r"(n));
	return n + 1;
}

static __always_inline int ctx_load(struct ct_ctx *ctx, __u32 off, void *to, __u32 len)
{
	return bpf_skb_load_bytes(ctx, off, to, len);
}

static __always_inline int ctx_store(struct ct_ctx *ctx, __u32 off, const void *from, __u32 len)
{
	return bpf_skb_store_bytes(ctx, off, from, len, 0);
}

/* IPv4 header checksum at off; from and to are the changed word, 4 bytes. */
static __always_inline int ctx_csum_l3(struct ct_ctx *ctx, __u32 off, __be32 from, __be32 to)
{
	return bpf_l3_csum_replace(ctx, off, from, to, 4);
}

/*
 * Transport checksum at off. diff is bpf_csum_diff() of what changed; pseudo
 * says that it is part of the pseudo header (addresses); udp keeps 0 as "none".
 */
static __always_inline int ctx_csum_l4(struct ct_ctx *ctx, __u32 off, __s64 diff, int pseudo,
				       int udp)
{
	return bpf_l4_csum_replace(ctx, off, 0, diff,
				   (pseudo ? BPF_F_PSEUDO_HDR : 0) |
					   (udp ? BPF_F_MARK_MANGLED_0 : 0));
}

/* Is the packet's checksum nothing but the field, so that writing there is all that a change
 * takes? Then ctx_csum_l4() can be done without; its returns cost more than the sum. */
static __always_inline int ctx_csum_plain(struct ct_ctx *ctx)
{
	struct sk_buff___csum *skb;

	if (!bpf_cast_to_kern_ctx)
		return 0;
	skb = bpf_cast_to_kern_ctx(ctx);
	return BPF_CORE_READ_BITFIELD(skb, ip_summed) < 2; /* NONE, UNNECESSARY */
}

/*
 * The sum of the whole packet, where the network card gave one (CHECKSUM_COMPLETE):
 * diff is what changed in it and is not taken back by a checksum inside it. An IPv4
 * header's own checksum takes back each change of that header, a transport's
 * checksum each change that it covers; IPv6 has none of the first kind. In a
 * transport checksum's pseudo header ctx_csum_l4() reckons with IPv4's, so that for
 * IPv6 the addresses' difference has to be added here afterwards.
 */
static __always_inline void ctx_csum_whole(struct ct_ctx *ctx, __u32 diff)
{
	bpf_csum_update(ctx, diff);
}

#endif
