// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* -L, -G, -C, -S. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "ct_cmd.h"

static int list_one(struct ct_cmd *cmd, const struct ct_flow *flow, struct ct_view *v, void *arg)
{
	struct ct_print *pr = arg;

	(void)cmd, (void)flow;
	ct_print_flow(pr, v, pr->show);
	return 0;
}

int ct_cmd_list(struct ct_cmd *cmd)
{
	struct ct_print pr;
	int ret;

	if (cmd->options & CT_BIT(ZERO))
		return ct_failed(cmd->c, "Operation failed: counters cannot be zeroed");
	if (cmd->options & CT_BIT(STATUS) && !cmd->status)
		return ct_failed_errno(cmd->c, cmd->command, EINVAL);
	ct_print_start(&pr, cmd, cmd->pins);
	ret = ct_walk(cmd, &pr.clock, list_one, &pr);
	ct_print_end(&pr);
	if (ret < 0)
		return ct_failed_errno(cmd->c, cmd->command, -ret);
	ct_summary(cmd, pr.printed);
	return CTCTL_OK;
}

static int get_one(struct ct_cmd *cmd, const struct ct_flow *flow, struct ct_view *v, void *arg)
{
	if (v->zone)
		return 0; /* -G takes no zone, so it means zone 0 */
	list_one(cmd, flow, v, arg);
	return 1;
}

int ct_cmd_get(struct ct_cmd *cmd)
{
	struct ct_print pr;
	int ret;

	if (cmd->proto == 1 || cmd->proto == 58)
		cmd->l4_set |= 1U << CT_L4_ICMP_ID; /* not given: 0, as netfilter has it */
	ct_print_start(&pr, cmd, cmd->pins);
	pr.headless = false;
	ret = ct_walk(cmd, &pr.clock, get_one, &pr);
	ct_print_end(&pr);
	if (ret < 0)
		return ct_failed_errno(cmd->c, cmd->command, -ret);
	if (!pr.printed)
		return ct_failed_errno(cmd->c, cmd->command, ENOENT);
	ct_summary(cmd, pr.printed);
	return CTCTL_OK;
}

int ct_cmd_count(struct ct_cmd *cmd)
{
	unsigned long n = 0;

	for (int i = 0; i < 2; i++)
		n += cmd->pins->table[i].confirmed + cmd->pins->table[i].half_open;
	fprintf(cmd->c->out, cmd->c->json ? "{\"count\":%lu}\n" : "%lu\n", n);
	return CTCTL_OK;
}

/* conntrack(8) -S: these counters, in this order. */
static const struct {
	enum ct_stat stat;
	const char *name;
} shown[] = {
	{CT_STAT_FOUND, "found"},
	{CT_STAT_INVALID, "invalid"},
	{CT_STAT_INSERT, "insert"},
	{CT_STAT_INSERT_FAILED, "insert_failed"},
	{CT_STAT_DROP, "drop"},
	{CT_STAT_EARLY_DROP, "early_drop"},
	{CT_STAT_ERROR, "error"},
	{CT_STAT_SEARCH_RESTART, "search_restart"},
	{CT_STAT_CLASH_RESOLVE, "clash_resolve"},
	{CT_STAT_CHAIN_TOO_LONG, "chaintoolong"},
};

#define SHOWN (sizeof(shown) / sizeof(shown[0]))

static void print_cpu(struct ctctl *c, int cpu, const uint64_t *val, int cpus)
{
	const char *end = c->json ? "" : " ";

	fprintf(c->out, c->json ? "{\"cpu\":%d" : "cpu=%-4d\t", cpu);
	for (size_t i = 0; i < SHOWN; i++)
		fprintf(c->out, c->json ? ",\"%s\":%llu%s" : "%s=%llu%s", shown[i].name,
			(unsigned long long)val[i * cpus + cpu], end);
	fprintf(c->out, c->json ? "}\n" : "\n");
}

static int print_stats(struct ct_cmd *cmd, int cpus)
{
	uint64_t *val = calloc(SHOWN * cpus, sizeof(*val));
	int ret = 0;

	if (!val)
		return -ENOMEM;
	for (size_t i = 0; i < SHOWN && !ret; i++) {
		__u32 stat = shown[i].stat;

		if (bpf_map_lookup_elem(cmd->pins->stat_fd, &stat, val + i * cpus))
			ret = -errno;
	}
	for (int cpu = 0; cpu < cpus && !ret; cpu++)
		print_cpu(cmd->c, cpu, val, cpus);
	free(val);
	return ret;
}

int ct_cmd_stats(struct ct_cmd *cmd)
{
	int cpus = libbpf_num_possible_cpus(), ret;

	ret = cpus < 0 ? cpus : print_stats(cmd, cpus);
	return ret ? ct_failed_errno(cmd->c, cmd->command, -ret) : CTCTL_OK;
}
