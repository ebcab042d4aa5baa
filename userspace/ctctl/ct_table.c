// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Which options each command takes, and the error lines of conntrack(8). */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "ct_cmd.h"

#define FILTER                                                                                     \
	(CT_BIT(SRC) | CT_BIT(DST) | CT_BIT(REPLY_SRC) | CT_BIT(REPLY_DST) | CT_BIT(PROTO) |       \
	 CT_BIT(MASK_SRC) | CT_BIT(MASK_DST) | CT_BIT(MARK) | CT_BIT(FAMILY) | CT_BIT(SRC_NAT) |   \
	 CT_BIT(DST_NAT) | CT_BIT(OUTPUT) | CT_BIT(LABEL))
#define CREATE                                                                                     \
	(CT_BIT(SRC) | CT_BIT(DST) | CT_BIT(REPLY_SRC) | CT_BIT(REPLY_DST) | CT_BIT(PROTO) |       \
	 CT_BIT(TIMEOUT) | CT_BIT(STATUS) | CT_BIT(NAT_RANGE) | CT_BIT(MARK) | CT_BIT(SRC_NAT) |   \
	 CT_BIT(DST_NAT) | CT_BIT(ZONE) | CT_BIT(LABEL_ADD) | CT_BIT(ORIG_ZONE) |                  \
	 CT_BIT(REPLY_ZONE))
#define EXPECT_TUPLE                                                                               \
	(CT_BIT(SRC) | CT_BIT(DST) | CT_BIT(REPLY_SRC) | CT_BIT(REPLY_DST) | CT_BIT(PROTO))

struct command {
	const char *name;
	uint32_t allowed, needed;		/* table conntrack */
	uint32_t expect_allowed, expect_needed; /* table expect */
	bool addrs;				/* needs a pair of addresses */
	const char *done;			/* "%lu flow entries have been" this */
};

static const struct command commands[CT_CMD_MAX] = {
	[CT_CMD_NONE] = {.allowed = CT_BIT(PROTO)},
	[CT_CMD_LIST] = {"dump",
			 FILTER | CT_BIT(STATUS) | CT_BIT(ZERO) | CT_BIT(SECMARK) |
				 CT_BIT(ANY_NAT) | CT_BIT(ZONE) | CT_BIT(ORIG_ZONE) |
				 CT_BIT(REPLY_ZONE),
			 0, CT_BIT(FAMILY) | CT_BIT(OUTPUT), 0, false, "shown"},
	[CT_CMD_CREATE] = {"create", CREATE, CT_BIT(PROTO) | CT_BIT(TIMEOUT),
			   EXPECT_TUPLE | CT_BIT(TIMEOUT) | CT_BIT(STATUS) | CT_BIT(TUPLE_SRC) |
				   CT_BIT(TUPLE_DST) | CT_BIT(MASK_SRC) | CT_BIT(MASK_DST),
			   CT_BIT(SRC) | CT_BIT(DST) | CT_BIT(PROTO) | CT_BIT(TIMEOUT) |
				   CT_BIT(TUPLE_SRC) | CT_BIT(TUPLE_DST) | CT_BIT(MASK_SRC) |
				   CT_BIT(MASK_DST),
			   true, "created"},
	[CT_CMD_ADD] = {"add", CREATE, CT_BIT(PROTO) | CT_BIT(TIMEOUT), 0, 0, true, "added"},
	[CT_CMD_UPDATE] = {"update",
			   FILTER | CT_BIT(TIMEOUT) | CT_BIT(STATUS) | CT_BIT(ID) |
				   CT_BIT(LABEL_ADD) | CT_BIT(LABEL_DEL),
			   0, 0, 0, false, "updated"},
	[CT_CMD_DELETE] = {"delete",
			   FILTER | CT_BIT(TIMEOUT) | CT_BIT(STATUS) | CT_BIT(ID) | CT_BIT(ZONE) |
				   CT_BIT(ORIG_ZONE) | CT_BIT(REPLY_ZONE),
			   0, EXPECT_TUPLE, CT_BIT(SRC) | CT_BIT(DST) | CT_BIT(PROTO), false,
			   "deleted"},
	[CT_CMD_GET] = {"get",
			CT_BIT(SRC) | CT_BIT(DST) | CT_BIT(REPLY_SRC) | CT_BIT(REPLY_DST) |
				CT_BIT(PROTO) | CT_BIT(ID) | CT_BIT(OUTPUT) | CT_BIT(LABEL),
			CT_BIT(PROTO), EXPECT_TUPLE, CT_BIT(SRC) | CT_BIT(DST) | CT_BIT(PROTO),
			true, "shown"},
	[CT_CMD_FLUSH] = {"flush", CT_BIT(FAMILY)},
	[CT_CMD_EVENT] = {"event",
			  FILTER | CT_BIT(EVENT_MASK) | CT_BIT(SECMARK) | CT_BIT(BUFFER_SIZE) |
				  CT_BIT(ANY_NAT) | CT_BIT(ZONE) | CT_BIT(ORIG_ZONE) |
				  CT_BIT(REPLY_ZONE),
			  0, 0, 0, false, NULL},
	[CT_CMD_COUNT] = {"counter"},
	[CT_CMD_STATS] = {"stats"},
	[CT_CMD_LOAD] = {"load-file"},
	[CT_CMD_VERSION] = {"version"},
	[CT_CMD_HELP] = {"help", CT_BIT(PROTO), 0, 0, 0, false, NULL},
};

const char *ct_command_name(enum ct_command command)
{
	return commands[command].name;
}

