// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What the datapath answered, in words: one walk makes the lines and the JSON. */
#include "explain.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "../../bpf/lib/ct_pkt.h"
#include "../lib/text_flow.h"
#include "rules.h"

/* Room for a rule in words; a longer one is cut. */
#define RULE_TEXT 8192

struct tale {
	struct ctd *d;
	const struct fw_question *q;
	struct json_object *out;
	FILE *lines;
	bool blocked;
};

static const char *reason(int v)
{
	static const char *const meaning[CT_DROP_MAX] = {
#define X(name, text, cls, meaning) [CT_DROP_##name] = meaning,
		CT_DROP_REASONS(X)
#undef X
	};

	return v < 0 && -v < CT_DROP_MAX && meaning[-v] ? meaning[-v] : "?";
}

__attribute__((format(printf, 3, 4))) static void say(struct tale *t, const char *key,
						      const char *fmt, ...)
{
	char line[RULE_TEXT + 256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	fprintf(t->lines, "%s: %s\n", key, line);
	json_object_object_add(t->out, key, json_object_new_string(line));
}

/* `line 12: pass in on lan0', as `fw show' prints the rule. */
static void rule_text(struct tale *t, uint32_t number, char *buf, size_t len)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	unsigned int line;

	snprintf(buf, len, "rule %u", number);
	if (!f)
		return;
	line = rules_line(t->d, number, f);
	fclose(f);
	if (line)
		snprintf(buf, len, "line %u: %s", line, text);
	free(text);
}

static const char *addr_text(uint8_t family, const __be32 *addr, char *buf)
{
	return inet_ntop(family == 4 ? AF_INET : AF_INET6, addr, buf, INET6_ADDRSTRLEN);
}

static const char *if_name(struct tale *t, uint32_t ifindex)
{
	const struct fw_ifs *ifs = rules_ifs(t->d);
	unsigned int i;

	for (i = 0; i < ifs->n; i++)
		if (ifs->v[i].ifindex == ifindex)
			return ifs->v[i].name;
	return "?";
}

static bool is_ours(struct tale *t, const struct ct_tuple *to)
{
	const struct fw_ifs *ifs = rules_ifs(t->d);
	unsigned int i, j;

	for (i = 0; i < ifs->n; i++)
		for (j = 0; j < ifs->v[i].addrs; j++)
			if (ifs->v[i].addr[j].family == to->family &&
			    !memcmp(ifs->v[i].addr[j].addr, to->daddr, 16))
				return true;
	return false;
}

static void refuse(struct tale *t, int v)
{
	t->blocked = true;
	say(t, "refused", "%s: %s", bpfct_drop_text(-v), reason(v));
}

static void tell_connection(struct tale *t)
{
	const struct fw_question *q = t->q;
	const char *state = ct_state_name(q->tuple.proto, ct_w_state(q->word));

	if (q->tuple.zone)
		say(t, "zone", "%u, that of the interface", q->tuple.zone);
	if (q->word)
		say(t, "connection", "%s%s%s, %s direction%s; its packets are not judged again",
		    ct_proto_name(q->tuple.proto), state ? " " : "", state ? state : "",
		    q->dir == CT_REPLY ? "reply" : "original",
		    ct_w_status(q->word) & CT_S_SEEN_REPLY ? "" : ", not answered yet");
	else if (q->pkt_flags & CT_PKT_UNTRACKED)
		say(t, "connection", "none, such packets have none");
	else if (q->opens < 0)
		say(t, "connection", "none, and this packet opens none");
	else
		say(t, "connection", "none, this packet would open one");
	if (!q->word && q->opens < 0)
		refuse(t, q->opens);
}

static void tell_destination(struct tale *t)
{
	const struct fw_question *q = t->q;
	char rule[RULE_TEXT], addr[INET6_ADDRSTRLEN];

	if (q->dst_rule)
		rule_text(t, q->dst_rule, rule, sizeof(rule));
	else
		snprintf(rule, sizeof(rule), "binding of an inside host (eim)");
	if (q->dst > 0)
		say(t, "destination", "%s: becomes %s port %u", rule,
		    addr_text(q->seen.family, q->seen.daddr, addr), ntohs(q->seen.dport));
	else if (q->dst < 0)
		say(t, "destination", "%s", rule);
	if (q->dst < 0)
		refuse(t, q->dst);
}

