// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Expectations as conntrack(8) prints them, and as JSON. */
#include "nfct_expect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>

void expect_view_fill(struct expect_view *v, const struct ct_tuple *key, const struct ct_expect *x,
		      const struct bpfct_pins *p, uint32_t now)
{
	int32_t ticks = x->expires - now;

	v->key = *key;
	v->x = *x;
	v->left = ticks > 0 ? (uint32_t)bpfct_ticks_to_s(p, ticks) : 0;
}

const char *expect_helper(uint8_t helper)
{
	static const char *const names[] = {NULL, "ftp", "tftp", "sip",
					    "pptp"}; /* enum alg_helper */

	return helper < sizeof(names) / sizeof(names[0]) ? names[helper] : NULL;
}

static struct nf_conntrack *tuple_object(const struct ct_tuple *t)
{
	struct nf_conntrack *ct = nfct_new();
	bool six = t->family == 6;

	if (!ct)
		return NULL;
	nfct_set_attr_u8(ct, ATTR_ORIG_L3PROTO, six ? AF_INET6 : AF_INET);
	nfct_set_attr(ct, six ? ATTR_ORIG_IPV6_SRC : ATTR_ORIG_IPV4_SRC, t->saddr);
	nfct_set_attr(ct, six ? ATTR_ORIG_IPV6_DST : ATTR_ORIG_IPV4_DST, t->daddr);
	nfct_set_attr_u8(ct, ATTR_ORIG_L4PROTO, t->proto);
	nfct_set_attr_u16(ct, ATTR_ORIG_PORT_SRC, t->sport);
	nfct_set_attr_u16(ct, ATTR_ORIG_PORT_DST, t->dport);
	return ct;
}

/* Ones where the tuple is not wild; netfilter's masks have the destination whole. */
static struct ct_tuple mask_of(const struct ct_tuple *t)
{
	struct ct_tuple m = {.proto = t->proto, .family = t->family, .dport = 0xffff};
	size_t len = t->family == 6 ? 16 : 4;
	static const __be32 any[4];

	memset(m.daddr, 0xff, len);
	if (memcmp(t->saddr, any, sizeof(any)))
		memset(m.saddr, 0xff, len);
	m.sport = t->sport ? 0xffff : 0;
	return m;
}

static void set_rest(struct nf_expect *exp, const struct expect_view *v)
{
	const char *helper = expect_helper(v->x.helper);
	uint32_t flags = v->x.flags & (CT_X_PERMANENT | CT_X_INACTIVE | CT_X_USERSPACE);

	nfexp_set_attr_u32(exp, ATTR_EXP_TIMEOUT, v->left);
	nfexp_set_attr_u32(exp, ATTR_EXP_CLASS, v->x.class);
	if (flags)
		nfexp_set_attr_u32(exp, ATTR_EXP_FLAGS, flags);
	if (v->key.zone)
		nfexp_set_attr_u16(exp, ATTR_EXP_ZONE, v->key.zone);
	if (helper)
		nfexp_set_attr(exp, ATTR_EXP_HELPER_NAME, helper);
}

size_t expect_text(char *buf, size_t len, const struct expect_view *v, unsigned int type, bool xml,
		   bool when)
{
	struct ct_tuple mask = mask_of(&v->key);
	struct nf_conntrack *part[3] = {tuple_object(&v->x.orig), tuple_object(&v->key),
					tuple_object(&mask)};
	struct nf_expect *exp = nfexp_new();
	int n = 0, i;

	if (exp && part[0] && part[1] && part[2]) {
		nfexp_set_attr(exp, ATTR_EXP_MASTER, part[0]);
		nfexp_set_attr(exp, ATTR_EXP_EXPECTED, part[1]);
		nfexp_set_attr(exp, ATTR_EXP_MASK, part[2]);
		set_rest(exp, v);
		n = nfexp_snprintf(buf, len, exp, type, xml ? NFCT_O_XML : NFCT_O_DEFAULT,
				   when ? NFCT_OF_TIME : 0);
	}
	for (i = 0; i < 3; i++)
		if (part[i])
			nfct_destroy(part[i]);
	if (exp)
		nfexp_destroy(exp);
	return n < 0 ? 0 : n;
}

