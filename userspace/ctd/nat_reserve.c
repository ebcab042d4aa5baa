// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "nat_reserve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "expect_port.h"
#include "rules.h"
#include "sock_dump.h"

/* A socket that is bound between two looks is not unprotected: BPF asks the socket
 * table for ports that are kept or drawn; only a leased one could be its port. */
#define LOOK_SECS 2

struct bitmap {
	__u64 word[1024];
};

struct nat_reserve {
	struct mnl_socket *nl;
	struct event *timer;
	bool failing; /* logged once */
	struct bitmap config;
	struct bitmap sockets[NAT_CLASSES];
	struct bitmap seen[NAT_CLASSES]; /* by the look under way */
};

static bool test(const __u64 *word, uint32_t port)
{
	return word[port / 64] >> port % 64 & 1;
}

static void set(struct bitmap *b, uint32_t port)
{
	b->word[port / 64] |= 1ull << port % 64;
}

bool nat_is_local(const struct ctd *d, int family, const __be32 addr[4])
{
	const struct fw_ifs *ifs = rules_ifs(d);
	unsigned int i, k;

	for (i = 0; i < ifs->n; i++)
		for (k = 0; k < ifs->v[i].addrs; k++)
			if (ifs->v[i].addr[k].family == family &&
			    !memcmp(ifs->v[i].addr[k].addr, addr, family == 4 ? 4 : 16))
				return true;
	return false;
}

void nat_reserve_pool(struct ctd *d, uint32_t index)
{
	struct nat *n = d->nat;
	const struct nat_reserved *r = nat_maps_reserved(&n->m, index);
	struct nat_alloc *a = &n->own[index].alloc;
	uint32_t p;

	for (p = a->conf.port_min; p <= a->conf.port_max; p++)
		nat_alloc_reserve(a, p, test(r->word, p));
}

/* A port's bit in nat_reserved_v1 has changed: so it does in the pools that look there. */
static void tell_pools(struct ctd *d, uint32_t which, uint32_t port)
{
	struct nat *n = d->nat;
	uint32_t i;

	for (i = 1; i < n->m.pools; i++)
		if (n->own[i].live && nat_maps_reserved(&n->m, i) == &n->m.reserved[which] &&
		    nat_alloc_reserve(&n->own[i].alloc, port,
				      test(n->m.reserved[which].word, port)))
			n->own[i].churn--; /* the next poll takes it out of its ring */
}

static void write_bitmap(struct ctd *d, uint32_t which, const struct bitmap *want)
{
	__u64 *word = d->nat->m.reserved[which].word, changed;
	uint32_t i, b;

	for (i = 0; i < 1024; i++) {
		changed = word[i] ^ want->word[i];
		if (!changed)
			continue;
		__atomic_store_n(&word[i], want->word[i], __ATOMIC_RELEASE);
		for (b = 0; b < 64; b++)
			if (changed >> b & 1)
				tell_pools(d, which, i * 64 + b);
	}
}

/* ICMP ids are no ports: neither the configuration nor a socket reserves them. */
static void write_all(struct ctd *d)
{
	const struct nat_reserve *r = d->nat->reserve;
	struct bitmap one, both;
	uint32_t class, i;

	for (class = 0; class < NAT_CLASSES; class ++) {
		if (class == NAT_ICMP)
			continue;
		one = r->config;
		expect_port_bits(d, class, one.word);
		for (i = 0; i < 1024; i++)
			both.word[i] = one.word[i] | r->sockets[class].word[i];
		write_bitmap(d, class, &one);
		write_bitmap(d, NAT_CLASSES + class, &both);
	}
}

void nat_reserve_again(struct ctd *d)
{
	write_all(d);
}

void nat_reserve_config(struct ctd *d, const struct fw_settings *s)
{
	struct nat_reserve *r = d->nat->reserve;
	uint32_t i, p;

	memset(&r->config, 0, sizeof(r->config));
	for (i = 0; i < s->nat_reserveds; i++)
		for (p = s->nat_reserved[i].min; p <= s->nat_reserved[i].max; p++)
			set(&r->config, p);
	write_all(d);
}

static bool loopback(const struct inet_diag_msg *m)
{
	const uint8_t *a = (const uint8_t *)m->id.idiag_src;
	static const uint8_t one[16] = {[15] = 1};
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (m->idiag_family == AF_INET)
		return a[0] == 127;
	return !memcmp(a, one, 16) || (!memcmp(a, mapped, 12) && a[12] == 127);
}

static void on_socket(const struct inet_diag_msg *m, void *arg)
{
	if (m->id.idiag_sport && !loopback(m))
		set(arg, ntohs(m->id.idiag_sport));
}

/* Listening sockets; of UDP all that are bound: any of them takes what comes. */
static int look(struct nat_reserve *r)
{
	static const struct {
		int proto;
		uint32_t states;
		uint32_t class;
	} kinds[] = {
		{IPPROTO_TCP, 1 << TCP_LISTEN, NAT_TCP},
		{IPPROTO_UDP, ~0u, NAT_UDP},
		{IPPROTO_UDPLITE, ~0u, NAT_UDP},
		{IPPROTO_SCTP, 1 << TCP_LISTEN, NAT_SCTP},
	};
	unsigned int i;
	int ret = 0;

	memset(r->seen, 0, sizeof(r->seen));
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && !ret; i++) {
		ret = sock_dump(r->nl, AF_INET, kinds[i].proto, kinds[i].states, on_socket,
				&r->seen[kinds[i].class]);
		if (!ret)
			ret = sock_dump(r->nl, AF_INET6, kinds[i].proto, kinds[i].states, on_socket,
					&r->seen[kinds[i].class]);
	}
	if (!ret)
		memcpy(r->sockets, r->seen, sizeof(r->sockets));
	return ret;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct ctd *d = arg;
	struct nat_reserve *r = d->nat->reserve;
	int ret = look(r);

	(void)fd;
	(void)what;
	if (ret && !r->failing)
		log_event(LOG_FAULT, "nat_sockets", "error=\"%s\"", strerror(-ret));
	r->failing = ret != 0;
	if (!ret)
		write_all(d);
}

int nat_reserve_start(struct ctd *d)
{
	struct nat_reserve *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	d->nat->reserve = r;
	r->nl = sock_open();
	if (!r->nl)
		return -errno;
	nat_reserve_config(d, rules_settings(d));
	on_timer(-1, 0, d);
	return 0;
}

int nat_reserve_run(struct ctd *d)
{
	struct timeval tv = {.tv_sec = LOOK_SECS};

	d->nat->reserve->timer = event_new(d->base, -1, EV_PERSIST, on_timer, d);
	if (!d->nat->reserve->timer || event_add(d->nat->reserve->timer, &tv))
		return -ENOMEM;
	return 0;
}

void nat_reserve_stop(struct ctd *d)
{
	struct nat_reserve *r = d->nat->reserve;

	if (!r)
		return;
	if (r->timer)
		event_free(r->timer);
	if (r->nl)
		mnl_socket_close(r->nl);
	free(r);
	d->nat->reserve = NULL;
}
