// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* `ctctl fw load`, `confirm`, `unload`: what changes the rules in force. */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../consumers/firewall/fw_conf.h"
#include "fw.h"
#include "socket.h"

#define CONFIRM_MAX_S 86400
#define QUIT_WAIT_S   30

struct load_options {
	const char *file;
	unsigned long confirm_s; /* 0: for good */
	bool force;
};

/* 60, 60s, 5m */
static bool parse_seconds(const char *text, unsigned long *out)
{
	char digits[16];
	size_t n = strspn(text, "0123456789");
	unsigned long unit = !strcmp(text + n, "m") ? 60 : 1;

	if (n == 0 || n >= sizeof(digits) ||
	    (text[n] && strcmp(text + n, "s") && strcmp(text + n, "m")))
		return false;
	memcpy(digits, text, n);
	digits[n] = 0;
	*out = strtoul(digits, NULL, 10) * unit;
	return *out >= 1 && *out <= CONFIRM_MAX_S;
}

static int parse_load(struct ctctl *c, int argc, char **argv, struct load_options *o)
{
	int i;

	memset(o, 0, sizeof(*o));
	for (i = 1; i < argc; i++) {
		const char *a = argv[i];

		if (!strcmp(a, "--force")) {
			o->force = true;
		} else if (!strcmp(a, "--confirm") || !strncmp(a, "--confirm=", 10)) {
			const char *v = a[9] ? a + 10 : ++i < argc ? argv[i] : "";

			if (!parse_seconds(v, &o->confirm_s))
				return ctctl_usage(c, "--confirm takes seconds, 1 to %d, not `%s'",
						   CONFIRM_MAX_S, v);
		} else if (a[0] == '-' && a[1]) {
			return ctctl_usage(c, "fw load has no option `%s'", a);
		} else if (o->file) {
			return ctctl_usage(c, "fw load takes one file");
		} else {
			o->file = a;
		}
	}
	return o->file ? CTCTL_OK : ctctl_usage(c, "fw load takes a file");
}

/* Syntax here, with the file's name; interfaces are those of ctd's namespace. */
static struct json_object *load_request(struct ctctl *c, const struct load_options *o)
{
	struct json_object *req = NULL;
	char session[160];
	struct fw_conf *conf = NULL;
	size_t len;
	char *text = fw_read_file(c, o->file, &len);

	if (!text)
		return NULL;
	if (!fw_conf_parse_text(o->file, text, len, &conf, c->err)) {
		req = fw_request("load");
		json_object_object_add(req, "text", json_object_new_string_len(text, len));
		if (o->confirm_s)
			json_object_object_add(req, "confirm", json_object_new_int64(o->confirm_s));
		if (o->force)
			json_object_object_add(req, "force", json_object_new_boolean(true));
		if (fw_session(session, sizeof(session)))
			json_object_object_add(req, "session", json_object_new_string(session));
		fw_conf_free(conf);
	}
	free(text);
	return req;
}

int ctctl_fw_load(struct ctctl *c, int argc, char **argv)
{
	struct json_object *req, *answer;
	struct load_options o;
	int ret = parse_load(c, argc, argv, &o);

	if (ret)
		return ret;
	req = load_request(c, &o);
	answer = req ? fw_ask(c, req) : NULL;
	if (!answer)
		return CTCTL_FAILED;
	fw_print_answer(c, answer);
	if (o.confirm_s && !c->json)
		fprintf(c->err,
			"in force for %lu seconds: `ctctl fw confirm' keeps them, else the rules "
			"before them come back\n",
			o.confirm_s);
	json_object_put(answer);
	return CTCTL_OK;
}

int ctctl_fw_confirm(struct ctctl *c, int argc, char **argv)
{
	struct json_object *answer;

	if (argc != 1)
		return ctctl_usage(c, "fw confirm takes no `%s'", argv[1]);
	answer = fw_ask(c, fw_request("confirm"));
	if (!answer)
		return CTCTL_FAILED;
	fw_print_answer(c, answer);
	json_object_put(answer);
	return CTCTL_OK;
}

/* Tells a running ctd to end, and waits until it has. None is no error. */
static int end_ctd(struct ctctl *c)
{
	struct timeval wait = {.tv_sec = QUIT_WAIT_S};
	struct json_object *answer;
	int fd = ctctl_dial(c->instance);
	ssize_t n;
	char byte;

	if (fd == -ENOENT || fd == -ECONNREFUSED)
		return CTCTL_OK;
	if (fd < 0)
		return ctctl_fail(c, "cannot reach ctd: %s", strerror(-fd));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	answer = ctctl_request(c, fd, fw_request("quit"));
	if (!answer) {
		close(fd);
		return CTCTL_FAILED;
	}
	json_object_put(answer);
	n = recv(fd, &byte, 1, 0);
	close(fd);
	if (n < 0 && errno == EAGAIN)
		return ctctl_fail(c, "ctd does not end: stop it first");
	return CTCTL_OK;
}

/* The ctd that is installed beside this program, else whatever PATH has. */
static void exec_unload(const char *instance)
{
	char self[PATH_MAX], ctd[PATH_MAX + 8];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *const argv[] = {"ctd", "--unload", "--instance", (char *)instance, NULL};

	if (n > 0) {
		self[n] = 0;
		snprintf(ctd, sizeof(ctd), "%s/ctd", dirname(self));
		execv(ctd, argv);
	}
	execvp("ctd", argv);
	_exit(127);
}

int ctctl_fw_unload(struct ctctl *c, int argc, char **argv)
{
	bool export = argc == 2 && !strcmp(argv[1], "--export");
	int status = 0;
	pid_t pid;

	if (argc != 1 && !export)
		return ctctl_usage(c, "fw unload takes no `%s'", argv[argc - 1]);
	if (export && ctctl_flow_export(c, 1, argv))
		return ctctl_fail(c, "nothing was unloaded");
	if (end_ctd(c))
		return CTCTL_FAILED;
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		exec_unload(c->instance);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return ctctl_fail(c, "cannot run ctd: %s", strerror(errno));
	if (!WIFEXITED(status) || WEXITSTATUS(status) == 127)
		return ctctl_fail(c, "cannot run ctd --unload");
	if (WEXITSTATUS(status)) /* which has said why */
		return CTCTL_FAILED;
	if (c->json)
		fprintf(c->out, "{\"ok\":true}\n");
	else
		fprintf(c->err, "unloaded: no rules, no translation, all connections forgotten; "
				"every interface is open\n");
	return CTCTL_OK;
}
