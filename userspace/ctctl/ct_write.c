// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* -D, -F, -U: what changes flows that are there, always through ct_control. */
#include <errno.h>
#include <string.h>

#include "ct_cmd.h"

/* A compare-and-swap that lost against packets is tried again; not for ever. */
#define TRIES 100

static int control(struct ct_cmd *cmd, struct ct_control *req)
{
	int ret;

	for (int i = 0; i < TRIES; i++) {
		ret = bpfct_control(cmd->pins, req);
		if (!ret)
			ret = req->result;
		if (ret != -EAGAIN)
			break;
	}
	return ret;
}

/* 0 done, 1 was gone already, -errno. Killing marks the record; the node stays
 * for a second, so a walk may go on over it. */
static int delete_flow(struct ct_cmd *cmd, const struct ct_flow *flow)
{
	struct ct_control req = {.op = CT_CONTROL_DELETE, .flow = *flow};
	int ret;

	req.gen = ct_w_gen(flow->c.word);
	ret = control(cmd, &req);
	return ret == -ENOENT ? 1 : ret;
}

static int delete_one(struct ct_cmd *cmd, const struct ct_flow *flow, struct ct_view *v, void *arg)
{
	struct ct_print *pr = arg;
	int ret = delete_flow(cmd, flow);

	if (!ret)
		ct_print_flow(pr, v, pr->show);
	return ret < 0 ? ret : 0;
}

int ct_cmd_delete(struct ct_cmd *cmd)
{
	struct ct_print pr;
	int ret;

	ct_print_start(&pr, cmd, cmd->pins);
	pr.save = "-D";
	pr.headless = !cmd->c->json; /* as conntrack 1.4.7: XML without its frame */
	ret = ct_walk(cmd, &pr.clock, delete_one, &pr);
	ct_print_end(&pr);
	if (ret < 0)
		return ct_failed_errno(cmd->c, cmd->command, -ret);
	ct_summary(cmd, pr.printed);
	return pr.printed ? CTCTL_OK : CTCTL_FAILED;
}

static int flush_one(struct ct_cmd *cmd, const struct ct_flow *flow, struct ct_view *v, void *arg)
{
	int ret = delete_flow(cmd, flow);

	(void)v, (void)arg;
	return ret < 0 ? ret : 0;
}

int ct_cmd_flush(struct ct_cmd *cmd)
{
	struct ct_view_clock clock = ctctl_clock_now(cmd->pins);
	int ret = ct_walk(cmd, &clock, flush_one, NULL);

	if (ret < 0)
		return ct_failed_errno(cmd->c, cmd->command, -ret);
	ct_failed(cmd->c, "connection tracking table has been emptied.");
	return CTCTL_OK;
}

static void change_labels(const struct ct_cmd *cmd, struct ct_label *label)
{
	for (int i = 0; i < 4; i++) {
		label->bits[i] |= cmd->label_add.bits[i];
		label->bits[i] &= ~cmd->label_del.bits[i];
	}
}

/* What to send, and the same change in the view that will be printed. */
static void prepare(const struct ct_cmd *cmd, struct ct_control *req, struct ct_view *v)
{
	if (cmd->options & CT_BIT(MARK)) {
		req->set |= CT_SET_MARK;
		v->mark = (v->mark & ~cmd->mark_mask) ^ cmd->mark;
		req->flow.c.mark = v->mark;
	}
	if (cmd->options & CT_BIT(TIMEOUT)) {
		req->set |= CT_SET_TIMEOUT;
		v->timeout = cmd->timeout;
		req->flow.c.expires = cmd->timeout;
	}
	if (cmd->options & CT_BIT(STATUS)) {
		req->set |= CT_SET_STATUS;
		v->status |= cmd->status;
		req->flow.c.word |= CT_W_STATUS(cmd->status);
	}
	if (cmd->options & (CT_BIT(LABEL_ADD) | CT_BIT(LABEL_DEL))) {
		req->set |= CT_SET_LABEL;
		change_labels(cmd, &req->flow.label);
		v->label = req->flow.label;
		v->status |= CT_S_LABEL;
	}
}

static int update_one(struct ct_cmd *cmd, const struct ct_flow *flow, struct ct_view *v, void *arg)
{
	struct ct_control req = {.op = CT_CONTROL_UPDATE, .flow = *flow};
	struct ct_print *pr = arg;
	int ret;

	req.gen = ct_w_gen(flow->c.word);
	prepare(cmd, &req, v);
	ret = control(cmd, &req);
	if (!ret)
		ct_print_flow(pr, v, pr->show);
	return ret < 0 && ret != -ENOENT ? ret : 0;
}

int ct_cmd_update(struct ct_cmd *cmd)
{
	const uint32_t settable = CT_S_ASSURED | CT_S_SEEN_REPLY | CT_S_FIXED_TIMEOUT;
	struct ct_print pr;
	int ret;

	if (cmd->status & ~settable)
		return ct_failed_errno(cmd->c, cmd->command, EINVAL);
	ct_print_start(&pr, cmd, cmd->pins);
	pr.save = "-U";
	pr.headless = !cmd->c->json;
	ret = ct_walk(cmd, &pr.clock, update_one, &pr);
	ct_print_end(&pr);
	if (ret < 0)
		return ct_failed_errno(cmd->c, cmd->command, -ret);
	ct_summary(cmd, pr.printed);
	return pr.printed ? CTCTL_OK : CTCTL_FAILED;
}
