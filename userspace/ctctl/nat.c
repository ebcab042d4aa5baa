// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* `ctctl nat`: the pools and who holds their ports. Read from the maps: it works
 * with ctd dead. */
#include "nat.h"

#include <errno.h>
#include <string.h>

#include <arpa/inet.h>
#include <json-c/json.h>

const char *nat_class_text(unsigned int class)
{
	static const char *const text[NAT_CLASSES] = {"tcp", "udp", "icmp", "sctp"};

	return class < NAT_CLASSES ? text[class] : "?";
}

const char *nat_path_text(unsigned int path)
{
	static const char *const text[] = {
#define X(name, txt) txt,
		NAT_PATHS(X)
#undef X
	};

	return path < NAT_PATH_MAX ? text[path] : "?";
}

int nat_open(struct ctctl *c, struct bpfct_pins *p, struct nat_maps *m)
{
	int ret = ctctl_open(c, p, false);

	if (ret)
		return ret;
	ret = nat_maps_open(m, p, false);
	if (!ret)
		return CTCTL_OK;
	nat_maps_close(m);
	bpfct_pins_close(p);
	return ctctl_fail(c, "cannot map the NAT pools: %s", strerror(-ret));
}

void nat_close(struct bpfct_pins *p, struct nat_maps *m)
{
	nat_maps_close(m);
	bpfct_pins_close(p);
}

static bool port_reserved(const struct nat_reserved *r, uint32_t port)
{
	return r->word[port / 64] >> port % 64 & 1;
}

/* A use that ended less than the hold-down ago. */
static bool port_held(const struct nat_pool *p, uint32_t word, uint32_t now)
{
	return word && ((now - nat_use_released(word)) & 0xfff) < p->hold;
}

void nat_pool_count(const struct nat_maps *m, uint32_t index, uint32_t now, struct nat_counts *out)
{
	const struct nat_pool *p = &m->pool[index];
	const uint32_t *use = nat_maps_use(m, index), *slot = m->ring + p->ring_base;
	const struct nat_reserved *r = nat_maps_reserved(m, index);
	uint32_t i, k;

	memset(out, 0, sizeof(*out));
	out->size = p->port_max - p->port_min + 1;
	for (i = 0; i < out->size; i++) {
		uint32_t word = __atomic_load_n(&use[i], __ATOMIC_RELAXED);

		out->used += nat_uses(word) != 0;
		out->held += !nat_uses(word) && port_held(p, word, now);
		out->reserved += port_reserved(r, p->port_min + i);
	}
	for (i = 0; i < p->rings * p->ring_size; i++)
		out->leased += __atomic_load_n(&slot[i], __ATOMIC_RELAXED) != 0;
	for (i = 0; i < m->heads; i++) {
		const struct nat_head *h = &m->head[p->head_base + i];

		out->refused += h->refused;
		out->lost += h->lost;
		for (k = 0; k < NAT_PATH_MAX; k++)
			out->path[k] += h->path[k];
	}
	out->tuples = nat_maps_tuples(m, index);
}

const char *nat_addr_text(int family, const __be32 *addr, char *buf, size_t len)
{
	return inet_ntop(family == 4 ? AF_INET : AF_INET6, addr, buf, len);
}

static void print_text(struct ctctl *c, const struct nat_pool *p, const struct nat_counts *n,
		       bool first)
{
	char addr[INET6_ADDRSTRLEN], ports[16];
	int k;

	if (first) {
		fprintf(c->out, "%-18s %-5s %-11s %6s %6s %6s %6s %8s %6s %8s %8s %5s", "ADDRESS",
			"CLASS", "PORTS", "SIZE", "LEASED", "USED", "HELD", "RESERVED", "HIGH",
			"TUPLES", "REFUSED", "STATE");
		for (k = 0; k < NAT_PATH_MAX; k++)
			fprintf(c->out, " %8s", nat_path_text(k));
		fputc('\n', c->out);
	}
	snprintf(ports, sizeof(ports), "%u-%u", p->port_min, p->port_max);
	fprintf(c->out, "%-18s %-5s %-11s %6u %6u %6u %6u %8u %6u %8llu %8llu %5s",
		nat_addr_text(p->family, p->addr, addr, sizeof(addr)), nat_class_text(p->class),
		ports, n->size, n->leased, n->used, n->held, n->reserved, p->used_high,
		(unsigned long long)n->tuples, (unsigned long long)n->refused,
		p->flags & NAT_POOL_LIVE ? "live" : "ends");
	for (k = 0; k < NAT_PATH_MAX; k++)
		fprintf(c->out, " %8llu", (unsigned long long)n->path[k]);
	fputc('\n', c->out);
}

static void put(struct json_object *o, const char *key, uint64_t n)
{
	json_object_object_add(o, key, json_object_new_uint64(n));
}

static struct json_object *pool_json(uint32_t index, const struct nat_pool *p,
				     const struct nat_counts *n)
{
	struct json_object *o = json_object_new_object(), *paths = json_object_new_object();
	char addr[INET6_ADDRSTRLEN];
	int k;

	put(o, "index", index);
	json_object_object_add(
		o, "address",
		json_object_new_string(nat_addr_text(p->family, p->addr, addr, sizeof(addr))));
	json_object_object_add(o, "class", json_object_new_string(nat_class_text(p->class)));
	json_object_object_add(o, "live", json_object_new_boolean(p->flags & NAT_POOL_LIVE));
	json_object_object_add(o, "eim", json_object_new_boolean(p->flags & NAT_POOL_EIM));
	put(o, "port_min", p->port_min);
	put(o, "port_max", p->port_max);
	put(o, "size", n->size);
	put(o, "leased", n->leased);
	put(o, "used", n->used);
	put(o, "held", n->held);
	put(o, "reserved", n->reserved);
	put(o, "high", p->used_high);
	put(o, "tuples", n->tuples);
	put(o, "refused", n->refused);
	put(o, "lost", n->lost);
	if (p->block)
		put(o, "block", p->block);
	for (k = 0; k < NAT_PATH_MAX; k++)
		put(paths, nat_path_text(k), n->path[k]);
	json_object_object_add(o, "paths", paths);
	return o;
}

int ctctl_nat(struct ctctl *c, int argc, char **argv)
{
	struct json_object *list;
	struct bpfct_pins p;
	struct nat_maps m;
	bool first = true;
	uint32_t i, now;
	int ret;

	if (argc != 1)
		return ctctl_usage(c, "`nat' has no verb `%s'", argv[1]);
	ret = nat_open(c, &p, &m);
	if (ret)
		return ret;
	list = json_object_new_array();
	now = nat_use_now(bpfct_now(&p));
	for (i = 1; i < m.pools; i++) {
		struct nat_counts n;

		if (!m.pool[i].family)
			continue;
		nat_pool_count(&m, i, now, &n);
		if (c->json)
			json_object_array_add(list, pool_json(i, &m.pool[i], &n));
		else
			print_text(c, &m.pool[i], &n, first);
		first = false;
	}
	if (c->json)
		fprintf(c->out, "%s\n",
			json_object_to_json_string_ext(list, JSON_C_TO_STRING_PLAIN));
	json_object_put(list);
	nat_close(&p, &m);
	return CTCTL_OK;
}
