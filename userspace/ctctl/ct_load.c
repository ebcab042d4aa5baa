// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* -R FILE: the lines that `-o save` writes, and what changes expectations. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ct_cmd.h"

#define MAX_ARGS 100

static int split(char *line, char **argv)
{
	int argc = 0;
	char *save = NULL;

	argv[argc++] = (char *)"conntrack";
	for (char *word = strtok_r(line, " \t\n", &save); word;
	     word = strtok_r(NULL, " \t\n", &save)) {
		if (argc == MAX_ARGS)
			return -E2BIG;
		argv[argc++] = word;
	}
	argv[argc] = NULL;
	return argc;
}

static bool may_load(enum ct_command command)
{
	return command == CT_CMD_CREATE || command == CT_CMD_ADD || command == CT_CMD_UPDATE ||
	       command == CT_CMD_DELETE || command == CT_CMD_FLUSH;
}

static int load_line(struct ct_cmd *all, char *line)
{
	char *argv[MAX_ARGS + 1];
	int argc = split(line, argv), ret;
	struct ct_cmd cmd;

	if (argc < 0)
		return ct_usage(all->c, "too many arguments");
	if (argc == 1 || argv[1][0] == '#')
		return CTCTL_OK;
	ret = ct_parse(&cmd, all->c, argc, argv);
	if (ret)
		return ret;
	if (!may_load(cmd.command) ||
	    (cmd.table != CT_TABLE_CONNTRACK && cmd.table != CT_TABLE_EXPECT))
		return ct_usage(all->c, "Cannot use command `%s' with --load-file",
				cmd.command ? ct_command_name(cmd.command) : "none");
	cmd.pins = all->pins;
	cmd.done = all->done;
	return ct_run(&cmd);
}

int ct_cmd_load(struct ct_cmd *cmd)
{
	unsigned long done[CT_CMD_MAX] = {0};
	bool is_stdin = !strcmp(cmd->load_file, "-");
	FILE *f = is_stdin ? stdin : fopen(cmd->load_file, "re");
	size_t size = 0;
	char *line = NULL;
	int ret = CTCTL_OK;

	if (!f)
		return ct_usage(cmd->c, "Failed to open file %s for reading", cmd->load_file);
	cmd->done = done;
	while (!ret && getline(&line, &size, f) > 0)
		ret = load_line(cmd, line);
	cmd->done = NULL;
	free(line);
	if (!is_stdin)
		fclose(f);
	for (int i = 0; i < CT_CMD_MAX; i++) {
		struct ct_cmd one = {.c = cmd->c, .command = i};

		if (done[i])
			ct_summary(&one, done[i]);
	}
	return ret;
}
