// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * fragflood DEVICE MAC KIND SOURCE DESTINATION COUNT RATE [FIRST-ID]
 *
 * Fragments of UDP datagrams that never become whole, at most RATE a second.
 * SOURCE is an address, or a prefix as 198.18.0.0/15 of which each datagram takes
 * another. MAC is the router's. KIND:
 *
 *   first    1,400 bytes, nothing follows
 *   later    the same without its first
 *   rose     the first 32 bytes and, some 64,000 later, the last
 *   smack    64 pieces of 8 bytes, the highest first, the first missing
 *   overlap  two pieces that overlap by 8 bytes
 *   whole    two pieces, and the datagram is whole
 *   race     the same in eight, even and odd ones from two CPUs at the same time;
 *            COUNT datagrams; their data begin with their number
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>

#include "flood.h"

#define DATA   1400
#define TOTAL  (DATA + 104)
#define RACERS 2
#define SHARE  (TOTAL / 8 / 8 * 8) /* of a piece in a race */

struct piece {
	unsigned int off, len;
	bool more;
};

/* The pieces of a datagram, by kind; the last has no length. */
struct kind {
	const char *name;
	struct piece piece[3];
	unsigned int repeat; /* smack */
	bool race;
};

static const struct kind kinds[] = {
	{.name = "first", .piece = {{0, DATA, true}}},
	{.name = "later", .piece = {{DATA, DATA, true}}},
	{.name = "rose", .piece = {{0, 32, true}, {64000, 100, false}}},
	{.name = "smack", .piece = {{512, 8, true}}, .repeat = 64},
	{.name = "overlap", .piece = {{0, 64, true}, {56, 64, true}}},
	{.name = "whole", .piece = {{0, DATA, true}, {DATA, 104, false}}},
	{.name = "race", .race = true},
};

static void udp_header(const struct flood *f, uint8_t *out, const uint8_t *src, uint32_t id)
{
	size_t addr_len = f->v6 ? 16 : 4, len = DATA + 104;
	struct udphdr udp = {
		.source = htons(1024 + id % 60000), .dest = htons(f->port), .len = htons(len)};
	uint32_t sum = sum16(IPPROTO_UDP + len, src, addr_len);

	/* the data are all zero */
	sum = sum16(sum16(sum, f->dst, addr_len), &udp, sizeof(udp));
	udp.check = fold(sum);
	memcpy(out, &udp, sizeof(udp));
}

static size_t ip4(const struct flood *f, uint8_t *l3, const uint8_t *src, uint32_t id,
		  const struct piece *p)
{
	struct iphdr *ip = (void *)l3;

	*ip = (struct iphdr){.version = 4,
			     .ihl = 5,
			     .tot_len = htons(20 + p->len),
			     .id = htons(id),
			     .frag_off = htons(p->off / 8 | (p->more ? 0x2000 : 0)),
			     .ttl = 64,
			     .protocol = IPPROTO_UDP};
	memcpy(&ip->saddr, src, 4);
	memcpy(&ip->daddr, f->dst, 4);
	ip->check = fold(sum16(0, ip, sizeof(*ip)));
	return sizeof(*ip);
}

static size_t ip6(const struct flood *f, uint8_t *l3, const uint8_t *src, uint32_t id,
		  const struct piece *p)
{
	struct ip6_hdr *ip = (void *)l3;
	struct ip6_frag *frag = (void *)(ip + 1);

	memset(ip, 0, sizeof(*ip));
	ip->ip6_vfc = 0x60;
	ip->ip6_plen = htons(sizeof(*frag) + p->len);
	ip->ip6_nxt = IPPROTO_FRAGMENT;
	ip->ip6_hlim = 64;
	memcpy(&ip->ip6_src, src, 16);
	memcpy(&ip->ip6_dst, f->dst, 16);
	*frag = (struct ip6_frag){.ip6f_nxt = IPPROTO_UDP,
				  .ip6f_offlg = htons(p->off | p->more),
				  .ip6f_ident = htonl(id)};
	return sizeof(*ip) + sizeof(*frag);
}

static size_t build(const struct flood *f, uint8_t *frame, const struct piece *p, uint32_t id)
{
	uint8_t src[16], *l3 = frame + ETH_HLEN, *data;

	source_of(f, id, src);
	data = l3 + (f->v6 ? ip6(f, l3, src, id, p) : ip4(f, l3, src, id, p));
	memset(data, 0, p->len);
	if (!p->off)
		udp_header(f, data, src, id);
	return data + p->len - frame;
}

