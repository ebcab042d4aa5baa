/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_TESTS_PACKET_H
#define BPFCT_TESTS_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Packets built from scratch, every checksum as a sender would put it in. */

/* IPv6 extension headers, in this order */
#define EXT_HOP	  0x01
#define EXT_DST	  0x02
#define EXT_ROUTE 0x04
#define EXT_AH	  0x08
#define EXT_ATOM  0x10 /* a fragment header that says: whole */

struct packet {
	const char *src, *dst; /* family by the colon */
	uint8_t proto;
	uint16_t sport, dport;
	uint8_t tcp; /* flags */
	uint32_t seq, ack;
	uint8_t type, code; /* ICMP */
	uint16_t id;
	uint8_t gre[2];	  /* its first two bytes; 0: nothing but payload. Call `id`, number `seq` */
	uint16_t payload; /* bytes */
	uint8_t ttl;	  /* 0: 64 */
	uint8_t vlans;	  /* 0 to 2 */
	uint8_t options;  /* bytes of IPv4 options, a multiple of 4 */
	uint8_t ext;
	bool no_csum;		    /* UDP: 0 */
	bool bare;		    /* no link header */
	uint16_t frag;		    /* IPv4: flags and offset; IPv6: offset and flags */
	const struct packet *quote; /* ICMP errors */
	uint8_t quoted;		    /* bytes of it, 0: header and 8 bytes */
};

bool is6(const struct packet *p);

/* Ones' complement sum of n bytes on top of s, folded to 16 bits, host byte order. */
uint32_t sum(const void *data, size_t n, uint32_t s);
void put2(uint8_t *at, uint16_t v);
void put4(uint8_t *at, uint32_t v);

/* Writes the frame (at most 512 bytes) or, from the IP header on, 300. Returns
 * its length. A failed cmocka assertion when an address is none. */
size_t build(uint8_t *frame, const struct packet *p);
size_t build_l3(uint8_t *at, const struct packet *p);

/* Writes the transport header and what follows it, sealed, of any length: the part
 * that fragments are cut from. */
size_t build_part(uint8_t *at, const struct packet *p);

#endif