static void tell_verdict(struct tale *t, const char *key, int v, const struct fw_verdict *by)
{
	char rule[RULE_TEXT];

	if (by->rule) {
		rule_text(t, by->rule, rule, sizeof(rule));
		say(t, key, "%s", rule);
	} else if (v < 0) {
		say(t, key, "none matches: the default denies");
	} else if (t->q->dst > 0) {
		say(t, key, "none matches: the one that gives it another destination admits");
	} else if (rules_compiled(t->d)->default_pass) {
		say(t, key, "none matches: the default passes");
	} else {
		say(t, key, "none matches: neighbour discovery and MLD pass");
	}
	if (v < 0)
		refuse(t, v);
}

/* The external endpoint that the inside one has in this rule, if it lives. */
static bool find_binding(struct tale *t, struct nat_bind *bind)
{
	static const uint8_t class_of[256] = {
		[IPPROTO_TCP] = NAT_TCP + 1,	 [IPPROTO_UDP] = NAT_UDP + 1,
		[IPPROTO_UDPLITE] = NAT_UDP + 1, [IPPROTO_SCTP] = NAT_SCTP + 1,
		[IPPROTO_ICMP] = NAT_ICMP + 1,	 [IPPROTO_ICMPV6] = NAT_ICMP + 1,
	};
	struct bpfct_pins *p = &t->d->core.pins;
	const struct ct_tuple *tuple = &t->q->seen;
	struct nat_bind_key key = {.port = tuple->sport,
				   .pool_base = t->q->nat.pool_base,
				   .class = class_of[tuple->proto] - 1,
				   .family = tuple->family};
	struct nat_bound_key at = {.class = key.class, .family = key.family};
	struct nat_bound owner;

	memcpy(key.addr, tuple->saddr, sizeof(key.addr));
	if (!class_of[tuple->proto] || bpf_map_lookup_elem(p->nat_bind_fd, &key, bind))
		return false;
	memcpy(at.addr, bind->addr, sizeof(at.addr));
	at.port = bind->port;
	if (bpf_map_lookup_elem(p->nat_bound_fd, &at, &owner) ||
	    (uint32_t)owner.word == NAT_BOUND_DEAD || owner.word >> 32 != bind->gen)
		return false;
	return (uint32_t)owner.word || (int32_t)(owner.expires - bpfct_now(p)) >= 0;
}

static void port_text(const struct fw_question *q, char *buf, size_t len)
{
	const struct ct_nat_range *r = &q->nat.src;

	if (q->nat.flags & CT_NAT_STATIC)
		snprintf(buf, len, "port kept");
	else if (q->nat.flags & CT_NAT_BLOCK)
		snprintf(buf, len, "port from the host's block");
	else if (r->port_min)
		snprintf(buf, len, "port from %u-%u", r->port_min, r->port_max);
	else if (q->nat.flags & CT_NAT_RANDOM)
		snprintf(buf, len, "port from pool, at random");
	else
		snprintf(buf, len, "port kept if it is free, else from pool");
}

static void tell_source(struct tale *t)
{
	char rule[RULE_TEXT], min[INET6_ADDRSTRLEN], max[INET6_ADDRSTRLEN], port[64];
	const struct fw_question *q = t->q;
	const struct ct_nat_range *r = &q->nat.src;
	uint8_t family = q->seen.family;
	struct nat_bind bind;
	bool one = !memcmp(r->addr_min, r->addr_max, sizeof(r->addr_min));

	if (!q->src_rule && !(q->nat.flags & CT_NAT_SRC))
		return;
	rule_text(t, q->src_rule ? q->src_rule : q->dst_rule, rule, sizeof(rule));
	if (q->src_flags & FW_N_NONE)
		say(t, "source", "%s: stays as it is", rule);
	if (q->src < 0) {
		say(t, "source", "%s", rule);
		refuse(t, q->src);
	}
	if (!(q->nat.flags & CT_NAT_SRC) || q->src < 0)
		return;
	port_text(q, port, sizeof(port));
	say(t, "source", "%s: address %s%s%s, %s", rule, addr_text(family, r->addr_min, min),
	    one ? "" : "-", one ? "" : addr_text(family, r->addr_max, max), port);
	if (!(q->nat.flags & CT_NAT_EIM))
		return;
	if (find_binding(t, &bind))
		say(t, "binding", "%s port %u", addr_text(family, bind.addr, min),
		    ntohs(bind.port));
	else
		say(t, "binding", "none yet");
}

