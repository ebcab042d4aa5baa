// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "alg_packet.h"

#include <errno.h>
#include <string.h>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>

#define OPT_NOP	  1
#define OPT_STAMP 8

/* What passes anywhere in one piece: IPv6's least MTU, taken for IPv4 too where a sender sent that
 * much; and what a host must take in fragments of whatever size (RFC 791). */
#define CUT_LEAST  1280
#define CUT_LEAST4 576

static uint64_t sum(const void *data, size_t len, uint64_t n)
{
	const uint8_t *b = data;

	for (; len > 1; len -= 2, b += 2)
		n += (uint32_t)b[0] << 8 | b[1];
	return len ? n + ((uint32_t)b[0] << 8) : n;
}

static uint16_t fold(uint64_t n)
{
	while (n >> 16)
		n = (n & 0xffff) + (n >> 16);
	return n;
}

/* Sum of the pseudo header of `len` bytes of transport. */
static uint64_t pseudo(const uint8_t *ip, uint8_t family, uint8_t proto, size_t len)
{
	uint64_t n = proto + (len >> 16) + (len & 0xffff);

	return family == 4 ? sum(ip + 12, 8, n) : sum(ip + 8, 32, n);
}

static size_t check_off(uint8_t proto)
{
	return proto == IPPROTO_TCP ? offsetof(struct tcphdr, check)
				    : offsetof(struct udphdr, check);
}

/* A sum that the sender has left to its network card is that of the pseudo header. */
static bool check_ok(const uint8_t *ip, const uint8_t *l4, size_t len, uint8_t family,
		     uint8_t proto)
{
	uint64_t base = pseudo(ip, family, proto, len);
	uint16_t field;

	memcpy(&field, l4 + check_off(proto), sizeof(field));
	if (proto == IPPROTO_UDP && family == 4 && !field)
		return true;
	return fold(sum(l4, len, base)) == 0xffff || ntohs(field) == fold(base);
}

int alg_packet_read(const void *sample, size_t size, struct alg_taken *t)
{
	const struct alg_packet *p = sample;
	size_t l4;

	if (size < sizeof(*p) || p->len > size - sizeof(*p) || p->l4_off > p->len ||
	    p->l3_off >= p->l4_off)
		return -EINVAL;
	t->p = p;
	t->frame = (const uint8_t *)(p + 1);
	t->headers = p->l4_off;
	if (p->from.proto == IPPROTO_TCP) {
		if (p->len - p->l4_off < sizeof(struct tcphdr))
			return -EINVAL;
		t->headers += (t->frame[p->l4_off + 12] >> 4) * 4u;
		t->len = p->payload_len;
	} else {
		if (p->len - p->l4_off < sizeof(struct udphdr))
			return -EINVAL;
		t->headers += sizeof(struct udphdr);
		t->len = p->payload_len;
	}
	if (t->headers > p->len || t->len > p->len - t->headers)
		return -EINVAL;
	t->payload = t->frame + t->headers;
	l4 = t->headers - p->l4_off + t->len;
	return check_ok(t->frame + p->l3_off, t->frame + p->l4_off, l4, p->from.family,
			p->from.proto)
		       ? 0
		       : -EINVAL;
}

/* The header of a fragment as the whole would have had it. 0 or -EINVAL. */
static int unfragment(struct alg_headers *h)
{
	uint8_t *ip = h->bytes + h->l3_off, *next = ip + offsetof(struct ip6_hdr, ip6_nxt);
	size_t at = h->l3_off + sizeof(struct ip6_hdr);

	if (h->family == 4) {
		ip[6] &= 0x40; /* DF stays */
		ip[7] = 0;
		return 0;
	}
	while (*next != IPPROTO_FRAGMENT) {
		bool auth = *next == IPPROTO_AH;

		if (at + 8 > h->l4_off)
			return -EINVAL;
		next = h->bytes + at;
		at += auth ? (next[1] + 2u) * 4 : (next[1] + 1u) * 8;
	}
	if (at + 8 > h->l4_off)
		return -EINVAL;
	*next = h->bytes[at];
	memmove(h->bytes + at, h->bytes + at + 8, h->len - at - 8);
	h->l4_off -= 8;
	h->len -= 8;
	return 0;
}

