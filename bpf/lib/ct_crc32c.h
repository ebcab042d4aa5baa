/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_LIB_CT_CRC32C_H
#define BPFCT_LIB_CT_CRC32C_H

#include "ct_pkt.h"

/*
 * SCTP's checksum (RFC 9260 6.8, RFC 3309): CRC32c, polynomial 0x1edc6f41 in
 * reflected form, four bits a step with a table of the sixteen remainders.
 */
static const __u32 ct_crc32c_nibble[16] = {
	0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
	0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
	0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

#define CT_CRC_CHUNK  64
#define CT_CRC_CHUNKS 144 /* 9216 bytes; what is longer is not summed (I7) */
#define CT_CRC_FIELD  8	  /* offset of the checksum in the SCTP header */

struct ct_crc_walk {
	struct ct_ctx *ctx;
	__u32 off;
	__u32 left;
	__u32 crc;
	int error;
};

/* The barrier keeps the mask last, where Linux 6.1 needs it. */
static __always_inline __u32 ct_crc_nibble(__u32 crc, __u32 bits)
{
	__u64 at = crc ^ bits;

	asm volatile("" : "+r"(at));
	return (crc >> 4) ^ ct_crc32c_nibble[at & 0xf];
}

/* The low n bytes of a word, first byte lowest; n is 1 to 8. A global function: the
 * verifier goes through its bytes once. */
__noinline __u32 ct_crc_word(__u64 word, __u32 n, __u32 crc)
{
	__u32 i;

	for (i = 0; i < 8; i++) {
		if (i >= n)
			break;
		crc = ct_crc_nibble(crc, word);
		crc = ct_crc_nibble(crc, word >> 4);
		word >>= 8;
	}
	return crc;
}

static long ct_crc_chunk(__u32 i, struct ct_crc_walk *w)
{
	__u64 buf[CT_CRC_CHUNK / 8] = {};
	__u64 n = w->left;
	__u32 crc = w->crc, j;

	if (!n)
		return 1;
	if (n > CT_CRC_CHUNK)
		n = CT_CRC_CHUNK;
	if (ctx_load(w->ctx, w->off, buf, ctx_bound64(n))) {
		w->error = 1;
		return 1;
	}
	if (!i) /* counted as zero */
		*(__u32 *)&buf[CT_CRC_FIELD / 8] = 0;
	for (j = 0; j < CT_CRC_CHUNK / 8; j++) {
		if (j * 8 >= n)
			break;
		crc = ct_crc_word(buf[j], n - j * 8, crc);
	}
	w->crc = crc;
	w->off += n;
	w->left -= n;
	return 0;
}

/* Is the SCTP checksum right? A zero one is left to the end host: it is what a
 * sender shows that leaves the sum to its device. */
__noinline int ct_sctp_crc_ok(struct ct_ctx *ctx, const struct ct_pkt *pkt)
{
	struct ct_crc_walk w = {};
	__u32 field = 0;

	if (!pkt)
		return 0;
	if (pkt->l4_len > CT_CRC_CHUNK * CT_CRC_CHUNKS)
		return 1;
	if (ctx_load(ctx, pkt->l4_off + CT_CRC_FIELD, &field, sizeof(field)))
		return 0;
	if (!field)
		return 1;
	w.ctx = ctx;
	w.off = pkt->l4_off;
	w.left = pkt->l4_len;
	w.crc = ~0U;
	bpf_loop(CT_CRC_CHUNKS, ct_crc_chunk, &w, 0);
	return !w.error && field == ~w.crc;
}

#endif
