// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* `ctctl fw table`: what is in the tables of the rules; ctd does it. */
#include <string.h>
#include <unistd.h>

#include "socket.h"

static const struct {
	const char *name;
	const char *op;
	bool addrs; /* takes a table and addresses; else a table at most */
} table_verbs[] = {
	{"show", "table_show", false},
	{"flush", "table_flush", false},
	{"add", "table_add", true},
	{"del", "table_del", true},
};

static struct json_object *table_request(const char *op, int argc, char **argv)
{
	struct json_object *req = json_object_new_object(), *list;

	json_object_object_add(req, "op", json_object_new_string(op));
	if (argc)
		json_object_object_add(req, "name", json_object_new_string(argv[0]));
	if (argc < 2)
		return req;
	list = json_object_new_array();
	for (int i = 1; i < argc; i++)
		json_object_array_add(list, json_object_new_string(argv[i]));
	json_object_object_add(req, "addrs", list);
	return req;
}

static int table_ask(struct ctctl *c, struct json_object *req)
{
	struct json_object *answer, *text;
	int fd = ctctl_connect(c);

	if (fd < 0) {
		json_object_put(req);
		return CTCTL_FAILED;
	}
	answer = ctctl_request(c, fd, req);
	close(fd);
	if (!answer)
		return CTCTL_FAILED;
	if (c->json)
		fprintf(c->out, "%s\n",
			json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN));
	else if (json_object_object_get_ex(answer, "text", &text))
		fputs(json_object_get_string(text), c->out);
	json_object_put(answer);
	return CTCTL_OK;
}

int ctctl_fw_table(struct ctctl *c, int argc, char **argv)
{
	if (argc < 2)
		return ctctl_usage(c, "fw table takes show, flush, add or del");
	for (unsigned int i = 0; i < sizeof(table_verbs) / sizeof(table_verbs[0]); i++) {
		if (strcmp(argv[1], table_verbs[i].name))
			continue;
		if (table_verbs[i].addrs && argc < 4)
			return ctctl_usage(c, "fw table %s takes a table and addresses", argv[1]);
		if (!table_verbs[i].addrs && argc > 3)
			return ctctl_usage(c, "fw table %s takes no `%s'", argv[1], argv[3]);
		if (!strcmp(argv[1], "flush") && argc != 3)
			return ctctl_usage(c, "fw table flush takes a table");
		return table_ask(c, table_request(table_verbs[i].op, argc - 2, argv + 2));
	}
	return ctctl_usage(c, "fw table takes show, flush, add or del, not `%s'", argv[1]);
}
