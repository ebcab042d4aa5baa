// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Who has a port: `ctctl nat whois`, `blocks`, `bindings`. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <json-c/json.h>

#include "nat.h"

#define BATCH 4096

/* 4, 6, or 0: no address. */
static int parse_addr(const char *text, __be32 addr[4])
{
	memset(addr, 0, 4 * sizeof(addr[0]));
	if (inet_pton(AF_INET, text, addr) == 1)
		return 4;
	return inet_pton(AF_INET6, text, addr) == 1 ? 6 : 0;
}

static uint32_t last_word(const __be32 addr[4], int family)
{
	return ntohl(addr[family == 4 ? 0 : 3]);
}

/* Blocks of one address; those of the classes are the same, so TCP's tell. */
static bool has_blocks(const struct nat_pool *p)
{
	return p->family && p->block && p->class == NAT_TCP && p->flags & NAT_POOL_LIVE;
}

/* Sources of the inside prefix from this address's first block on. */
static uint32_t blocks_of(const struct nat_pool *p)
{
	uint32_t n = (p->port_max - p->port_min + 1u) / p->block, bits, first, left;

	bits = (p->family == 4 ? 32 : 128) - p->inside_plen;
	if (bits >= 32)
		return n;
	first = last_word(p->inside, p->family) & ((1u << bits) - 1);
	left = (1u << bits) - first;
	return n < left ? n : left;
}

static void source_of(const struct nat_pool *p, uint32_t block, __be32 addr[4])
{
	uint32_t word = p->family == 4 ? 0 : 3;

	memcpy(addr, p->inside, sizeof(p->inside));
	addr[word] = htonl(last_word(p->inside, p->family) + block);
}

/* One answer: an inside address, with a port unless it has the whole block. */
struct who {
	int family;
	const __be32 *inside;
	const char *class; /* NULL: all */
	uint16_t port;	   /* 0: any of the block */
	uint16_t zone;
	const char *how;
	uint16_t min, max; /* of the block */
};

