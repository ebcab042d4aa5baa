// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "nl_dump.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DUMP_SIZE 32768 /* what the kernel fills at most in one message */

static int dump(struct mnl_socket *nl, const struct nlmsghdr *nlh, char *buf, mnl_cb_t cb,
		void *arg)
{
	unsigned int seq = nlh->nlmsg_seq, port;
	int ret = MNL_CB_OK;
	ssize_t n;

	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	port = mnl_socket_get_portid(nl);
	while (ret > MNL_CB_STOP) {
		n = mnl_socket_recvfrom(nl, buf, DUMP_SIZE);
		if (n < 0)
			return -errno;
		ret = mnl_cb_run(buf, n, seq, port, cb, arg);
	}
	return ret < 0 ? -errno : 0;
}

/* A socket a call: nothing of an interrupted dump is left to read. */
int nl_dump(int bus, uint16_t type, const void *header, size_t len, mnl_cb_t cb, void *arg)
{
	char request[256], *buf = malloc(DUMP_SIZE);
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request);
	struct mnl_socket *nl;
	int ret = -ENOMEM;

	if (!buf)
		return ret;
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = 1;
	memcpy(mnl_nlmsg_put_extra_header(nlh, len), header, len);
	nl = mnl_socket_open2(bus, SOCK_CLOEXEC);
	if (nl) {
		ret = dump(nl, nlh, buf, cb, arg);
		mnl_socket_close(nl);
	} else {
		ret = -errno;
	}
	free(buf);
	return ret;
}
