// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* -I and -A: a flow from options. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>

#include "../lib/flow_make.h"
#include "ct_cmd.h"

static bool is_icmp(const struct ct_cmd *cmd)
{
	return ct_flow_is_icmp(cmd->proto);
}

static bool has(const struct ct_cmd *cmd, enum ct_l4_field field)
{
	return cmd->l4_set & 1U << field;
}

/* Original direction, from its own options or by turning the reply's round. */
static void read_orig(const struct ct_cmd *cmd, struct ct_side *orig)
{
	struct ct_side reply = {.sport = cmd->l4[CT_L4_REPLY_SPORT],
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
	ct_side_invert(orig, &reply, IPPROTO_TCP);
}

static void read_reply(const struct ct_cmd *cmd, const struct ct_side *orig, struct ct_side *reply)
{
	ct_side_invert(reply, orig, IPPROTO_TCP);
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

/* ICMP: id and type stand where they stand, whichever way the packet goes. */
static int icmp_ports(const struct ct_cmd *cmd, struct ct_side *orig, struct ct_side *reply)
{
	if (!ct_flow_is_query(cmd->proto, cmd->l4[CT_L4_ICMP_TYPE]))
		return -EINVAL;
	orig->sport = cmd->l4[CT_L4_ICMP_ID];
	orig->dport = cmd->l4[CT_L4_ICMP_TYPE] << 8 | cmd->l4[CT_L4_ICMP_CODE];
	reply->sport = cmd->snat.port ? cmd->snat.port : orig->sport;
	reply->dport = orig->dport;
	return 0;
}

int ct_create_flow(const struct ct_cmd *cmd, struct ct_flow *flow)
{
	struct ct_side orig = {0}, reply = {0};

	memset(flow, 0, sizeof(*flow));
	read_orig(cmd, &orig);
	read_reply(cmd, &orig, &reply);
	if (is_icmp(cmd) && icmp_ports(cmd, &orig, &reply))
		return -EINVAL;
	flow->c.word = CT_W_STATUS(cmd->status | CT_S_CONFIRMED) | CT_W_STATE(cmd->l4[CT_L4_STATE]);
	ct_flow_tuples(flow, cmd->family, cmd->zone, cmd->proto, &orig, &reply);
	flow->c.mark = cmd->mark;
	flow->c.expires = cmd->timeout;
	flow->label = cmd->label_add;
	if (cmd->proto == IPPROTO_SCTP)
		for (int dir = 0; dir < 2; dir++)
			flow->c.sctp.vtag[dir] = htonl(cmd->l4[CT_L4_ORIG_VTAG + dir]);
	return 0;
}

/* Its external port is counted as used, if a pool has it; else it holds none. */
static void name_port(struct ct_cmd *cmd, struct ct_flow *flow)
{
	struct nat_maps m;

	if (!(flow->c.word & CT_W_STATUS(CT_S_SRC_NAT)))
		return;
	if (!nat_maps_open(&m, cmd->pins, false))
		flow->c.route[0] = ct_flow_nat_ref(flow, &m);
	nat_maps_close(&m);
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

	if (!ret) {
		name_port(cmd, &req.flow);
		ret = create(cmd, &req);
	}
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
