// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <string.h>

#include "packet.h"

bool is6(const struct packet *p)
{
	return strchr(p->src, ':');
}

uint32_t sum(const void *data, size_t n, uint32_t s)
{
	const uint8_t *b = data;

	for (size_t i = 0; i < n; i++)
		s += i & 1 ? b[i] : b[i] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

void put2(uint8_t *at, uint16_t v)
{
	at[0] = v >> 8;
	at[1] = v;
}

void put4(uint8_t *at, uint32_t v)
{
	put2(at, v >> 16);
	put2(at + 2, v);
}

static size_t build_l4(uint8_t *at, const struct packet *p)
{
	size_t n = 0;

	switch (p->proto) {
	case IPPROTO_TCP:
		put2(at, p->sport);
		put2(at + 2, p->dport);
		put4(at + 4, p->seq);
		put4(at + 8, p->ack);
		at[12] = 5 << 4;
		at[13] = p->tcp;
		put2(at + 14, 64000);
		n = 20;
		break;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		put2(at, p->sport);
		put2(at + 2, p->dport);
		put2(at + 4, 8 + p->payload);
		n = 8;
		break;
	case IPPROTO_SCTP:
		put2(at, p->sport);
		put2(at + 2, p->dport);
		at[12] = 1;			/* INIT, alone, tag 0 */
		put2(at + 14, 20 + p->payload); /* what follows is a parameter of it */
		put4(at + 16, 0x11223344);
		n = 32;
		break;
	case IPPROTO_GRE:
		if (!p->gre[0] && !p->gre[1])
			break;
		at[0] = p->gre[0];
		at[1] = p->gre[1];
		put2(at + 2, 0x880b); /* PPP */
		put2(at + 4, p->payload);
		put2(at + 6, p->id);
		put4(at + 8, p->seq);
		n = 12;
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		at[0] = p->type;
		at[1] = p->code;
		put2(at + 4, p->id);
		n = 8;
		if (p->quote) {
			size_t whole = build_l3(at + 8, p->quote);
			size_t cut = p->quoted ? p->quoted : is6(p) ? 48 : 28u + p->quote->options;

			return 8 + (cut < whole ? cut : whole);
		}
		break;
	}
	for (size_t i = 0; i < p->payload; i++)
		at[n + i] = 'a' + i % 26;
	return n + p->payload;
}

static uint32_t crc32c(const uint8_t *b, size_t n)
{
	uint32_t c = ~0u;

	while (n--) {
		c ^= *b++;
		for (int i = 0; i < 8; i++)
			c = c & 1 ? c >> 1 ^ 0x82f63b78 : c >> 1;
	}
	return ~c;
}

/* The checksum of the transport header over pseudo header and all. */
static void seal_l4(uint8_t *l4, size_t n, const struct packet *p, const uint8_t *addr)
{
	size_t alen = is6(p) ? 32 : 8, off;
	uint32_t s = 0;
	uint16_t check;

	switch (p->proto) {
	case IPPROTO_TCP:
		off = 16;
		break;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		off = 6;
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		off = 2;
		break;
	case IPPROTO_SCTP:
		s = crc32c(l4, n);
		for (off = 0; off < 4; off++)
			l4[8 + off] = s >> 8 * off;
		return;
	default:
		return;
	}
	if (p->proto == IPPROTO_UDP && p->no_csum)
		return;
	if (p->proto != IPPROTO_ICMP)
		s = sum(addr, alen, n + p->proto);
	check = ~sum(l4, n, s);
	if (!check && (p->proto == IPPROTO_UDP || p->proto == IPPROTO_UDPLITE))
		check = 0xffff;
	put2(l4 + off, check);
}

size_t build_part(uint8_t *at, const struct packet *p)
{
	int family = is6(p) ? AF_INET6 : AF_INET;
	uint8_t addr[32];
	size_t n;

	memset(at, 0, 64);
	assert_int_equal(inet_pton(family, p->src, addr), 1);
	assert_int_equal(inet_pton(family, p->dst, addr + (is6(p) ? 16 : 4)), 1);
	n = build_l4(at, p);
	seal_l4(at, n, p, addr);
	return n;
}

size_t build_l3(uint8_t *at, const struct packet *p)
{
	uint8_t *l4;
	size_t n;

	memset(at, 0, 300);
	if (!is6(p)) {
		l4 = at + 20 + p->options;
		at[0] = 0x40 | (20 + p->options) / 4;
		memset(at + 20, 1, p->options); /* no-operations */
		at[8] = p->ttl ? p->ttl : 64;
		at[9] = p->proto;
		put2(at + 6, p->frag);
		assert_int_equal(inet_pton(AF_INET, p->src, at + 12), 1);
		assert_int_equal(inet_pton(AF_INET, p->dst, at + 16), 1);
		n = build_l4(l4, p);
		put2(at + 2, l4 - at + n);
		put2(at + 10, ~sum(at, l4 - at, 0));
		seal_l4(l4, n, p, at + 12);
		return l4 - at + n;
	}
	at[0] = 0x60;
	at[7] = p->ttl ? p->ttl : 64;
	assert_int_equal(inet_pton(AF_INET6, p->src, at + 8), 1);
	assert_int_equal(inet_pton(AF_INET6, p->dst, at + 24), 1);
	uint8_t *next = at + 6;

	l4 = at + 40;
#define EXT(bit, proto, len, lenfield)                                                             \
	if (p->ext & (bit)) {                                                                      \
		*next = (proto);                                                                   \
		next = l4;                                                                         \
		l4[1] = (lenfield);                                                                \
		l4 += (len);                                                                       \
	}
	EXT(EXT_HOP, IPPROTO_HOPOPTS, 8, 0)
	EXT(EXT_DST, IPPROTO_DSTOPTS, 16, 1)
	EXT(EXT_ROUTE, IPPROTO_ROUTING, 8, 0)
	EXT(EXT_AH, IPPROTO_AH, 24, 4)
	if (p->frag || (p->ext & EXT_ATOM)) {
		*next = IPPROTO_FRAGMENT;
		next = l4;
		put2(l4 + 2, p->frag);
		put4(l4 + 4, 7);
		l4 += 8;
	}
#undef EXT
	*next = p->proto;
	n = build_l4(l4, p);
	put2(at + 4, l4 - at - 40 + n);
	seal_l4(l4, n, p, at + 8);
	return l4 - at + n;
}

size_t build(uint8_t *frame, const struct packet *p)
{
	uint8_t *at = frame + 12;

	memset(frame, 0, 512);
	if (p->bare)
		return build_l3(frame, p);
	for (int i = p->vlans; i; i--) {
		put2(at, i == 2 ? ETH_P_8021AD : ETH_P_8021Q);
		put2(at + 2, 100 + i);
		at += 4;
	}
	put2(at, is6(p) ? ETH_P_IPV6 : ETH_P_IP);
	at += 2;
	return at - frame + build_l3(at, p);
}
