// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Life of a parsed rule file: reading, memory, errors. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fw_ast.h"

struct fw_arena {
	struct fw_arena *next;
	max_align_t data[];
};

void *fw_alloc(struct fw_parser *ps, size_t size)
{
	struct fw_arena *a = calloc(1, sizeof(*a) + size);

	if (!a) {
		ps->no_memory = true;
		return NULL;
	}
	a->next = ps->conf->arena;
	ps->conf->arena = a;
	return a->data;
}

char *fw_strndup(struct fw_parser *ps, const char *s, size_t len)
{
	char *copy = fw_alloc(ps, len + 1);

	if (copy)
		memcpy(copy, s, len);
	return copy;
}

/* Room for one more; the old array stays in the arena, so the sum is linear. */
void *fw_grow(struct fw_parser *ps, void *v, unsigned int n, unsigned int *cap, size_t size)
{
	void *bigger;

	if (n < *cap)
		return v;
	bigger = fw_alloc(ps, (*cap ? *cap * 2 : 4) * size);
	if (!bigger)
		return NULL;
	if (n)
		memcpy(bigger, v, n * size);
	*cap = *cap ? *cap * 2 : 4;
	return bigger;
}

int fw_error(struct fw_parser *ps, struct fw_loc loc, const char *fmt, ...)
{
	va_list ap;

	if (ps->errors++ >= FW_MAX_ERRORS || !ps->err)
		return -1;
	fprintf(ps->err, "%s:%u:%u: ", ps->conf->name, loc.line, loc.col);
	va_start(ap, fmt);
	vfprintf(ps->err, fmt, ap);
	va_end(ap);
	fputc('\n', ps->err);
	if (ps->errors == FW_MAX_ERRORS)
		fprintf(ps->err, "%s: %d errors, stopped\n", ps->conf->name, FW_MAX_ERRORS);
	return -1;
}

int fw_conf_parse_text(const char *name, const char *text, size_t len, struct fw_conf **out,
		       FILE *err)
{
	struct fw_parser ps = {.err = err, .pos = {1, 1}, .token = ""};
	int ret;

	*out = NULL;
	if (len > FW_MAX_TEXT) {
		if (err)
			fprintf(err, "%s: %zu bytes, expected at most %d\n", name, len,
				FW_MAX_TEXT);
		return -EFBIG;
	}
	ps.conf = calloc(1, sizeof(*ps.conf));
	if (!ps.conf)
		return -ENOMEM;
	fw_settings_init(&ps.conf->settings);
	ps.conf->name = fw_strndup(&ps, name, strlen(name));
	if (!ps.no_memory)
		fw_scan(&ps, text, len);
	ret = ps.no_memory ? -ENOMEM : ps.errors ? -EINVAL : 0;
	if (ret) {
		if (ret == -ENOMEM && err)
			fprintf(err, "%s: out of memory\n", name);
		fw_conf_free(ps.conf);
		return ret;
	}
	*out = ps.conf;
	return 0;
}

/* The whole file, at most a byte more than FW_MAX_TEXT. */
static int fw_read(const char *path, char **text, size_t *len)
{
	FILE *file = fopen(path, "re");
	int ret = 0;

	*text = NULL;
	if (!file)
		return -errno;
	*text = malloc(FW_MAX_TEXT + 1);
	if (!*text) {
		ret = -ENOMEM;
		goto out;
	}
	errno = 0;
	*len = fread(*text, 1, FW_MAX_TEXT + 1, file);
	if (ferror(file))
		ret = errno ? -errno : -EIO;
out:
	fclose(file);
	return ret;
}

int fw_conf_parse(const char *path, struct fw_conf **out, FILE *err)
{
	size_t len = 0;
	char *text;
	int ret;

	*out = NULL;
	ret = fw_read(path, &text, &len);
	if (!ret)
		ret = fw_conf_parse_text(path, text, len, out, err);
	else if (err)
		fprintf(err, "%s: cannot read: %s\n", path, strerror(-ret));
	free(text);
	return ret;
}

void fw_conf_free(struct fw_conf *conf)
{
	struct fw_arena *a, *next;

	if (!conf)
		return;
	for (a = conf->arena; a; a = next) {
		next = a->next;
		free(a);
	}
	free(conf);
}

const struct fw_settings *fw_conf_settings(const struct fw_conf *conf)
{
	return &conf->settings;
}

unsigned int fw_conf_rules(const struct fw_conf *conf)
{
	return conf->stmts;
}
