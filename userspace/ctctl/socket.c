// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* ctd's control socket: one message, one answer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "socket.h"

#define SOCKET_PATH "/run/bpfct/%s.sock"

int ctctl_dial(const char *instance)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int n = snprintf(addr.sun_path, sizeof(addr.sun_path), SOCKET_PATH, instance);
	int fd, ret;

	if (n >= (int)sizeof(addr.sun_path) || strchr(instance, '/'))
		return -EINVAL;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return fd;
	ret = -errno;
	close(fd);
	return ret;
}

int ctctl_connect(struct ctctl *c)
{
	int fd = ctctl_dial(c->instance);

	if (fd == -EINVAL)
		ctctl_fail(c, "`%s' is no name for an instance", c->instance);
	else if (fd < 0)
		ctctl_fail(c, "cannot reach ctd at " SOCKET_PATH ": %s", c->instance,
			   strerror(-fd));
	return fd < 0 ? -1 : fd;
}

static int send_text(int fd, const char *text)
{
	size_t len = strlen(text);

	if (len > CTCTL_MESSAGE_MAX)
		return -EMSGSIZE;
	return send(fd, text, len, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static struct json_object *receive(int fd, int *err)
{
	struct json_object *answer = NULL;
	char *buf = malloc(CTCTL_MESSAGE_MAX + 1);
	ssize_t n = -1;

	*err = ENOMEM;
	if (!buf)
		return NULL;
	do
		n = recv(fd, buf, CTCTL_MESSAGE_MAX, 0);
	while (n < 0 && errno == EINTR);
	*err = n < 0 ? errno : n ? EPROTO : ECONNRESET;
	if (n > 0) {
		buf[n] = 0;
		answer = json_tokener_parse(buf);
	}
	free(buf);
	return answer;
}

struct json_object *ctctl_request(struct ctctl *c, int fd, struct json_object *req)
{
	struct json_object *answer = NULL, *field = NULL;
	int err = -send_text(fd, json_object_to_json_string_ext(req, JSON_C_TO_STRING_PLAIN));

	json_object_put(req);
	if (!err)
		answer = receive(fd, &err);
	if (!answer) {
		ctctl_fail(c, "ctd: %s", err == EMSGSIZE ? "request over 64 KiB" : strerror(err));
		return NULL;
	}
	if (json_object_object_get_ex(answer, "ok", &field) && json_object_get_boolean(field))
		return answer;
	if (json_object_object_get_ex(answer, "error", &field))
		ctctl_fail(c, "%s", json_object_get_string(field));
	else
		ctctl_fail(c, "ctd: answer not understood");
	json_object_put(answer);
	return NULL;
}
