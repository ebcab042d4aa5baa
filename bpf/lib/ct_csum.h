/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_LIB_CT_CSUM_H
#define BPFCT_LIB_CT_CSUM_H

#include <bpf/bpf_endian.h>
#include <linux/in.h>
#include <linux/in6.h>

#include "ct_pkt.h"

/* ICMP messages longer than this are not summed: their senders are answered by
 * the end host's own check, and I7 bounds what a packet may cost. */
#define CT_CSUM_CHUNK  64
#define CT_CSUM_CHUNKS 24

static __always_inline __u32 ct_csum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

struct ct_csum_walk {
	struct ct_ctx *ctx;
	__u32 off;
	__u32 left;
	__u64 sum;
	int error;
};

static long ct_csum_chunk(__u32 i, struct ct_csum_walk *w)
{
	__be32 buf[CT_CSUM_CHUNK / 4] = {};
	__u64 n = w->left;

	if (!n)
		return 1;
	if (n > CT_CSUM_CHUNK)
		n = CT_CSUM_CHUNK;
	n = ctx_bound64(n);
	if (ctx_load(w->ctx, w->off, buf, n)) {
		w->error = 1;
		return 1;
	}
	w->sum += (__u32)bpf_csum_diff(NULL, 0, buf, sizeof(buf), 0);
	w->off += n;
	w->left -= n;
	return 0;
}

/*
 * Verifies the checksum of an ICMP message (RFC 5508 REQ-3a). A message that
 * the host itself sends may leave the sum to the device (CHECKSUM_PARTIAL):
 * then the field holds the folded pseudo header and is accepted.
 */
__noinline int ct_icmp_csum_ok(struct ct_ctx *ctx, const struct ct_pkt *pkt)
{
	struct ct_csum_walk w = {};
	__u64 pseudo = 0;
	__u16 field = 0;
	int i;

	if (!pkt)
		return 0;
	if (pkt->l4_len > CT_CSUM_CHUNK * CT_CSUM_CHUNKS)
		return 1;
	if (pkt->tuple.family == 6) {
		for (i = 0; i < 4; i++) {
			pseudo += pkt->tuple.saddr[i];
			pseudo += pkt->tuple.daddr[i];
		}
		pseudo += bpf_htonl(pkt->l4_len);
		pseudo += bpf_htonl(IPPROTO_ICMPV6);
	}
	w.ctx = ctx;
	w.off = pkt->l4_off;
	w.left = pkt->l4_len;
	w.sum = pseudo;
	bpf_loop(CT_CSUM_CHUNKS, ct_csum_chunk, &w, 0);
	if (w.error)
		return 0;
	if (ct_csum_fold(w.sum) == 0xffff)
		return 1;
	if (ctx_load(ctx, pkt->l4_off + 2, &field, sizeof(field)))
		return 0;
	return pseudo && field == (__u16)ct_csum_fold(pseudo);
}

#endif
