// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* conntrack(8)'s table expect, and `ctctl expect`. What changes goes through ctd, which owns it. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>

#include "ct_cmd.h"
#include "nfct_expect.h"
#include "socket.h"

struct list {
	struct ct_cmd *cmd;
	unsigned long n;
	const struct ct_tuple *want; /* NULL: all */
	struct ct_tuple found;
};

static void print_one(struct ct_cmd *cmd, const struct expect_view *v, unsigned int type,
		      unsigned long nth)
{
	bool xml = cmd->output & CT_OUT_XML;
	FILE *out = cmd->c->out;
	struct timeval now;
	char buf[4096];

	if (cmd->c->json) {
		struct json_object *o = expect_json(v);

		if (type != NFCT_T_UNKNOWN)
			json_object_object_add(
				o, "event",
				json_object_new_string(type == NFCT_T_NEW ? "new" : "destroy"));
		else
			fputs(nth ? ",\n" : "[\n", out);
		fprintf(out, "%s%s", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN),
			type != NFCT_T_UNKNOWN ? "\n" : "");
		json_object_put(o);
		return;
	}
	if (xml && !nth)
		fputs("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<expect>\n", out);
	if (cmd->output & CT_OUT_TIMESTAMP && !xml) {
		gettimeofday(&now, NULL);
		fprintf(out, "[%-.8ld.%-.6ld]\t", (long)now.tv_sec, (long)now.tv_usec);
	}
	if (expect_text(buf, sizeof(buf), v, type, xml, cmd->output & CT_OUT_TIMESTAMP && xml))
		fprintf(out, "%s\n", buf);
}

static void print_end(struct ct_cmd *cmd, unsigned long n)
{
	if (cmd->c->json)
		fputs(n ? "\n]\n" : "[]\n", cmd->c->out);
	else if (n && cmd->output & CT_OUT_XML)
		fputs("</expect>\n", cmd->c->out);
}

/* As netfilter looks for one: does its tuple, under its mask, match? */
static bool matches(const struct ct_tuple *key, const struct ct_tuple *t)
{
	static const __be32 any[4];

	return key->family == t->family && key->proto == t->proto && key->zone == t->zone &&
	       key->dport == t->dport && !memcmp(key->daddr, t->daddr, sizeof(t->daddr)) &&
	       (!key->sport || key->sport == t->sport) &&
	       (!memcmp(key->saddr, any, sizeof(any)) ||
		!memcmp(key->saddr, t->saddr, sizeof(t->saddr)));
}

static int list_one(const struct expect_view *v, void *arg)
{
	struct list *l = arg;

	if (l->cmd->family && l->cmd->family != v->key.family)
		return 0;
	if (l->want && !matches(&v->key, l->want))
		return 0;
	l->found = v->key;
	if (l->cmd->command != CT_CMD_DELETE && l->cmd->command != CT_CMD_COUNT)
		print_one(l->cmd, v, NFCT_T_UNKNOWN, l->n);
	l->n++;
	return l->want ? 1 : 0;
}

static void tuple_of(const struct ct_cmd *cmd, struct ct_tuple *t)
{
	*t = (struct ct_tuple){.sport = htons(cmd->l4[CT_L4_SPORT]),
			       .dport = htons(cmd->l4[CT_L4_DPORT]),
			       .proto = cmd->proto,
			       .family = cmd->family,
			       .zone = cmd->zone};
	memcpy(t->saddr, cmd->src.addr, cmd->family == 6 ? 16 : 4);
	memcpy(t->daddr, cmd->dst.addr, cmd->family == 6 ? 16 : 4);
}

static int list(struct ct_cmd *cmd)
{
	struct list l = {.cmd = cmd};
	struct ct_tuple want;
	int ret;

	if (cmd->command == CT_CMD_GET) {
		tuple_of(cmd, &want);
		l.want = &want;
	}
	ret = expect_walk(cmd->pins, list_one, &l);
	if (ret < 0)
		return ct_failed_errno(cmd->c, cmd->command, -ret);
	if (cmd->command == CT_CMD_GET && !l.n)
		return ct_failed_errno(cmd->c, cmd->command, ENOENT);
	print_end(cmd, l.n);
	if (cmd->command == CT_CMD_LIST)
		ct_summary(cmd, l.n);
	return CTCTL_OK;
}

