// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* conntrack(8)'s options -> struct ct_cmd. */
#include <string.h>

#include "ct_cmd.h"

/* vals of options that have no letter */
enum {
	OPT_TUPLE_SRC = 256,
	OPT_TUPLE_DST,
	OPT_MASK_SRC,
	OPT_MASK_DST,
	OPT_LABEL_ADD,
	OPT_LABEL_DEL,
	OPT_ORIG_ZONE,
	OPT_REPLY_ZONE,
	OPT_ANY_NAT,
};

static const struct option base_options[] = {
	{"dump", 2, NULL, 'L'},
	{"create", 1, NULL, 'I'},
	{"add", 1, NULL, 'A'},
	{"delete", 1, NULL, 'D'},
	{"update", 1, NULL, 'U'},
	{"get", 1, NULL, 'G'},
	{"flush", 1, NULL, 'F'},
	{"event", 1, NULL, 'E'},
	{"counter", 2, NULL, 'C'},
	{"stats", 0, NULL, 'S'},
	{"load-file", 1, NULL, 'R'},
	{"version", 0, NULL, 'V'},
	{"help", 0, NULL, 'h'},
	{"orig-src", 1, NULL, 's'},
	{"src", 1, NULL, 's'},
	{"orig-dst", 1, NULL, 'd'},
	{"dst", 1, NULL, 'd'},
	{"reply-src", 1, NULL, 'r'},
	{"reply-dst", 1, NULL, 'q'},
	{"protonum", 1, NULL, 'p'},
	{"timeout", 1, NULL, 't'},
	{"status", 1, NULL, 'u'},
	{"zero", 0, NULL, 'z'},
	{"event-mask", 1, NULL, 'e'},
	{"tuple-src", 1, NULL, OPT_TUPLE_SRC},
	{"tuple-dst", 1, NULL, OPT_TUPLE_DST},
	{"mask-src", 1, NULL, OPT_MASK_SRC},
	{"mask-dst", 1, NULL, OPT_MASK_DST},
	{"nat-range", 1, NULL, 'a'},
	{"mark", 1, NULL, 'm'},
	{"secmark", 1, NULL, 'c'},
	{"id", 1, NULL, 'i'},
	{"family", 1, NULL, 'f'},
	{"src-nat", 2, NULL, 'n'},
	{"dst-nat", 2, NULL, 'g'},
	{"output", 1, NULL, 'o'},
	{"buffer-size", 1, NULL, 'b'},
	{"any-nat", 2, NULL, OPT_ANY_NAT},
	{"zone", 1, NULL, 'w'},
	{"label", 1, NULL, 'l'},
	{"label-add", 1, NULL, OPT_LABEL_ADD},
	{"label-del", 2, NULL, OPT_LABEL_DEL},
	{"orig-zone", 1, NULL, OPT_ORIG_ZONE},
	{"reply-zone", 1, NULL, OPT_REPLY_ZONE},
};

#define BASE_OPTIONS (sizeof(base_options) / sizeof(base_options[0]))
#define MAX_OPTIONS  (BASE_OPTIONS + 16)

static const char letters[] = ":L::I::U::D::G::E::F::A::hVs:d:r:q:p:t:u:e:a:zm:i:f:o:n::g::c:b:"
			      "C::Sj::w:l:R:";

struct parse {
	struct ct_cmd *cmd;
	int argc;
	char **argv;
	struct option options[MAX_OPTIONS];
};

/* An optional argument may stand apart, as conntrack(8) lets it. */
static const char *optional_arg(struct parse *p)
{
	if (optarg)
		return optarg;
	if (optind < p->argc && p->argv[optind][0] != '-' && p->argv[optind][0] != '!')
		return p->argv[optind++];
	return NULL;
}

static bool names_table(const char *arg, const char *table)
{
	return !strncmp(table, arg, strlen(table));
}

static int read_table(struct parse *p)
{
	/* `-Lconntrack': conntrack(8) does not look at what is glued on */
	const char *arg = optarg ? NULL : optional_arg(p);
	struct ct_cmd *cmd = p->cmd;

	if (!arg || names_table(arg, "conntrack"))
		cmd->table = CT_TABLE_CONNTRACK;
	else if (names_table(arg, "expect"))
		cmd->table = CT_TABLE_EXPECT;
	else if (names_table(arg, "dying"))
		cmd->table = CT_TABLE_DYING;
	else if (names_table(arg, "unconfirmed"))
		cmd->table = CT_TABLE_UNCONFIRMED;
	else
		return ct_usage(cmd->c, "unknown type `%s'", arg);
	if ((cmd->table == CT_TABLE_DYING || cmd->table == CT_TABLE_UNCONFIRMED) &&
	    cmd->command != CT_CMD_LIST)
		return ct_usage(cmd->c, "Can't do that command with tables `dying' and "
					"`unconfirmed'");
	if (cmd->table == CT_TABLE_EXPECT &&
	    (cmd->command == CT_CMD_UPDATE || cmd->command == CT_CMD_ADD))
		return ct_usage(cmd->c, "Can't do --%s on expectations",
				ct_command_name(cmd->command));
	return CTCTL_OK;
}

