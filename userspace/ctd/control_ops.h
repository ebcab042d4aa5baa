/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_CONTROL_OPS_H
#define BPFCT_CTD_CONTROL_OPS_H

#include <json-c/json.h>

#include "ctd.h"

/* Of a subscriber's mask: 1 << enum ct_event_type of connections; this << type of
 * expectations. */
#define CONTROL_EXPECT_EVENTS 0x100u

struct control_request {
	struct json_object *in;	 /* the request */
	struct json_object *out; /* members of the answer */
	bool may_write;		 /* peer is root or ctd's user */
	uint32_t event_mask;	 /* set by "events" and "expect_events" */
	char error[1024];
};

/* Runs the operation named in a request. 0, or -errno with req->error set. */
int control_run(struct ctd *d, struct control_request *req);

#endif
