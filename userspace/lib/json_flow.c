// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The JSON visitor. Nothing that is printed needs escaping: names, numbers and
 * addresses only. */
#include <string.h>

#include "text_flow.h"

struct json {
	char *p;
	bool first; /* no comma before the next member */
};

static void json_raw(struct json *j, const char *s)
{
	size_t n = strlen(s);

	memcpy(j->p, s, n);
	j->p += n;
}

static void json_key(struct json *j, const char *name)
{
	if (!j->first)
		*j->p++ = ',';
	j->first = false;
	*j->p++ = '"';
	json_raw(j, name);
	*j->p++ = '"';
	*j->p++ = ':';
}

static void json_string(struct json *j, const char *s)
{
	*j->p++ = '"';
	json_raw(j, s);
	*j->p++ = '"';
}

static void json_value(struct json *j, const struct ct_field *f, const struct ct_value *val)
{
	switch (f->kind) {
	case CT_KIND_ADDR:
		*j->p++ = '"';
		j->p = ct_text_addr(j->p, val->addr, val->family);
		*j->p++ = '"';
		break;
	case CT_KIND_EVENT:
	case CT_KIND_PADDED:
	case CT_KIND_WORD:
		json_string(j, val->str);
		break;
	case CT_KIND_FLAG:
	case CT_KIND_QUIET:
		json_raw(j, val->num ? "true" : "false");
		break;
	case CT_KIND_TIME: /* seconds; JSON readers lose nanoseconds of this size */
		j->p = ct_text_num(j->p, val->num / 1000000000);
		break;
	case CT_KIND_BARE:
	case CT_KIND_NUM:
	case CT_KIND_HEX:
		j->p = ct_text_num(j->p, val->num);
		break;
	}
}

static void json_field(void *arg, const struct ct_field *f, const struct ct_value *val)
{
	struct json *j = arg;

	json_key(j, f->name);
	json_value(j, f, val);
	if (f->kind == CT_KIND_PADDED) {
		json_raw(j, ",\"");
		json_raw(j, f->name);
		json_raw(j, "-number\":");
		j->p = ct_text_num(j->p, val->num);
	}
}

static void json_group(void *arg, const char *name)
{
	struct json *j = arg;

	if (!name) {
		*j->p++ = '}';
		j->first = false;
		return;
	}
	json_key(j, name);
	*j->p++ = '{';
	j->first = true;
}

static void json_labels(struct json *j, const struct ct_view *v)
{
	json_key(j, "labels");
	*j->p++ = '[';
	for (int bit = 0, n = 0; bit < 128; bit++) {
		if (!(v->label.bits[bit / 32] & 1U << bit % 32))
			continue;
		if (n++)
			*j->p++ = ',';
		j->p = ct_text_num(j->p, bit);
	}
	*j->p++ = ']';
}

size_t ct_flow_json(char *buf, const struct ct_view *v, unsigned int show)
{
	static const struct ct_visitor visitor = {json_field, json_group};
	struct json j = {buf, true};

	show |= CT_SHOW_LAYER3 | CT_SHOW_TIMEOUT | CT_SHOW_COUNTERS | CT_SHOW_MARK | CT_SHOW_USE |
		CT_SHOW_ID;
	*j.p++ = '{';
	ct_flow_walk(v, show, &visitor, &j);
	if (v->status & CT_S_LABEL)
		json_labels(&j, v);
	*j.p++ = '}';
	*j.p = 0;
	return j.p - buf;
}
