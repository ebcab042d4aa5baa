// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* From a parsed command line to its command. */
#include <errno.h>

#include "ct_cmd.h"

/* Nothing is ever unconfirmed: a record is in the table or it is not. */
static int run_empty_table(struct ct_cmd *cmd)
{
	switch (cmd->command) {
	case CT_CMD_LIST:
		ct_summary(cmd, 0);
		return CTCTL_OK;
	case CT_CMD_COUNT:
		fprintf(cmd->c->out, "0\n");
		return CTCTL_OK;
	default:
		return ct_failed_errno(cmd->c, cmd->command, ENOENT);
	}
}

static int dispatch(struct ct_cmd *cmd)
{
	if (cmd->table == CT_TABLE_EXPECT)
		return ct_cmd_expect(cmd);
	switch (cmd->command) {
	case CT_CMD_LIST:
		return ct_cmd_list(cmd);
	case CT_CMD_GET:
		return ct_cmd_get(cmd);
	case CT_CMD_COUNT:
		return ct_cmd_count(cmd);
	case CT_CMD_STATS:
		return ct_cmd_stats(cmd);
	case CT_CMD_DELETE:
		return ct_cmd_delete(cmd);
	case CT_CMD_FLUSH:
		return ct_cmd_flush(cmd);
	case CT_CMD_UPDATE:
		return ct_cmd_update(cmd);
	case CT_CMD_CREATE:
	case CT_CMD_ADD:
		return ct_cmd_create(cmd);
	case CT_CMD_EVENT:
		return ct_cmd_event(cmd);
	case CT_CMD_LOAD:
		return ct_cmd_load(cmd);
	default:
		return CTCTL_USAGE;
	}
}

static bool writes(enum ct_command command)
{
	switch (command) {
	case CT_CMD_DELETE:
	case CT_CMD_FLUSH:
	case CT_CMD_UPDATE:
	case CT_CMD_CREATE:
	case CT_CMD_ADD:
	case CT_CMD_LOAD:
		return true;
	default:
		return false;
	}
}

int ct_run(struct ct_cmd *cmd)
{
	struct bpfct_pins pins;
	int ret;

	if (cmd->command == CT_CMD_NONE || cmd->command == CT_CMD_HELP) {
		ct_cmd_help(cmd);
		return CTCTL_OK;
	}
	if (cmd->command == CT_CMD_VERSION) {
		fprintf(cmd->c->out, "conntrack v" CT_VERSION " (conntrack-tools)\n");
		return CTCTL_OK;
	}
	if (cmd->table != CT_TABLE_CONNTRACK && cmd->table != CT_TABLE_EXPECT)
		return run_empty_table(cmd);
	if (cmd->pins)
		return dispatch(cmd);
	ret = ctctl_open(cmd->c, &pins, writes(cmd->command));
	if (ret)
		return ret;
	cmd->pins = &pins;
	ret = dispatch(cmd);
	cmd->pins = NULL;
	bpfct_pins_close(&pins);
	return ret;
}

int ct_main(struct ctctl *c, int argc, char **argv)
{
	struct ct_cmd cmd;
	int ret = ct_parse(&cmd, c, argc, argv);

	return ret ? ret : ct_run(&cmd);
}

struct walk {
	struct ct_cmd *cmd;
	const struct ct_view_clock *clock;
	ct_flow_fn fn;
	void *arg;
};

static int walk_one(const struct ct_flow *flow, void *arg)
{
	struct walk *w = arg;
	struct ct_view v;

	ct_view_fill(&v, flow, w->clock);
	if (!ct_view_listed(&v) || !ct_filter(w->cmd, &v))
		return 0;
	return w->fn(w->cmd, flow, &v, w->arg);
}

int ct_walk(struct ct_cmd *cmd, const struct ct_view_clock *clock, ct_flow_fn fn, void *arg)
{
	struct walk w = {cmd, clock, fn, arg};
	int ret = 0;

	if (cmd->family != 6)
		ret = bpfct_dump(cmd->pins, 4, walk_one, &w);
	if (!ret && cmd->family != 4)
		ret = bpfct_dump(cmd->pins, 6, walk_one, &w);
	return ret;
}
