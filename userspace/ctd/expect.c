// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "expect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>

#include "control.h"
#include "expect_gre.h"
#include "expect_port.h"

#define PERIOD_MS 500
#define PORT_LOW  1024
/* Of a walk over ct_master_v1: one whose place is deleted under it begins again. */
#define WALK_MAX (1u << 20)

/* An entry of ct_expect_v1, as it was entered. */
struct entry {
	struct ct_tuple key;
	struct ct_expect x;
	bool claimed; /* seen so: a commit that fails may still give it back */
};

struct expect {
	struct event *timer;
	struct entry *v;
	unsigned int n, room;
	uint32_t gen; /* of the last one entered */
	bool told;    /* a limit was reached and logged since the last sweep */
};

static bool same_conn(const struct ct_label_key *a, const struct ct_label_key *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static struct ct_expect_state *state(const struct ctd *d)
{
	return d->core.pins.expect;
}

static enum ct_expect_shape shape_of(const struct ct_tuple *key)
{
	static const __be32 any[4];

	if (key->sport)
		return CT_X_EXACT;
	return memcmp(key->saddr, any, sizeof(any)) ? CT_X_ANY_PORT : CT_X_ANY_SOURCE;
}

static struct entry *find(const struct expect *e, const struct ct_tuple *key)
{
	unsigned int i;

	for (i = 0; i < e->n; i++)
		if (!memcmp(&e->v[i].key, key, sizeof(*key)))
			return &e->v[i];
	return NULL;
}

static void tell(struct ctd *d, const struct entry *en, uint32_t type)
{
	struct ct_expect_event ev = {.type = type, .tuple = en->key, .x = en->x};

	ev.tick = bpfct_now(&d->core.pins);
	control_broadcast_expect(d, &ev);
}

/* The counts of the shapes are what packets go by: raised first, lowered last. */
static void count(struct ctd *d, const struct ct_tuple *key, int by)
{
	struct ct_expect_state *st = state(d);

	__atomic_add_fetch(&st->entries[shape_of(key)], by, __ATOMIC_SEQ_CST);
	if (__atomic_add_fetch(&st->count, by, __ATOMIC_SEQ_CST) > st->high)
		st->high = st->count;
}

static int remember(struct expect *e, const struct ct_tuple *key, const struct ct_expect *x)
{
	if (e->n == e->room) {
		unsigned int room = e->room ? 2 * e->room : 64;
		struct entry *v = realloc(e->v, room * sizeof(*v));

		if (!v)
			return -ENOMEM;
		e->v = v;
		e->room = room;
	}
	e->v[e->n++] = (struct entry){.key = *key, .x = *x};
	return 0;
}

static void drop(struct ctd *d, struct entry *en)
{
	struct expect *e = d->expect;

	bpf_map_delete_elem(d->core.pins.expect_fd, &en->key);
	count(d, &en->key, -1);
	state(d)->deleted++;
	tell(d, en, CT_EVENT_DESTROY);
	*en = e->v[--e->n];
}

static int read_record(struct ctd *d, const struct ct_label_key *conn, struct ct_conn6 *c)
{
	const struct bpfct_pins *p = &d->core.pins;
	struct ct_key4 k4;
	struct ct_key6 k6;

	if (conn->key.pad == 4) {
		k4 = (struct ct_key4){.addr = {conn->key.addr[0][0], conn->key.addr[1][0]},
				      .port = {conn->key.port[0], conn->key.port[1]},
				      .zone = conn->key.zone,
				      .proto = conn->key.proto};
		return bpf_map_lookup_elem(p->conn_fd[0], &k4, c);
	}
	k6 = conn->key;
	k6.pad = 0;
	return bpf_map_lookup_elem(p->conn_fd[1], &k6, c);
}

/* The record's word while this life of the connection goes on, or 0. */
static uint64_t live_word(struct ctd *d, const struct ct_label_key *conn)
{
	struct ct_conn6 c = {0};
	int ret = read_record(d, conn, &c);
	uint32_t life = ct_w_life(c.c.word);

	return !ret && ct_w_gen(c.c.word) == conn->gen &&
			       (life == CT_LIFE_HALF_OPEN || life == CT_LIFE_CONFIRMED) &&
			       (int32_t)(c.c.expires - bpfct_now(&d->core.pins)) >= 0
		       ? c.c.word
		       : 0;
}

int expect_name(struct ctd *d, const struct ct_flow *flow, struct ct_label_key *conn)
{
	struct ct_conn6 c = {0};
	unsigned int i;

	*conn = (struct ct_label_key){.key = flow->key6};
	if (flow->family == 4) {
		conn->key = (struct ct_key6){.zone = flow->key4.zone, .proto = flow->key4.proto};
		for (i = 0; i < 2; i++) {
			conn->key.addr[i][0] = flow->key4.addr[i];
			conn->key.port[i] = flow->key4.port[i];
		}
	}
	conn->key.pad = flow->family;
	if (read_record(d, conn, &c))
		return -ENOENT;
	conn->gen = ct_w_gen(c.c.word);
	return 0;
}

bool expect_alive(struct ctd *d, const struct ct_label_key *conn)
{
	return live_word(d, conn);
}

/* Has an expectation's master ended, as far as that matters to it? */
static bool orphan(struct ctd *d, const struct ct_expect *x)
{
	uint64_t word;

	if (x->flags & CT_X_OUTLIVES)
		return false;
	word = live_word(d, &x->master);
	return !word ||
	       ((x->flags & CT_X_CLOSES) && ct_tcp_closed(x->master.key.proto, ct_w_state(word)));
}

bool expect_refers(const struct ctd *d, const struct ct_xport_key *k)
{
	const struct expect *e = d->expect;
	unsigned int i;

	for (i = 0; i < e->n; i++) {
		const struct ct_tuple *t = &e->v[i].key, *nat = &e->v[i].x.nat;

		if (t->proto != k->proto || t->family != k->family)
			continue;
		if ((t->dport == k->port && !memcmp(t->daddr, k->addr, sizeof(k->addr))) ||
		    (nat->sport == k->port && !memcmp(nat->saddr, k->addr, sizeof(k->addr))))
			return true;
	}
	return false;
}

int expect_admit(struct ctd *d, const struct ct_label_key *master, unsigned int more)
{
	struct expect *e = d->expect;
	struct ct_expect_state *st = state(d);
	unsigned int i, n = more, all = more + e->n;
	int ret = 0;

	for (i = 0; i < e->n; i++)
		n += same_conn(&e->v[i].x.master, master);
	n += expect_ports_promised(d, master, expect_named_by);
	all += expect_ports_promised(d, NULL, expect_named_by);
	if (n > st->master_limit) {
		st->refused_master++;
		ret = -EMLINK;
	} else if (all > st->limit || all > CT_EXPECT_MAX) {
		st->refused++;
		ret = -ENOSPC;
	}
	if (ret && !e->told)
		log_event(LOG_WARN, "expect_refused", "limit=%s of=%u",
			  ret == -EMLINK ? "master" : "all",
			  ret == -EMLINK ? st->master_limit : st->limit);
	e->told |= ret != 0;
	return ret;
}

int expect_put(struct ctd *d, const struct ct_tuple *key, const struct ct_expect *x)
{
	struct expect *e = d->expect;
	struct ct_expect new = *x;
	struct entry *old = find(e, key);
	int ret;

	if (old && !same_conn(&old->x.master, &x->master) && expect_alive(d, &old->x.master))
		return -EEXIST;
	if (old)
		drop(d, old);
	ret = expect_admit(d, &x->master, 1);
	if (ret)
		return ret;
	if (!++e->gen)
		e->gen = 1;
	new.word = (uint64_t)e->gen << 32;
	ret = remember(e, key, &new);
	if (ret)
		return ret;
	count(d, key, 1);
	if (bpf_map_update_elem(d->core.pins.expect_fd, key, &new, BPF_NOEXIST)) {
		ret = -errno;
		e->n--;
		count(d, key, -1);
		return ret;
	}
	state(d)->created++;
	tell(d, &e->v[e->n - 1], CT_EVENT_NEW);
	return 0;
}

/* What the parser says has to make sense whoever wrote it. */
static int judge(const struct alg_expect *x)
{
	const struct ct_tuple *t = &x->tuple, *nat = &x->nat;

	if (t->family != nat->family || t->proto != nat->proto || t->zone != nat->zone ||
	    (t->family != 4 && t->family != 6) || !x->timeout_s)
		return -EINVAL;
	if (t->proto == IPPROTO_GRE)
		return (t->sport || t->dport) && (nat->sport || nat->dport) ? 0 : -EINVAL;
	if (t->proto != IPPROTO_TCP && t->proto != IPPROTO_UDP)
		return -EINVAL;
	return ntohs(t->dport) < PORT_LOW || ntohs(nat->dport) < PORT_LOW ? -EINVAL : 0;
}

static uint8_t flags_of(const struct expect_master *m, const struct alg_expect *x)
{
	uint8_t flags = CT_X_NAT;

	/* FTP's transfers are of their control connection (RFC 959 3.2), PPTP's calls too; SIP's
	 * go on over another. */
	if (m->helper == ALG_FTP || m->helper == ALG_PPTP)
		flags |= CT_X_CLOSES;

	if (x->flags & ALG_X_PERMANENT)
		flags |= CT_X_PERMANENT;
	if (x->flags & ALG_X_POLICY)
		flags |= CT_X_POLICY;
	/* A registration holds though the connection that brought it is gone. */
	if ((x->flags & ALG_X_PERMANENT) && x->class == ALG_CLASS_SIP)
		flags |= CT_X_OUTLIVES;
	return flags;
}

static struct ct_xport_key endpoint(const struct ct_tuple *t, const __be32 addr[4], __be16 port)
{
	struct ct_xport_key k = {.port = port, .proto = t->proto, .family = t->family};

	memcpy(k.addr, addr, sizeof(k.addr));
	return k;
}

/* Which of the external ports that it names is ours to keep: the one it comes to, or, of
 * one from inside, the one it will come from. */
static void take_port(struct ctd *d, const struct alg_expect *x, struct ct_expect *to)
{
	const struct ct_tuple *t = &x->tuple, *nat = &x->nat;
	struct ct_xport_key k = {0};
	bool dst = t->dport != nat->dport || memcmp(t->daddr, nat->daddr, sizeof(t->daddr));
	bool src = memcmp(t->saddr, nat->saddr, sizeof(t->saddr)) != 0;

	if (dst)
		k = endpoint(t, t->daddr, t->dport);
	else if (nat->sport)
		k = endpoint(t, nat->saddr, nat->sport);
	if (dst || (src && nat->sport) || (nat->sport && nat->sport != t->sport)) {
		expect_port_join(d, &k, x->group);
		to->nat_ref = expect_port_ref(d, &k, t->zone, &to->nat_gen);
	}
	if (src && !nat->sport) {
		k = endpoint(t, nat->saddr, 0);
		to->nat_pool = expect_pool_base(d, &k);
	}
}

int expect_add(struct ctd *d, const struct expect_master *m, const struct alg_expect *x)
{
	struct ct_expect new = {
		.nat = x->nat,
		.orig = m->tuple[CT_ORIG],
		.master = m->conn,
		.timeout = x->timeout_s,
		.group = x->group,
		.flags = flags_of(m, x),
		.class = x->class,
		.helper = m->helper,
		.give = x->class == ALG_CLASS_SIP ? ALG_SIP : ALG_NONE,
		.dir = x->dir,
	};
	uint32_t hz = d->core.pins.settings->hz;
	const struct entry *old;
	int ret = judge(x);

	if (!ret && !expect_alive(d, &m->conn))
		ret = -ENOENT;
	if (ret)
		return ret;
	new.expires =
		bpfct_now(&d->core.pins) + (uint32_t)(((uint64_t)x->timeout_s * hz + 31) / 32);
	take_port(d, x, &new);
	ret = expect_gre_put(d, &m->conn, x);
	if (!ret)
		ret = expect_put(d, &x->tuple, &new);
	if (ret && x->tuple.proto == IPPROTO_GRE)
		expect_gre_let(d, &m->conn, &x->group);
	if (ret != -EEXIST)
		return ret;
	/* Both parties of a call behind one NAT announce the same: it stands once. */
	old = find(d->expect, &x->tuple);
	return old && !memcmp(&old->x.nat, &x->nat, sizeof(x->nat)) ? 0 : -EBUSY;
}

int expect_del(struct ctd *d, const struct ct_tuple *key)
{
	struct entry *en = find(d->expect, key);

	if (!en)
		return -ENOENT;
	drop(d, en);
	return 0;
}

unsigned int expect_flush(struct ctd *d)
{
	unsigned int n = d->expect->n;

	while (d->expect->n)
		drop(d, &d->expect->v[d->expect->n - 1]);
	return n;
}

/* From the last on: drop() moves the last into the place of the one that goes. */
static void drop_of(struct ctd *d, const struct ct_label_key *master, const uint32_t *group)
{
	struct expect *e = d->expect;
	unsigned int i;

	for (i = e->n; i-- > 0;) {
		const struct ct_expect *x = &e->v[i].x;

		if (!same_conn(&x->master, master) || (group && x->group != *group) ||
		    (!group && (x->flags & CT_X_OUTLIVES)))
			continue;
		drop(d, &e->v[i]);
	}
}

void expect_withdraw(struct ctd *d, const struct ct_label_key *master, uint32_t group)
{
	drop_of(d, master, &group);
	expect_gre_let(d, master, &group);
	expect_port_let_group(d, master, group);
}

void expect_end(struct ctd *d, const struct ct_label_key *conn)
{
	struct ct_control req = {.op = CT_CONTROL_DELETE, .gen = conn->gen};
	unsigned int i;

	req.flow.family = conn->key.pad;
	if (conn->key.pad == 4) {
		for (i = 0; i < 2; i++) {
			req.flow.key4.addr[i] = conn->key.addr[i][0];
			req.flow.key4.port[i] = conn->key.port[i];
		}
		req.flow.key4.zone = conn->key.zone;
		req.flow.key4.proto = conn->key.proto;
	} else {
		req.flow.key6 = conn->key;
		req.flow.key6.pad = 0;
	}
	for (i = 0; i < 3; i++)
		if (bpfct_control(&d->core.pins, &req) || req.result != -EAGAIN)
			break;
}

void expect_close(struct ctd *d, const struct ct_label_key *master, uint32_t group)
{
	int fd = d->core.pins.master_fd;
	struct ct_label_key at, next;
	unsigned int left = WALK_MAX;
	struct ct_master m;
	bool more;

	expect_withdraw(d, master, group);
	more = !bpf_map_get_next_key(fd, NULL, &next);
	while (more && left--) {
		at = next;
		more = !bpf_map_get_next_key(fd, &at, &next);
		if (!bpf_map_lookup_elem(fd, &at, &m) && same_conn(&m.conn, master) &&
		    m.group == group)
			expect_end(d, &at);
	}
}

void expect_del_of(struct ctd *d, const struct ct_label_key *master)
{
	drop_of(d, master, NULL);
	expect_gre_let(d, master, NULL);
	expect_port_let_all(d, master);
}

int expect_event(struct ctd *d, const struct expect_master *m, const struct alg_event *e)
{
	switch (e->kind) {
	case ALG_EXPECT:
		return expect_add(d, m, &e->expect);
	case ALG_WITHDRAW:
		expect_withdraw(d, &m->conn, e->group);
		return 0;
	case ALG_CLOSE:
		expect_close(d, &m->conn, e->group);
		return 0;
	}
	return -EINVAL;
}

/* Must this one go? A claim is believed when it was there at the last sweep already:
 * a commit that fails gives it back within microseconds. */
static bool over(struct ctd *d, struct entry *en, uint32_t now)
{
	struct ct_expect x;

	if (bpf_map_lookup_elem(d->core.pins.expect_fd, &en->key, &x) ||
	    ct_x_gen(x.word) != ct_x_gen(en->x.word))
		return true; /* somebody else's hand */
	en->x.word = x.word;
	if (!(en->x.flags & CT_X_PERMANENT) && ((uint32_t)x.word & CT_X_CLAIMED)) {
		if (en->claimed)
			return true;
		en->claimed = true;
		return false;
	}
	en->claimed = false;
	if ((int32_t)(x.expires - now) < 0) {
		state(d)->timed_out++;
		return true;
	}
	return orphan(d, &x);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct ctd *d = arg;
	struct expect *e = d->expect;
	uint32_t now = 0;
	unsigned int i;

	(void)fd;
	(void)what;
	e->told = false;
	if (e->n)
		now = bpfct_now(&d->core.pins);
	for (i = e->n; i-- > 0;)
		if (over(d, &e->v[i], now))
			drop(d, &e->v[i]);
	expect_gre_sweep(d);
	expect_ports_sweep(d);
}

/* Entries of a former ctd; the counts are made anew, as it may have been killed between
 * count and entry. */
static int adopt(struct ctd *d)
{
	struct ct_expect_state *st = state(d);
	int fd = d->core.pins.expect_fd, ret = 0;
	uint32_t entries[CT_X_SHAPES] = {0};
	struct ct_tuple at, next;
	struct ct_expect x;
	bool more = !bpf_map_get_next_key(fd, NULL, &next);
	unsigned int i;

	while (more && !ret) {
		at = next;
		more = !bpf_map_get_next_key(fd, &at, &next);
		if (bpf_map_lookup_elem(fd, &at, &x))
			continue;
		ret = remember(d->expect, &at, &x);
		entries[shape_of(&at)]++;
	}
	for (i = 0; i < CT_X_SHAPES; i++)
		__atomic_store_n(&st->entries[i], entries[i], __ATOMIC_SEQ_CST);
	__atomic_store_n(&st->count, d->expect->n, __ATOMIC_SEQ_CST);
	return ret;
}

int expect_start(struct ctd *d)
{
	struct expect *e = calloc(1, sizeof(*e));
	int ret;

	if (!e)
		return -ENOMEM;
	d->expect = e;
	/* Generations of one run must not be those of another. */
	if (getrandom(&e->gen, sizeof(e->gen), 0) != sizeof(e->gen))
		return -EIO;
	ret = adopt(d);
	if (!ret)
		ret = expect_gre_start(d);
	return ret ? ret : expect_ports_start(d);
}

int expect_run(struct ctd *d)
{
	static const struct timeval period = {.tv_usec = PERIOD_MS * 1000};
	struct expect *e = d->expect;

	e->timer = event_new(d->base, -1, EV_PERSIST, on_timer, d);
	return e->timer && !event_add(e->timer, &period) ? 0 : -ENOMEM;
}

void expect_stop(struct ctd *d)
{
	struct expect *e = d->expect;

	if (!e)
		return;
	if (e->timer)
		event_free(e->timer);
	expect_ports_stop(d);
	expect_gre_stop(d);
	free(e->v);
	free(e);
	d->expect = NULL;
}
