// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* `ctctl flow`, `events`: conntrack(8)'s commands under other names. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ct_cmd.h"

/* Runs `conntrack OPTION ARGS`; argv[0] gives way to the option. */
static int as_conntrack(struct ctctl *c, const char *option, int argc, char **argv)
{
	char **args = calloc(argc + 2, sizeof(*args));
	int ret;

	if (!args)
		return ctctl_fail(c, "%s", strerror(ENOMEM));
	args[0] = (char *)c->prog;
	args[1] = (char *)option;
	memcpy(args + 2, argv + 1, (argc - 1) * sizeof(*args));
	ret = ct_main(c, argc + 1, args);
	free(args);
	return ret;
}

int ctctl_flow_list(struct ctctl *c, int argc, char **argv)
{
	return as_conntrack(c, "-L", argc, argv);
}

int ctctl_flow_count(struct ctctl *c, int argc, char **argv)
{
	return as_conntrack(c, "-C", argc, argv);
}

/* With a filter it is a delete, which tells what went and fails on nothing. */
int ctctl_flow_flush(struct ctctl *c, int argc, char **argv)
{
	return as_conntrack(c, argc > 1 ? "-D" : "-F", argc, argv);
}

int ctctl_events(struct ctctl *c, int argc, char **argv)
{
	return as_conntrack(c, "-E", argc, argv);
}
