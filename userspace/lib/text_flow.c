// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The walk over a flow's fields, and its text visitor. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "text_flow.h"

static const struct ct_field f_event = {"event", NULL, CT_KIND_EVENT};
static const struct ct_field f_family = {"family", NULL, CT_KIND_PADDED};
static const struct ct_field f_proto = {"proto", NULL, CT_KIND_PADDED};
static const struct ct_field f_timeout = {"timeout", NULL, CT_KIND_BARE};
static const struct ct_field f_state = {"state", NULL, CT_KIND_WORD};
static const struct ct_field f_src = {"src", NULL, CT_KIND_ADDR};
static const struct ct_field f_dst = {"dst", NULL, CT_KIND_ADDR};
static const struct ct_field f_sport = {"sport", NULL, CT_KIND_NUM};
static const struct ct_field f_dport = {"dport", NULL, CT_KIND_NUM};
static const struct ct_field f_srckey = {"srckey", NULL, CT_KIND_HEX};
static const struct ct_field f_dstkey = {"dstkey", NULL, CT_KIND_HEX};
static const struct ct_field f_type = {"type", NULL, CT_KIND_NUM};
static const struct ct_field f_code = {"code", NULL, CT_KIND_NUM};
static const struct ct_field f_icmp_id = {"id", NULL, CT_KIND_NUM};
static const struct ct_field f_packets = {"packets", NULL, CT_KIND_NUM};
static const struct ct_field f_bytes = {"bytes", NULL, CT_KIND_NUM};
static const struct ct_field f_unreplied = {"unreplied", "[UNREPLIED] ", CT_KIND_FLAG};
static const struct ct_field f_assured = {"assured", "[ASSURED] ", CT_KIND_FLAG};
static const struct ct_field f_mark = {"mark", NULL, CT_KIND_NUM};
static const struct ct_field f_zone = {"zone", NULL, CT_KIND_NUM};
static const struct ct_field f_delta = {"delta-time", NULL, CT_KIND_NUM};
static const struct ct_field f_start = {"start", NULL, CT_KIND_TIME};
static const struct ct_field f_stop = {"stop", NULL, CT_KIND_TIME};
static const struct ct_field f_use = {"use", NULL, CT_KIND_NUM};
static const struct ct_field f_id = {"id", NULL, CT_KIND_NUM};
static const struct ct_field f_snat = {"snat", NULL, CT_KIND_QUIET};
static const struct ct_field f_dnat = {"dnat", NULL, CT_KIND_QUIET};
static const struct ct_field f_confirmed = {"confirmed", NULL, CT_KIND_QUIET};
static const struct ct_field f_fixed = {"fixed-timeout", NULL, CT_KIND_QUIET};

struct walk {
	const struct ct_view *v;
	const struct ct_visitor *visitor;
	void *arg;
	unsigned int show;
};

static inline void put_num(const struct walk *w, const struct ct_field *f, uint64_t num)
{
	w->visitor->field(w->arg, f, &(struct ct_value){.num = num});
}

static void put_word(const struct walk *w, const struct ct_field *f, const char *str, uint64_t num)
{
	w->visitor->field(w->arg, f, &(struct ct_value){.num = num, .str = str});
}

static void put_addr(const struct walk *w, const struct ct_field *f, const void *addr)
{
	w->visitor->field(w->arg, f, &(struct ct_value){.addr = addr, .family = w->v->family});
}

static void group(const struct walk *w, const char *name)
{
	if (w->visitor->group)
		w->visitor->group(w->arg, name);
}

static void walk_ports(const struct walk *w, const struct ct_view_side *s)
{
	switch (w->v->proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		put_num(w, &f_sport, s->sport);
		put_num(w, &f_dport, s->dport);
		break;
	case IPPROTO_GRE:
		put_num(w, &f_srckey, s->sport);
		put_num(w, &f_dstkey, s->dport);
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		put_num(w, &f_type, s->icmp_type);
		put_num(w, &f_code, s->icmp_code);
		put_num(w, &f_icmp_id, s->icmp_id);
		break;
	}
}

static void walk_side(const struct walk *w, const struct ct_view_side *s, const char *name)
{
	group(w, name);
	put_addr(w, &f_src, s->src);
	put_addr(w, &f_dst, s->dst);
	walk_ports(w, s);
	if (w->show & CT_SHOW_COUNTERS) {
		put_num(w, &f_packets, s->packets);
		put_num(w, &f_bytes, s->bytes);
	}
	group(w, NULL);
}

static void walk_times(const struct walk *w)
{
	uint64_t start = w->v->start_ns / 1000000000, stop = w->v->stop_ns / 1000000000;

	if (w->show & CT_SHOW_DELTA)
		put_num(w, &f_delta, (stop ? stop : (uint64_t)time(NULL)) - start);
	if (!(w->show & CT_SHOW_TIMES))
		return;
	put_num(w, &f_start, w->v->start_ns);
	if (stop)
		put_num(w, &f_stop, w->v->stop_ns);
}

