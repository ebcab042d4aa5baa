// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* `ctctl flow import`, `flow export`: to and from the kernel's nf_conntrack, by ctd. */
#include <unistd.h>

#include "socket.h"

static int64_t number(struct json_object *answer, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(answer, key, &v) ? json_object_get_int64(v) : 0;
}

static struct json_object *ask(struct ctctl *c, const char *op)
{
	struct json_object *req, *answer;
	int fd = ctctl_connect(c);

	if (fd < 0)
		return NULL;
	req = json_object_new_object();
	json_object_object_add(req, "op", json_object_new_string(op));
	answer = ctctl_request(c, fd, req);
	close(fd);
	if (answer && c->json)
		fprintf(c->out, "%s\n",
			json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN));
	return answer;
}

int ctctl_flow_import(struct ctctl *c, int argc, char **argv)
{
	struct json_object *a;
	int64_t left;

	if (argc != 1)
		return ctctl_usage(c, "flow import takes no `%s'", argv[1]);
	a = ask(c, "import");
	if (!a)
		return CTCTL_FAILED;
	left = number(a, "no_room") + number(a, "failed");
	if (!c->json)
		fprintf(c->out,
			"%lld connections of nf_conntrack and %lld sockets entered, %lld were "
			"there\n",
			(long long)number(a, "connections"), (long long)number(a, "sockets"),
			(long long)number(a, "known"));
	if (left)
		ctctl_fail(
			c,
			"%lld connections not entered: %lld without room (set limit), %lld failed",
			(long long)left, (long long)number(a, "no_room"),
			(long long)number(a, "failed"));
	json_object_put(a);
	return left ? CTCTL_FAILED : CTCTL_OK;
}

int ctctl_flow_export(struct ctctl *c, int argc, char **argv)
{
	struct json_object *a, *reason;
	int64_t failed;

	if (argc != 1)
		return ctctl_usage(c, "flow export takes no `%s'", argv[1]);
	a = ask(c, "export");
	if (!a)
		return CTCTL_FAILED;
	failed = number(a, "failed");
	if (!c->json)
		fprintf(c->out, "%lld connections entered into nf_conntrack, %lld of them anew\n",
			(long long)number(a, "connections"), (long long)number(a, "replaced"));
	if (failed)
		ctctl_fail(c, "%lld connections not entered: %s", (long long)failed,
			   json_object_object_get_ex(a, "reason", &reason)
				   ? json_object_get_string(reason)
				   : "failed");
	json_object_put(a);
	return failed ? CTCTL_FAILED : CTCTL_OK;
}