/* How large may be what is sent like t? */
static void sizes_of(const struct alg_taken *t, struct alg_headers *h)
{
	const struct alg_packet *p = t->p;
	bool cut = p->flags & ALG_P_FRAGS;
	uint32_t headers = h->len - h->l3_off, size = cut ? p->gso_size : headers + t->len,
		 least = cut && h->family == 4 ? CUT_LEAST4 : CUT_LEAST, longest = t->len;

	size = size < least ? least : size > UINT16_MAX ? UINT16_MAX : size;
	if (h->proto == IPPROTO_TCP) {
		if (cut && longest > size - headers)
			longest = size - headers;
		else if (!cut && p->gso_size)
			longest = p->gso_size;
		if (longest > h->mss && longest <= UINT16_MAX)
			h->mss = longest;
		size = 0;
	}
	h->cut = size;
}

int alg_packet_headers(const struct alg_taken *t, struct alg_headers *h)
{
	const struct alg_packet *p = t->p;
	size_t link = p->l3_off ? 0 : ETH_HLEN;
	uint16_t type = htons(p->from.family == 4 ? ETH_P_IP : ETH_P_IPV6);
	int ret = 0;

	if (t->headers + link > sizeof(h->bytes))
		return -EMSGSIZE;
	h->ifindex = p->ifindex;
	h->mark = p->mark;
	h->priority = p->priority;
	h->hash = p->hash;
	h->family = p->from.family;
	h->proto = p->from.proto;
	h->out = !!(p->flags & ALG_P_OUT);
	memset(h->bytes, 0, link);
	memcpy(h->bytes + link, t->frame, t->headers);
	if (link)
		memcpy(h->bytes + 12, &type, sizeof(type));
	h->l3_off = p->l3_off + link;
	h->l4_off = p->l4_off + link;
	h->len = t->headers + link;
	if (p->flags & ALG_P_FRAGS)
		ret = unfragment(h);
	sizes_of(t, h);
	return ret;
}

bool alg_packet_stamps(const struct alg_headers *h, uint32_t *value, uint32_t *echo)
{
	uint32_t at = h->l4_off + sizeof(struct tcphdr), size;

	while (at + 1 < h->len && h->bytes[at]) {
		if (h->bytes[at] == OPT_NOP) {
			at++;
			continue;
		}
		size = h->bytes[at + 1];
		if (size < 2 || at + size > h->len)
			return false;
		if (h->bytes[at] == OPT_STAMP && size == 10) {
			memcpy(value, h->bytes + at + 2, 4);
			memcpy(echo, h->bytes + at + 6, 4);
			*value = ntohl(*value);
			*echo = ntohl(*echo);
			return true;
		}
		at += size;
	}
	return false;
}

/* The TCP header of the segment, behind the IP header in frame. Returns its length. */
static size_t put_tcp(const struct alg_headers *h, const struct alg_segment *s, uint8_t *l4)
{
	struct tcphdr *tcp = (struct tcphdr *)l4;
	uint8_t *opt = l4 + sizeof(*tcp);
	uint32_t stamp = htonl(s->stamp), echo = htonl(s->echo);
	size_t len = h->len - h->l4_off;

	if (s->stamps) {
		len = sizeof(*tcp) + 12;
		opt[0] = opt[1] = OPT_NOP;
		opt[2] = OPT_STAMP;
		opt[3] = 10;
		memcpy(opt + 4, &stamp, 4);
		memcpy(opt + 8, &echo, 4);
	}
	tcp->seq = htonl(s->seq);
	tcp->ack_seq = htonl(s->ack);
	tcp->window = htons(s->window);
	tcp->doff = len / 4;
	/* Urgent data is part of the stream that was read: no pointer into another text. */
	l4[13] = s->flags & ~TH_URG;
	tcp->urg_ptr = 0;
	return len;
}

static void put_ip(const struct alg_headers *h, uint8_t *ip, size_t len)
{
	struct iphdr *ip4 = (struct iphdr *)ip;
	uint16_t n;

	if (h->family == 6) {
		n = htons(len - sizeof(struct ip6_hdr));
		memcpy(ip + 4, &n, sizeof(n));
		return;
	}
	ip4->tot_len = htons(len);
	ip4->check = 0;
	ip4->check = htons(~fold(sum(ip, ip4->ihl * 4u, 0)) & 0xffff);
}

