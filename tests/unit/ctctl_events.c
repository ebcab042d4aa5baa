// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Events and rule files over the control socket, with a ctd that is a child of
 * this process. /run is this process's own. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <json-c/json.h>

#include "ctctl_fake.h"

#define SOCKET "/run/bpfct/default.sock"

static pid_t server;

static int listen_at(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = SOCKET};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	unlink(SOCKET);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

/* 10.0.0.2:1000 -> 198.51.100.7:53, SNAT to 203.0.113.1:1024. */
static struct ct_flow make_event(enum ct_event_type type)
{
	struct ct_flow f = {.family = 4, .type = type, .tick = FAKE_TICK};
	bool hi = inet_addr("10.0.0.2") > inet_addr("198.51.100.7");

	f.key4.addr[hi] = inet_addr("10.0.0.2");
	f.key4.addr[!hi] = inet_addr("198.51.100.7");
	f.key4.port[hi] = htons(1000);
	f.key4.port[!hi] = htons(53);
	f.key4.proto = IPPROTO_UDP;
	f.conn4.reply_saddr = inet_addr("198.51.100.7");
	f.conn4.reply_daddr = inet_addr("203.0.113.1");
	f.c.reply_sport = htons(53);
	f.c.reply_dport = htons(1024);
	f.c.word =
		CT_W_LIFE(CT_LIFE_HALF_OPEN) | CT_W_STATUS(CT_S_SRC_NAT) | (hi ? CT_W_ORIG_HI : 0);
	f.c.expires = FAKE_TICK + FAKE_TICKS(30);
	f.c.count[0] = (struct ct_count){1, 60};
	if (type != CT_EVENT_NEW)
		f.c.word |= CT_W_STATUS(CT_S_SEEN_REPLY);
	if (type == CT_EVENT_DESTROY) {
		f.c.word |= CT_W_STATUS(CT_S_DYING);
		f.c.expires = FAKE_TICK - 1;
	}
	return f;
}

static void send_events(int fd)
{
	for (int type = CT_EVENT_NEW; type <= CT_EVENT_DESTROY; type++) {
		struct ct_flow f = make_event(type);

		send(fd, &f, sizeof(f), 0);
	}
}

/* Answers one request with `answer`, or an error if it is not `want`; sends
 * events; then `sig` to the parent, or nothing and closes. */
static void serve(const char *want, const char *answer, bool events, int sig)
{
	int at = listen_at();

	server = fork();
	if (!server) {
		char buf[65536];
		ssize_t n;
		int fd;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(5);
		fd = accept(at, NULL, NULL);
		n = recv(fd, buf, sizeof(buf) - 1, 0);

		buf[n < 0 ? 0 : n] = 0;
		if (strcmp(buf, want))
			answer = "{\"ok\":false,\"error\":\"unexpected request\"}";
		send(fd, answer, strlen(answer), 0);
		if (events)
			send_events(fd);
		if (sig) {
			usleep(100000);
			kill(getppid(), sig);
			pause();
		}
		_exit(0);
	}
	close(at);
}

static void end_server(void)
{
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
}

#define ALL "{\"op\":\"events\",\"mask\":7}"

/* As conntrack(8) -E printed them here for the same life of a flow. */
static void events_read_like_the_kernels(void **state)
{
	const char *want =
		"    [NEW] udp      17 30 src=10.0.0.2 dst=198.51.100.7 sport=1000 dport=53 "
		"[UNREPLIED] src=198.51.100.7 dst=203.0.113.1 sport=53 dport=1024\n"
		" [UPDATE] udp      17 30 src=10.0.0.2 dst=198.51.100.7 sport=1000 dport=53 "
		"src=198.51.100.7 dst=203.0.113.1 sport=53 dport=1024\n"
		"[DESTROY] udp      17 src=10.0.0.2 dst=198.51.100.7 sport=1000 dport=53 packets=1 "
		"bytes=60 src=198.51.100.7 dst=203.0.113.1 sport=53 dport=1024 packets=0 bytes=0\n";

	(void)state;
	serve(ALL, "{\"ok\":true}", true, SIGINT);
	assert_int_equal(run_ctctl("conntrack -E"), 0);
	end_server();
	assert_string_equal(run.out, want);
	assert_string_equal(run.err, "conntrack v1.4.7 (conntrack-tools): 3 flow events have been "
				     "shown.\n");
}

static void the_end_has_its_time(void **state)
{
	const char *end;

	(void)state;
	serve(ALL, "{\"ok\":true}", true, SIGINT);
	assert_int_equal(run_ctctl("ctctl -E -o ktimestamp"), 0);
	end_server();
	assert_non_null(strstr(run.out, "[start="));
	end = strstr(run.out, "[DESTROY]");
	assert_non_null(end);
	assert_non_null(strstr(end, "[stop="));
	assert_null(strstr(end, "[stop=Thu Jan  1 "));
}

static void sigterm_ends_it_too(void **state)
{
	(void)state;
	serve(ALL, "{\"ok\":true}", false, SIGTERM);
	assert_int_equal(run_ctctl("ctctl events"), 0);
	end_server();
	assert_string_equal(run.out, "");
}

static void event_mask_goes_to_ctd(void **state)
{
	(void)state;
	serve("{\"op\":\"events\",\"mask\":5}", "{\"ok\":true}", false, SIGINT);
	assert_int_equal(run_ctctl("conntrack -E -e NEW,DESTROY"), 0);
	end_server();
}

