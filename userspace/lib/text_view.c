// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* struct ct_flow -> struct ct_view: direction, ICMP, times, names. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include "text_flow.h"

#define TICK_JIFFIES 32
#define NS_PER_S     1000000000ULL

static const char *const tcp_states[] = {
	[CT_TCP_NONE] = "NONE",		[CT_TCP_SYN_SENT] = "SYN_SENT",
	[CT_TCP_SYN_RECV] = "SYN_RECV", [CT_TCP_ESTABLISHED] = "ESTABLISHED",
	[CT_TCP_FIN_WAIT] = "FIN_WAIT", [CT_TCP_CLOSE_WAIT] = "CLOSE_WAIT",
	[CT_TCP_LAST_ACK] = "LAST_ACK", [CT_TCP_TIME_WAIT] = "TIME_WAIT",
	[CT_TCP_CLOSE] = "CLOSE",	[CT_TCP_SYN_SENT2] = "SYN_SENT2",
};

static const char *const sctp_states[] = {
	[CT_SCTP_NONE] = "NONE",
	[CT_SCTP_CLOSED] = "CLOSED",
	[CT_SCTP_COOKIE_WAIT] = "COOKIE_WAIT",
	[CT_SCTP_COOKIE_ECHOED] = "COOKIE_ECHOED",
	[CT_SCTP_ESTABLISHED] = "ESTABLISHED",
	[CT_SCTP_SHUTDOWN_SENT] = "SHUTDOWN_SENT",
	[CT_SCTP_SHUTDOWN_RECD] = "SHUTDOWN_RECD",
	[CT_SCTP_SHUTDOWN_ACK_SENT] = "SHUTDOWN_ACK_SENT",
	[CT_SCTP_HEARTBEAT_SENT] = "HEARTBEAT_SENT",
	[CT_SCTP_STATES] = "HEARTBEAT_ACKED", /* netfilter has it, nothing sets it */
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

const char *ct_proto_name(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_UDPLITE:
		return "udplite";
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_ICMPV6:
		return "icmpv6";
	case IPPROTO_SCTP:
		return "sctp";
	case IPPROTO_GRE:
		return "gre";
	case IPPROTO_DCCP:
		return "dccp";
	}
	return "unknown";
}

/* libnetfilter_conntrack prints NONE for a number beyond its table. */
const char *ct_state_name(uint8_t proto, uint8_t state)
{
	if (proto == IPPROTO_TCP)
		return tcp_states[state < COUNT(tcp_states) ? state : 0];
	if (proto == IPPROTO_SCTP)
		return sctp_states[state < COUNT(sctp_states) ? state : 0];
	return NULL;
}

int ct_state_by_name(uint8_t proto, const char *name)
{
	size_t n = proto == IPPROTO_TCP ? COUNT(tcp_states) : COUNT(sctp_states);

	for (size_t i = 0; i < n; i++)
		if (!strcmp(name, ct_state_name(proto, i)))
			return i;
	return -1;
}

/* What answers a query of this type; RFC 792, 950, 4443, 4620. */
static uint8_t icmp_answer(uint8_t proto, uint8_t type)
{
	if (proto == IPPROTO_ICMPV6)
		return type == 128 || type == 139 ? type + 1 : type;
	switch (type) {
	case 8:
		return 0;
	case 13:
		return 14;
	case 15:
		return 16;
	case 17:
		return 18;
	}
	return type;
}

