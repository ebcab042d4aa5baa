// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* `-o save`: the options that create a flow again. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "text_flow.h"

static char *save_addr(char *p, const char *option, const struct ct_view *v, const void *addr)
{
	p += sprintf(p, "%s ", option);
	p = ct_text_addr(p, addr, v->family);
	*p++ = ' ';
	return p;
}

static char *save_status(char *p, uint16_t status)
{
	static const struct {
		uint16_t bit;
		const char *name;
	} names[] = {
		{CT_S_SEEN_REPLY, "SEEN_REPLY"},
		{CT_S_ASSURED, "ASSURED"},
		{CT_S_FIXED_TIMEOUT, "FIXED_TIMEOUT"},
		{CT_S_EXPECTED, "EXPECTED"},
	};
	const char *sep = "";

	p += sprintf(p, "-u ");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!(status & names[i].bit))
			continue;
		p += sprintf(p, "%s%s", sep, names[i].name);
		sep = ",";
	}
	return p + sprintf(p, "%s", *sep ? " " : "UNSET ");
}

static char *save_addrs(char *p, const struct ct_view *v)
{
	const struct ct_view_side *o = &v->side[CT_ORIG], *r = &v->side[CT_REPLY];
	size_t len = v->family == 6 ? 16 : 4;

	p = save_addr(p, "-s", v, o->src);
	p = save_addr(p, "-d", v, o->dst);
	p = save_addr(p, memcmp(r->src, o->dst, len) ? "-g" : "-r", v, r->src);
	return save_addr(p, memcmp(r->dst, o->src, len) ? "-n" : "-q", v, r->dst);
}

static char *save_proto(char *p, const struct ct_view *v)
{
	const struct ct_view_side *o = &v->side[CT_ORIG], *r = &v->side[CT_REPLY];
	const char *name = ct_proto_name(v->proto), *state = ct_state_name(v->proto, v->state);

	switch (v->proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		p += sprintf(p,
			     "-p %s --sport %u --dport %u --reply-port-src %u "
			     "--reply-port-dst %u ",
			     name, o->sport, o->dport, r->sport, r->dport);
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		p += sprintf(p, "-p %s --%s-type %u --%s-code %u --%s-id %u ", name, name,
			     o->icmp_type, name, o->icmp_code, name, o->icmp_id);
		break;
	case IPPROTO_GRE:
		p += sprintf(p,
			     "-p gre --srckey %u --dstkey %u --reply-key-src %u "
			     "--reply-key-dst %u ",
			     o->sport, o->dport, r->sport, r->dport);
		break;
	default:
		p += sprintf(p, "-p %u ", v->proto);
	}
	if (state)
		p += sprintf(p, "--state %s ", state);
	if (v->proto == IPPROTO_SCTP)
		p += sprintf(p, "--orig-vtag %u --reply-vtag %u ", v->vtag[0], v->vtag[1]);
	return p;
}

size_t ct_flow_save(char *buf, const struct ct_view *v, const char *command)
{
	char *p = buf;

	p += sprintf(p, "%s -t %u ", command, v->timeout);
	p = save_status(p, v->status);
	if (v->mark)
		p += sprintf(p, "-m %u ", v->mark);
	if (v->zone)
		p += sprintf(p, "-w %u ", v->zone);
	p = save_addrs(p, v);
	p = save_proto(p, v);
	*--p = 0;
	return p - buf;
}