static void print_who(struct ctctl *c, const struct who *w, bool *any)
{
	char addr[INET6_ADDRSTRLEN];

	nat_addr_text(w->family, w->inside, addr, sizeof(addr));
	if (!c->json && w->max) {
		fprintf(c->out, "%s block %u-%u\n", addr, w->min, w->max);
	} else if (!c->json) {
		fprintf(c->out, "%s %s port %u zone %u %s\n", addr, w->class, w->port, w->zone,
			w->how);
	} else {
		struct json_object *o = json_object_new_object();

		json_object_object_add(o, "inside", json_object_new_string(addr));
		json_object_object_add(o, "how", json_object_new_string(w->how));
		if (w->max) {
			json_object_object_add(o, "port_min", json_object_new_int(w->min));
			json_object_object_add(o, "port_max", json_object_new_int(w->max));
		} else {
			json_object_object_add(o, "class", json_object_new_string(w->class));
			json_object_object_add(o, "port", json_object_new_int(w->port));
			json_object_object_add(o, "zone", json_object_new_int(w->zone));
		}
		fprintf(c->out, "%s%s", *any ? ",\n" : "",
			json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
		json_object_put(o);
	}
	*any = true;
}

static void who_by_block(struct ctctl *c, const struct nat_maps *m, int family,
			 const __be32 addr[4], uint16_t port, bool *any)
{
	uint32_t i;

	for (i = 1; i < m->pools; i++) {
		const struct nat_pool *p = &m->pool[i];
		struct who w = {.family = family, .how = "block"};
		__be32 inside[4];
		uint32_t block;

		if (!has_blocks(p) || p->family != family ||
		    memcmp(p->addr, addr, sizeof(p->addr)) || port < p->port_min ||
		    port > p->port_max)
			continue;
		block = (port - p->port_min) / p->block;
		if (block >= blocks_of(p))
			continue;
		source_of(p, block, inside);
		w.inside = inside;
		w.min = p->port_min + block * p->block;
		w.max = w.min + p->block - 1;
		print_who(c, &w, any);
	}
}

typedef int (*bound_fn)(struct ctctl *c, const struct nat_bound_key *k, const struct nat_bound *b,
			void *arg);

/* Every binding that lives. 0, or what a callback has returned. */
static int walk_bindings(struct ctctl *c, struct bpfct_pins *p, bound_fn fn, void *arg)
{
	struct nat_bound_key *key = calloc(BATCH, sizeof(*key));
	struct nat_bound *b = calloc(BATCH, sizeof(*b));
	__u32 at[16] = {0}, n = BATCH, i, now = bpfct_now(p);
	bool first = true, last = false;
	int ret = key && b ? 0 : -ENOMEM;

	while (!ret && !last) {
		n = BATCH;
		last = bpf_map_lookup_batch(p->nat_bound_fd, first ? NULL : at, at, key, b, &n,
					    NULL);
		if (last && errno != ENOENT)
			ret = -errno;
		first = false;
		for (i = 0; !ret && i < n; i++)
			if ((__u32)b[i].word != NAT_BOUND_DEAD &&
			    ((__u32)b[i].word || (int32_t)(b[i].expires - now) >= 0))
				ret = fn(c, &key[i], &b[i], arg);
	}
	free(key);
	free(b);
	return ret;
}

struct wanted {
	int family;
	const __be32 *addr;
	uint16_t port;
	bool *any;
};

static int who_bound(struct ctctl *c, const struct nat_bound_key *k, const struct nat_bound *b,
		     void *arg)
{
	const struct wanted *want = arg;
	struct who w = {.family = k->family,
			.inside = b->addr,
			.class = nat_class_text(k->class),
			.port = ntohs(b->port),
			.zone = k->zone,
			.how = "binding"};

	if (k->family == want->family && !memcmp(k->addr, want->addr, sizeof(k->addr)) &&
	    ntohs(k->port) == want->port)
		print_who(c, &w, want->any);
	return 0;
}

struct live {
	struct ctctl *c;
	const struct wanted *want;
	struct ct_view_clock clock;
};

/* A connection whose replies go to this address and port. */
static int who_flow(const struct ct_flow *flow, void *arg)
{
	const struct live *l = arg;
	const __be32 *ext = flow->family == 4 ? &flow->conn4.reply_daddr : flow->conn6.reply_daddr;
	struct who w = {.family = flow->family, .how = "connection"};
	const struct ct_view_side *orig, *reply;
	struct ct_view v;
	bool icmp;

	if (!(flow->c.word & CT_W_STATUS(CT_S_SRC_NAT)) ||
	    memcmp(ext, l->want->addr, flow->family == 4 ? 4 : 16))
		return 0;
	ct_view_fill(&v, flow, &l->clock);
	orig = &v.side[CT_ORIG], reply = &v.side[CT_REPLY];
	icmp = v.proto == IPPROTO_ICMP || v.proto == IPPROTO_ICMPV6;
	if (!ct_view_listed(&v) || (icmp ? reply->icmp_id : reply->dport) != l->want->port)
		return 0;
	w.inside = orig->src;
	w.class = ct_proto_name(v.proto);
	w.port = icmp ? orig->icmp_id : orig->sport;
	w.zone = v.zone;
	print_who(l->c, &w, l->want->any);
	return 0;
}

int ctctl_nat_whois(struct ctctl *c, int argc, char **argv)
{
	unsigned long port = 0;
	struct bpfct_pins p;
	struct nat_maps m;
	__be32 addr[4];
	bool any = false;
	struct wanted want = {.addr = addr, .any = &any};
	int ret;

	if (argc != 3 || !(want.family = parse_addr(argv[1], addr)) ||
	    !ctctl_number(argv[2], 65535, &port))
		return ctctl_usage(c, "nat whois takes an external address and a port");
	want.port = port;
	ret = nat_open(c, &p, &m);
	if (ret)
		return ret;
	fputs(c->json ? "[" : "", c->out);
	who_by_block(c, &m, want.family, addr, port, &any);
	if (!any)
		ret = walk_bindings(c, &p, who_bound, &want);
	if (!any && !ret) {
		struct live l = {c, &want, ctctl_clock_now(&p)};

		ret = bpfct_dump(&p, want.family, who_flow, &l);
	}
	fputs(c->json ? "]\n" : "", c->out);
	nat_close(&p, &m);
	if (ret)
		return ctctl_fail(c, "cannot read the tables: %s", strerror(-ret));
	return any ? CTCTL_OK : ctctl_fail(c, "nobody has %s port %lu", argv[1], port);
}

static void print_block(struct ctctl *c, const struct nat_pool *p, uint32_t block, bool *any)
{
	char in[INET6_ADDRSTRLEN], out[INET6_ADDRSTRLEN];
	uint32_t min = p->port_min + block * p->block;
	__be32 inside[4];

	source_of(p, block, inside);
	nat_addr_text(p->family, inside, in, sizeof(in));
	nat_addr_text(p->family, p->addr, out, sizeof(out));
	if (c->json)
		fprintf(c->out,
			"%s{\"inside\":\"%s\",\"address\":\"%s\",\"port_min\":%u,\"port_max\":%u}",
			*any ? ",\n" : "", in, out, min, min + p->block - 1);
	else
		fprintf(c->out, "%s %s %u-%u\n", in, out, min, min + p->block - 1);
	*any = true;
}

/* Is this source one of the pool's, and which? */
static bool block_of(const struct nat_pool *p, int family, const __be32 addr[4], uint32_t *block)
{
	uint32_t words = family == 4 ? 0 : 3;

	if (p->family != family || memcmp(p->inside, addr, words * sizeof(addr[0])))
		return false;
	*block = last_word(addr, family) - last_word(p->inside, family);
	return *block < blocks_of(p);
}

int ctctl_nat_blocks(struct ctctl *c, int argc, char **argv)
{
	int family = 0, ret;
	struct bpfct_pins p;
	struct nat_maps m;
	bool any = false;
	uint32_t i, b;
	__be32 addr[4];

	if (argc > 2 || (argc == 2 && !(family = parse_addr(argv[1], addr))))
		return ctctl_usage(c, "nat blocks takes an inside address, or none");
	ret = nat_open(c, &p, &m);
	if (ret)
		return ret;
	fputs(c->json ? "[" : "", c->out);
	for (i = 1; i < m.pools; i++) {
		if (!has_blocks(&m.pool[i]))
			continue;
		if (family && block_of(&m.pool[i], family, addr, &b))
			print_block(c, &m.pool[i], b, &any);
		for (b = 0; !family && b < blocks_of(&m.pool[i]); b++)
			print_block(c, &m.pool[i], b, &any);
	}
	fputs(c->json ? "]\n" : "", c->out);
	nat_close(&p, &m);
	return any || !family ? CTCTL_OK : ctctl_fail(c, "%s has no block", argv[1]);
}

struct listing {
	struct bpfct_pins *p;
	uint32_t now;
	bool any;
};

static int print_binding(struct ctctl *c, const struct nat_bound_key *k, const struct nat_bound *b,
			 void *arg)
{
	char in[INET6_ADDRSTRLEN], out[INET6_ADDRSTRLEN];
	struct listing *l = arg;
	uint32_t conns = b->word;
	double left = conns ? 0 : bpfct_ticks_to_s(l->p, b->expires - l->now);

	nat_addr_text(k->family, b->addr, in, sizeof(in));
	nat_addr_text(k->family, k->addr, out, sizeof(out));
	if (!c->json && !l->any)
		fprintf(c->out, "%-5s %-24s %6s %-24s %6s %5s %11s %7s\n", "CLASS", "INSIDE",
			"PORT", "OUTSIDE", "PORT", "ZONE", "CONNECTIONS", "SECONDS");
	fprintf(c->out,
		c->json ? "%s{\"class\":\"%s\",\"inside\":\"%s\",\"inside_port\":%u,"
			  "\"outside\":\"%s\",\"outside_port\":%u,\"zone\":%u,"
			  "\"connections\":%u,\"seconds\":%.0f}"
			: "%s%-5s %-24s %6u %-24s %6u %5u %11u %7.0f\n",
		c->json && l->any ? ",\n" : "", nat_class_text(k->class), in, ntohs(b->port), out,
		ntohs(k->port), k->zone, conns, left);
	l->any = true;
	return 0;
}

int ctctl_nat_bindings(struct ctctl *c, int argc, char **argv)
{
	struct bpfct_pins p;
	struct nat_maps m;
	struct listing l = {.p = &p};
	int ret;

	if (argc != 1)
		return ctctl_usage(c, "nat bindings takes no `%s'", argv[1]);
	ret = nat_open(c, &p, &m);
	if (ret)
		return ret;
	l.now = bpfct_now(&p);
	fputs(c->json ? "[" : "", c->out);
	ret = walk_bindings(c, &p, print_binding, &l);
	fputs(c->json ? "]\n" : "", c->out);
	nat_close(&p, &m);
	return ret ? ctctl_fail(c, "cannot read the bindings: %s", strerror(-ret)) : CTCTL_OK;
}
