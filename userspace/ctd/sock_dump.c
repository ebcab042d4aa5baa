// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "sock_dump.h"

#include <errno.h>
#include <sys/socket.h>

#include <linux/sock_diag.h>

struct call {
	sock_fn fn;
	void *arg;
};

struct mnl_socket *sock_open(void)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	int ret;

	if (nl && mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0) {
		ret = errno;
		mnl_socket_close(nl);
		errno = ret;
		nl = NULL;
	}
	return nl;
}

static int on_socket(const struct nlmsghdr *nlh, void *arg)
{
	const struct call *c = arg;

	if (mnl_nlmsg_get_payload_len(nlh) >= sizeof(struct inet_diag_msg))
		c->fn(mnl_nlmsg_get_payload(nlh), c->arg);
	return MNL_CB_OK;
}

int sock_dump(struct mnl_socket *nl, int family, int proto, uint32_t states, sock_fn fn, void *arg)
{
	char buf[32768];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	unsigned int port = mnl_socket_get_portid(nl);
	struct call call = {.fn = fn, .arg = arg};
	struct inet_diag_req_v2 *req;
	static unsigned int seq;
	ssize_t n;
	int ret;

	nlh->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = ++seq;
	req = mnl_nlmsg_put_extra_header(nlh, sizeof(*req));
	req->sdiag_family = family;
	req->sdiag_protocol = proto;
	req->idiag_states = states;
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	do {
		n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		if (n < 0)
			return -errno;
		ret = mnl_cb_run(buf, n, seq, port, on_socket, &call);
		if (ret < 0 && errno != EPROTO && errno != ESRCH)
			return errno == ENOENT || errno == EPROTONOSUPPORT ? 0 : -errno;
	} while (ret > 0);
	return 0;
}
