// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "expect_port.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>

#include "nat_reserve.h"

#define PORT_LOW 1024
#define TAKES	 4   /* when a packet was faster */
#define TRIES	 256 /* at random, when the wished one is not to be had */

struct port {
	struct ct_xport_key key;
	struct ct_xport x;
};

struct expect_ports {
	struct port *v;
	unsigned int n, room;
};

/* Call ids (GRE) have no pool, and nobody else draws from them. */
static uint32_t class_of(uint8_t proto)
{
	return proto == IPPROTO_TCP ? NAT_TCP : proto == IPPROTO_GRE ? NAT_NONE : NAT_UDP;
}

static struct port *find(const struct ctd *d, const struct ct_xport_key *k)
{
	const struct expect_ports *p = d->expect_ports;
	unsigned int i;

	for (i = 0; i < p->n; i++)
		if (!memcmp(&p->v[i].key, k, sizeof(*k)))
			return &p->v[i];
	return NULL;
}

const struct ct_xport *expect_port_find(const struct ctd *d, const struct ct_xport_key *k)
{
	struct port *p = find(d, k);

	return p ? &p->x : NULL;
}

void expect_port_bits(const struct ctd *d, uint32_t class, __u64 word[1024])
{
	const struct expect_ports *p = d->expect_ports;
	unsigned int i, port;

	for (i = 0; i < p->n; i++) {
		port = ntohs(p->v[i].key.port);
		if (class_of(p->v[i].key.proto) == class)
			word[port / 64] |= 1ull << port % 64;
	}
}

/* The live pool that has this port, for any port if it is 0. 0: none. */
static uint32_t pool_of(const struct ctd *d, const struct ct_xport_key *k)
{
	const struct nat *n = d->nat;
	uint32_t port = ntohs(k->port), i;

	for (i = 1; i < n->m.pools; i++) {
		const struct nat_pool *p = &n->m.pool[i];

		if (n->own[i].live && p->class == class_of(k->proto) && p->family == k->family &&
		    !memcmp(p->addr, k->addr, sizeof(k->addr)) &&
		    (!port || (port >= p->port_min && port <= p->port_max)))
			return i;
	}
	return 0;
}

uint16_t expect_pool_base(struct ctd *d, const struct ct_xport_key *k)
{
	uint32_t index = pool_of(d, k);

	return index ? index - d->nat->m.pool[index].class : 0;
}

uint32_t expect_port_ref(struct ctd *d, const struct ct_xport_key *k, uint16_t zone, uint32_t *gen)
{
	uint32_t index = pool_of(d, k);
	struct nat_bound_key bk = {.port = k->port, .zone = zone, .family = k->family};
	struct nat_bound b;

	*gen = 0;
	if (!index)
		return 0;
	if (!(d->nat->m.pool[index].flags & NAT_POOL_EIM) || find(d, k))
		return NAT_REF(index, ntohs(k->port));
	memcpy(bk.addr, k->addr, sizeof(bk.addr));
	bk.class = d->nat->m.pool[index].class;
	if (bpf_map_lookup_elem(d->core.pins.nat_bound_fd, &bk, &b))
		return 0;
	*gen = b.word >> 32;
	return NAT_REF(index, ntohs(k->port));
}

/* As BPF counts a use (nat_use_up, nat_use_down). */
static void use_up(struct nat *n, uint32_t ref)
{
	const struct nat_pool *p = &n->m.pool[nat_ref_pool(ref)];

	__atomic_add_fetch(&n->m.use[p->use_base + nat_ref_port(ref) - p->port_min], 1,
			   __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&n->m.head[p->head_base].claimed, 1, __ATOMIC_RELAXED);
}