static enum ct_command letter_command(int letter)
{
	switch (letter) {
	case 'L':
		return CT_CMD_LIST;
	case 'I':
		return CT_CMD_CREATE;
	case 'A':
		return CT_CMD_ADD;
	case 'U':
		return CT_CMD_UPDATE;
	case 'D':
		return CT_CMD_DELETE;
	case 'G':
		return CT_CMD_GET;
	case 'F':
		return CT_CMD_FLUSH;
	case 'E':
		return CT_CMD_EVENT;
	case 'C':
		return CT_CMD_COUNT;
	case 'S':
		return CT_CMD_STATS;
	case 'R':
		return CT_CMD_LOAD;
	case 'V':
		return CT_CMD_VERSION;
	case 'h':
		return CT_CMD_HELP;
	}
	return CT_CMD_NONE;
}

static int take_command(struct parse *p, enum ct_command command)
{
	struct ct_cmd *cmd = p->cmd;

	if (cmd->command)
		return ct_usage(cmd->c, "Invalid commands combination");
	cmd->command = command;
	if (command == CT_CMD_LOAD) {
		cmd->load_file = optarg;
		return CTCTL_OK;
	}
	if (command == CT_CMD_VERSION || command == CT_CMD_HELP)
		return CTCTL_OK;
	return read_table(p);
}

static int take_proto(struct parse *p)
{
	const struct option *more;
	size_t n = BASE_OPTIONS;

	p->cmd->proto = ct_proto_number(optarg);
	if (p->cmd->proto < 0)
		return ct_usage(p->cmd->c, "`%s' unsupported protocol", optarg);
	more = ct_proto_options(p->cmd->proto);
	while (more->name && n < MAX_OPTIONS - 1)
		p->options[n++] = *more++;
	memset(&p->options[n], 0, sizeof(p->options[n]));
	return CTCTL_OK;
}

static int take_nat(struct parse *p, struct ct_nat_match *m)
{
	const char *arg = optional_arg(p);

	return arg ? ct_arg_nat(p->cmd, m, arg) : CTCTL_OK;
}

static int take_zone(struct ct_cmd *cmd, const char *name, uint16_t *out)
{
	uint32_t zone = 0;
	int ret = ct_arg_u32(cmd, name, optarg, UINT16_MAX, &zone);

	*out = zone;
	return ret;
}

static int take_label_del(struct parse *p)
{
	const char *arg = optional_arg(p);

	if (arg)
		return ct_arg_label(p->cmd, &p->cmd->label_del, arg);
	memset(&p->cmd->label_del, 0xff, sizeof(p->cmd->label_del));
	return CTCTL_OK;
}

#define TAKE(bit, call)                                                                            \
	do {                                                                                       \
		cmd->options |= CT_BIT(bit);                                                       \
		return call;                                                                       \
	} while (0)

/* Addresses, protocol and family. */
static int take_address(struct parse *p, int opt)
{
	struct ct_cmd *cmd = p->cmd;

	switch (opt) {
	case 's':
		TAKE(SRC, ct_arg_addr(cmd, &cmd->src, "src", optarg, true));
	case 'd':
		TAKE(DST, ct_arg_addr(cmd, &cmd->dst, "dst", optarg, true));
	case 'r':
		TAKE(REPLY_SRC, ct_arg_addr(cmd, &cmd->reply_src, "reply-src", optarg, false));
	case 'q':
		TAKE(REPLY_DST, ct_arg_addr(cmd, &cmd->reply_dst, "reply-dst", optarg, false));
	case 'p':
		TAKE(PROTO, take_proto(p));
	case 'f':
		TAKE(FAMILY, ct_arg_family(cmd, optarg));
	case 'n':
		TAKE(SRC_NAT, take_nat(p, &cmd->snat));
	case 'g':
		TAKE(DST_NAT, take_nat(p, &cmd->dnat));
	case OPT_ANY_NAT:
		TAKE(ANY_NAT, take_nat(p, &cmd->anynat));
	case OPT_MASK_SRC:
		TAKE(MASK_SRC, ct_arg_mask(cmd, &cmd->src, optarg));
	case OPT_MASK_DST:
		TAKE(MASK_DST, ct_arg_mask(cmd, &cmd->dst, optarg));
	case OPT_TUPLE_SRC:
		TAKE(TUPLE_SRC, ct_arg_addr(cmd, &cmd->tuple_src, "tuple-src", optarg, true));
	case OPT_TUPLE_DST:
		TAKE(TUPLE_DST, ct_arg_addr(cmd, &cmd->tuple_dst, "tuple-dst", optarg, true));
	}
	return -1;
}