static int count(struct ct_cmd *cmd)
{
	struct list l = {.cmd = cmd};
	int ret = expect_walk(cmd->pins, list_one, &l);

	if (ret < 0)
		return ct_failed_errno(cmd->c, cmd->command, -ret);
	fprintf(cmd->c->out, cmd->c->json ? "{\"count\":%lu}\n" : "%lu\n", l.n);
	return CTCTL_OK;
}

/* Asks ctd, which alone changes the table. Its words on failure. */
static int ask(struct ct_cmd *cmd, const char *op, const struct ct_tuple *key,
	       const struct ct_expect *x)
{
	struct json_object *req = json_object_new_object(), *answer;
	int fd = ctctl_connect(cmd->c);

	if (fd < 0) {
		json_object_put(req);
		return CTCTL_FAILED;
	}
	json_object_object_add(req, "op", json_object_new_string(op));
	if (key)
		json_object_object_add(req, "tuple", expect_hex(key, sizeof(*key)));
	if (x)
		json_object_object_add(req, "expect", expect_hex(x, sizeof(*x)));
	answer = ctctl_request(cmd->c, fd, req);
	close(fd);
	json_object_put(answer);
	return answer ? CTCTL_OK : CTCTL_FAILED;
}

static int delete (struct ct_cmd *cmd)
{
	struct list l = {.cmd = cmd};
	struct ct_tuple want;
	int ret;

	tuple_of(cmd, &want);
	l.want = &want;
	ret = expect_walk(cmd->pins, list_one, &l);
	if (ret < 0)
		return ct_failed_errno(cmd->c, cmd->command, -ret);
	if (!l.n)
		return ct_failed_errno(cmd->c, cmd->command, ENOENT);
	return ask(cmd, "expect_delete", &l.found, NULL);
}

static int flush(struct ct_cmd *cmd)
{
	struct ct_tuple any;
	int ret = 0;

	if (!bpf_map_get_next_key(cmd->pins->expect_fd, NULL, &any))
		ret = ask(cmd, "expect_flush", NULL, NULL);

	if (!ret)
		ct_failed(cmd->c, "expectation table has been emptied.");
	return ret;
}

/* The name of the record that -s, -d and the ports mean. */
static int find_master(const struct ct_cmd *cmd, struct ct_label_key *id)
{
	struct ct_flow flow;
	struct ct_conn6 conn;
	bool six;
	int i;

	if (ct_create_flow(cmd, &flow))
		return -EINVAL;
	six = flow.family == 6;
	memset(id, 0, sizeof(*id));
	if (bpf_map_lookup_elem(cmd->pins->conn_fd[six],
				six ? (const void *)&flow.key6 : (const void *)&flow.key4, &conn))
		return -ENOENT;
	if (six) {
		id->key = flow.key6;
	} else {
		for (i = 0; i < 2; i++) {
			id->key.addr[i][0] = flow.key4.addr[i];
			id->key.port[i] = flow.key4.port[i];
		}
		id->key.zone = flow.key4.zone;
		id->key.proto = flow.key4.proto;
	}
	id->key.pad = flow.family;
	id->gen = ct_w_gen(conn.c.word);
	return 0;
}

/* Of masks only what the table can hold: the source whole or not at all. */
static int create(struct ct_cmd *cmd)
{
	struct ct_expect x = {.expires = cmd->timeout};
	struct ct_tuple key = {.proto = cmd->proto, .family = cmd->family};
	size_t len = cmd->family == 6 ? 16 : 4;
	static const uint8_t any[16];
	int ret = find_master(cmd, &x.master);

	if (ret)
		return ct_failed_errno(cmd->c, cmd->command, -ret);
	tuple_of(cmd, &x.orig);
	memcpy(key.daddr, cmd->tuple_dst.addr, len);
	if (memcmp(cmd->src.mask, any, len))
		memcpy(key.saddr, cmd->tuple_src.addr, len);
	key.dport = htons(cmd->l4[CT_L4_TUPLE_DPORT]);
	if (cmd->l4[CT_L4_MASK_SPORT])
		key.sport = htons(cmd->l4[CT_L4_TUPLE_SPORT]);
	if (!key.dport || (key.sport && !memcmp(key.saddr, any, len)))
		return ct_failed_errno(cmd->c, cmd->command, EINVAL);
	x.nat = key;
	return ask(cmd, "expect_create", &key, &x);
}