static void use_down(struct ctd *d, uint32_t ref)
{
	struct nat *n = d->nat;
	const struct nat_pool *p = &n->m.pool[nat_ref_pool(ref)];
	uint32_t *word = &n->m.use[p->use_base + nat_ref_port(ref) - p->port_min];
	uint32_t was = __atomic_load_n(word, __ATOMIC_RELAXED), now = bpfct_now(&d->core.pins);

	__atomic_add_fetch(&n->m.head[p->head_base].released, 1, __ATOMIC_RELAXED);
	while (nat_uses(was) &&
	       !__atomic_compare_exchange_n(word, &was, nat_use_make(nat_uses(was) - 1, now), false,
					    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
}

static uint32_t uses(const struct ctd *d, uint32_t ref)
{
	const struct nat *n = d->nat;
	const struct nat_pool *p = &n->m.pool[nat_ref_pool(ref)];

	return nat_uses(__atomic_load_n(&n->m.use[p->use_base + nat_ref_port(ref) - p->port_min],
					__ATOMIC_SEQ_CST));
}

static bool bit(const __u64 *word, uint32_t port)
{
	return word[port / 64] >> port % 64 & 1;
}

/* Is this port to be had? Of a pool: free in every sense; else: no socket's. */
static bool free_port(const struct ctd *d, const struct ct_xport_key *where, uint32_t port,
		      uint32_t *ref)
{
	struct ct_xport_key k = *where;
	const struct nat *n = d->nat;
	uint32_t index;

	k.port = htons(port);
	if (k.proto == IPPROTO_GRE) {
		*ref = 0;
		return port && port <= 65535 && !find(d, &k);
	}
	if (port < PORT_LOW || port > 65535 || find(d, &k))
		return false;
	index = pool_of(d, &k);
	*ref = index ? NAT_REF(index, port) : 0;
	if (index)
		return !bit(nat_maps_reserved(&n->m, index)->word, port) && !uses(d, *ref) &&
		       nat_alloc_life(&n->own[index].alloc, port) == NAT_FREE;
	index = class_of(k.proto);
	if (nat_is_local(d, k.family, k.addr))
		index += NAT_CLASSES;
	return !bit(n->m.reserved[index].word, port);
}

static bool fits(const struct ctd *d, const struct ct_xport_key *where, uint32_t port, bool pair,
		 uint32_t ref[2])
{
	if (pair && (port & 1))
		return false;
	return free_port(d, where, port, &ref[0]) &&
	       (!pair || free_port(d, where, port + 1, &ref[1]));
}

static int enter(struct ctd *d, const struct ct_xport_key *k, const struct ct_xport *x)
{
	struct expect_ports *p = d->expect_ports;

	if (p->n == p->room) {
		unsigned int room = p->room ? 2 * p->room : 64;
		struct port *v = realloc(p->v, room * sizeof(*v));

		if (!v)
			return -ENOMEM;
		p->v = v;
		p->room = room;
	}
	if (bpf_map_update_elem(d->core.pins.xport_fd, k, x, BPF_NOEXIST))
		return -errno;
	p->v[p->n++] = (struct port){.key = *k, .x = *x};
	d->core.pins.expect->ports = p->n;
	if (x->nat_ref)
		use_up(d->nat, x->nat_ref);
	return 0;
}

static void leave(struct ctd *d, struct port *at)
{
	struct expect_ports *p = d->expect_ports;

	bpf_map_delete_elem(d->core.pins.xport_fd, &at->key);
	if (at->x.nat_ref)
		use_down(d, at->x.nat_ref);
	*at = p->v[--p->n];
	d->core.pins.expect->ports = p->n;
}

static void keep(struct ctd *d, struct port *at)
{
	bpf_map_update_elem(d->core.pins.xport_fd, &at->key, &at->x, BPF_EXIST);
}

/* The range that ports are drawn from: the pool's, if the address has one. */
static void range_of(const struct ctd *d, const struct ct_xport_key *where, uint32_t *lo,
		     uint32_t *n)
{
	uint32_t index = pool_of(d, where), hi = 65535;

	*lo = PORT_LOW;
	if (index) {
		const struct nat_pool *p = &d->nat->m.pool[index];

		*lo = p->port_min > PORT_LOW ? p->port_min : PORT_LOW;
		hi = p->port_max;
	}
	*n = hi >= *lo ? hi - *lo + 1 : 0;
}

static uint32_t choose(struct ctd *d, const struct ct_xport_key *where, uint16_t wish, bool pair,
		       uint32_t ref[2])
{
	uint32_t lo, n, r, i, port;

	if (fits(d, where, wish, pair, ref))
		return wish;
	range_of(d, where, &lo, &n);
	for (i = 0; n && i < TRIES; i++) {
		if (getrandom(&r, sizeof(r), 0) != sizeof(r))
			return 0;
		port = lo + r % n;
		if (pair)
			port &= ~1u;
		if (fits(d, where, port, pair, ref))
			return port;
	}
	return 0;
}

/* Sets aside one port, or a pair. 0: none is to be had. */
static uint32_t take_once(struct ctd *d, const struct expect_master *m, const __be32 inside[4],
			  const struct ct_xport_key *where, uint16_t wish, bool pair)
{
	struct ct_xport x = {.master = m->conn, .held = 1};
	struct ct_xport_key k = *where, any = *where;
	uint32_t ref[2] = {0}, port, i;

	any.port = 0;
	port = choose(d, &any, wish, pair, ref);
	memcpy(x.inside, inside, sizeof(x.inside));
	for (i = 0; port && i < (pair ? 2u : 1u); i++) {
		k.port = htons(port + i);
		x.inside_port = htons(wish + i);
		x.nat_ref = ref[i];
		if (!enter(d, &k, &x))
			continue;
		if (i) {
			k.port = htons(port);
			leave(d, find(d, &k));
		}
		port = 0;
	}
	if (port)
		nat_reserve_again(d);
	return port;
}

/* Has a packet claimed it between our look and its reservation? */
static bool shared(const struct ctd *d, const struct ct_xport_key *k)
{
	const struct port *p = find(d, k);

	return p && p->x.nat_ref && uses(d, p->x.nat_ref) > 1;
}

uint16_t expect_port_take(struct ctd *d, const struct expect_master *m, const __be32 inside[4],
			  const struct ct_xport_key *where, uint16_t wish, bool pair)
{
	struct ct_xport_key k = *where, next = *where;
	uint32_t port, i;

	for (i = 0; i < TAKES; i++) {
		port = take_once(d, m, inside, where, wish, pair);
		if (!port)
			break;
		k.port = htons(port);
		next.port = htons(port + 1);
		if (!shared(d, &k) && !(pair && shared(d, &next)))
			return port;
		expect_port_let(d, &k);
		if (pair)
			expect_port_let(d, &next);
	}
	d->core.pins.expect->refused_port++;
	return 0;
}

unsigned int expect_ports_promised(const struct ctd *d, const struct ct_label_key *master,
				   unsigned int (*of)(uint8_t proto))
{
	const struct expect_ports *p = d->expect_ports;
	unsigned int i, n = 0;

	for (i = 0; i < p->n; i++) {
		const struct ct_xport *x = &p->v[i].x;

		if (x->held && !x->group &&
		    (!master || !memcmp(&x->master, master, sizeof(*master))))
			n += of(p->v[i].key.proto);
	}
	return n;
}

void expect_port_join(struct ctd *d, const struct ct_xport_key *k, uint32_t group)
{
	struct port *p = find(d, k);

	if (!p)
		return;
	p->x.held = 1;
	p->x.group = group;
	keep(d, p);
}

/* Lets go; what nothing uses goes at once. */
static bool let(struct ctd *d, struct port *p)
{
	if (p->x.held) {
		p->x.held = 0;
		keep(d, p);
	}
	if (expect_refers(d, &p->key) || (p->x.nat_ref && uses(d, p->x.nat_ref) > 1))
		return false;
	leave(d, p);
	return true;
}

void expect_port_let(struct ctd *d, const struct ct_xport_key *k)
{
	struct port *p = find(d, k);

	if (p && let(d, p))
		nat_reserve_again(d);
}

static void let_of(struct ctd *d, const struct ct_label_key *master, const uint32_t *group)
{
	struct expect_ports *p = d->expect_ports;
	bool gone = false;
	unsigned int i;

	for (i = p->n; i-- > 0;)
		if (!memcmp(&p->v[i].x.master, master, sizeof(*master)) &&
		    (!group || p->v[i].x.group == *group))
			gone |= let(d, &p->v[i]);
	if (gone)
		nat_reserve_again(d);
}

void expect_port_let_group(struct ctd *d, const struct ct_label_key *master, uint32_t group)
{
	if (group)
		let_of(d, master, &group);
}

void expect_port_let_all(struct ctd *d, const struct ct_label_key *master)
{
	let_of(d, master, NULL);
}

void expect_ports_sweep(struct ctd *d)
{
	struct expect_ports *p = d->expect_ports;
	bool gone = false;
	unsigned int i;

	for (i = p->n; i-- > 0;)
		if (!p->v[i].x.held || !expect_alive(d, &p->v[i].x.master))
			gone |= let(d, &p->v[i]);
	if (gone)
		nat_reserve_again(d);
}

void expect_port_each(const struct ctd *d, void (*fn)(uint32_t ref, void *arg), void *arg)
{
	const struct expect_ports *p = d->expect_ports;
	unsigned int i;

	for (i = 0; p && i < p->n; i++)
		if (p->v[i].x.nat_ref)
			fn(p->v[i].x.nat_ref, arg);
}

int expect_ports_start(struct ctd *d)
{
	struct expect_ports *p = calloc(1, sizeof(*p));
	int fd = d->core.pins.xport_fd;
	struct ct_xport_key at, next;
	bool more = !bpf_map_get_next_key(fd, NULL, &next);

	if (!p)
		return -ENOMEM;
	d->expect_ports = p;
	p->room = CT_EXPECT_MAX;
	p->v = calloc(p->room, sizeof(*p->v));
	if (!p->v)
		return -ENOMEM;
	while (more && p->n < p->room) {
		at = next;
		more = !bpf_map_get_next_key(fd, &at, &next);
		p->v[p->n].key = at;
		if (!bpf_map_lookup_elem(fd, &at, &p->v[p->n].x))
			p->n++;
	}
	d->core.pins.expect->ports = p->n;
	return 0;
}

void expect_ports_stop(struct ctd *d)
{
	if (!d->expect_ports)
		return;
	free(d->expect_ports->v);
	free(d->expect_ports);
	d->expect_ports = NULL;
}
