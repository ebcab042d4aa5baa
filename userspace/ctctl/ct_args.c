// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Arguments of conntrack(8)'s options. What conntrack 1.4.7 lets pass by
 * wrapping or ignoring (-m zz, -w 70000, --sport 70000) is a usage error here. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <libnetfilter_conntrack/libnetfilter_conntrack.h>

#include "ct_cmd.h"

static int set_family(struct ct_cmd *cmd, int family)
{
	if (cmd->family && cmd->family != family)
		return ct_usage(cmd->c, "mismatched address family");
	cmd->family = family;
	return CTCTL_OK;
}

/* inet_aton's spellings of IPv4, as conntrack(8) has them. 4, 6, or 0. */
static int read_addr(const char *s, uint8_t *addr)
{
	struct in_addr four;

	memset(addr, 0, 16);
	if (inet_aton(s, &four)) {
		memcpy(addr, &four, 4);
		return 4;
	}
	return inet_pton(AF_INET6, s, addr) == 1 ? 6 : 0;
}

static int parse_addr(struct ct_cmd *cmd, const char *s, uint8_t *addr)
{
	int family = read_addr(s, addr);

	if (!family)
		return ct_usage(cmd->c, "Invalid IP address `%s'", s);
	return set_family(cmd, family);
}

static void prefix_mask(uint8_t *mask, unsigned int bits)
{
	memset(mask, 0, 16);
	for (unsigned int i = 0; i < bits; i++)
		mask[i / 8] |= 0x80 >> i % 8;
}

int ct_arg_addr(struct ct_cmd *cmd, struct ct_addr_match *m, const char *option, const char *arg,
		bool cidr)
{
	const char *slash = strchr(arg, '/');
	unsigned long bits;
	char host[64];
	int ret;

	if (slash && !cidr)
		return ct_usage(cmd->c, "CIDR notation unavailable for `--%s'", option);
	snprintf(host, sizeof(host), "%.*s", slash ? (int)(slash - arg) : (int)strlen(arg), arg);
	ret = parse_addr(cmd, host, m->addr);
	if (ret)
		return ret;
	m->set = true;
	bits = cmd->family == 6 ? 128 : 32;
	if (slash && !ctctl_number(slash + 1, bits, &bits))
		return ct_usage(cmd->c, "Invalid netmask");
	prefix_mask(m->mask, bits);
	return CTCTL_OK;
}

int ct_arg_mask(struct ct_cmd *cmd, struct ct_addr_match *m, const char *arg)
{
	return parse_addr(cmd, arg, m->mask);
}

static int nat_port(struct ct_cmd *cmd, struct ct_nat_match *m, const char *arg)
{
	unsigned long port;

	if (!*arg)
		return ct_usage(cmd->c, "No port specified after `:'");
	if (!ctctl_number(arg, 65535, &port))
		return ct_usage(cmd->c, "Invalid port `%s'", arg);
	m->port = port;
	return CTCTL_OK;
}

/* IP, IP:PORT, or [IPv6]:PORT */
int ct_arg_nat(struct ct_cmd *cmd, struct ct_nat_match *m, const char *arg)
{
	const char *colon = strchr(arg, ':'), *host = arg, *end, *bracket;
	char addr[64];
	int ret;

	if (arg[0] == '[') {
		bracket = strchr(arg, ']');
		if (!bracket)
			return ct_usage(cmd->c, "No closing ']' around IPv6 address");
		host = bracket[1] == ':' ? arg + 1 : arg;
		end = bracket[1] == ':' ? bracket : arg + strlen(arg);
		colon = bracket[1] == ':' ? bracket + 1 : NULL;
	} else {
		if (colon && strchr(colon + 1, ':'))
			colon = NULL; /* a bare IPv6 address */
		end = colon ? colon : arg + strlen(arg);
	}
	snprintf(addr, sizeof(addr), "%.*s", (int)(end - host), host);
	ret = colon ? nat_port(cmd, m, colon + 1) : CTCTL_OK;
	if (!ret)
		ret = parse_addr(cmd, addr, m->addr);
	m->addr_set = true;
	return ret;
}

int ct_arg_family(struct ct_cmd *cmd, const char *arg)
{
	if (!strncmp(arg, "ipv4", 4))
		return set_family(cmd, 4);
	if (!strncmp(arg, "ipv6", 4))
		return set_family(cmd, 6);
	return ct_usage(cmd->c, "`%s' unsupported protocol", arg);
}

int ct_arg_u32(struct ct_cmd *cmd, const char *option, const char *arg, uint32_t max, uint32_t *out)
{
	unsigned long n;

	if (!ctctl_number(arg, max, &n))
		return ct_usage(cmd->c, "Bad value `%s' for `%s'", arg, option);
	*out = n;
	return CTCTL_OK;
}

