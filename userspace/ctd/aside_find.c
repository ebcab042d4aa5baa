// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "aside_find.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIES	  8	/* a dump that a change interrupted is begun again */
#define DUMP_SIZE 32768 /* what the kernel fills at most in one message */

void aside_note(struct aside_found *f, unsigned int families, uint8_t flags, const char *fmt, ...)
{
	char line[ASIDE_WIDTH];
	unsigned int i;
	va_list ap;

	if (families & ASIDE_IPV4)
		f->flags[0] |= flags;
	if (families & ASIDE_IPV6)
		f->flags[1] |= flags;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	for (i = 0; i < f->n && i < ASIDE_LINES; i++)
		if (!strcmp(f->line[i], line))
			return;
	if (f->n < ASIDE_LINES)
		strcpy(f->line[f->n], line);
	f->n++;
}

static int dump(struct mnl_socket *nl, const struct nlmsghdr *nlh, char *buf, mnl_cb_t cb,
		struct aside_found *f)
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
		ret = mnl_cb_run(buf, n, seq, port, cb, f);
	}
	return ret < 0 ? -errno : 0;
}

int aside_dump(int bus, uint16_t type, const void *header, size_t len, mnl_cb_t cb,
	       struct aside_found *f)
{
	struct aside_found *before = malloc(sizeof(*before));
	char request[256], *buf = malloc(DUMP_SIZE);
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request);
	struct mnl_socket *nl;
	int ret = -ENOMEM;
	unsigned int i;

	if (!before || !buf)
		goto out;
	*before = *f;
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	memcpy(mnl_nlmsg_put_extra_header(nlh, len), header, len);
	ret = -EINTR;
	/* A socket a try: nothing of an interrupted dump is left to read. */
	for (i = 0; i < TRIES && ret == -EINTR; i++) {
		*f = *before;
		nlh->nlmsg_seq = i + 1;
		nl = mnl_socket_open2(bus, SOCK_CLOEXEC);
		if (!nl) {
			ret = -errno;
			break;
		}
		ret = dump(nl, nlh, buf, cb, f);
		mnl_socket_close(nl);
	}
out:
	free(before);
	free(buf);
	return ret;
}
