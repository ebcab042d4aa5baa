// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "control_ops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/nfct_export.h"
#include "../../alg/alg.h"
#include "alg_io.h"
#include "attach.h"
#include "confirm.h"
#include "control.h"
#include "control_expect.h"
#include "control_fw.h"
#include "events.h"
#include "explain.h"
#include "guard.h"
#include "import.h"
#include "rules.h"
#include "sweep.h"
#include "tables.h"

static void put_int(struct json_object *o, const char *key, int64_t v)
{
	json_object_object_add(o, key, json_object_new_int64(v));
}

static void put_text(struct json_object *o, const char *key, const char *v)
{
	json_object_object_add(o, key, json_object_new_string(v));
}

static int op_ping(struct ctd *d, struct control_request *req)
{
	(void)d;
	put_int(req->out, "pid", getpid());
	return 0;
}

static struct json_object *table_json(const struct ct_table *t)
{
	struct json_object *o = json_object_new_object();

	put_int(o, "confirmed", t->confirmed);
	put_int(o, "confirmed_high", t->confirmed_high);
	put_int(o, "confirmed_limit", t->confirmed_limit);
	put_int(o, "half_open", t->half_open);
	put_int(o, "half_high", t->half_high);
	put_int(o, "nodes", t->nodes);
	put_int(o, "nodes_high", t->nodes_high);
	put_int(o, "nodes_limit", t->nodes_limit);
	put_int(o, "stubs", t->stubs);
	put_int(o, "stub_limit", t->stub_limit);
	put_int(o, "capacity", t->capacity);
	return o;
}

static struct json_object *sweep_json(const struct bpfct_sweep_stats *s)
{
	struct json_object *o = json_object_new_object();

	put_int(o, "passes", s->passes);
	json_object_object_add(o, "last_cpu_s", json_object_new_double(s->last_cpu_s));
	json_object_object_add(o, "last_wall_s", json_object_new_double(s->last_wall_s));
	return o;
}

static struct json_object *control_json(const struct ctd *d)
{
	struct json_object *o = json_object_new_object();
	struct control_stats s;

	control_stats(d, &s);
	put_int(o, "clients", s.clients);
	put_int(o, "requests", s.requests);
	put_int(o, "subscribers", s.subscribers);
	put_int(o, "events_read", events_stats(d)->read);
	put_int(o, "events_sent", s.events_sent);
	put_int(o, "events_lost", s.events_lost);
	return o;
}

/* Of helped connections; reasons by name, those that were met. */
static struct json_object *alg_json(const struct alg_stats *s)
{
	struct json_object *o = json_object_new_object(), *why = json_object_new_object();
	unsigned int i;

	put_int(o, "connections", s->conns);
	put_int(o, "taken", s->taken);
	put_int(o, "sent", s->sent);
	put_int(o, "bad", s->bad);
	put_int(o, "ahead", s->ahead);
	put_int(o, "refused", s->refused);
	put_int(o, "repeated", s->again);
	put_int(o, "acknowledged", s->acked);
	put_int(o, "resent", s->resent);
	for (i = 1; i < ALG_R_COUNT; i++)
		if (s->reason[i])
			put_int(why, alg_reason_name(i), s->reason[i]);
	json_object_object_add(o, "reasons", why);
	return o;
}

static struct json_object *interfaces_json(const struct ctd *d)
{
	struct json_object *list = json_object_new_array();
	const struct fw_ifs *ifs = rules_ifs(d);
	const uint32_t *attached;
	unsigned int i, j, n = attach_list(d, &attached);

	for (i = 0; i < ifs->n; i++)
		for (j = 0; j < n; j++)
			if (attached[j] == ifs->v[i].ifindex)
				json_object_array_add(list, json_object_new_string(ifs->v[i].name));
	return list;
}

static int op_status(struct ctd *d, struct control_request *req)
{
	const struct ct_settings *set = d->core.pins.settings;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	put_text(req->out, "version", CTD_VERSION);
	put_text(req->out, "instance", d->opt.instance);
	put_text(req->out, "netns", d->opt.netns ? d->opt.netns : "");
	put_text(req->out, "config", d->opt.config);
	put_int(req->out, "pid", getpid());
	put_int(req->out, "uptime_s", now.tv_sec - d->started.tv_sec);
	json_object_object_add(req->out, "adopted", json_object_new_boolean(d->core.adopted));
	put_int(req->out, "hz", set->hz);
	put_int(req->out, "route_epoch", set->route_epoch);
	put_int(req->out, "rules", rules_count(d));
	put_int(req->out, "confirm_left_s", confirm_left(d));
	json_object_object_add(req->out, "guard", json_object_new_boolean(guard_is_on(d)));
	json_object_object_add(req->out, "interfaces", interfaces_json(d));
	json_object_object_add(req->out, "ipv4", table_json(&d->core.pins.table[0]));
	json_object_object_add(req->out, "ipv6", table_json(&d->core.pins.table[1]));
	json_object_object_add(req->out, "sweep", sweep_json(sweep_stats(d)));
	json_object_object_add(req->out, "sweep_whole", sweep_json(sweep_whole_stats(d)));
	json_object_object_add(req->out, "control", control_json(d));
	json_object_object_add(req->out, "alg", alg_json(alg_io_stats(d)));
	return 0;
}