static int stats(struct ct_cmd *cmd)
{
	const struct ct_expect_state *st = cmd->pins->expect;
	int cpus = libbpf_num_possible_cpus(), cpu;

	fprintf(cmd->c->out,
		cmd->c->json
			? "{\"expect_new\":%llu,\"expect_create\":%llu,\"expect_delete\":%llu}\n"
			: "cpu=0   \texpect_new=%llu expect_create=%llu expect_delete=%llu \n",
		(unsigned long long)st->n[CT_X_COUNT_USED], (unsigned long long)st->created,
		(unsigned long long)st->deleted);
	/* Counted for all together: they stand at the first. */
	for (cpu = 1; cpu < cpus && !cmd->c->json; cpu++)
		fprintf(cmd->c->out, "cpu=%-4d\texpect_new=0 expect_create=0 expect_delete=0 \n",
			cpu);
	return CTCTL_OK;
}

int ct_cmd_expect(struct ct_cmd *cmd)
{
	switch (cmd->command) {
	case CT_CMD_LIST:
	case CT_CMD_GET:
		return list(cmd);
	case CT_CMD_COUNT:
		return count(cmd);
	case CT_CMD_DELETE:
		return delete (cmd);
	case CT_CMD_FLUSH:
		return flush(cmd);
	case CT_CMD_CREATE:
		return create(cmd);
	case CT_CMD_STATS:
		return stats(cmd);
	case CT_CMD_EVENT:
		return ct_cmd_event(cmd);
	default:
		return ct_failed_errno(cmd->c, cmd->command, ENOENT);
	}
}

void ct_expect_print_event(struct ct_cmd *cmd, const struct ct_expect_event *ev, unsigned long nth)
{
	struct expect_view v;

	expect_view_fill(&v, &ev->tuple, &ev->x, cmd->pins, ev->tick);
	print_one(cmd, &v, ev->type == CT_EVENT_NEW ? NFCT_T_NEW : NFCT_T_DESTROY, nth);
	fflush(cmd->c->out);
}

/* `ctctl expect VERB [OPTIONS]`: conntrack(8)'s table under our own words. */
static int verb(struct ctctl *c, int argc, char **argv, const char *option)
{
	char *args[64] = {(char *)c->prog, (char *)option, "expect"};
	int n = 3, i;

	if (argc > 60)
		return ctctl_usage(c, "too many options");
	for (i = 1; i < argc; i++)
		args[n++] = argv[i];
	args[n] = NULL;
	return ct_main(c, n, args);
}

int ctctl_expect_list(struct ctctl *c, int argc, char **argv)
{
	return verb(c, argc, argv, "-L");
}

int ctctl_expect_count(struct ctctl *c, int argc, char **argv)
{
	return verb(c, argc, argv, "-C");
}

int ctctl_expect_delete(struct ctctl *c, int argc, char **argv)
{
	return verb(c, argc, argv, "-D");
}

int ctctl_expect_flush(struct ctctl *c, int argc, char **argv)
{
	return verb(c, argc, argv, "-F");
}

/* In force until the instance is unloaded. */
int ctctl_expect_limit(struct ctctl *c, int argc, char **argv)
{
	unsigned long all, one = 0;
	struct bpfct_pins p;
	int ret;

	if (argc < 2 || argc > 3 || !ctctl_number(argv[1], CT_EXPECT_MAX, &all) ||
	    (argc == 3 && !ctctl_number(argv[2], CT_EXPECT_MAX, &one)))
		return ctctl_usage(c, "expect limit takes one or two numbers up to %d",
				   CT_EXPECT_MAX);
	ret = ctctl_open(c, &p, true);
	if (ret)
		return ret;
	p.expect->limit = all;
	if (argc == 3)
		p.expect->master_limit = one;
	bpfct_pins_close(&p);
	return CTCTL_OK;
}

int ctctl_expect_events(struct ctctl *c, int argc, char **argv)
{
	return verb(c, argc, argv, "-E");
}
