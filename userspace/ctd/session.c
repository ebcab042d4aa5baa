// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

#include "../../consumers/firewall/fw_judge.h"
#include "rules.h"

/* IPv4 in word 0; an address of IPv4 in IPv6's clothes (a socket of both) is IPv4's. */
static uint8_t parse_address(char *text, __be32 out[4])
{
	memset(out, 0, 16);
	text[strcspn(text, "%")] = 0; /* fe80::1%eth0 */
	if (inet_pton(AF_INET, text, out) == 1)
		return 4;
	if (inet_pton(AF_INET6, text, out) != 1)
		return 0;
	if (out[0] || out[1] || out[2] != htonl(0xffff))
		return 6;
	out[0] = out[3];
	out[2] = out[3] = 0;
	return 4;
}

static bool parse(const char *session, struct fw_ask *ask)
{
	char client[64], server[64];

	memset(ask, 0, sizeof(*ask));
	if (sscanf(session, "%63s %hu %63s %hu", client, &ask->sport, server, &ask->dport) != 4)
		return false;
	ask->family = parse_address(client, ask->saddr);
	ask->proto = IPPROTO_TCP;
	return ask->family && parse_address(server, ask->daddr) == ask->family;
}

static bool is_ours(const struct fw_ifs *ifs, const struct fw_ask *ask)
{
	unsigned int i, j;

	for (i = 0; i < ifs->n; i++)
		for (j = 0; j < ifs->v[i].addrs; j++)
			if (ifs->v[i].addr[j].family == ask->family &&
			    !memcmp(ifs->v[i].addr[j].addr, ask->daddr, 16))
				return true;
	return false;
}

static int on_route(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(struct rtmsg)) if (mnl_attr_get_type(attr) == RTA_OIF) *
		(uint32_t *)arg = mnl_attr_get_u32(attr);
	return MNL_CB_OK;
}

/* The interface on the way to the client, 0: none. Its packets come in there, or the
 * rules that name interfaces cannot be held against it anyway. */
static uint32_t find_interface(const struct fw_ask *ask)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	size_t len = ask->family == 4 ? 4 : 16;
	char buf[8192];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct rtmsg *rt;
	uint32_t ifindex = 0;
	ssize_t n;

	nlh->nlmsg_type = RTM_GETROUTE;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	nlh->nlmsg_seq = 1;
	rt = mnl_nlmsg_put_extra_header(nlh, sizeof(*rt));
	rt->rtm_family = ask->family == 4 ? AF_INET : AF_INET6;
	rt->rtm_dst_len = rt->rtm_src_len = len * 8;
	mnl_attr_put(nlh, RTA_DST, len, ask->saddr);
	mnl_attr_put(nlh, RTA_SRC, len, ask->daddr);
	if (nl && mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) >= 0 &&
	    mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) >= 0) {
		n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		if (n > 0)
			mnl_cb_run(buf, n, 1, mnl_socket_get_portid(nl), on_route, &ifindex);
	}
	if (nl)
		mnl_socket_close(nl);
	return ifindex;
}

/* Which endpoint is first in a key is the datapath's business: it is asked both ways. */
static bool is_tracked(struct ctd *d, const struct fw_ask *ask)
{
	struct bpfct_pins *p = &d->core.pins;
	struct ct_conn6 conn;
	struct ct_key4 k4 = {.proto = ask->proto};
	struct ct_key6 k6 = {.proto = ask->proto};
	bool found = false;
	int i;

	for (i = 0; i < 2 && !found; i++) {
		k4.addr[i] = ask->saddr[0];
		k4.addr[!i] = ask->daddr[0];
		memcpy(k6.addr[i], ask->saddr, 16);
		memcpy(k6.addr[!i], ask->daddr, 16);
		k4.port[i] = k6.port[i] = htons(ask->sport);
		k4.port[!i] = k6.port[!i] = htons(ask->dport);
		found = !(ask->family == 4 ? bpf_map_lookup_elem(p->conn_fd[0], &k4, &conn)
					   : bpf_map_lookup_elem(p->conn_fd[1], &k6, &conn));
	}
	return found;
}

bool session_is_cut(struct ctd *d, const struct fw_rules *rules, const char *session, char *why,
		    size_t len)
{
	const struct fw_ifs *ifs = rules_ifs(d);
	const char *on = NULL;
	struct fw_ask ask;
	uint32_t number;
	unsigned int i;

	if (!parse(session, &ask) || !is_ours(ifs, &ask))
		return false;
	ask.in_ifindex = find_interface(&ask);
	for (i = 0; i < ifs->n; i++)
		if (ifs->v[i].ifindex == ask.in_ifindex && !ifs->v[i].loopback)
			on = ifs->v[i].name;
	if (!on || fw_rules_admit(rules, &ask, &number))
		return false;
	i = snprintf(why, len, "these rules refuse your session (%s, in on %s): ", session, on);
	if (i < len && number)
		i += snprintf(why + i, len - i, "rule %u decides", number);
	else if (i < len)
		i += snprintf(why + i, len - i, "no rule passes it");
	if (i < len)
		snprintf(why + i, len - i, "; %s",
			 is_tracked(d, &ask) ? "it would go on until it ends, and none after it"
					     : "it is not tracked and would end at once");
	return true;
}
