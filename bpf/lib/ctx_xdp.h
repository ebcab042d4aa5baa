/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_LIB_CTX_XDP_H
#define BPFCT_LIB_CTX_XDP_H

#include <linux/bpf.h>
#include <linux/errno.h>
#include <bpf/bpf_helpers.h>

/* Context accessors, XDP flavour; see ctx_tc.h. */
#define ct_ctx xdp_md

static __always_inline void *ctx_data(struct ct_ctx *ctx)
{
	return (void *)(long)ctx->data;
}

static __always_inline void *ctx_data_end(struct ct_ctx *ctx)
{
	return (void *)(long)ctx->data_end;
}

/* The barrier keeps the compiler from subtracting pointers in 32 bits, which the
 * verifier refuses. */
static __always_inline __u32 ctx_linear(struct ct_ctx *ctx)
{
	__u64 n = ctx_data_end(ctx) - ctx_data(ctx);

	asm volatile("" : "+r"(n));
	return n;
}

static __always_inline __u32 ctx_len(struct ct_ctx *ctx)
{
	return ctx_linear(ctx);
}

/* The interface whose hook this is. */
static __always_inline __u32 ctx_ifindex(struct ct_ctx *ctx)
{
	return ctx->ingress_ifindex;
}

/* XDP frames are linear where we look. */
static __always_inline int ctx_pull(struct ct_ctx *ctx, __u32 len)
{
	return ctx_linear(ctx) >= len ? 0 : -ENOMEM;
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
	return bpf_xdp_load_bytes(ctx, off, to, len);
}

static __always_inline int ctx_store(struct ct_ctx *ctx, __u32 off, const void *from, __u32 len)
{
	return bpf_xdp_store_bytes(ctx, off, (void *)from, len);
}

/* Adds a one's complement difference to the checksum field at off (RFC 1624). */
static __always_inline int ctx_csum_add(struct ct_ctx *ctx, __u32 off, __u64 diff, int udp)
{
	__u16 field;
	__u64 sum;
	int i;

	if (bpf_xdp_load_bytes(ctx, off, &field, sizeof(field)))
		return -EFAULT;
	if (udp && !field)
		return 0;
	sum = (__u16)~field + (diff & 0xffffffff);
	for (i = 0; i < 4; i++)
		sum = (sum & 0xffff) + (sum >> 16);
	field = ~(__u16)sum;
	if (udp && !field)
		field = 0xffff;
	return bpf_xdp_store_bytes(ctx, off, &field, sizeof(field));
}

static __always_inline int ctx_csum_l3(struct ct_ctx *ctx, __u32 off, __be32 from, __be32 to)
{
	__s64 diff = bpf_csum_diff(&from, sizeof(from), &to, sizeof(to), 0);

	return ctx_csum_add(ctx, off, diff, 0);
}

/* An XDP frame never carries CHECKSUM_PARTIAL, so pseudo needs no care. */
static __always_inline int ctx_csum_l4(struct ct_ctx *ctx, __u32 off, __s64 diff, int pseudo,
				       int udp)
{
	return ctx_csum_add(ctx, off, diff, udp);
}

static __always_inline int ctx_csum_plain(struct ct_ctx *ctx)
{
	return 1;
}

/* Nor a sum of the whole: its skb is made later. */
static __always_inline void ctx_csum_whole(struct ct_ctx *ctx, __u32 diff)
{
}

#endif
