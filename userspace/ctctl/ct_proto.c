// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The options that `-p PROTO` brings in. */
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include "ct_cmd.h"

#define OPT(name, field)                                                                           \
	{                                                                                          \
		name, 1, NULL, CT_PROTO_BASE + (field)                                             \
	}
#define END                                                                                        \
	{                                                                                          \
		NULL, 0, NULL, 0                                                                   \
	}

#define PORTS                                                                                      \
	OPT("orig-port-src", CT_L4_SPORT), OPT("orig-port-dst", CT_L4_DPORT),                      \
		OPT("reply-port-src", CT_L4_REPLY_SPORT),                                          \
		OPT("reply-port-dst", CT_L4_REPLY_DPORT), OPT("mask-port-src", CT_L4_MASK_SPORT),  \
		OPT("mask-port-dst", CT_L4_MASK_DPORT), OPT("tuple-port-src", CT_L4_TUPLE_SPORT),  \
		OPT("tuple-port-dst", CT_L4_TUPLE_DPORT), OPT("sport", CT_L4_SPORT),               \
		OPT("dport", CT_L4_DPORT)

static const struct option none_options[] = {END};
static const struct option tcp_options[] = {PORTS, OPT("state", CT_L4_STATE), END};
static const struct option udp_options[] = {PORTS, END};
static const struct option icmp_options[] = {
	OPT("icmp-type", CT_L4_ICMP_TYPE),
	OPT("icmp-code", CT_L4_ICMP_CODE),
	OPT("icmp-id", CT_L4_ICMP_ID),
	END,
};
static const struct option icmpv6_options[] = {
	OPT("icmpv6-type", CT_L4_ICMP_TYPE),
	OPT("icmpv6-code", CT_L4_ICMP_CODE),
	OPT("icmpv6-id", CT_L4_ICMP_ID),
	END,
};
static const struct option sctp_options[] = {
	PORTS,
	OPT("state", CT_L4_STATE),
	OPT("orig-vtag", CT_L4_ORIG_VTAG),
	OPT("reply-vtag", CT_L4_REPLY_VTAG),
	END,
};
static const struct option gre_options[] = {
	OPT("orig-key-src", CT_L4_SPORT),
	OPT("orig-key-dst", CT_L4_DPORT),
	OPT("srckey", CT_L4_SPORT),
	OPT("dstkey", CT_L4_DPORT),
	OPT("reply-key-src", CT_L4_REPLY_SPORT),
	OPT("reply-key-dst", CT_L4_REPLY_DPORT),
	OPT("mask-key-src", CT_L4_MASK_SPORT),
	OPT("mask-key-dst", CT_L4_MASK_DPORT),
	OPT("tuple-key-src", CT_L4_TUPLE_SPORT),
	OPT("tuple-key-dst", CT_L4_TUPLE_DPORT),
	END,
};

#define PORT_HELP                                                                                  \
	"  --orig-port-src\t\toriginal source port\n"                                              \
	"  --orig-port-dst\t\toriginal destination port\n"                                         \
	"  --reply-port-src\t\treply source port\n"                                                \
	"  --reply-port-dst\t\treply destination port\n"                                           \
	"  --mask-port-src\t\tmask source port\n"                                                  \
	"  --mask-port-dst\t\tmask destination port\n"                                             \
	"  --tuple-port-src\t\texpectation tuple src port\n"                                       \
	"  --tuple-port-src\t\texpectation tuple dst port\n"

static const struct proto {
	uint8_t number;
	const char *name;
	const struct option *options;
	const char *help;
} protos[] = {
	{IPPROTO_TCP, "tcp", tcp_options, PORT_HELP "  --state\t\t\tTCP state, fe. ESTABLISHED\n"},
	{IPPROTO_UDP, "udp", udp_options, PORT_HELP},
	{IPPROTO_UDPLITE, "udplite", udp_options, PORT_HELP},
	{IPPROTO_ICMP, "icmp", icmp_options,
	 "  --icmp-type\t\t\ticmp type\n  --icmp-code\t\t\ticmp code\n"
	 "  --icmp-id\t\t\ticmp id\n"},
	{IPPROTO_ICMPV6, "icmpv6", icmpv6_options,
	 "  --icmpv6-type\t\t\ticmpv6 type\n  --icmpv6-code\t\t\ticmpv6 code\n"
	 "  --icmpv6-id\t\t\ticmpv6 id\n"},
	{IPPROTO_SCTP, "sctp", sctp_options,
	 PORT_HELP "  --state\t\t\tSCTP state, fe. ESTABLISHED\n"
		   "  --orig-vtag\t\toriginal verification tag\n"
		   "  --reply-vtag\t\treply verification tag\n"},
	{IPPROTO_DCCP, "dccp", udp_options, PORT_HELP},
	{IPPROTO_GRE, "gre", gre_options,
	 "  --orig-key-src\t\toriginal source key\n  --orig-key-dst\t\toriginal destination key\n"
	 "  --reply-key-src\t\treply source key\n  --reply-key-dst\t\treply destination key\n"},
};

static const struct proto *find_proto(uint8_t number)
{
	for (size_t i = 0; i < sizeof(protos) / sizeof(protos[0]); i++)
		if (protos[i].number == number)
			return &protos[i];
	return NULL;
}

const struct option *ct_proto_options(uint8_t proto)
{
	const struct proto *p = find_proto(proto);

	return p ? p->options : none_options;
}

