// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* -E: events come through ctd, which owns the ring. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ct_cmd.h"
#include "socket.h"

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

/* Both are blocked but inside ppoll(), so that none comes between looking at
 * `stop` and going to sleep. *old is the mask to sleep with. */
static void catch_signals(sigset_t *old)
{
	struct sigaction act = {.sa_handler = on_signal};
	sigset_t block;

	stop = 0;
	sigemptyset(&block);
	sigaddset(&block, SIGINT);
	sigaddset(&block, SIGTERM);
	sigprocmask(SIG_BLOCK, &block, old);
	sigdelset(old, SIGINT);
	sigdelset(old, SIGTERM);
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
}

static int subscribe(struct ct_cmd *cmd, int fd)
{
	bool expect = cmd->table == CT_TABLE_EXPECT;
	uint32_t all =
		1 << CT_EVENT_NEW | (expect ? 0 : 1 << CT_EVENT_UPDATE) | 1 << CT_EVENT_DESTROY;
	struct json_object *req = json_object_new_object(), *answer;

	json_object_object_add(req, "op",
			       json_object_new_string(expect ? "expect_events" : "events"));
	json_object_object_add(req, "mask",
			       json_object_new_int(cmd->event_mask ? cmd->event_mask : all));
	answer = ctctl_request(cmd->c, fd, req);
	if (!answer)
		return CTCTL_FAILED;
	json_object_put(answer);
	return CTCTL_OK;
}

static void show_event(struct ct_print *pr, const struct ct_flow *flow)
{
	struct ct_view v;

	pr->clock = ctctl_clock_now(pr->cmd->pins);
	ct_view_fill(&v, flow, &pr->clock);
	if (ct_filter(pr->cmd, &v))
		ct_print_event(pr, &v);
}

static int read_event(struct ct_cmd *cmd, int fd, struct ct_print *pr)
{
	struct ct_flow flow;
	ssize_t n = recv(fd, &flow, sizeof(flow), MSG_TRUNC);

	if (n == 0)
		return ctctl_fail(cmd->c, "ctd closed the connection");
	if (n < 0)
		return ctctl_fail(cmd->c, "ctd: %s", strerror(errno));
	if (n != sizeof(flow))
		return ctctl_fail(cmd->c, "ctd sent %zd bytes instead of a flow", n);
	show_event(pr, &flow);
	return ferror(cmd->c->out) ? CTCTL_FAILED : CTCTL_OK;
}

static int read_expect_event(struct ct_cmd *cmd, int fd, struct ct_print *pr)
{
	struct ct_expect_event ev;
	ssize_t n = recv(fd, &ev, sizeof(ev), MSG_TRUNC);

	if (n == 0)
		return ctctl_fail(cmd->c, "ctd closed the connection");
	if (n < 0)
		return ctctl_fail(cmd->c, "ctd: %s", strerror(errno));
	if (n != sizeof(ev))
		return ctctl_fail(cmd->c, "ctd sent %zd bytes instead of an expectation", n);
	ct_expect_print_event(cmd, &ev, pr->printed++);
	return ferror(cmd->c->out) ? CTCTL_FAILED : CTCTL_OK;
}

static int follow(struct ct_cmd *cmd, int fd, struct ct_print *pr, const sigset_t *mask)
{
	bool expect = cmd->table == CT_TABLE_EXPECT;
	struct pollfd poll = {.fd = fd, .events = POLLIN};
	int ret = CTCTL_OK;

	while (!stop && !ret) {
		if (ppoll(&poll, 1, NULL, mask) > 0)
			ret = expect ? read_expect_event(cmd, fd, pr) : read_event(cmd, fd, pr);
		else if (errno != EINTR)
			ret = ctctl_fail(cmd->c, "ctd: %s", strerror(errno));
	}
	return ret;
}

int ct_cmd_event(struct ct_cmd *cmd)
{
	int fd = ctctl_connect(cmd->c), ret;
	struct ct_print pr;
	sigset_t mask;

	if (fd < 0)
		return CTCTL_FAILED;
	ct_print_start(&pr, cmd, cmd->pins);
	catch_signals(&mask);
	ret = subscribe(cmd, fd);
	if (!ret)
		ret = follow(cmd, fd, &pr, &mask);
	ct_print_end(&pr);
	close(fd);
	if (!ret)
		ct_summary(cmd, pr.printed);
	return ret;
}
