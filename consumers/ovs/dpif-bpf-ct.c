// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* ct-dpif of our tables: listing, flushing, limits. `ovs-appctl dpctl/...-conntrack`, `ct-*`. */
#include "dpif-bpf.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <time.h>

#include "ct-dpif.h"
#include "userspace/lib/flow_make.h"
#include "userspace/lib/text_flow.h"

struct ct_dump {
	struct ct_dpif_dump_state up;
	struct ct_view_clock clock;
	bool one_zone;
	uint16_t zone;
	struct ct_flow *flow; /* those of both families */
	size_t n, room, next;
};

/* As netlink's (nf_conntrack) are mapped; ours have the same names. */
static const uint8_t tcp_state[] = {
	[CT_TCP_NONE] = CT_DPIF_TCPS_CLOSED,
	[CT_TCP_SYN_SENT] = CT_DPIF_TCPS_SYN_SENT,
	[CT_TCP_SYN_RECV] = CT_DPIF_TCPS_SYN_RECV,
	[CT_TCP_ESTABLISHED] = CT_DPIF_TCPS_ESTABLISHED,
	[CT_TCP_FIN_WAIT] = CT_DPIF_TCPS_FIN_WAIT_1,
	[CT_TCP_CLOSE_WAIT] = CT_DPIF_TCPS_CLOSE_WAIT,
	[CT_TCP_LAST_ACK] = CT_DPIF_TCPS_LAST_ACK,
	[CT_TCP_TIME_WAIT] = CT_DPIF_TCPS_TIME_WAIT,
	[CT_TCP_CLOSE] = CT_DPIF_TCPS_CLOSED,
	[CT_TCP_SYN_SENT2] = CT_DPIF_TCPS_SYN_SENT,
};

/* An array, as records are read in one walk of the kernel and handed out one at a time. */
static int keep_flow(const struct ct_flow *flow, void *arg)
{
	struct ct_dump *d = arg;
	struct ct_view v;

	ct_view_fill(&v, flow, &d->clock);
	if (!ct_view_listed(&v) || (d->one_zone && v.zone != d->zone))
		return 0;
	if (d->n == d->room)
		d->flow = x2nrealloc(d->flow, &d->room, sizeof(*d->flow));
	d->flow[d->n++] = *flow;
	return 0;
}

static void read_clock(struct bpfct_pins *p, struct ct_view_clock *clock)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	clock->hz = p->settings->hz;
	clock->now_tick = bpfct_now(p);
	clock->now_ns = t.tv_sec * UINT64_C(1000000000) + t.tv_nsec;
}

int dp_bpf_ct_dump_start(struct dpif *dpif, struct ct_dpif_dump_state **out, const uint16_t *zone,
			 int *tot_bkts)
{
	struct bpfct_pins *p = &dp_bpf_of(dpif)->core.pins;
	struct ct_dump *d = xzalloc(sizeof(*d));
	int ret;

	d->one_zone = zone != NULL;
	d->zone = zone ? *zone : 0;
	read_clock(p, &d->clock);
	ret = bpfct_dump(p, 4, keep_flow, d);
	if (!ret)
		ret = bpfct_dump(p, 6, keep_flow, d);
	if (ret) {
		free(d->flow);
		free(d);
		return -ret;
	}
	*tot_bkts = 1; /* the kernel's hash tables do not say who is in which */
	*out = &d->up;
	return 0;
}

static void fill_side(struct ct_dpif_tuple *t, const struct ct_view *v, int dir)
{
	const struct ct_view_side *s = &v->side[dir];
	size_t len = v->family == 4 ? 4 : 16;

	t->l3_type = v->family == 4 ? AF_INET : AF_INET6;
	t->ip_proto = v->proto;
	memcpy(&t->src, s->src, len);
	memcpy(&t->dst, s->dst, len);
	if (ct_flow_is_icmp(v->proto)) {
		t->icmp_id = htons(s->icmp_id);
		t->icmp_type = s->icmp_type;
		t->icmp_code = s->icmp_code;
	} else {
		t->src_port = htons(s->sport);
		t->dst_port = htons(s->dport);
	}
}