/* Everything else; -1: not an option of ours. */
static int take_option(struct parse *p, int opt)
{
	struct ct_cmd *cmd = p->cmd;
	uint32_t unused;

	switch (opt) {
	case 't':
		TAKE(TIMEOUT, ct_arg_u32(cmd, "--timeout", optarg, INT32_MAX, &cmd->timeout));
	case 'u':
		TAKE(STATUS, ct_arg_status(cmd, optarg));
	case 'z':
		TAKE(ZERO, CTCTL_OK);
	case 'e':
		TAKE(EVENT_MASK, ct_arg_events(cmd, optarg));
	case 'm':
		TAKE(MARK, ct_arg_mark(cmd, optarg));
	case 'i':
		TAKE(ID, ct_arg_u32(cmd, "--id", optarg, UINT32_MAX, &unused));
	case 'o':
		TAKE(OUTPUT, ct_arg_output(cmd, optarg));
	case 'c':
		TAKE(SECMARK, ct_arg_u32(cmd, "--secmark", optarg, UINT32_MAX, &unused));
	case 'b':
		TAKE(BUFFER_SIZE, ct_arg_u32(cmd, "--buffer-size", optarg, INT32_MAX, &unused));
	case 'w':
		TAKE(ZONE, take_zone(cmd, "--zone", &cmd->zone));
	case 'l':
		TAKE(LABEL, ct_arg_label(cmd, &cmd->label, optarg));
	case OPT_LABEL_ADD:
		TAKE(LABEL_ADD, ct_arg_label(cmd, &cmd->label_add, optarg));
	case OPT_LABEL_DEL:
		TAKE(LABEL_DEL, take_label_del(p));
	case OPT_ORIG_ZONE:
		TAKE(ORIG_ZONE, take_zone(cmd, "--orig-zone", &cmd->orig_zone));
	case OPT_REPLY_ZONE:
		TAKE(REPLY_ZONE, take_zone(cmd, "--reply-zone", &cmd->reply_zone));
	case 'a':
		fprintf(cmd->c->err, "WARNING: ignoring -a, deprecated option.\n");
		return CTCTL_OK;
	}
	return -1;
}

static int take(struct parse *p, int opt)
{
	struct ct_cmd *cmd = p->cmd;
	int ret;

	if (opt == 'j') {
		if (cmd->c->conntrack)
			return take_address(p, OPT_ANY_NAT);
		cmd->c->json = true;
		return CTCTL_OK;
	}
	if (opt == ':')
		return ct_usage(cmd->c, "option `%s' requires an argument", p->argv[optind - 1]);
	if (opt == '?')
		return ct_usage(cmd->c, "unknown option `%s'", p->argv[optind - 1]);
	if (opt >= CT_PROTO_BASE)
		return ct_proto_arg(cmd, opt - CT_PROTO_BASE, optarg);
	if (letter_command(opt))
		return take_command(p, letter_command(opt));
	ret = take_address(p, opt);
	return ret >= 0 ? ret : take_option(p, opt);
}

int ct_parse(struct ct_cmd *cmd, struct ctctl *c, int argc, char **argv)
{
	struct parse p = {.cmd = cmd, .argc = argc, .argv = argv};
	int opt, ret;

	*cmd = (struct ct_cmd){.c = c, .proto = -1, .mark_mask = UINT32_MAX};
	memcpy(p.options, base_options, sizeof(base_options));
	for (size_t i = 0; i < BASE_OPTIONS; i++) /* commands' tables are read by hand */
		if (letter_command(p.options[i].val) && p.options[i].val != 'R')
			p.options[i].has_arg = 0;
	optind = 0; /* glibc: start afresh */
	opterr = 0;
	while ((opt = getopt_long(argc, argv, letters, p.options, NULL)) != -1) {
		ret = take(&p, opt);
		if (ret)
			return ret;
	}
	return ct_check_options(cmd);
}
