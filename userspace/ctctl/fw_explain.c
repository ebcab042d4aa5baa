// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* `ctctl fw explain in on lan0 proto tcp from A port P to B port Q [flags S]`: a packet
 * in the rules' own words, for ctd to say what would become of it. */
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "../../consumers/firewall/fw_ast.h"
#include "fw.h"
#include "socket.h"

#define BLOCKED 3 /* exit status: nobody takes it for a failure to ask */

struct packet {
	const char *in, *from, *to, *flags, *type;
	long proto;	   /* -1: not given */
	long sport, dport; /* likewise */
	unsigned long id;
	int family; /* of from */
};

static int family_of(const char *addr)
{
	unsigned char buf[16];

	if (inet_pton(AF_INET, addr, buf) == 1)
		return 4;
	return inet_pton(AF_INET6, addr, buf) == 1 ? 6 : 0;
}

static int take_addr(struct ctctl *c, const char *word, const char *value, const char **out)
{
	if (!family_of(value))
		return ctctl_usage(c, "fw explain: %s takes one address, not `%s'", word, value);
	*out = value;
	return CTCTL_OK;
}

static int take_port(struct ctctl *c, const char *value, long *out)
{
	unsigned long n;

	if (!ctctl_number(value, 65535, &n))
		return ctctl_usage(c, "fw explain: port takes a number, not `%s'", value);
	*out = n;
	return CTCTL_OK;
}

static int take_proto(struct ctctl *c, const char *value, long *out)
{
	unsigned long n;

	*out = fw_proto_number(value);
	if (*out < 0 && ctctl_number(value, 255, &n) && n)
		*out = n;
	if (*out < 0)
		return ctctl_usage(c, "fw explain: no protocol `%s'", value);
	return CTCTL_OK;
}

/* One word and its argument; a port is that of the address before it. */
static int take_word(struct ctctl *c, struct packet *p, const char *word, const char *value)
{
	if (!strcmp(word, "on"))
		p->in = value;
	else if (!strcmp(word, "proto"))
		return take_proto(c, value, &p->proto);
	else if (!strcmp(word, "from"))
		return take_addr(c, word, value, &p->from);
	else if (!strcmp(word, "to"))
		return take_addr(c, word, value, &p->to);
	else if (!strcmp(word, "port"))
		return take_port(c, value, p->to || !p->from ? &p->dport : &p->sport);
	else if (!strcmp(word, "flags"))
		p->flags = value;
	else if (!strcmp(word, "icmp-type"))
		p->type = value;
	else if (!strcmp(word, "id") && ctctl_number(value, 65535, &p->id))
		return CTCTL_OK;
	else
		return ctctl_usage(c, "fw explain does not understand `%s %s'", word, value);
	return CTCTL_OK;
}

static int parse(struct ctctl *c, int argc, char **argv, struct packet *p)
{
	int i, ret = CTCTL_OK;

	memset(p, 0, sizeof(*p));
	p->proto = p->sport = p->dport = -1;
	for (i = 1; i < argc && !ret; i++) {
		if (!strcmp(argv[i], "in"))
			continue;
		if (i + 1 == argc)
			return ctctl_usage(c, "fw explain: `%s' needs something after it", argv[i]);
		ret = take_word(c, p, argv[i], argv[i + 1]);
		i++;
	}
	if (ret)
		return ret;
	if (!p->in || p->proto < 0 || !p->from || !p->to)
		return ctctl_usage(c, "fw explain takes in on IF proto P from A to B at least");
	p->family = family_of(p->from);
	if (p->family != family_of(p->to))
		return ctctl_usage(c, "fw explain: %s and %s are of two families", p->from, p->to);
	return CTCTL_OK;
}

/* Letters as tcpdump and pf have them; what opens a connection if none are given. */
static int put_flags(struct ctctl *c, const struct packet *p, struct json_object *req)
{
	static const char letters[] = "FSRPAUEW";
	const char *s = p->flags ? p->flags : "S", *at;
	int flags = 0;

	for (; *s; s++) {
		at = strchr(letters, *s);
		if (!at)
			return ctctl_usage(c, "fw explain: flags are letters of %s, not `%s'",
					   letters, p->flags);
		flags |= 1 << (at - letters);
	}
	json_object_object_add(req, "flags", json_object_new_int(flags));
	return CTCTL_OK;
}

static int put_icmp(struct ctctl *c, const struct packet *p, struct json_object *req)
{
	const char *name = p->type ? p->type : "echoreq";
	int type = fw_icmp_number(p->family, name);
	unsigned long n;

	if (type < 0 && ctctl_number(name, 255, &n))
		type = n;
	if (type < 0)
		return ctctl_usage(c, "fw explain: no icmp-type `%s'", name);
	json_object_object_add(req, "type", json_object_new_int(type));
	json_object_object_add(req, "id", json_object_new_int(p->id));
	return CTCTL_OK;
}

static int fill(struct ctctl *c, const struct packet *p, struct json_object *req)
{
	bool icmp = p->proto == IPPROTO_ICMP || p->proto == IPPROTO_ICMPV6;

	json_object_object_add(req, "in", json_object_new_string(p->in));
	json_object_object_add(req, "proto", json_object_new_int(p->proto));
	json_object_object_add(req, "from", json_object_new_string(p->from));
	json_object_object_add(req, "to", json_object_new_string(p->to));
	if (icmp && (p->sport >= 0 || p->dport >= 0))
		return ctctl_usage(c, "fw explain: ICMP has no ports, but icmp-type and id");
	if (!icmp && p->type)
		return ctctl_usage(c, "fw explain: icmp-type is of proto icmp or icmp6");
	if (p->flags && p->proto != IPPROTO_TCP)
		return ctctl_usage(c, "fw explain: flags are of proto tcp");
	if (icmp)
		return put_icmp(c, p, req);
	if (p->sport >= 0)
		json_object_object_add(req, "sport", json_object_new_int(p->sport));
	if (p->dport >= 0)
		json_object_object_add(req, "dport", json_object_new_int(p->dport));
	return p->proto == IPPROTO_TCP ? put_flags(c, p, req) : CTCTL_OK;
}

int ctctl_fw_explain(struct ctctl *c, int argc, char **argv)
{
	struct json_object *req, *answer, *passes;
	struct packet p;
	int ret = parse(c, argc, argv, &p);

	if (ret)
		return ret;
	req = fw_request("explain");
	ret = fill(c, &p, req);
	if (ret) {
		json_object_put(req);
		return ret;
	}
	answer = fw_ask(c, req);
	if (!answer)
		return CTCTL_FAILED;
	if (c->json)
		json_object_object_del(answer, "text");
	fw_print_answer(c, answer);
	ret = json_object_object_get_ex(answer, "passes", &passes) &&
			      json_object_get_boolean(passes)
		      ? CTCTL_OK
		      : BLOCKED;
	json_object_put(answer);
	return ret;
}
