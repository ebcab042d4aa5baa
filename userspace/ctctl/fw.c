// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* `ctctl fw`: rule files. check needs nobody; show goes to ctd. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../consumers/firewall/fw_conf.h"
#include "fw.h"
#include "socket.h"

/* 0 with *conf the caller's, or CTCTL_FAILED with the errors on err. */
static int check_text(struct ctctl *c, const char *name, const char *text, size_t len,
		      struct fw_conf **conf)
{
	struct fw_rules rules = {0};
	struct fw_ifs ifs = {0};
	int ret = fw_conf_parse_text(name, text, len, conf, c->err);

	if (ret)
		return CTCTL_FAILED;
	ret = fw_ifs_read(&ifs);
	if (ret)
		ctctl_fail(c, "cannot read the interfaces: %s", strerror(-ret));
	else
		ret = fw_conf_compile(*conf, &ifs, &rules, c->err);
	fw_rules_free(&rules);
	fw_ifs_free(&ifs);
	if (!ret)
		return CTCTL_OK;
	fw_conf_free(*conf);
	*conf = NULL;
	return CTCTL_FAILED;
}

char *fw_read_file(struct ctctl *c, const char *path, size_t *len)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "re") : stdin;
	char *text = f ? malloc(FW_MAX_TEXT + 1) : NULL;

	if (text) {
		*len = fread(text, 1, FW_MAX_TEXT + 1, f);
		if (ferror(f) || *len > FW_MAX_TEXT) {
			errno = ferror(f) ? errno : EFBIG;
			free(text);
			text = NULL;
		} else {
			text[*len] = 0;
		}
	}
	if (!text)
		ctctl_fail(c, "%s: %s", path, strerror(errno));
	if (f && f != stdin)
		fclose(f);
	return text;
}

int ctctl_fw_check(struct ctctl *c, int argc, char **argv)
{
	struct fw_conf *conf = NULL;
	size_t len;
	char *text;
	int ret;

	if (argc != 2)
		return ctctl_usage(c, "fw check takes a file");
	text = fw_read_file(c, argv[1], &len);
	if (!text)
		return CTCTL_FAILED;
	ret = check_text(c, argv[1], text, len, &conf);
	if (!ret && c->json)
		fprintf(c->out, "{\"ok\":true,\"rules\":%u}\n", fw_conf_rules(conf));
	else if (!ret)
		fprintf(c->out, "%s: right, %u rules\n", argv[1], fw_conf_rules(conf));
	else if (c->json)
		fprintf(c->out, "{\"ok\":false}\n");
	if (conf)
		fw_conf_free(conf);
	free(text);
	return ret;
}

struct json_object *fw_ask(struct ctctl *c, struct json_object *req)
{
	int fd = ctctl_connect(c);
	struct json_object *answer;

	if (fd < 0) {
		json_object_put(req);
		return NULL;
	}
	answer = ctctl_request(c, fd, req);
	close(fd);
	return answer;
}

struct json_object *fw_request(const char *op)
{
	struct json_object *req = json_object_new_object();

	json_object_object_add(req, "op", json_object_new_string(op));
	return req;
}

void fw_print_answer(struct ctctl *c, struct json_object *answer)
{
	struct json_object *text;

	if (json_object_object_get_ex(answer, "warnings", &text))
		fputs(json_object_get_string(text), c->err);
	if (c->json)
		fprintf(c->out, "%s\n",
			json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN));
	else if (json_object_object_get_ex(answer, "text", &text))
		fputs(json_object_get_string(text), c->out);
}

int ctctl_fw_show(struct ctctl *c, int argc, char **argv)
{
	struct json_object *answer;

	if (argc != 1)
		return ctctl_usage(c, "fw show takes no `%s'", argv[1]);
	answer = fw_ask(c, fw_request("show"));
	if (!answer)
		return CTCTL_FAILED;
	fw_print_answer(c, answer);
	json_object_put(answer);
	return CTCTL_OK;
}
