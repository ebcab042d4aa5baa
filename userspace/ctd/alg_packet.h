/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_ALG_PACKET_H
#define BPFCT_CTD_ALG_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../bpf/abi/alg_abi.h"

/*
 * Packets of helped connections: what came through the ring, taken apart, and what
 * goes back, put together from the headers of one that came. Pure. Checksums are
 * always completed: what arrived may have left its own to a network card.
 */

/* Link, IP and transport header with what else is needed to send another like it. */
#define ALG_HEADERS 320
struct alg_headers {
	uint32_t ifindex; /* 0: none seen yet */
	uint32_t mark;
	uint32_t priority;
	uint32_t hash;
	uint8_t l3_off;
	uint8_t out; /* taken where it leaves, and goes out there */
	uint16_t l4_off;
	uint16_t len;	/* of bytes */
	uint8_t family; /* 4, 6 */
	uint8_t proto;	/* TCP or UDP */
	uint16_t mss;	/* longest payload of a segment seen */
	uint16_t cut;	/* UDP: more than this, from the IP header on, goes in fragments */
	uint8_t bytes[ALG_HEADERS];
};

/* From the ring; pointers are into the sample. */
struct alg_taken {
	const struct alg_packet *p;
	const uint8_t *frame;
	const uint8_t *payload;
	uint32_t len; /* of the payload */
	uint32_t headers;
};

/* 0, or -EINVAL: lengths contradict one another, or the checksum is wrong. */
int alg_packet_read(const void *sample, size_t size, struct alg_taken *out);

/* The headers of t, for others like it; of what came in fragments as if it had come whole.
 * 0, -EMSGSIZE, or -EINVAL: no fragment header where there must be one. */
int alg_packet_headers(const struct alg_taken *t, struct alg_headers *h);

/* TCP time stamps: false if the segment has none. */
bool alg_packet_stamps(const struct alg_headers *h, uint32_t *value, uint32_t *echo);

/* What a TCP segment says beside its payload. */
struct alg_segment {
	uint32_t seq, ack;
	uint16_t window; /* as it stands in the header */
	uint8_t flags;
	bool stamps; /* replace the options by these time stamps */
	uint32_t stamp, echo;
};

/* Builds a segment or datagram like h into frame[size]; NULL segment: UDP. Returns
 * its length or -EMSGSIZE. The Ethernet header is always there. */
long alg_packet_build(const struct alg_headers *h, const struct alg_segment *s,
		      const uint8_t *payload, size_t len, uint8_t *frame, size_t size);

/*
 * The next fragment of the datagram in frame[len], built from h: of h->cut bytes at most, from the
 * IP header on, under `id` (of IPv4 only where its sender has given none). *off is 0 at first and
 * counts its payload; the fragment goes into to[size]. Returns its length, 0: that
 * was all, or -EMSGSIZE.
 */
long alg_packet_fragment(const struct alg_headers *h, const uint8_t *frame, size_t len, uint32_t id,
			 size_t *off, uint8_t *to, size_t size);

#endif