static struct json_object *rule_json(struct ctd *d, unsigned int n)
{
	struct json_object *o = json_object_new_object();
	struct fw_hit hit = {0};
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	put_int(o, "number", n);
	if (out) {
		rules_hits(d, n, out, &hit);
		fclose(out);
		put_text(o, "text", n ? text : "default");
		free(text);
	}
	put_int(o, "packets", hit.packets);
	put_int(o, "bytes", hit.bytes);
	return o;
}

static int op_show(struct ctd *d, struct control_request *req)
{
	struct json_object *list = json_object_new_array();
	unsigned int i, n = rules_count(d);
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out) {
		json_object_put(list);
		return -ENOMEM;
	}
	rules_print(d, out);
	fclose(out);
	put_text(req->out, "text", text);
	free(text);
	for (i = 0; i <= n; i++)
		json_object_array_add(list, rule_json(d, i));
	json_object_object_add(req->out, "rules", list);
	return 0;
}

static int op_events(struct ctd *d, struct control_request *req)
{
	const int all = 1 << CT_EVENT_NEW | 1 << CT_EVENT_UPDATE | 1 << CT_EVENT_DESTROY;
	struct json_object *mask;
	int64_t v = all;

	(void)d;
	if (json_object_object_get_ex(req->in, "mask", &mask)) {
		v = json_object_is_type(mask, json_type_int) ? json_object_get_int64(mask) : -1;
		if (v < 1 || v > all) {
			snprintf(req->error, sizeof(req->error), "mask: must be 1 to %d", all);
			return -EINVAL;
		}
	}
	req->event_mask = v;
	return 0;
}

/* {"op":"import"}: nf_conntrack's connections and the host's sockets, now. */
static int op_import(struct ctd *d, struct control_request *req)
{
	struct import_stats s;
	int ret = import_now(d, &s);

	if (ret) {
		snprintf(req->error, sizeof(req->error), "cannot read nf_conntrack: %s",
			 strerror(-ret));
		return ret;
	}
	put_int(req->out, "connections", s.flows);
	put_int(req->out, "sockets", s.sockets);
	put_int(req->out, "known", s.known);
	put_int(req->out, "no_room", s.refused);
	put_int(req->out, "foreign", s.foreign);
	put_int(req->out, "failed", s.failed);
	return 0;
}

/* {"op":"export"}: our connections into nf_conntrack. */
static int op_export(struct ctd *d, struct control_request *req)
{
	struct nfct_exported s;
	int ret = nfct_export(&d->core.pins, &s);

	if (ret) {
		snprintf(req->error, sizeof(req->error), "cannot write nf_conntrack: %s",
			 strerror(-ret));
		return ret;
	}
	put_int(req->out, "connections", s.flows);
	put_int(req->out, "replaced", s.replaced);
	put_int(req->out, "failed", s.failed);
	if (s.failed)
		put_text(req->out, "reason", strerror(-s.first));
	return 0;
}

static const struct {
	const char *name;
	bool writes;
	int (*run)(struct ctd *d, struct control_request *req);
} ops[] = {
	{"ping", false, op_ping},
	{"status", false, op_status},
	{"load", true, op_load},
	{"confirm", true, op_confirm},
	{"show", false, op_show},
	{"explain", false, op_explain},
	{"events", false, op_events},
	{"import", true, op_import},
	{"export", true, op_export},
	{"expect_delete", true, expect_op_delete},
	{"expect_flush", true, expect_op_flush},
	{"expect_create", true, expect_op_create},
	{"expect_events", false, expect_op_events},
	{"quit", true, op_quit},
	{"table_show", false, tables_op_show},
	{"table_add", true, tables_op_add},
	{"table_del", true, tables_op_del},
	{"table_flush", true, tables_op_flush},
};

int control_run(struct ctd *d, struct control_request *req)
{
	struct json_object *op;
	unsigned int i;
	int ret;

	if (!json_object_is_type(req->in, json_type_object) ||
	    !json_object_object_get_ex(req->in, "op", &op) ||
	    !json_object_is_type(op, json_type_string)) {
		snprintf(req->error, sizeof(req->error), "a request is {\"op\":\"NAME\",...}");
		return -EINVAL;
	}
	for (i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		if (strcmp(json_object_get_string(op), ops[i].name))
			continue;
		if (ops[i].writes && !req->may_write) {
			snprintf(req->error, sizeof(req->error), "%s: only root may do that",
				 ops[i].name);
			return -EPERM;
		}
		ret = ops[i].run(d, req);
		if (ret && !req->error[0])
			snprintf(req->error, sizeof(req->error), "%s", strerror(-ret));
		return ret;
	}
	snprintf(req->error, sizeof(req->error),
		 "unknown op, expected one of ping, status, load, confirm, show, explain, events, "
		 "import, export, expect_delete, expect_flush, expect_create, expect_events, quit, "
		 "table_show, table_add, table_del, table_flush");
	return -EINVAL;
}
