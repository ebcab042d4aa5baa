// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "control_expect.h"

#include <errno.h>
#include <string.h>

#include "expect.h"

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A member of exactly size bytes. 0, or -EINVAL with the reason in the answer. */
static int bytes_of(struct control_request *req, const char *name, void *out, size_t size)
{
	struct json_object *o;
	const char *text;
	size_t i;

	if (json_object_object_get_ex(req->in, name, &o) &&
	    json_object_is_type(o, json_type_string) &&
	    (size_t)json_object_get_string_len(o) == 2 * size) {
		text = json_object_get_string(o);
		for (i = 0; i < size; i++) {
			int hi = nibble(text[2 * i]), lo = nibble(text[2 * i + 1]);

			if (hi < 0 || lo < 0)
				break;
			((uint8_t *)out)[i] = hi << 4 | lo;
		}
		if (i == size)
			return 0;
	}
	snprintf(req->error, sizeof(req->error), "%s: must be %zu bytes in hexadecimal", name,
		 size);
	return -EINVAL;
}

int expect_op_delete(struct ctd *d, struct control_request *req)
{
	struct ct_tuple key;
	int ret = bytes_of(req, "tuple", &key, sizeof(key));

	if (!ret)
		ret = expect_del(d, &key);
	if (ret == -ENOENT)
		snprintf(req->error, sizeof(req->error), "no such expectation");
	return ret;
}

int expect_op_create(struct ctd *d, struct control_request *req)
{
	struct ct_tuple key;
	struct ct_expect x;
	int ret = bytes_of(req, "tuple", &key, sizeof(key));

	if (!ret)
		ret = bytes_of(req, "expect", &x, sizeof(x));
	if (ret)
		return ret;
	if (!expect_alive(d, &x.master)) {
		snprintf(req->error, sizeof(req->error), "no such master");
		return -ENOENT;
	}
	/* What only a helper may say is not the request's to say. */
	x.flags &= CT_X_PERMANENT | CT_X_INACTIVE | CT_X_USERSPACE | CT_X_NAT;
	x.nat_ref = x.nat_gen = x.nat_pool = 0;
	x.timeout = x.expires;
	x.expires = bpfct_now(&d->core.pins) +
		    (uint32_t)(((uint64_t)x.timeout * d->core.pins.settings->hz + 31) / 32);
	ret = expect_put(d, &key, &x);
	if (ret == -EEXIST)
		snprintf(req->error, sizeof(req->error), "another connection expects that");
	else if (ret == -EMLINK || ret == -ENOSPC)
		snprintf(req->error, sizeof(req->error), "limit of expectations reached");
	return ret;
}

int expect_op_flush(struct ctd *d, struct control_request *req)
{
	json_object_object_add(req->out, "deleted", json_object_new_int64(expect_flush(d)));
	return 0;
}

int expect_op_events(struct ctd *d, struct control_request *req)
{
	const int all = 1 << CT_EVENT_NEW | 1 << CT_EVENT_DESTROY;
	struct json_object *mask;
	int64_t v = all;

	(void)d;
	if (json_object_object_get_ex(req->in, "mask", &mask)) {
		v = json_object_is_type(mask, json_type_int) ? json_object_get_int64(mask) : -1;
		if (v < 1 || v & ~(int64_t)all) {
			snprintf(req->error, sizeof(req->error), "mask: must be 1, 4 or 5");
			return -EINVAL;
		}
	}
	req->event_mask = (uint32_t)v * CONTROL_EXPECT_EVENTS;
	return 0;
}