static void fill_protoinfo(struct ct_dpif_protoinfo *info, const struct ct_view *v,
			   const struct ct_flow *flow)
{
	const struct ct_tcp *tcp = &flow->c.tcp;

	if (v->proto == IPPROTO_TCP) {
		info->proto = IPPROTO_TCP;
		info->tcp.state_orig = info->tcp.state_reply = tcp_state[v->state];
		info->tcp.wscale_orig = tcp->scale & 0xf;
		info->tcp.wscale_reply = tcp->scale >> 4;
		/* The first six bits are netfilter's and so ours. */
		info->tcp.flags_orig = tcp->flags[CT_ORIG] & CT_DPIF_TCPF_MASK;
		info->tcp.flags_reply = tcp->flags[CT_REPLY] & CT_DPIF_TCPF_MASK;
	} else if (v->proto == IPPROTO_SCTP) {
		info->proto = IPPROTO_SCTP;
		info->sctp.state = v->state ? v->state - 1 : CT_DPIF_SCTP_STATE_CLOSED;
		info->sctp.vtag_orig = v->vtag[CT_ORIG];
		info->sctp.vtag_reply = v->vtag[CT_REPLY];
	}
}

/* As ct_label_key() makes it in the datapath. */
static void fill_label_key(struct ct_label_key *k, const struct ct_flow *flow)
{
	memset(k, 0, sizeof(*k));
	if (flow->family == 4) {
		for (int i = 0; i < 2; i++) {
			k->key.addr[i][0] = flow->key4.addr[i];
			k->key.port[i] = flow->key4.port[i];
		}
		k->key.zone = flow->key4.zone;
		k->key.proto = flow->key4.proto;
	} else {
		k->key = flow->key6;
	}
	k->key.pad = flow->family;
	k->gen = ct_w_gen(flow->c.word);
}

static char *helper_of(const struct bpfct_pins *p, const struct ct_flow *flow)
{
	struct ct_label_key key;
	struct ct_alg alg;

	if (!(ct_w_status(flow->c.word) & CT_S_HELPER))
		return NULL;
	fill_label_key(&key, flow);
	return bpf_map_lookup_elem(p->alg_fd, &key, &alg)
		       ? NULL
		       : nullable_xstrdup(dp_helper_name(alg.helper));
}

int dp_bpf_ct_dump_next(struct dpif *dpif, struct ct_dpif_dump_state *state,
			struct ct_dpif_entry *e)
{
	const struct bpfct_pins *p = &dp_bpf_of(dpif)->core.pins;
	struct ct_dump *d = CONTAINER_OF(state, struct ct_dump, up);
	const struct ct_flow *flow;
	struct ct_view v;

	if (d->next == d->n)
		return EOF;
	flow = &d->flow[d->next++];
	ct_view_fill(&v, flow, &d->clock);
	memset(e, 0, sizeof(*e));
	fill_side(&e->tuple_orig, &v, CT_ORIG);
	fill_side(&e->tuple_reply, &v, CT_REPLY);
	fill_protoinfo(&e->protoinfo, &v, flow);
	e->id = v.id;
	e->zone = v.zone;
	e->counters_orig.packets = v.side[CT_ORIG].packets;
	e->counters_orig.bytes = v.side[CT_ORIG].bytes;
	e->counters_reply.packets = v.side[CT_REPLY].packets;
	e->counters_reply.bytes = v.side[CT_REPLY].bytes;
	e->timestamp.start = v.start_ns;
	e->status = v.status & CT_DPIF_STATUS_MASK;
	e->timeout = v.timeout;
	e->mark = v.mark;
	memcpy(&e->labels, &v.label, sizeof(e->labels));
	e->have_labels = true;
	e->helper.name = helper_of(p, flow);
	return 0;
}

int dp_bpf_ct_dump_done(struct dpif *dpif OVS_UNUSED, struct ct_dpif_dump_state *state)
{
	struct ct_dump *d = CONTAINER_OF(state, struct ct_dump, up);

	free(d->flow);
	free(d);
	return 0;
}