void ct_proto_help(FILE *out, uint8_t proto)
{
	const struct proto *p = find_proto(proto);

	fprintf(out, "Proto `%s' help:\n%s", p ? p->name : "unknown",
		p ? p->help : "  no options (unsupported)\n");
}

int ct_proto_number(const char *name)
{
	struct protoent *ent;
	unsigned long n;

	for (size_t i = 0; i < sizeof(protos) / sizeof(protos[0]); i++)
		if (!strcasecmp(name, protos[i].name))
			return protos[i].number;
	if (ctctl_number(name, 255, &n))
		return n;
	ent = getprotobyname(name);
	return ent ? ent->p_proto : -1;
}

static int state_arg(struct ct_cmd *cmd, const char *arg)
{
	int state = ct_state_by_name(cmd->proto, arg);

	if (cmd->proto == IPPROTO_TCP && !strcmp(arg, "LISTEN"))
		state = CT_TCP_SYN_SENT2; /* its old name, still known to conntrack(8) */
	if (state < 0 || (cmd->proto == IPPROTO_SCTP && state >= CT_SCTP_STATES))
		return ct_usage(cmd->c, "unknown %s state `%s'",
				cmd->proto == IPPROTO_TCP ? "TCP" : "SCTP", arg);
	cmd->l4[CT_L4_STATE] = state;
	return CTCTL_OK;
}

static const char *field_name(const struct ct_cmd *cmd, int field, int required)
{
	const struct option *found = NULL;

	for (const struct option *o = ct_proto_options(cmd->proto); o->name; o++)
		if (o->val == CT_PROTO_BASE + field && (!found || required))
			found = o; /* errors about what is missing use the short names */
	return found ? found->name : "?";
}

int ct_proto_arg(struct ct_cmd *cmd, int index, const char *arg)
{
	static const uint32_t max[CT_L4_MAX] = {
		[CT_L4_SPORT] = 65535,		 [CT_L4_DPORT] = 65535,
		[CT_L4_REPLY_SPORT] = 65535,	 [CT_L4_REPLY_DPORT] = 65535,
		[CT_L4_ICMP_TYPE] = 255,	 [CT_L4_ICMP_CODE] = 255,
		[CT_L4_ICMP_ID] = 65535,	 [CT_L4_ORIG_VTAG] = UINT32_MAX,
		[CT_L4_REPLY_VTAG] = UINT32_MAX, [CT_L4_TUPLE_SPORT] = 65535,
		[CT_L4_TUPLE_DPORT] = 65535,	 [CT_L4_MASK_SPORT] = 65535,
		[CT_L4_MASK_DPORT] = 65535,
	};
	char name[64];

	cmd->l4_set |= 1U << index;
	if (index == CT_L4_STATE)
		return state_arg(cmd, arg);
	snprintf(name, sizeof(name), "--%s", field_name(cmd, index, 1));
	return ct_arg_u32(cmd, name, arg, max[index], &cmd->l4[index]);
}

static bool has(const struct ct_cmd *cmd, enum ct_l4_field field)
{
	return cmd->l4_set & 1U << field;
}

static int need(struct ct_cmd *cmd, enum ct_l4_field field)
{
	if (has(cmd, field))
		return CTCTL_OK;
	return ct_usage(cmd->c, "You need to supply the `--%s' option for this command",
			field_name(cmd, field, 1));
}

static int check_ports(struct ct_cmd *cmd)
{
	bool gre = cmd->proto == IPPROTO_GRE;
	bool reply = cmd->options & (CT_BIT(REPLY_SRC) | CT_BIT(REPLY_DST)) &&
		     !(cmd->options & (CT_BIT(SRC) | CT_BIT(DST)));

	if (!reply && has(cmd, CT_L4_SPORT) && has(cmd, CT_L4_DPORT))
		return CTCTL_OK;
	if (has(cmd, CT_L4_REPLY_SPORT) && has(cmd, CT_L4_REPLY_DPORT))
		return CTCTL_OK;
	if (reply)
		return ct_usage(cmd->c,
				"you have to specify `--reply-src-%s' and "
				"`--reply-dst-%s'",
				gre ? "key" : "port", gre ? "key" : "port");
	return ct_usage(cmd->c, "you have to specify `--%s' and `--%s'", gre ? "srckey" : "sport",
			gre ? "dstkey" : "dport");
}

int ct_proto_check(struct ct_cmd *cmd)
{
	bool create = cmd->command == CT_CMD_CREATE || cmd->command == CT_CMD_ADD;

	if (!create && cmd->command != CT_CMD_GET)
		return CTCTL_OK;
	switch (cmd->proto) {
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return need(cmd, CT_L4_ICMP_TYPE) || need(cmd, CT_L4_ICMP_CODE) ? CTCTL_USAGE
										: CTCTL_OK;
	case IPPROTO_TCP:
	case IPPROTO_SCTP:
		if (create && need(cmd, CT_L4_STATE))
			return CTCTL_USAGE;
		if (create && cmd->proto == IPPROTO_SCTP &&
		    (need(cmd, CT_L4_ORIG_VTAG) || need(cmd, CT_L4_REPLY_VTAG)))
			return CTCTL_USAGE;
		return check_ports(cmd);
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_DCCP:
	case IPPROTO_GRE:
		return check_ports(cmd);
	}
	return CTCTL_OK;
}