int ct_arg_mark(struct ct_cmd *cmd, const char *arg)
{
	const char *slash = strchr(arg, '/');
	char value[32];

	cmd->mark_mask = UINT32_MAX;
	snprintf(value, sizeof(value), "%.*s", slash ? (int)(slash - arg) : (int)strlen(arg), arg);
	if (slash && ct_arg_u32(cmd, "--mark", slash + 1, UINT32_MAX, &cmd->mark_mask))
		return CTCTL_USAGE;
	return ct_arg_u32(cmd, "--mark", value, UINT32_MAX, &cmd->mark);
}

struct word {
	const char *name;
	uint32_t bits;
};

/* The first name that begins so, in either case, as conntrack(8) does it. */
static const struct word *find_word(const struct word *words, const char *s, size_t len)
{
	for (; len && words->name; words++)
		if (!strncasecmp(s, words->name, len))
			return words;
	return NULL;
}

static int parse_words(struct ct_cmd *cmd, const struct word *words, const char *arg, uint32_t *out)
{
	for (const char *s = arg;; s++) {
		size_t len = strcspn(s, ",");
		const struct word *w = find_word(words, s, len);

		if (!w)
			return ct_usage(cmd->c, "Bad parameter `%s'", s);
		*out |= w->bits;
		s += len;
		if (!*s)
			return CTCTL_OK;
	}
}

int ct_arg_status(struct ct_cmd *cmd, const char *arg)
{
	static const struct word words[] = {
		{"SRC_NAT", 0},
		{"DST_NAT", 0},
		{"ASSURED", CT_S_ASSURED},
		{"SEEN_REPLY", CT_S_SEEN_REPLY},
		{"UNSET", 0},
		{"FIXED_TIMEOUT", CT_S_FIXED_TIMEOUT},
		{"EXPECTED", CT_S_EXPECTED},
		{"OFFLOAD", 1 << 14},
		{"HW_OFFLOAD", 1 << 15},
		{NULL, 0},
	};

	if (!strcasecmp(arg, "SRC_NAT"))
		fprintf(cmd->c->err, "WARNING: ignoring SRC_NAT, use --src-nat instead\n");
	if (!strcasecmp(arg, "DST_NAT"))
		fprintf(cmd->c->err, "WARNING: ignoring DST_NAT, use --dst-nat instead\n");
	return parse_words(cmd, words, arg, &cmd->status);
}

int ct_arg_output(struct ct_cmd *cmd, const char *arg)
{
	static const struct word words[] = {
		{"xml", CT_OUT_XML},
		{"extended", CT_OUT_EXTENDED},
		{"timestamp", CT_OUT_TIMESTAMP},
		{"id", CT_OUT_ID},
		{"ktimestamp", CT_OUT_KTIMESTAMP},
		{"labels", CT_OUT_LABELS},
		{"userspace", CT_OUT_USERSPACE},
		{"save", CT_OUT_SAVE},
		{NULL, 0},
	};
	int ret = parse_words(cmd, words, arg, &cmd->output);

	if (!ret && cmd->output & CT_OUT_SAVE && cmd->output != CT_OUT_SAVE)
		return ct_failed(cmd->c, "cannot combine save output with any other output type, "
					 "use -o save only");
	return ret;
}

int ct_arg_events(struct ct_cmd *cmd, const char *arg)
{
	static const struct word words[] = {
		{"ALL", 1 << CT_EVENT_NEW | 1 << CT_EVENT_UPDATE | 1 << CT_EVENT_DESTROY},
		{"NEW", 1 << CT_EVENT_NEW},
		{"UPDATES", 1 << CT_EVENT_UPDATE},
		{"DESTROY", 1 << CT_EVENT_DESTROY},
		{NULL, 0},
	};

	return parse_words(cmd, words, arg, &cmd->event_mask);
}

/* A name of connlabel.conf, or a bit number. */
static int label_bit(const char *name, size_t len)
{
	struct nfct_labelmap *map;
	unsigned long n;
	char tmp[128];
	int bit;

	snprintf(tmp, sizeof(tmp), "%.*s", (int)len, name);
	if (ctctl_number(tmp, 127, &n))
		return n;
	map = nfct_labelmap_new(NULL);
	if (!map)
		return -1;
	bit = nfct_labelmap_get_bit(map, tmp);
	nfct_labelmap_destroy(map);
	return bit > 127 ? -1 : bit;
}

int ct_arg_label(struct ct_cmd *cmd, struct ct_label *label, const char *arg)
{
	for (const char *s = arg;; s++) {
		size_t len = strcspn(s, ",");
		int bit = label_bit(s, len);

		if (bit < 0)
			return ct_usage(cmd->c, "unknown label '%.*s'", (int)len, s);
		label->bits[bit / 32] |= 1U << bit % 32;
		s += len;
		if (!*s)
			return CTCTL_OK;
	}
}
