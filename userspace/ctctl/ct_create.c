// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* -I and -A: a flow from options. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>

#include "ct_cmd.h"

struct side {
	uint8_t src[16];
	uint8_t dst[16];
	uint16_t sport; /* host order */
	uint16_t dport;
};

static bool is_icmp(const struct ct_cmd *cmd)
{
	return cmd->proto == IPPROTO_ICMP || cmd->proto == IPPROTO_ICMPV6;
}

static bool has(const struct ct_cmd *cmd, enum ct_l4_field field)
{
	return cmd->l4_set & 1U << field;
}

static bool is_query(const struct ct_cmd *cmd)
{
	switch (cmd->l4[CT_L4_ICMP_TYPE]) {
	case 8:
	case 13:
	case 15:
	case 17:
		return cmd->proto == IPPROTO_ICMP;
	case 128:
		return cmd->proto == IPPROTO_ICMPV6;
	}
	return false;
}

static void invert(struct side *out, const struct side *in)
{
	memcpy(out->src, in->dst, sizeof(out->src));
	memcpy(out->dst, in->src, sizeof(out->dst));
	out->sport = in->dport;
	out->dport = in->sport;
}

/* Original direction, from its own options or by turning the reply's round. */
static void read_orig(const struct ct_cmd *cmd, struct side *orig)
{
	struct side reply = {.sport = cmd->l4[CT_L4_REPLY_SPORT],
			     .dport = cmd->l4[CT_L4_REPLY_DPORT]};

	if (cmd->src.set && cmd->dst.set) {
		memcpy(orig->src, cmd->src.addr, sizeof(orig->src));
		memcpy(orig->dst, cmd->dst.addr, sizeof(orig->dst));
		orig->sport = cmd->l4[CT_L4_SPORT];
		orig->dport = cmd->l4[CT_L4_DPORT];
		return;
	}
	memcpy(reply.src, cmd->reply_src.addr, sizeof(reply.src));
	memcpy(reply.dst, cmd->reply_dst.addr, sizeof(reply.dst));
	invert(orig, &reply);
}

static void read_reply(const struct ct_cmd *cmd, const struct side *orig, struct side *reply)
{
	invert(reply, orig);
	if (cmd->reply_src.set)
		memcpy(reply->src, cmd->reply_src.addr, sizeof(reply->src));
	if (cmd->reply_dst.set)
		memcpy(reply->dst, cmd->reply_dst.addr, sizeof(reply->dst));
	if (has(cmd, CT_L4_REPLY_SPORT))
		reply->sport = cmd->l4[CT_L4_REPLY_SPORT];
	if (has(cmd, CT_L4_REPLY_DPORT))
		reply->dport = cmd->l4[CT_L4_REPLY_DPORT];
	if (cmd->dnat.addr_set)
		memcpy(reply->src, cmd->dnat.addr, sizeof(reply->src));
	if (cmd->dnat.port)
		reply->sport = cmd->dnat.port;
	if (cmd->snat.addr_set)
		memcpy(reply->dst, cmd->snat.addr, sizeof(reply->dst));
	if (cmd->snat.port)
		reply->dport = cmd->snat.port;
}

static uint32_t nat_bits(const struct side *orig, const struct side *reply)
{
	uint32_t bits = 0;

	if (memcmp(orig->src, reply->dst, sizeof(orig->src)) || orig->sport != reply->dport)
		bits |= CT_S_SRC_NAT;
	if (memcmp(orig->dst, reply->src, sizeof(orig->dst)) || orig->dport != reply->sport)
		bits |= CT_S_DST_NAT;
	return bits;
}

/* The key's order (ct_key.h): words as they lie in memory, then ports. */
static bool source_is_high(const struct side *s, int family, __be16 sport, __be16 dport)
{
	uint32_t a, b;

	for (int i = 0; i < (family == 6 ? 4 : 1); i++) {
		memcpy(&a, s->src + 4 * i, 4);
		memcpy(&b, s->dst + 4 * i, 4);
		if (a != b)
			return a > b;
	}
	return sport > dport;
}

static void put_key(const struct ct_cmd *cmd, const struct side *orig, struct ct_flow *flow)
{
	__be16 sport = htons(orig->sport), dport = htons(orig->dport);
	bool icmp = is_icmp(cmd);
	int hi = !icmp && source_is_high(orig, flow->family, sport, dport);
	__be16 *port = flow->family == 6 ? flow->key6.port : flow->key4.port;

	if (flow->family == 6) {
		memcpy(flow->key6.addr[hi], orig->src, 16);
		memcpy(flow->key6.addr[!hi], orig->dst, 16);
		flow->key6.zone = cmd->zone;
		flow->key6.proto = cmd->proto;
	} else {
		memcpy(&flow->key4.addr[hi], orig->src, 4);
		memcpy(&flow->key4.addr[!hi], orig->dst, 4);
		flow->key4.zone = cmd->zone;
		flow->key4.proto = cmd->proto;
	}
	port[hi] = sport;
	port[!hi] = dport;
	if (hi)
		flow->c.word |= CT_W_ORIG_HI;
}

