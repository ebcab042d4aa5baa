// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* `ctctl fw explain`: the question as the datapath wants it, and its answer. */
#include "explain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "../../bpf/lib/ct_pkt.h"
#include "attach.h"
#include "firewall.h"
#include "rules.h"

#include "consumers/firewall/fw_explain.skel.h"

#define NSEC	 1000000000ULL
#define TYPE_MLD 143 /* MLDv2's report; 130 to 132 are MLDv1's */

static int fail(struct control_request *req, const char *what)
{
	snprintf(req->error, sizeof(req->error), "%s", what);
	return -EINVAL;
}

/* A number up to max, 0 if it is not there; false: it is something else. */
static bool number(struct control_request *req, const char *key, int64_t max, int64_t *out)
{
	struct json_object *o;

	*out = 0;
	if (!json_object_object_get_ex(req->in, key, &o))
		return true;
	*out = json_object_get_int64(o);
	return json_object_is_type(o, json_type_int) && *out >= 0 && *out <= max;
}

static const char *text(struct control_request *req, const char *key)
{
	struct json_object *o;

	if (!json_object_object_get_ex(req->in, key, &o) ||
	    !json_object_is_type(o, json_type_string))
		return "";
	return json_object_get_string(o);
}

/* 4, 6, or 0: no address. */
static uint8_t address(const char *s, __be32 out[4])
{
	memset(out, 0, 16);
	if (inet_pton(AF_INET, s, out) == 1)
		return 4;
	return inet_pton(AF_INET6, s, out) == 1 ? 6 : 0;
}

/* Queries and what is not tracked; answers and errors belong to something else. */
static int take_icmp(struct control_request *req, struct fw_question *q)
{
	bool v4 = q->tuple.family == 4;
	int64_t type, id;

	if (!number(req, "type", 255, &type) || !number(req, "id", 65535, &id))
		return fail(req, "type, id: must be 0 to 255, 0 to 65535");
	q->icmp_type = type;
	q->tuple.sport = htons(id);
	q->tuple.dport = htons(type << 8);
	if (!v4 && ((type >= 130 && type <= 137) || type == TYPE_MLD)) {
		q->pkt_flags = CT_PKT_UNTRACKED;
		q->ttl = type >= 133 && type <= 137 ? 255 : 1;
		return 0;
	}
	if (v4 ? type == 8 || type == 13 : type == 128)
		return 0;
	return fail(req, "icmp-type: only queries can be explained: an answer or an error belongs "
			 "to the connection that it answers or quotes");
}

static int take(struct control_request *req, struct fw_question *q)
{
	int64_t proto, sport, dport, flags;

	memset(q, 0, sizeof(*q));
	q->ttl = 64;
	q->tuple.family = address(text(req, "from"), q->tuple.saddr);
	if (!q->tuple.family || address(text(req, "to"), q->tuple.daddr) != q->tuple.family)
		return fail(req, "from, to: must be two addresses of one family");
	if (!number(req, "proto", 255, &proto) || !number(req, "sport", 65535, &sport) ||
	    !number(req, "dport", 65535, &dport) || !number(req, "flags", 255, &flags) || !proto)
		return fail(req, "proto, sport, dport, flags: must be numbers in their range");
	q->tuple.proto = proto;
	if (proto == (q->tuple.family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6))
		return take_icmp(req, q);
	if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6)
		return fail(req, "proto: icmp is IPv4's, icmp6 is IPv6's");
	q->tuple.sport = htons(sport);
	q->tuple.dport = htons(dport);
	q->tcp_flags = flags;
	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP && proto != IPPROTO_UDPLITE &&
	    proto != IPPROTO_SCTP)
		q->pkt_flags = CT_PKT_NO_PORTS;
	return 0;
}

/* Stays loaded: it is asked again soon, and the verifier need not see it twice. */
static int load(struct ctd *d)
{
	struct fw_explain *skel;
	int ret;

	if (d->explain)
		return 0;
	skel = fw_explain__open();
	if (!skel)
		return -errno;
	ret = firewall_share(d, skel->obj);
	if (!ret)
		ret = fw_explain__load(skel);
	if (ret)
		fw_explain__destroy(skel);
	else
		d->explain = skel;
	return ret;
}

void explain_stop(struct ctd *d)
{
	fw_explain__destroy(d->explain);
	d->explain = NULL;
}

/* The frame only has to be one: what is asked stands in *q. */
static int ask(struct ctd *d, uint32_t ifindex, struct fw_question *q)
{
	unsigned char frame[64] = {[12] = 0x88, [13] = 0xb5};
	struct __sk_buff ctx = {.ifindex = ifindex};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame),
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx));
	int ret = load(d);

	if (ret)
		return ret;
	d->explain->bss->fw_asked = *q;
	if (bpf_prog_test_run_opts(bpf_program__fd(d->explain->progs.fw_explain), &run))
		return -errno;
	*q = d->explain->bss->fw_asked;
	return run.retval == 0 ? 0 : -EIO;
}

/* As fw_limit(), without counting. */
static bool over_limit(struct ctd *d, const struct fw_question *q)
{
	const struct fw_rules *rules = rules_compiled(d);
	struct fw_rate_key key = {.rule = q->in_by.rule, .family = q->tuple.family};
	const struct fw_rule *r = NULL;
	struct timespec ts;
	uint64_t at, now, all;
	unsigned int i;

	for (i = 0; i < rules->n_rules && !r; i++)
		if (rules->rule[i].number == key.rule)
			r = &rules->rule[i];
	if (q->in < 0 || q->word || !r || !r->limit)
		return false;
	memcpy(key.addr, q->tuple.saddr, sizeof(key.addr));
	if (bpf_map_lookup_elem(bpf_map__fd(d->explain->maps.fw_rate_v1), &key, &at))
		return false;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = ts.tv_sec * NSEC + ts.tv_nsec;
	all = r->limit_secs * NSEC;
	return (at > now ? at : now) + all / r->limit > now + all;
}

int op_explain(struct ctd *d, struct control_request *req)
{
	const struct fw_if *in = fw_ifs_find(rules_ifs(d), text(req, "in"));
	const uint32_t *attached;
	struct fw_question q;
	unsigned int i, n;
	int ret = take(req, &q);

	if (ret)
		return ret;
	if (!in)
		return fail(req, "in: there is no such interface");
	n = attach_list(d, &attached);
	for (i = 0; i < n && attached[i] != in->ifindex; i++)
		;
	if (i == n) {
		explain_unjudged(in->loopback		    ? "loopback is never filtered"
				 : rules_skips(d, in->name) ? "`set skip on' names the interface"
							    : "none of our programs is there, but "
							      "perhaps on the interface above it",
				 req->out);
		return 0;
	}
	ret = ask(d, in->ifindex, &q);
	if (ret) {
		snprintf(req->error, sizeof(req->error), "cannot ask the datapath: %s",
			 strerror(-ret));
		return ret;
	}
	explain_tell(d, &q, over_limit(d, &q), req->out);
	return 0;
}