const char *ct_option_name(enum ct_option option)
{
	static const char *const names[] = {
#define X(name, text) text,
		CT_OPTIONS(X)
#undef X
	};

	return names[option];
}

static int check_allowed(struct ct_cmd *cmd, uint32_t allowed, uint32_t needed)
{
	for (int i = 0; i < CT_OPT_MAX; i++) {
		uint32_t bit = 1U << i;

		if (needed & bit && !(cmd->options & bit))
			return ct_usage(cmd->c,
					"You need to supply the `--%s' option for this command",
					ct_option_name(i));
		if (cmd->options & bit && !(allowed & bit))
			return ct_usage(cmd->c, "Illegal option `--%s' with this command",
					ct_option_name(i));
	}
	return CTCTL_OK;
}

static int check_addrs(struct ct_cmd *cmd)
{
	uint32_t o = cmd->options, orig = CT_BIT(SRC) | CT_BIT(DST);
	uint32_t reply = CT_BIT(REPLY_SRC) | CT_BIT(REPLY_DST);

	if ((o & orig) == orig || (o & reply) == reply)
		return CTCTL_OK;
	if (o & reply && !(o & orig))
		return ct_usage(cmd->c, "you have to specify `--reply-src' and `--reply-dst'");
	return ct_usage(cmd->c, "you have to specify `--src' and `--dst'");
}

static int check_pairs(struct ct_cmd *cmd)
{
	if (cmd->options & CT_BIT(MASK_SRC) && !(cmd->options & CT_BIT(SRC)))
		return ct_usage(cmd->c, "Can't use --mask-src without --src");
	if (cmd->options & CT_BIT(MASK_DST) && !(cmd->options & CT_BIT(DST)))
		return ct_usage(cmd->c, "Can't use --mask-dst without --dst");
	if (cmd->options & CT_BIT(ANY_NAT) && cmd->options & (CT_BIT(SRC_NAT) | CT_BIT(DST_NAT)))
		return ct_usage(cmd->c,
				"cannot specify `--src-nat' or `--dst-nat' with `--any-nat'");
	if (cmd->options & CT_BIT(LABEL_ADD) && cmd->options & CT_BIT(LABEL_DEL))
		return ct_usage(cmd->c, "cannot use --label-add and --label-del at the same time");
	return CTCTL_OK;
}

static int check_zero(struct ct_cmd *cmd)
{
	uint32_t filters = CT_BIT(SRC) | CT_BIT(DST) | CT_BIT(REPLY_SRC) | CT_BIT(REPLY_DST) |
			   CT_BIT(PROTO) | CT_BIT(MARK) | CT_BIT(SECMARK) | CT_BIT(STATUS) |
			   CT_BIT(ID) | CT_BIT(ZONE) | CT_BIT(LABEL) | CT_BIT(ORIG_ZONE) |
			   CT_BIT(REPLY_ZONE);

	if (cmd->options & CT_BIT(ZERO) && cmd->options & filters)
		return ct_usage(cmd->c, "Can't use -z with filtering parameters");
	return CTCTL_OK;
}

int ct_check_options(struct ct_cmd *cmd)
{
	const struct command *row = &commands[cmd->command];
	int ret;

	if (cmd->table == CT_TABLE_EXPECT)
		return check_allowed(cmd, row->expect_allowed, row->expect_needed);
	ret = check_pairs(cmd);
	if (!ret)
		ret = check_allowed(cmd, row->allowed, row->needed);
	if (!ret && row->addrs)
		ret = check_addrs(cmd);
	if (!ret)
		ret = ct_proto_check(cmd);
	return ret ? ret : check_zero(cmd);
}

static void say(struct ctctl *c, const char *fmt, va_list ap)
{
	fflush(c->out); /* one terminal shows lines in the order they were written */
	fprintf(c->err, "conntrack v" CT_VERSION " (conntrack-tools): ");
	vfprintf(c->err, fmt, ap);
	fprintf(c->err, "\n");
}

int ct_usage(struct ctctl *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(c, fmt, ap);
	va_end(ap);
	fprintf(c->err, "Try `conntrack -h' or 'conntrack --help' for more information.\n");
	return CTCTL_USAGE;
}

int ct_failed(struct ctctl *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(c, fmt, ap);
	va_end(ap);
	return CTCTL_FAILED;
}

int ct_failed_errno(struct ctctl *c, enum ct_command command, int err)
{
	const char *text = strerror(err);

	switch (err) {
	case EINVAL:
		text = "invalid parameters";
		break;
	case EEXIST:
		if (command == CT_CMD_CREATE || command == CT_CMD_ADD)
			text = "Such conntrack exists, try -U to update";
		break;
	case ENOENT:
		text = "such conntrack doesn't exist";
		break;
	case ENOMEM:
		text = "not enough memory";
		break;
	case ETIME:
		text = "conntrack has expired";
		break;
	case EPERM:
		text = "sorry, you must be root or get CAP_NET_ADMIN capability to do this";
		break;
	}
	return ct_failed(c, "Operation failed: %s", text);
}

void ct_summary(const struct ct_cmd *cmd, unsigned long n)
{
	if (cmd->done)
		cmd->done[cmd->command] += n;
	else if (cmd->table == CT_TABLE_EXPECT)
		ct_failed(cmd->c, "%lu %s have been shown.", n,
			  cmd->command == CT_CMD_EVENT ? "expectation events" : "expectations");
	else if (cmd->command == CT_CMD_EVENT)
		ct_failed(cmd->c, "%lu flow events have been shown.", n);
	else
		ct_failed(cmd->c, "%lu flow entries have been %s.", n, commands[cmd->command].done);
}