static void add(struct json_object *o, const char *name, int64_t v)
{
	json_object_object_add(o, name, json_object_new_int64(v));
}

static struct json_object *tuple_json(const struct ct_tuple *t)
{
	struct json_object *o = json_object_new_object();
	int af = t->family == 6 ? AF_INET6 : AF_INET;
	char text[INET6_ADDRSTRLEN];

	json_object_object_add(o, "src",
			       json_object_new_string(inet_ntop(af, t->saddr, text, sizeof(text))));
	json_object_object_add(o, "dst",
			       json_object_new_string(inet_ntop(af, t->daddr, text, sizeof(text))));
	add(o, "sport", ntohs(t->sport));
	add(o, "dport", ntohs(t->dport));
	return o;
}

static struct json_object *flags_json(uint8_t flags)
{
	static const struct {
		uint8_t bit;
		const char *name;
	} names[] = {
		{CT_X_PERMANENT, "permanent"}, {CT_X_INACTIVE, "inactive"},
		{CT_X_USERSPACE, "userspace"}, {CT_X_NAT, "nat"},
		{CT_X_POLICY, "policy"},       {CT_X_OUTLIVES, "outlives"},
		{CT_X_CLOSES, "closes"},
	};
	struct json_object *o = json_object_new_array();

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (flags & names[i].bit)
			json_object_array_add(o, json_object_new_string(names[i].name));
	return o;
}

struct json_object *expect_json(const struct expect_view *v)
{
	struct json_object *o = json_object_new_object();
	const char *helper = expect_helper(v->x.helper);

	add(o, "timeout", v->left);
	add(o, "family", v->key.family);
	add(o, "proto", v->key.proto);
	add(o, "zone", v->key.zone);
	json_object_object_add(o, "expected", tuple_json(&v->key));
	if (v->x.flags & CT_X_NAT)
		json_object_object_add(o, "translated", tuple_json(&v->x.nat));
	json_object_object_add(o, "master", tuple_json(&v->x.orig));
	json_object_object_add(o, "direction",
			       json_object_new_string(v->x.dir == CT_ORIG ? "orig" : "reply"));
	add(o, "class", v->x.class);
	add(o, "group", v->x.group);
	add(o, "uses", (uint32_t)v->x.word & ~CT_X_CLAIMED);
	json_object_object_add(o, "flags", flags_json(v->x.flags));
	json_object_object_add(o, "helper", json_object_new_string(helper ? helper : ""));
	return o;
}

int expect_walk(struct bpfct_pins *p, expect_fn fn, void *arg)
{
	uint32_t now = bpfct_now(p);
	struct ct_tuple at, next;
	struct expect_view v;
	struct ct_expect x;
	bool more = !bpf_map_get_next_key(p->expect_fd, NULL, &next);
	int ret = 0;

	while (more && !ret) {
		at = next;
		more = !bpf_map_get_next_key(p->expect_fd, &at, &next);
		if (bpf_map_lookup_elem(p->expect_fd, &at, &x) ||
		    ((uint32_t)x.word & CT_X_CLAIMED) || (int32_t)(x.expires - now) < 0)
			continue;
		expect_view_fill(&v, &at, &x, p, now);
		ret = fn(&v, arg);
	}
	return ret;
}

struct json_object *expect_hex(const void *data, size_t len)
{
	static const char digit[] = "0123456789abcdef";
	struct json_object *o;
	const uint8_t *b = data;
	char *text = malloc(2 * len);
	size_t i;

	if (!text)
		return NULL;
	for (i = 0; i < len; i++) {
		text[2 * i] = digit[b[i] >> 4];
		text[2 * i + 1] = digit[b[i] & 15];
	}
	o = json_object_new_string_len(text, (int)(2 * len));
	free(text);
	return o;
}