struct flush {
	struct bpfct_pins *pins;
	const uint16_t *zone;
	int ret; /* of the first that would not end */
};

static int delete_flow(struct bpfct_pins *p, const struct ct_flow *flow, uint32_t gen)
{
	struct ct_control req = {.op = CT_CONTROL_DELETE, .gen = gen, .flow = *flow};
	int ret, tries = 100;

	do {
		ret = bpfct_control(p, &req);
	} while (!ret && req.result == -EAGAIN && --tries); /* a packet was faster */
	return ret ? ret : req.result;
}

static int flush_one(const struct ct_flow *flow, void *arg)
{
	struct flush *f = arg;
	uint16_t zone = flow->family == 4 ? flow->key4.zone : flow->key6.zone;
	int ret;

	if (f->zone && zone != *f->zone)
		return 0;
	ret = delete_flow(f->pins, flow, ct_w_gen(flow->c.word));
	if (ret && ret != -ENOENT && !f->ret)
		f->ret = ret;
	return 0;
}

static void fill_ct_side(struct ct_side *s, const struct ct_dpif_tuple *t)
{
	memset(s, 0, sizeof(*s));
	memcpy(s->src, &t->src, t->l3_type == AF_INET ? 4 : 16);
	memcpy(s->dst, &t->dst, t->l3_type == AF_INET ? 4 : 16);
	if (ct_flow_is_icmp(t->ip_proto)) {
		s->sport = ntohs(t->icmp_id);
		s->dport = t->icmp_type << 8 | t->icmp_code;
	} else {
		s->sport = ntohs(t->src_port);
		s->dport = ntohs(t->dst_port);
	}
}

int dp_bpf_ct_flush(struct dpif *dpif, const uint16_t *zone, const struct ct_dpif_tuple *t)
{
	struct flush f = {.pins = &dp_bpf_of(dpif)->core.pins, .zone = zone};
	struct ct_side orig, reply;
	struct ct_flow flow;
	int ret;

	if (!t) {
		ret = bpfct_dump(f.pins, 4, flush_one, &f);
		if (!ret)
			ret = bpfct_dump(f.pins, 6, flush_one, &f);
		return -(ret ? ret : f.ret);
	}
	memset(&flow, 0, sizeof(flow));
	fill_ct_side(&orig, t);
	ct_side_invert(&reply, &orig, t->ip_proto);
	ct_flow_tuples(&flow, t->l3_type == AF_INET ? 4 : 6, zone ? *zone : 0, t->ip_proto, &orig,
		       &reply);
	return -delete_flow(f.pins, &flow, 0);
}

/* Each family has its own table; the limit counts for either. */
int dp_bpf_ct_set_maxconns(struct dpif *dpif, uint32_t n)
{
	struct bpfct_core *core = &dp_bpf_of(dpif)->core;

	if (!n || n > core->sizes.confirmed)
		return EINVAL;
	core->pins.table[0].confirmed_limit = core->pins.table[1].confirmed_limit = n;
	return 0;
}

int dp_bpf_ct_get_maxconns(struct dpif *dpif, uint32_t *n)
{
	*n = dp_bpf_of(dpif)->core.pins.table[0].confirmed_limit;
	return 0;
}

int dp_bpf_ct_get_nconns(struct dpif *dpif, uint32_t *n)
{
	const struct ct_table *t = dp_bpf_of(dpif)->core.pins.table;

	*n = t[0].confirmed + t[0].half_open + t[1].confirmed + t[1].half_open;
	return 0;
}

int dp_bpf_ct_set_tcp_seq_chk(struct dpif *dpif, bool enabled)
{
	dp_bpf_of(dpif)->core.pins.settings->tcp_be_liberal = !enabled;
	return 0;
}

int dp_bpf_ct_get_tcp_seq_chk(struct dpif *dpif, bool *enabled)
{
	*enabled = !dp_bpf_of(dpif)->core.pins.settings->tcp_be_liberal;
	return 0;
}

int dp_bpf_ct_get_features(struct dpif *dpif OVS_UNUSED, enum ct_features *features)
{
	*features = CONNTRACK_F_ZERO_SNAT;
	return 0;
}
