// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * connect_rate ADDRESS PORT COUNT RATE
 *
 * COUNT TCP connections to an echo server, RATE a second (fewer when the machine
 * does not keep up, never more: 500 are open at most), each with one line there and back and
 * then closed. Prints how many, in what time, and how many
 * failed or took longer than ten seconds; exit status 1 if any did.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FDS_MAX	 16384
#define OPEN_MAX 500
#define BURST	 20 /* at once, at most */
#define TOO_LONG 10.0

static double began[FDS_MAX]; /* by descriptor; 0: not ours */
static unsigned int failed, done, slow, waiting_connect;
static bool connected[FDS_MAX];

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void finish(int fd, bool good)
{
	began[fd] = 0;
	close(fd);
	done++;
	failed += !good;
}

static void start(int ep, const struct sockaddr *to, socklen_t len)
{
	struct epoll_event ev = {.events = EPOLLOUT};
	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0 || fd >= FDS_MAX || (connect(fd, to, len) && errno != EINPROGRESS)) {
		fprintf(stderr, "connect_rate: %s\n", strerror(errno));
		failed++;
		done++;
		if (fd >= 0)
			close(fd);
		return;
	}
	began[fd] = seconds();
	connected[fd] = false;
	ev.data.fd = fd;
	epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
}

static void on_event(int ep, struct epoll_event *ev)
{
	int fd = ev->data.fd;
	char line[256];
	ssize_t n;

	if (ev->events & EPOLLOUT) {
		if (send(fd, "hello\n", 6, MSG_NOSIGNAL) != 6) {
			finish(fd, false);
			return;
		}
		ev->events = EPOLLIN;
		connected[fd] = true;
		epoll_ctl(ep, EPOLL_CTL_MOD, fd, ev);
		return;
	}
	n = recv(fd, line, sizeof(line), 0);
	finish(fd, n > 6 && !memcmp(line + n - 6, "hello\n", 6));
}

static void give_up_old(double now)
{
	for (int fd = 0; fd < FDS_MAX; fd++)
		if (began[fd] > 0 && now - began[fd] > TOO_LONG) {
			slow++;
			waiting_connect += !connected[fd];
			finish(fd, false);
		}
}

int main(int argc, char **argv)
{
	struct sockaddr_in6 to6 = {.sin6_family = AF_INET6};
	struct sockaddr_in to4 = {.sin_family = AF_INET};
	unsigned int started = 0, count, rate;
	struct epoll_event ev[64];
	double first, now, looked;
	bool v6;
	int ep;

	if (argc != 5)
		return 2;
	v6 = strchr(argv[1], ':');
	to4.sin_port = to6.sin6_port = htons(atoi(argv[2]));
	count = atoi(argv[3]);
	rate = atoi(argv[4]);
	if (inet_pton(v6 ? AF_INET6 : AF_INET, argv[1],
		      v6 ? (void *)&to6.sin6_addr : (void *)&to4.sin_addr) != 1)
		return 2;
	ep = epoll_create1(0);
	first = looked = seconds();
	while (done < count) {
		now = seconds();
		/* Who was kept waiting does not catch up: that would be another rate. */
		if ((now - first) * rate > started + BURST)
			first = now - (double)(started + BURST) / rate;
		for (; started < count && started - done < OPEN_MAX &&
		       (now - first) * rate >= started;
		     started++)
			start(ep, v6 ? (void *)&to6 : (void *)&to4, v6 ? sizeof(to6) : sizeof(to4));
		for (int n = epoll_wait(ep, ev, 64, 1), i = 0; i < n; i++)
			on_event(ep, &ev[i]);
		if (now - looked > 1) {
			give_up_old(now);
			looked = now;
		}
	}
	printf("%u connections in %.1f s, %u failed: %u not in time, of which %u unconnected\n",
	       done, seconds() - first, failed, slow, waiting_connect);
	return !!failed;
}