/* Datagram after datagram, until so many fragments are out. */
static int run(const struct flood *f, const struct kind *k, int fd, const uint8_t mac[6],
	       uint32_t id)
{
	uint8_t frame[2048] = {0};
	double began = seconds();
	unsigned int n = 0, i, r;

	flood_ether(f, frame, mac);
	for (; n < f->count; id++) {
		for (r = 0; r < (k->repeat ?: 1); r++) {
			for (i = 0; i < 3 && k->piece[i].len && n < f->count; i++, n++) {
				struct piece p = k->piece[i];
				int ret;

				p.off -= 8 * r;
				ret = flood_send(f, fd, frame, build(f, frame, &p, id), n, began);
				if (ret) {
					fprintf(stderr, "fragflood: %s\n", strerror(-ret));
					return 1;
				}
			}
		}
	}
	printf("%u sent in %.2f s\n", n, seconds() - began);
	return 0;
}

/* Two threads that begin each datagram together. */
struct racer {
	const struct flood *f;
	const uint8_t *mac;
	int fd, number, ret;
	uint32_t id;
	pthread_t thread;
};
static atomic_uint arrived;

static void meet(unsigned int round)
{
	atomic_fetch_add(&arrived, 1);
	while (atomic_load(&arrived) < RACERS * (round + 1))
		;
}

static void *race(void *arg)
{
	struct racer *me = arg;
	uint8_t frame[2048] = {0};
	unsigned int n, i;
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(me->number, &cpu);
	me->ret = sched_setaffinity(0, sizeof(cpu), &cpu) ? -errno : 0;
	flood_ether(me->f, frame, me->mac);
	for (n = 0; n < me->f->count; n++) {
		meet(n);
		for (i = me->number; i < 8; i += RACERS) {
			struct piece p = {i * SHARE, i == 7 ? TOTAL - 7 * SHARE : SHARE, i < 7};
			size_t len = build(me->f, frame, &p, me->id + n);

			if (send(me->fd, frame, len, 0) < 0 && !me->ret)
				me->ret = -errno;
		}
		if (!(n % 64))
			usleep(1000); /* for who receives them */
	}
	return NULL;
}

static int run_race(const struct flood *f, const char *device, const uint8_t mac[6], uint32_t id)
{
	struct racer racer[RACERS] = {0};
	int i, ret = 0;

	for (i = 0; i < RACERS; i++) {
		racer[i] = (struct racer){f, mac, flood_open("fragflood", device), i, 0, id, 0};
		if (racer[i].fd < 0 || pthread_create(&racer[i].thread, NULL, race, &racer[i]))
			return 1;
	}
	for (i = 0; i < RACERS; i++) {
		pthread_join(racer[i].thread, NULL);
		if (racer[i].ret) {
			fprintf(stderr, "fragflood: %s\n", strerror(-racer[i].ret));
			ret = 1;
		}
	}
	return ret;
}

int main(int argc, char **argv)
{
	struct flood f = {.port = 7001};
	const struct kind *k = kinds, *end = kinds + sizeof(kinds) / sizeof(*kinds);
	unsigned int none;
	uint8_t mac[6];
	int fd;

	while (argc >= 8 && k < end && strcmp(k->name, argv[3]))
		k++;
	if (argc < 8 || k == end || parse_mac(argv[2], mac) ||
	    parse_address(argv[4], &f, f.src, &f.src_bits) ||
	    parse_address(argv[5], &f, f.dst, &none)) {
		fprintf(stderr,
			"usage: fragflood DEVICE MAC first|later|rose|smack|overlap|whole|race "
			"SOURCE DESTINATION COUNT RATE [FIRST-ID]\n");
		return 2;
	}
	f.count = atoi(argv[6]);
	f.rate = atoi(argv[7]);
	if (k->race) {
		f.sport = 7000;
		return run_race(&f, argv[1], mac, argc > 8 ? atoi(argv[8]) : 1);
	}
	fd = flood_open("fragflood", argv[1]);
	return fd < 0 ? 1 : run(&f, k, fd, mac, argc > 8 ? atoi(argv[8]) : 1);
}
