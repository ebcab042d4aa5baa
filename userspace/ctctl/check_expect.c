// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Expectations: their masters live, their ports are held, their number is what packets go by. */
#include <string.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>

#include "../lib/nat_maps.h"
#include "check.h"
#include "nfct_expect.h"

struct expects {
	struct bpfct_pins *p;
	const struct nat_maps *m;
	struct check_findings *out;
	uint32_t n;
};

static bool master_lives(const struct bpfct_pins *p, const struct ct_label_key *id)
{
	struct ct_conn6 conn;
	struct ct_key4 k4;
	struct ct_key6 k6 = id->key;
	bool six = id->key.pad == 6;
	uint32_t life;

	k4 = (struct ct_key4){.addr = {id->key.addr[0][0], id->key.addr[1][0]},
			      .port = {id->key.port[0], id->key.port[1]},
			      .zone = id->key.zone,
			      .proto = id->key.proto};
	k6.pad = 0;
	if (bpf_map_lookup_elem(p->conn_fd[six], six ? (void *)&k6 : (void *)&k4, &conn))
		return false;
	life = ct_w_life(conn.c.word);
	return ct_w_gen(conn.c.word) == id->gen &&
	       (life == CT_LIFE_HALF_OPEN || life == CT_LIFE_CONFIRMED || life == CT_LIFE_SETUP);
}

/* A port that stands for something has a use. */
static bool port_held(const struct nat_maps *m, uint32_t ref)
{
	uint32_t pool = nat_ref_pool(ref), port = nat_ref_port(ref);
	const struct nat_pool *p = &m->pool[pool];

	if (pool >= m->pools || port < p->port_min || port > p->port_max)
		return false;
	return nat_uses(
		__atomic_load_n(&m->use[p->use_base + port - p->port_min], __ATOMIC_RELAXED));
}

static int check_one(const struct expect_view *v, void *arg)
{
	struct expects *e = arg;
	struct check_finding f = {.family = v->key.family, .gen = ct_x_gen(v->x.word)};

	e->n++;
	memcpy(f.key.addr[0], v->key.saddr, 16);
	memcpy(f.key.addr[1], v->key.daddr, 16);
	f.key.port[0] = v->key.sport;
	f.key.port[1] = v->key.dport;
	f.key.proto = v->key.proto;
	f.key.zone = v->key.zone;
	f.kind = CHECK_MASTER;
	if (!(v->x.flags & CT_X_OUTLIVES) && !master_lives(e->p, &v->x.master))
		return check_add(e->out, &f);
	f.kind = CHECK_PORT;
	if (v->x.nat_ref && !port_held(e->m, v->x.nat_ref))
		return check_add(e->out, &f);
	return 0;
}

int check_expect(struct bpfct_pins *p, struct check_findings *out)
{
	struct check_finding f = {.kind = CHECK_COUNT, .what = "expectations"};
	struct nat_maps m;
	struct expects e = {.p = p, .m = &m, .out = out};
	int ret = nat_maps_open(&m, p, false);

	if (!ret)
		ret = expect_walk(p, check_one, &e);
	/* Fewer than they are: a packet might not look. More: it looks in vain. */
	f.walk = e.n;
	f.count = __atomic_load_n(&p->expect->count, __ATOMIC_RELAXED);
	if (!ret && f.count < f.walk)
		ret = check_add(out, &f);
	nat_maps_close(&m);
	return ret;
}
