// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Operations on the rules as a whole. */
#include "control_fw.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aside.h"
#include "confirm.h"
#include "rules.h"
#include "session.h"

/* Several lines of complaint become one text without its last newline. */
static void take_error(struct control_request *req, char *text, int ret)
{
	size_t n = text ? strlen(text) : 0;

	while (n && text[n - 1] == '\n')
		text[--n] = 0;
	snprintf(req->error, sizeof(req->error), "%s", n ? text : strerror(-ret));
}

/* False: the field is there and no such string; else *out is NULL if it is not there. */
static bool get_text(struct control_request *req, const char *key, struct json_object **out)
{
	*out = NULL;
	if (!json_object_object_get_ex(req->in, key, out) ||
	    json_object_is_type(*out, json_type_string))
		return true;
	snprintf(req->error, sizeof(req->error), "%s: must be a string", key);
	return false;
}

static bool get_seconds(struct control_request *req, unsigned int *out)
{
	struct json_object *o;
	int64_t v;

	*out = 0;
	if (!json_object_object_get_ex(req->in, "confirm", &o))
		return true;
	v = json_object_is_type(o, json_type_int) ? json_object_get_int64(o) : 0;
	if (v >= 1 && v <= CONFIRM_MAX_S) {
		*out = v;
		return true;
	}
	snprintf(req->error, sizeof(req->error), "confirm: must be 1 to %d seconds", CONFIRM_MAX_S);
	return false;
}

static bool is_forced(struct control_request *req)
{
	struct json_object *o;

	return json_object_object_get_ex(req->in, "force", &o) && json_object_get_boolean(o);
}

/* Before anything is changed. A session that would be cut is a refusal, or with force a
 * warning on err. */
static int check_session(struct ctd *d, struct control_request *req, const struct rules *r,
			 const char *session, FILE *err)
{
	char why[512];

	if (!session_is_cut(d, rules_compiled_of(r), session, why, sizeof(why)))
		return 0;
	if (is_forced(req)) {
		fprintf(err, "warning: %s\n", why);
		return 0;
	}
	fprintf(err, "%s (--force loads them all the same; --confirm takes them back)\n", why);
	return -EPERM;
}

static int load(struct ctd *d, struct control_request *req, FILE *err)
{
	struct json_object *text, *session;
	unsigned int seconds;
	struct rules *r;
	int ret;

	if (!get_text(req, "text", &text) || !get_text(req, "session", &session) ||
	    !get_seconds(req, &seconds))
		return -EINVAL;
	ret = rules_read(d, text ? json_object_get_string(text) : NULL,
			 text ? json_object_get_string_len(text) : 0, &r, err);
	if (ret)
		return ret;
	if (session)
		ret = check_session(d, req, r, json_object_get_string(session), err);
	if (!ret)
		ret = confirm_load(d, r, seconds, err);
	if (ret)
		rules_free(r);
	else
		aside_print(d, "warning: ", err);
	if (!ret && seconds)
		json_object_object_add(req->out, "confirm_s", json_object_new_int64(seconds));
	return ret;
}

int op_load(struct ctd *d, struct control_request *req)
{
	char *lines = NULL;
	size_t len = 0;
	FILE *err = open_memstream(&lines, &len);
	int ret;

	if (!err)
		return -ENOMEM;
	ret = load(d, req, err);
	fclose(err);
	if (ret && !req->error[0])
		take_error(req, lines, ret);
	if (!ret)
		json_object_object_add(req->out, "rules", json_object_new_int64(rules_count(d)));
	if (!ret && len)
		json_object_object_add(req->out, "warnings", json_object_new_string(lines));
	free(lines);
	return ret;
}

int op_confirm(struct ctd *d, struct control_request *req)
{
	if (!confirm_accept(d)) {
		snprintf(req->error, sizeof(req->error), "no rules wait to be confirmed");
		return -ENOENT;
	}
	log_event(LOG_INFO, "confirmed", "rules=%u", rules_count(d));
	json_object_object_add(req->out, "rules", json_object_new_int64(rules_count(d)));
	return 0;
}

int op_quit(struct ctd *d, struct control_request *req)
{
	(void)req;
	log_event(LOG_INFO, "stopping", "reason=\"to be unloaded\"");
	d->quit = true;
	/* After the answer has been sent. */
	return event_base_loopexit(d->base, NULL) ? -EIO : 0;
}
