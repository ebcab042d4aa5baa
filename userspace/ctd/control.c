// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "control.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/buffer.h>

#include "control_ops.h"
#include "events.h"

#define GROUP "bpfct"

struct client {
	struct client *next;
	struct ctd *d;
	int fd;
	struct event *readable;
	struct event *writable;
	struct evbuffer *queue; /* messages not sent yet, each after its length (uint32_t) */
	uint32_t mask;		/* events it wants, 0: not a subscriber */
	uint64_t lost;
	bool may_write;
	bool broken; /* to be closed once nobody walks the list */
};

struct control {
	int fd;
	char path[RUN_PATH_MAX];
	struct event *acceptable;
	struct client *clients;
	struct control_stats stats;
	char request[CONTROL_REQUEST_MAX + 1];
	char message[CONTROL_ANSWER_MAX];
};

static void want_events(struct ctd *d)
{
	struct client *c;
	uint32_t mask = 0;

	for (c = d->control->clients; c; c = c->next)
		mask |= c->mask;
	events_want(d, mask & (CONTROL_EXPECT_EVENTS - 1));
}

static void client_close(struct client *c)
{
	struct ctd *d = c->d;
	struct client **at = &d->control->clients;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	d->control->stats.clients--;
	if (c->mask) {
		d->control->stats.subscribers--;
		want_events(d);
	}
	if (c->lost)
		log_event(LOG_WARN, "events_lost", "count=%lu", c->lost);
	if (c->readable)
		event_free(c->readable);
	if (c->writable)
		event_free(c->writable);
	if (c->queue)
		evbuffer_free(c->queue);
	close(c->fd);
	free(c);
}

/* 0 sent, -EAGAIN the peer's buffer is full, other -errno the peer is gone. */
static int send_now(struct client *c, const void *data, size_t len)
{
	if (send(c->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return 0;
	return errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

/* Keeps order: nothing overtakes what is queued. False: no room for it. */
static bool put_message(struct client *c, const void *data, uint32_t len)
{
	int ret = -EAGAIN;

	if (!evbuffer_get_length(c->queue))
		ret = send_now(c, data, len);
	if (!ret)
		return true;
	if (ret != -EAGAIN) {
		c->broken = true;
		return false;
	}
	if (evbuffer_get_length(c->queue) + sizeof(len) + len > CONTROL_CLIENT_BUFFER)
		return false;
	evbuffer_add(c->queue, &len, sizeof(len));
	evbuffer_add(c->queue, data, len);
	event_add(c->writable, NULL);
	return true;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct client *c = arg;
	char *message = c->d->control->message;
	uint32_t len;
	int ret;

	(void)fd;
	(void)what;
	while (evbuffer_get_length(c->queue) && !c->broken) {
		evbuffer_copyout(c->queue, &len, sizeof(len));
		evbuffer_drain(c->queue, sizeof(len));
		evbuffer_copyout(c->queue, message, len);
		ret = send_now(c, message, len);
		if (ret == -EAGAIN) {
			evbuffer_prepend(c->queue, &len, sizeof(len));
			event_add(c->writable, NULL);
			return;
		}
		evbuffer_drain(c->queue, len);
		c->broken = ret != 0;
	}
	if (c->broken)
		client_close(c);
}

/* To every subscriber whose mask has this bit. */
static void broadcast(struct ctd *d, uint32_t bit, const void *data, uint32_t len)
{
	struct control *ctl = d->control;
	struct client *c, *next;

	for (c = ctl ? ctl->clients : NULL; c; c = next) {
		next = c->next;
		if (!(c->mask & bit))
			continue;
		if (put_message(c, data, len)) {
			ctl->stats.events_sent++;
		} else if (c->broken) {
			client_close(c);
		} else {
			c->lost++;
			ctl->stats.events_lost++;
		}
	}
}

void control_broadcast(struct ctd *d, const struct ct_flow *flow)
{
	if (flow->type <= CT_EVENT_DESTROY)
		broadcast(d, 1u << flow->type, flow, sizeof(*flow));
}

void control_broadcast_expect(struct ctd *d, const struct ct_expect_event *ev)
{
	broadcast(d, CONTROL_EXPECT_EVENTS << ev->type, ev, sizeof(*ev));
}

static void answer(struct client *c, struct control_request *req, int ret)
{
	struct json_object *out = json_object_new_object();
	const char *text;

	json_object_object_add(out, "ok", json_object_new_boolean(!ret));
	if (ret) {
		json_object_object_add(out, "error", json_object_new_string(req->error));
	} else {
		json_object_object_foreach(req->out, key, value)
			json_object_object_add(out, key, json_object_get(value));
	}
	text = json_object_to_json_string_ext(out, JSON_C_TO_STRING_PLAIN);
	if (strlen(text) > CONTROL_ANSWER_MAX)
		text = "{\"ok\":false,\"error\":\"the answer is too long\"}";
	if (!put_message(c, text, strlen(text)))
		c->broken = true; /* it does not read its answers */
	json_object_put(out);
}

static void subscribe(struct client *c, uint32_t mask)
{
	if (!c->mask)
		c->d->control->stats.subscribers++;
	c->mask = mask;
	want_events(c->d);
}

/* One whole JSON value and nothing after it; NULL otherwise. */
static struct json_object *parse(const char *text, size_t len)
{
	struct json_tokener *tok = json_tokener_new_ex(8);
	struct json_object *o;

	if (!tok)
		return NULL;
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	o = json_tokener_parse_ex(tok, text, len + 1); /* the 0 ends numbers */
	if (json_tokener_get_error(tok) != json_tokener_success) {
		json_object_put(o);
		o = NULL;
	}
	json_tokener_free(tok);
	return o;
}

static void handle(struct client *c, const char *text, size_t len, bool cut)
{
	struct control_request req = {.may_write = c->may_write};
	int ret = -EINVAL;

	c->d->control->stats.requests++;
	req.out = json_object_new_object();
	if (cut) {
		snprintf(req.error, sizeof(req.error), "request is longer than %d bytes",
			 CONTROL_REQUEST_MAX);
	} else {
		req.in = parse(text, len);
		if (req.in)
			ret = control_run(c->d, &req);
		else
			snprintf(req.error, sizeof(req.error), "request is not JSON");
	}
	answer(c, &req, ret);
	if (!ret && req.event_mask)
		subscribe(c, req.event_mask);
	json_object_put(req.in);
	json_object_put(req.out);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct client *c = arg;
	char *buf = c->d->control->request;
	struct iovec iov = {.iov_base = buf, .iov_len = CONTROL_REQUEST_MAX};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_close(c);
		return;
	}
	buf[n] = 0;
	handle(c, buf, n, msg.msg_flags & MSG_TRUNC);
	if (c->broken)
		client_close(c);
}

/* The socket's mode has let it in; now: may it write? */
static int check_peer(struct client *c)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) || len != sizeof(peer))
		return -EPERM;
	c->may_write = peer.uid == 0 || peer.uid == geteuid();
	log_event(LOG_TRACE, "client", "pid=%d uid=%u", peer.pid, peer.uid);
	return 0;
}