static void put_reply(const struct side *reply, struct ct_flow *flow)
{
	flow->c.reply_sport = htons(reply->sport);
	flow->c.reply_dport = htons(reply->dport);
	if (flow->family == 6) {
		memcpy(flow->conn6.reply_saddr, reply->src, 16);
		memcpy(flow->conn6.reply_daddr, reply->dst, 16);
	} else {
		memcpy(&flow->conn4.reply_saddr, reply->src, 4);
		memcpy(&flow->conn4.reply_daddr, reply->dst, 4);
	}
}

/* ICMP: id and type stand where they stand, whichever way the packet goes. */
static int icmp_ports(const struct ct_cmd *cmd, struct side *orig, struct side *reply)
{
	if (!is_query(cmd))
		return -EINVAL;
	orig->sport = cmd->l4[CT_L4_ICMP_ID];
	orig->dport = cmd->l4[CT_L4_ICMP_TYPE] << 8 | cmd->l4[CT_L4_ICMP_CODE];
	reply->sport = cmd->snat.port ? cmd->snat.port : orig->sport;
	reply->dport = orig->dport;
	return 0;
}

int ct_create_flow(const struct ct_cmd *cmd, struct ct_flow *flow)
{
	struct side orig, reply;
	uint32_t status;

	memset(flow, 0, sizeof(*flow));
	flow->family = cmd->family == 6 ? 6 : 4;
	read_orig(cmd, &orig);
	read_reply(cmd, &orig, &reply);
	status = cmd->status | CT_S_CONFIRMED | nat_bits(&orig, &reply);
	if (is_icmp(cmd) && icmp_ports(cmd, &orig, &reply))
		return -EINVAL;
	flow->c.word = CT_W_STATUS(status) | CT_W_STATE(cmd->l4[CT_L4_STATE]);
	put_key(cmd, &orig, flow);
	put_reply(&reply, flow);
	flow->c.mark = cmd->mark;
	flow->c.expires = cmd->timeout;
	flow->label = cmd->label_add;
	if (cmd->proto == IPPROTO_SCTP)
		for (int dir = 0; dir < 2; dir++)
			flow->c.sctp.vtag[dir] = htonl(cmd->l4[CT_L4_ORIG_VTAG + dir]);
	return 0;
}

static int control(struct ct_cmd *cmd, struct ct_control *req)
{
	int ret = bpfct_control(cmd->pins, req);

	return ret ? ret : req->result;
}

/* A killed record keeps its key for a second and until the next sweep. */
static bool is_dying(const struct ct_cmd *cmd, const struct ct_flow *flow)
{
	bool six = flow->family == 6;
	struct ct_conn6 conn;

	if (bpf_map_lookup_elem(cmd->pins->conn_fd[six],
				six ? (const void *)&flow->key6 : (const void *)&flow->key4, &conn))
		return false;
	return ct_w_life(conn.c.word) != CT_LIFE_HALF_OPEN &&
	       ct_w_life(conn.c.word) != CT_LIFE_CONFIRMED;
}

/* Waits for dying records, so that -R after -F loses nothing; but not for long
 * in one run of the program, as with ctd stopped nobody sweeps. */
static int create(struct ct_cmd *cmd, struct ct_control *req)
{
	static int waits = 100;
	const struct timespec pause = {.tv_nsec = 50 * 1000000};
	int ret;

	while ((ret = control(cmd, req)) == -EEXIST && is_dying(cmd, &req->flow)) {
		if (waits-- <= 0)
			return -EBUSY;
		nanosleep(&pause, NULL);
	}
	return ret;
}

int ct_cmd_create(struct ct_cmd *cmd)
{
	struct ct_control req = {.op = CT_CONTROL_CREATE};
	int ret = ct_create_flow(cmd, &req.flow);

	if (!ret)
		ret = create(cmd, &req);
	if (!ret && cmd->options & CT_BIT(LABEL_ADD)) {
		req.op = CT_CONTROL_UPDATE;
		req.set = CT_SET_LABEL;
		ret = control(cmd, &req);
	}
	if (ret == -EEXIST && cmd->command == CT_CMD_ADD)
		ct_summary(cmd, 0);
	else if (ret)
		return ct_failed_errno(cmd->c, cmd->command, -ret);
	else
		ct_summary(cmd, 1);
	return CTCTL_OK;
}