static bool is_icmp(uint8_t proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

static void fill_icmp(struct ct_view *v, const __be16 *key_port, __be16 reply_id)
{
	struct ct_view_side *orig = &v->side[CT_ORIG], *reply = &v->side[CT_REPLY];
	uint16_t type_code = ntohs(key_port[1]);

	orig->icmp_id = ntohs(key_port[0]);
	orig->icmp_type = type_code >> 8;
	orig->icmp_code = type_code & 0xff;
	reply->icmp_id = ntohs(reply_id);
	reply->icmp_type = icmp_answer(v->proto, orig->icmp_type);
	reply->icmp_code = orig->icmp_code;
}

static void fill_tuples(struct ct_view *v, const struct ct_flow *flow)
{
	struct ct_view_side *orig = &v->side[CT_ORIG], *reply = &v->side[CT_REPLY];
	int hi = !!(flow->c.word & CT_W_ORIG_HI);
	const __be16 *port;

	if (flow->family == 6) {
		orig->src = flow->key6.addr[hi];
		orig->dst = flow->key6.addr[!hi];
		reply->src = flow->conn6.reply_saddr;
		reply->dst = flow->conn6.reply_daddr;
		port = flow->key6.port;
		v->zone = flow->key6.zone;
		v->proto = flow->key6.proto;
	} else {
		orig->src = &flow->key4.addr[hi];
		orig->dst = &flow->key4.addr[!hi];
		reply->src = &flow->conn4.reply_saddr;
		reply->dst = &flow->conn4.reply_daddr;
		port = flow->key4.port;
		v->zone = flow->key4.zone;
		v->proto = flow->key4.proto;
	}
	if (is_icmp(v->proto)) {
		fill_icmp(v, port, flow->c.reply_sport);
		return;
	}
	orig->sport = ntohs(port[hi]);
	orig->dport = ntohs(port[!hi]);
	reply->sport = ntohs(flow->c.reply_sport);
	reply->dport = ntohs(flow->c.reply_dport);
}

static uint32_t mix(uint32_t h, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 16777619u; /* FNV-1a */
	return h;
}

static uint32_t flow_id(const struct ct_flow *flow, uint32_t gen)
{
	uint32_t h = 2166136261u;

	if (flow->family == 6)
		h = mix(h, &flow->key6, sizeof(flow->key6));
	else
		h = mix(h, &flow->key4, sizeof(flow->key4));
	return mix(h, &gen, sizeof(gen));
}

static uint64_t tick_to_ns(const struct ct_view_clock *clock, uint32_t tick)
{
	int64_t ticks = (int32_t)(tick - clock->now_tick);

	return clock->now_ns + ticks * TICK_JIFFIES * (int64_t)(NS_PER_S / clock->hz);
}

void ct_view_fill(struct ct_view *v, const struct ct_flow *flow, const struct ct_view_clock *clock)
{
	int32_t left = flow->c.expires - flow->tick;

	*v = (struct ct_view){
		.family = flow->family,
		.event = flow->type,
		.state = ct_w_state(flow->c.word),
		.life = ct_w_life(flow->c.word),
		.status = ct_w_status(flow->c.word),
		.gen = ct_w_gen(flow->c.word),
		.mark = flow->c.mark,
		.label = flow->label,
	};
	fill_tuples(v, flow);
	for (int dir = 0; dir < 2; dir++) {
		v->side[dir].packets = flow->c.count[dir].packets;
		v->side[dir].bytes = flow->c.count[dir].bytes;
	}
	for (int dir = 0; dir < 2 && v->proto == IPPROTO_SCTP; dir++)
		v->vtag[dir] = ntohl(flow->c.sctp.vtag[dir]);
	v->expired = left < 0; /* as ct_alive(): the last tick still counts */
	v->timeout = left <= 0 ? 0 : (uint64_t)left * TICK_JIFFIES / clock->hz;
	v->id = flow_id(flow, v->gen);
	v->start_ns = tick_to_ns(clock, flow->c.start);
	if (flow->type == CT_EVENT_DESTROY)
		v->stop_ns = tick_to_ns(clock, flow->tick);
}

bool ct_view_listed(const struct ct_view *v)
{
	return (v->life == CT_LIFE_HALF_OPEN || v->life == CT_LIFE_CONFIRMED) &&
	       !(v->status & CT_S_DYING) && !v->expired;
}

unsigned int ct_view_event_fields(const struct ct_view *v)
{
	unsigned int show = CT_SHOW_EVENT | CT_SHOW_TIMEOUT;

	if (v->mark)
		show |= CT_SHOW_MARK;
	if (v->event == CT_EVENT_DESTROY) {
		show |= CT_SHOW_COUNTERS;
		if (!v->timeout)
			show &= ~CT_SHOW_TIMEOUT;
	}
	return show;
}