static void events_are_filtered(void **state)
{
	(void)state;
	serve(ALL, "{\"ok\":true}", true, SIGINT);
	assert_int_equal(run_ctctl("ctctl events -n 203.0.113.1 -o id,extended"), 0);
	end_server();
	assert_non_null(strstr(run.out, " [UPDATE] ipv4     2 udp      17 30 "));
	assert_non_null(strstr(run.err, "3 flow events"));
	serve(ALL, "{\"ok\":true}", true, SIGINT);
	assert_int_equal(run_ctctl("ctctl events -p tcp"), 0);
	end_server();
	assert_string_equal(run.out, "");
}

static void json_events_are_one_a_line(void **state)
{
	struct json_object *o;
	char *save = NULL;
	int n = 0;

	(void)state;
	serve(ALL, "{\"ok\":true}", true, SIGINT);
	assert_int_equal(run_ctctl("ctctl -j events"), 0);
	end_server();
	for (char *l = strtok_r(run.out, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		o = json_tokener_parse(l);
		assert_non_null(o);
		json_object_put(o);
		n++;
	}
	assert_int_equal(n, 3);
}

static void xml_events_have_their_frame(void **state)
{
	(void)state;
	serve(ALL, "{\"ok\":true}", true, SIGINT);
	assert_int_equal(run_ctctl("conntrack -E -o xml,timestamp"), 0);
	end_server();
	assert_non_null(strstr(run.out, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<conntrack>\n"
					"<flow type=\"new\">"));
	assert_non_null(strstr(run.out, "<when><hour>"));
	assert_non_null(strstr(run.out, "</flow>\n</conntrack>\n"));
}

static void save_events_are_commands(void **state)
{
	(void)state;
	serve(ALL, "{\"ok\":true}", true, SIGINT);
	assert_int_equal(run_ctctl("conntrack -E -o save"), 0);
	end_server();
	assert_memory_equal(run.out, "-A -t 30 ", 9);
	assert_non_null(strstr(run.out, "\n-U -t 30 "));
	assert_non_null(strstr(run.out, "\n-D -t 0 "));
}

static void ctd_that_leaves_is_a_failure(void **state)
{
	(void)state;
	serve(ALL, "{\"ok\":true}", true, 0);
	assert_int_equal(run_ctctl("ctctl events"), CTCTL_FAILED);
	end_server();
	assert_string_equal(run.err, "ctctl: ctd closed the connection\n");
}

static void ctds_error_is_told(void **state)
{
	(void)state;
	serve(ALL, "{\"ok\":false,\"error\":\"too many clients\"}", false, 0);
	assert_int_equal(run_ctctl("ctctl events"), CTCTL_FAILED);
	end_server();
	assert_string_equal(run.err, "ctctl: too many clients\n");
	serve(ALL, "what?", false, 0);
	assert_int_equal(run_ctctl("ctctl events"), CTCTL_FAILED);
	end_server();
	assert_non_null(strstr(run.err, "ctctl: ctd: "));
}

static void rules_are_shown_and_loaded(void **state)
{
	FILE *f;

	(void)state;
	serve("{\"op\":\"show\"}", "{\"ok\":true,\"text\":\"pass in\\n\"}", false, 0);
	assert_int_equal(run_ctctl("ctctl fw show"), 0);
	end_server();
	assert_string_equal(run.out, "pass in\n");
	f = fopen("/run/rules", "w");
	fputs("set default pass\n", f);
	fclose(f);
	setenv("SSH_CONNECTION", "", 1); /* whoever runs this may have one */
	serve("{\"op\":\"load\",\"text\":\"set default pass\\n\"}",
	      "{\"ok\":true,\"rules\":0,\"warnings\":\"warning: x\\n\"}", false, 0);
	assert_int_equal(run_ctctl("ctctl fw load /run/rules"), 0);
	end_server();
	assert_string_equal(run.err, "warning: x\n");
	assert_int_equal(run_ctctl("ctctl fw check /run/rules"), 0);
	assert_string_equal(run.out, "/run/rules: right, 0 rules\n");
}

/* A wrong file does not reach ctd. */
static void wrong_rules_are_told_by_line(void **state)
{
	FILE *f = fopen("/run/rules", "w");

	(void)state;
	fputs("set default pass\nfrob\n", f);
	fclose(f);
	unlink(SOCKET);
	assert_int_equal(run_ctctl("ctctl fw load /run/rules"), CTCTL_FAILED);
	assert_memory_equal(run.err, "/run/rules:2:1: ", 16);
	assert_int_equal(run_ctctl("ctctl fw check /run/rules"), CTCTL_FAILED);
	assert_memory_equal(run.err, "/run/rules:2:1: ", 16);
	assert_int_equal(run_ctctl("ctctl fw check /run/none"), CTCTL_FAILED);
	assert_string_equal(run.err, "ctctl: /run/none: No such file or directory\n");
	assert_int_equal(run_ctctl("ctctl fw check"), CTCTL_USAGE);
}

static bool enter_namespace(void)
{
	return !unshare(CLONE_NEWNS) && !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
	       !mount("tmpfs", "/run", "tmpfs", 0, NULL) && !mkdir("/run/bpfct", 0700);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_read_like_the_kernels),
		cmocka_unit_test(the_end_has_its_time),
		cmocka_unit_test(sigterm_ends_it_too),
		cmocka_unit_test(event_mask_goes_to_ctd),
		cmocka_unit_test(events_are_filtered),
		cmocka_unit_test(json_events_are_one_a_line),
		cmocka_unit_test(xml_events_have_their_frame),
		cmocka_unit_test(save_events_are_commands),
		cmocka_unit_test(ctd_that_leaves_is_a_failure),
		cmocka_unit_test(ctds_error_is_told),
		cmocka_unit_test(rules_are_shown_and_loaded),
		cmocka_unit_test(wrong_rules_are_told_by_line),
	};

	fake_reset();
	if (!enter_namespace()) {
		printf("skip ctctl_events: no mount namespace (not root?)\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