static void walk_head(const struct walk *w)
{
	static const char *const events[] = {"NEW", "UPDATE", "DESTROY"};
	const struct ct_view *v = w->v;
	const char *state = ct_state_name(v->proto, v->state);

	if (w->show & CT_SHOW_EVENT && v->event <= CT_EVENT_DESTROY)
		put_word(w, &f_event, events[v->event], v->event);
	if (w->show & CT_SHOW_LAYER3)
		put_word(w, &f_family, v->family == 6 ? "ipv6" : "ipv4", v->family == 6 ? 10 : 2);
	put_word(w, &f_proto, ct_proto_name(v->proto), v->proto);
	if (w->show & CT_SHOW_TIMEOUT)
		put_num(w, &f_timeout, v->timeout);
	if (state)
		put_word(w, &f_state, state, v->state);
}

/* The order is conntrack(8)'s. */
void ct_flow_walk(const struct ct_view *v, unsigned int show, const struct ct_visitor *visitor,
		  void *arg)
{
	struct walk w = {v, visitor, arg, show};

	walk_head(&w);
	walk_side(&w, &v->side[CT_ORIG], "orig");
	put_num(&w, &f_unreplied, !(v->status & CT_S_SEEN_REPLY));
	walk_side(&w, &v->side[CT_REPLY], "reply");
	put_num(&w, &f_assured, !!(v->status & CT_S_ASSURED));
	put_num(&w, &f_snat, !!(v->status & CT_S_SRC_NAT));
	put_num(&w, &f_dnat, !!(v->status & CT_S_DST_NAT));
	put_num(&w, &f_confirmed, v->life == CT_LIFE_CONFIRMED);
	put_num(&w, &f_fixed, !!(v->status & CT_S_FIXED_TIMEOUT));
	if (show & CT_SHOW_MARK)
		put_num(&w, &f_mark, v->mark);
	if (v->zone)
		put_num(&w, &f_zone, v->zone);
	walk_times(&w);
	if (show & CT_SHOW_USE)
		put_num(&w, &f_use, 1);
	if (show & CT_SHOW_ID)
		put_num(&w, &f_id, v->id);
}

struct text {
	char *p;
};

static char *text_str(char *p, const char *s)
{
	size_t n = strlen(s);

	memcpy(p, s, n);
	return p + n;
}

static char *text_padded(char *p, const char *s, int width)
{
	char *start = p;

	p = text_str(p, s);
	while (p - start < width)
		*p++ = ' ';
	return p;
}

static char *text_name(char *p, const struct ct_field *f)
{
	p = text_str(p, f->name);
	*p++ = '=';
	return p;
}

static char *text_time(char *p, const struct ct_field *f, uint64_t ns)
{
	time_t t = ns / 1000000000;
	char tmp[32] = "";

	ctime_r(&t, tmp);
	tmp[strcspn(tmp, "\n")] = 0;
	return p + sprintf(p, "[%s=%s] ", f->name, tmp);
}

static char *text_event(char *p, const char *event)
{
	return p + sprintf(p, "%*s[%s] ", (int)(7 - strlen(event)), "", event);
}

static void text_field(void *arg, const struct ct_field *f, const struct ct_value *val)
{
	struct text *t = arg;
	char *p = t->p;

	switch (f->kind) {
	case CT_KIND_NUM:
		p = ct_text_num(text_name(p, f), val->num);
		*p++ = ' ';
		break;
	case CT_KIND_ADDR:
		p = ct_text_addr(text_name(p, f), val->addr, val->family);
		*p++ = ' ';
		break;
	case CT_KIND_PADDED:
		p = text_padded(p, val->str, 8);
		*p++ = ' ';
		/* fall through */
	case CT_KIND_BARE:
		p = ct_text_num(p, val->num);
		*p++ = ' ';
		break;
	case CT_KIND_WORD:
		p = text_str(p, val->str);
		*p++ = ' ';
		break;
	case CT_KIND_FLAG:
		if (val->num)
			p = text_str(p, f->text);
		break;
	case CT_KIND_HEX:
		p += sprintf(p, "%s=0x%x ", f->name, (unsigned int)val->num);
		break;
	case CT_KIND_TIME:
		p = text_time(p, f, val->num);
		break;
	case CT_KIND_EVENT:
		p = text_event(p, val->str);
		break;
	case CT_KIND_QUIET:
		break;
	}
	t->p = p;
}

size_t ct_flow_text(char *buf, const struct ct_view *v, unsigned int show)
{
	static const struct ct_visitor visitor = {text_field, NULL};
	struct text t = {buf};

	ct_flow_walk(v, show, &visitor, &t);
	t.p[-1] = 0; /* each field ends with a blank */
	return t.p - 1 - buf;
}