long alg_packet_build(const struct alg_headers *h, const struct alg_segment *s,
		      const uint8_t *payload, size_t len, uint8_t *frame, size_t size)
{
	uint8_t *ip = frame + h->l3_off, *l4 = frame + h->l4_off;
	size_t header = h->len - h->l4_off, total;
	uint16_t was, check;

	if (h->len + 12 + len > size || h->len + 12 + len - h->l3_off > UINT16_MAX)
		return -EMSGSIZE;
	memcpy(frame, h->bytes, h->len);
	memcpy(&was, l4 + check_off(h->proto), sizeof(was));
	if (s) {
		header = put_tcp(h, s, l4);
	} else {
		check = htons(header + len);
		memcpy(l4 + offsetof(struct udphdr, len), &check, sizeof(check));
	}
	if (len)
		memcpy(l4 + header, payload, len);
	total = header + len;
	put_ip(h, ip, h->l4_off - h->l3_off + total);
	memset(l4 + check_off(h->proto), 0, sizeof(check));
	if (s || was || h->family == 6) {
		check = ~fold(sum(l4, total, pseudo(ip, h->family, h->proto, total))) & 0xffff;
		check = htons(!s && !check ? 0xffff : check);
		memcpy(l4 + check_off(h->proto), &check, sizeof(check));
	}
	return h->l4_off + total;
}

/* Where the fragment header belongs: behind what every router reads (RFC 8200 4.5); *next is the
 * field that names what follows there. */
static size_t unfragmentable(const struct alg_headers *h, size_t *next)
{
	size_t at = h->l3_off + sizeof(struct ip6_hdr), end = at,
	       field = h->l3_off + offsetof(struct ip6_hdr, ip6_nxt);
	uint8_t type = h->bytes[field];

	*next = field;
	while (at + 8 <= h->l4_off &&
	       (type == IPPROTO_HOPOPTS || type == IPPROTO_ROUTING || type == IPPROTO_DSTOPTS)) {
		size_t size = (h->bytes[at + 1] + 1u) * 8;

		if (type != IPPROTO_DSTOPTS) {
			end = at + size;
			*next = at;
		}
		type = h->bytes[at];
		at += size;
	}
	return end <= h->l4_off ? end : h->l4_off;
}

/* Options that only the first fragment has give way to no-operations (RFC 791 3.1). */
static void keep_copied(uint8_t *option, const uint8_t *end)
{
	while (option < end && *option) {
		size_t size = *option == OPT_NOP ? 1 : option + 1 < end ? option[1] : 0;

		if (!size || size > (size_t)(end - option))
			return;
		if (!(*option & 0x80))
			memset(option, OPT_NOP, size);
		option += size;
	}
}

static void fragment4(uint8_t *ip, uint32_t id, size_t off, bool more)
{
	struct iphdr *ip4 = (struct iphdr *)ip;

	/* That of a sender who forbids fragments is often the same for all (RFC 6864 4.1). */
	if (ip[6] & 0x40 || !ip4->id)
		ip4->id = htons(id);
	ip4->frag_off = (ip4->frag_off & htons(0x4000)) | htons(off / 8 | (more ? 0x2000 : 0));
	if (off)
		keep_copied(ip + sizeof(*ip4), ip + ip4->ihl * 4u);
}

long alg_packet_fragment(const struct alg_headers *h, const uint8_t *frame, size_t len, uint32_t id,
			 size_t *off, uint8_t *to, size_t size)
{
	size_t next = 0, head = h->family == 4 ? h->l4_off : unfragmentable(h, &next),
	       extra = h->family == 4 ? 0 : 8, room, n;
	bool more;

	if (*off >= len - head)
		return 0;
	room = h->cut - (head - h->l3_off) - extra;
	if (h->cut < (head - h->l3_off) + extra + 8)
		return -EMSGSIZE;
	n = len - head - *off;
	more = n > room;
	if (more)
		n = room & ~7u;
	if (head + extra + n > size)
		return -EMSGSIZE;
	memcpy(to, frame, head);
	if (extra) {
		uint8_t *f = to + head;

		f[0] = to[next];
		f[1] = 0;
		f[2] = *off >> 8;
		f[3] = *off | more;
		id = htonl(id);
		memcpy(f + 4, &id, sizeof(id));
		to[next] = IPPROTO_FRAGMENT;
	} else {
		fragment4(to + h->l3_off, id, *off, more);
	}
	memcpy(to + head + extra, frame + head + *off, n);
	put_ip(h, to + h->l3_off, head + extra + n - h->l3_off);
	*off += n;
	return head + extra + n;
}