static const char *stack_reason(const struct fw_question *q)
{
	if (q->aside & CT_ASIDE_STACK)
		return "an xfrm policy, foreign nat or the like wants to see it, or ctd is hung";
	if (q->aside & CT_ASIDE_CHAIN)
		return "a forward chain of somebody else's wants to see it";
	if (q->fib == BPF_FIB_LKUP_RET_NO_NEIGH)
		return "the neighbour's address is not known yet";
	return "the device has no link addresses or none of our programs";
}

static void tell_route(struct tale *t)
{
	const struct fw_question *q = t->q;
	char addr[INET6_ADDRSTRLEN];
	bool direct = !memcmp(q->gateway, q->seen.daddr, q->seen.family == 4 ? 4 : 16);

	if (q->fib == BPF_FIB_LKUP_RET_NOT_FWDED || q->fib == BPF_FIB_LKUP_RET_FWD_DISABLED) {
		say(t, "route",
		    is_ours(t, &q->seen) ? "the router itself"
					 : "not forwarded: to many, or there is no route");
	} else if (q->fib == BPF_FIB_LKUP_RET_BLACKHOLE || q->fib == BPF_FIB_LKUP_RET_UNREACHABLE ||
		   q->fib == BPF_FIB_LKUP_RET_PROHIBIT) {
		say(t, "route", "none: the stack refuses it");
		t->blocked = true;
	} else if (!q->out_ifindex) {
		say(t, "route", "only the stack knows");
	} else {
		say(t, "route", "out %s %s %s, %s%s", if_name(t, q->out_ifindex),
		    direct ? "to" : "via", addr_text(q->seen.family, q->gateway, addr),
		    q->redirected ? "redirected" : "by the stack: ",
		    q->redirected ? "" : stack_reason(q));
	}
}

static void tell_new(struct tale *t, bool limited)
{
	const struct fw_question *q = t->q;

	if (q->reverse < 0)
		refuse(t, q->reverse);
	if (t->blocked)
		return;
	tell_destination(t);
	if (t->blocked)
		return;
	tell_verdict(t, "rule", q->in, &q->in_by);
	if (!t->blocked && limited)
		refuse(t, -CT_DROP_FW_LIMIT);
	if (!t->blocked && q->out_by.rule)
		tell_verdict(t, "out rule", q->out, &q->out_by);
	if (!t->blocked)
		tell_source(t);
}

static void finish(struct tale *t, char **text)
{
	say(t, "answer", "%s", t->blocked ? "blocked" : "passes");
	json_object_object_add(t->out, "passes", json_object_new_boolean(!t->blocked));
	fclose(t->lines);
	json_object_object_add(t->out, "text", json_object_new_string(*text));
	free(*text);
}

void explain_tell(struct ctd *d, const struct fw_question *q, bool limited, struct json_object *out)
{
	struct tale t = {.d = d, .q = q, .out = out};
	char *text = NULL;
	size_t len;

	t.lines = open_memstream(&text, &len);
	if (!t.lines)
		return;
	tell_connection(&t);
	if (!q->word && !t.blocked)
		tell_new(&t, limited);
	if (!t.blocked)
		tell_route(&t);
	finish(&t, &text);
}

void explain_unjudged(const char *why, struct json_object *out)
{
	struct tale t = {.out = out};
	char *text = NULL;
	size_t len;

	t.lines = open_memstream(&text, &len);
	if (!t.lines)
		return;
	say(&t, "rule", "none is asked: %s", why);
	finish(&t, &text);
}