static void client_add(struct ctd *d, int fd)
{
	int size = CONTROL_ANSWER_MAX;
	struct client *c = calloc(1, sizeof(*c));

	if (!c) {
		close(fd);
		return;
	}
	c->d = d;
	c->fd = fd;
	c->next = d->control->clients;
	d->control->clients = c;
	d->control->stats.clients++;
	/* Room for one longest answer in a message. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	c->queue = evbuffer_new();
	c->readable = event_new(d->base, fd, EV_READ | EV_PERSIST, on_readable, c);
	c->writable = event_new(d->base, fd, EV_WRITE, on_writable, c);
	if (check_peer(c) || !c->queue || !c->readable || !c->writable ||
	    event_add(c->readable, NULL))
		client_close(c);
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
	struct ctd *d = arg;
	int conn = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)what;
	if (conn < 0)
		return;
	if (d->control->stats.clients >= CONTROL_CLIENTS) {
		log_event(LOG_WARN, "client_refused", "limit=%d", CONTROL_CLIENTS);
		close(conn);
		return;
	}
	client_add(d, conn);
}

static int bind_socket(struct control *ctl)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct group *group = getgrnam(GROUP);
	mode_t mask;
	int ret = 0;

	ctl->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (ctl->fd < 0)
		return -errno;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", ctl->path);
	unlink(ctl->path); /* a killed ctd's: we hold the lock */
	mask = umask(0117);
	if (bind(ctl->fd, (struct sockaddr *)&addr, sizeof(addr)))
		ret = -errno;
	umask(mask);
	if (!ret && group && chown(ctl->path, -1, group->gr_gid))
		ret = -errno;
	if (!ret && listen(ctl->fd, 128))
		ret = -errno;
	return ret;
}

int control_start(struct ctd *d)
{
	struct control *ctl = calloc(1, sizeof(*ctl));
	char err[256];
	int ret;

	if (!ctl)
		return -ENOMEM;
	ctl->fd = -1;
	d->control = ctl;
	run_socket_path(ctl->path, d->opt.instance);
	ret = bpfct_path_trusted(ctl->path, err, sizeof(err));
	if (ret == -EPERM) {
		ctl->path[0] = 0; /* not ours to remove */
		log_fail("%s", err);
		return ret;
	}
	ret = bind_socket(ctl);
	if (ret) {
		log_fail("%s: %s", ctl->path, strerror(-ret));
		return ret;
	}
	ctl->acceptable = event_new(d->base, ctl->fd, EV_READ | EV_PERSIST, on_acceptable, d);
	if (!ctl->acceptable || event_add(ctl->acceptable, NULL))
		return -ENOMEM;
	return 0;
}

void control_stop(struct ctd *d)
{
	struct control *ctl = d->control;

	if (!ctl)
		return;
	while (ctl->clients)
		client_close(ctl->clients);
	if (ctl->acceptable)
		event_free(ctl->acceptable);
	if (ctl->fd >= 0) {
		close(ctl->fd);
		unlink(ctl->path);
	}
	free(ctl);
	d->control = NULL;
}

void control_stats(const struct ctd *d, struct control_stats *out)
{
	*out = d->control->stats;
}
