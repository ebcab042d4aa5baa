// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>

#include "firewall.h"
#include "rules.h"

#define KEY_BITS 64 /* before the address */
/* So many addresses fit into an answer, CONTROL_ANSWER_MAX. */
#define SHOW_MAX  12000
#define ADDR_TEXT (INET6_ADDRSTRLEN + 4)

static uint32_t boot_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec;
}

static void key_of(struct fw_table_key *k, uint32_t table, const struct fw_table_net *n)
{
	memset(k, 0, sizeof(*k));
	k->plen = KEY_BITS + n->plen;
	k->table = table;
	k->family = n->family;
	memcpy(k->addr, n->addr, sizeof(k->addr));
}

/* The entry of exactly this network. */
static bool find_entry(int fd, const struct fw_table_key *k, struct fw_table_entry *e)
{
	return !bpf_map_lookup_elem(fd, k, e) && e->plen == k->plen;
}

/* 1: it is new there, 0: it was, or -errno. */
static int put_entry(int fd, const struct fw_table_key *k, uint32_t who)
{
	struct fw_table_entry e = {0};
	bool had = find_entry(fd, k, &e);

	if (!had)
		e = (struct fw_table_entry){.since = boot_seconds(), .plen = k->plen};
	if (had && (e.flags & who))
		return 0;
	e.flags |= who;
	if (bpf_map_update_elem(fd, k, &e, BPF_ANY))
		return -errno;
	return !had;
}

/* Takes `who` back from an entry; without anybody left it goes. */
static void drop_entry(int fd, const struct fw_table_key *k, struct fw_table_entry *e, uint32_t who)
{
	e->flags &= ~who;
	if (e->flags)
		bpf_map_update_elem(fd, k, e, BPF_ANY);
	else
		bpf_map_delete_elem(fd, k);
}

/* Calls a function for each entry. It may delete that: the next key is taken first.
 * 0 or -errno. */
static int each_entry(int fd,
		      void (*run)(int fd, const struct fw_table_key *k, struct fw_table_entry *e,
				  void *arg),
		      void *arg)
{
	struct fw_table_key key, next;
	struct fw_table_entry e;
	unsigned int left = FW_TABLE_ENTRIES + 1;
	int ret = bpf_map_get_next_key(fd, NULL, &next);

	/* Bounded: a key that rules delete and enter meanwhile restarts the walk. */
	while (!ret && left--) {
		key = next;
		ret = bpf_map_get_next_key(fd, &key, &next);
		if (find_entry(fd, &key, &e))
			run(fd, &key, &e, arg);
	}
	return 0;
}

int tables_fill(struct ctd *d, const struct fw_rules *rules, FILE *err)
{
	int fd = firewall_fds(d)->table, ret = 0;

	for (unsigned int t = 0; t < rules->n_tables && ret >= 0; t++) {
		const struct fw_table *table = &rules->table[t];
		struct fw_table_key k;

		for (unsigned int i = 0; i < table->nets && ret >= 0; i++) {
			key_of(&k, table->number, &table->net[i]);
			ret = put_entry(fd, &k, FW_TE_FILE);
		}
		if (ret < 0 && err)
			fprintf(err, "table %s: cannot enter its addresses: %s\n", table->name,
				strerror(-ret));
	}
	return ret < 0 ? ret : 0;
}

static const struct fw_table *by_number(const struct fw_rules *rules, uint32_t number)
{
	for (unsigned int i = 0; i < rules->n_tables; i++)
		if (rules->table[i].number == number)
			return &rules->table[i];
	return NULL;
}

static bool names(const struct fw_table *t, const struct fw_table_key *k)
{
	for (unsigned int i = 0; i < t->nets; i++)
		if (t->net[i].family == k->family && t->net[i].plen == k->plen - KEY_BITS &&
		    !memcmp(t->net[i].addr, k->addr, sizeof(k->addr)))
			return true;
	return false;
}

struct prune {
	const struct fw_rules *rules;
	bool trial;
	uint32_t overloaded;
};

static void prune_one(int fd, const struct fw_table_key *k, struct fw_table_entry *e, void *arg)
{
	struct prune *p = arg;
	const struct fw_table *t = by_number(p->rules, k->table);
	uint32_t gone = 0;

	if (!p->trial && (!t || !t->persist))
		gone = FW_TE_HAND | FW_TE_OVERLOAD;
	if (!t || !names(t, k))
		gone |= FW_TE_FILE;
	if (e->flags & gone)
		drop_entry(fd, k, e, gone);
	p->overloaded += !!(e->flags & ~gone & FW_TE_OVERLOAD);
}

/* What rules enter meanwhile is counted twice or not at all, until the next time. */
static void count_again(struct ctd *d, uint32_t n)
{
	struct fw_over over = {0};
	__u32 zero = 0;

	bpf_map_lookup_elem(firewall_fds(d)->over, &zero, &over);
	over.entries = n;
	bpf_map_update_elem(firewall_fds(d)->over, &zero, &over, BPF_ANY);
}

void tables_prune(struct ctd *d, const struct fw_rules *rules, bool trial)
{
	struct prune p = {.rules = rules, .trial = trial};

	each_entry(firewall_fds(d)->table, prune_one, &p);
	count_again(d, p.overloaded);
}

/* The table that a request names; NULL with req->error set. */
static const struct fw_table *asked(struct ctd *d, struct control_request *req)
{
	const struct fw_rules *rules = rules_compiled(d);
	struct json_object *name;
	const char *text;

	if (!json_object_object_get_ex(req->in, "name", &name) ||
	    !json_object_is_type(name, json_type_string)) {
		snprintf(req->error, sizeof(req->error), "name: must be a table's name");
		return NULL;
	}
	text = json_object_get_string(name);
	for (unsigned int i = 0; i < rules->n_tables; i++)
		if (!strcmp(rules->table[i].name, text))
			return &rules->table[i];
	snprintf(req->error, sizeof(req->error), "no table <%.40s> in the rules", text);
	return NULL;
}

/* Text of an address or network. The host's bits must be zero. */
static bool parse_net(const char *text, struct fw_table_net *n)
{
	char addr[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	unsigned int full, plen;
	char *end;

	memset(n, 0, sizeof(*n));
	if (len >= sizeof(addr))
		return false;
	memcpy(addr, text, len);
	addr[len] = 0;
	n->family = strchr(addr, ':') ? 6 : 4;
	full = n->family == 4 ? 32 : 128;
	if (inet_pton(n->family == 4 ? AF_INET : AF_INET6, addr, n->addr) != 1)
		return false;
	plen = full;
	if (slash) {
		plen = strtoul(slash + 1, &end, 10);
		if (slash[1] < '0' || slash[1] > '9' || *end || plen > full)
			return false;
	}
	n->plen = plen;
	for (unsigned int bit = plen; bit < full; bit++)
		if (ntohl(n->addr[bit / 32]) & 1u << (31 - bit % 32))
			return false;
	return true;
}

/* All the addresses of a request, or -EINVAL: nothing is done by halves. */
static int parse_addrs(struct control_request *req, struct fw_table_net **out, unsigned int *n)
{
	struct json_object *list;
	const char *text;

	if (!json_object_object_get_ex(req->in, "addrs", &list) ||
	    !json_object_is_type(list, json_type_array) || !json_object_array_length(list)) {
		snprintf(req->error, sizeof(req->error), "addrs: must be a list of addresses");
		return -EINVAL;
	}
	*n = json_object_array_length(list);
	*out = calloc(*n, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	for (unsigned int i = 0; i < *n; i++) {
		text = json_object_get_string(json_object_array_get_idx(list, i));
		if (text && parse_net(text, &(*out)[i]))
			continue;
		snprintf(
			req->error, sizeof(req->error),
			"'%.60s' is not an address or network, expected 192.0.2.1 or 2001:db8::/32",
			text ? text : "null");
		free(*out);
		return -EINVAL;
	}
	return 0;
}

static void answer_count(struct control_request *req, const char *what, unsigned int n)
{
	char text[80];

	json_object_object_add(req->out, what, json_object_new_int64(n));
	snprintf(text, sizeof(text), "%u %s\n", n, what);
	json_object_object_add(req->out, "text", json_object_new_string(text));
}

int tables_op_add(struct ctd *d, struct control_request *req)
{
	const struct fw_table *table = asked(d, req);
	int fd = firewall_fds(d)->table, ret;
	struct fw_table_net *net;
	unsigned int n, added = 0;
	struct fw_table_key k;

	if (!table)
		return -ENOENT;
	ret = parse_addrs(req, &net, &n);
	if (ret)
		return ret;
	for (unsigned int i = 0; i < n && ret >= 0; i++) {
		key_of(&k, table->number, &net[i]);
		ret = put_entry(fd, &k, FW_TE_HAND);
		added += ret > 0;
	}
	free(net);
	if (ret < 0) {
		snprintf(req->error, sizeof(req->error), "added %u of %u: %s", added, n,
			 ret == -ENOSPC ? "the tables are full" : strerror(-ret));
		return ret;
	}
	answer_count(req, "added", added);
	return 0;
}

int tables_op_del(struct ctd *d, struct control_request *req)
{
	const struct fw_table *table = asked(d, req);
	int fd = firewall_fds(d)->table, ret;
	struct fw_table_net *net;
	unsigned int n, deleted = 0;
	struct fw_table_entry e;
	struct fw_table_key k;

	if (!table)
		return -ENOENT;
	ret = parse_addrs(req, &net, &n);
	if (ret)
		return ret;
	for (unsigned int i = 0; i < n; i++) {
		key_of(&k, table->number, &net[i]);
		if (find_entry(fd, &k, &e) && !bpf_map_delete_elem(fd, &k))
			deleted++;
	}
	free(net);
	answer_count(req, "deleted", deleted);
	return 0;
}

struct flush {
	uint32_t table;
	unsigned int deleted;
};

static void flush_one(int fd, const struct fw_table_key *k, struct fw_table_entry *e, void *arg)
{
	struct flush *f = arg;

	if (k->table != f->table || e->flags == FW_TE_FILE)
		return;
	drop_entry(fd, k, e, FW_TE_HAND | FW_TE_OVERLOAD);
	f->deleted += !e->flags;
}

int tables_op_flush(struct ctd *d, struct control_request *req)
{
	const struct fw_table *table = asked(d, req);
	struct flush f = {0};

	if (!table)
		return -ENOENT;
	f.table = table->number;
	each_entry(firewall_fds(d)->table, flush_one, &f);
	tables_prune(d, rules_compiled(d), true); /* counts what is left */
	answer_count(req, "deleted", f.deleted);
	return 0;
}

struct show {
	uint32_t table;
	struct json_object *list;
	FILE *text;
	unsigned int n;
};

static void show_one(int fd, const struct fw_table_key *k, struct fw_table_entry *e, void *arg)
{
	struct show *s = arg;
	char addr[ADDR_TEXT];
	struct json_object *o;
	unsigned int plen = k->plen - KEY_BITS;
	const char *by = e->flags & FW_TE_FILE ? "file" : e->flags & FW_TE_HAND ? "hand" : "limit";

	(void)fd;
	if (k->table != s->table || s->n++ >= SHOW_MAX)
		return;
	inet_ntop(k->family == 4 ? AF_INET : AF_INET6, k->addr, addr, sizeof(addr));
	if (plen != (k->family == 4 ? 32u : 128u))
		snprintf(addr + strlen(addr), 5, "/%u", plen & 0xff);
	o = json_object_new_object();
	json_object_object_add(o, "address", json_object_new_string(addr));
	json_object_object_add(o, "by", json_object_new_string(by));
	json_object_object_add(o, "seconds", json_object_new_int64(boot_seconds() - e->since));
	json_object_array_add(s->list, o);
	fprintf(s->text, "%-44s %-6s %us\n", addr, by, boot_seconds() - e->since);
}

static void count_one(int fd, const struct fw_table_key *k, struct fw_table_entry *e, void *arg)
{
	struct show *s = arg;

	(void)fd;
	(void)e;
	s->n += k->table == s->table;
}

static void show_tables(struct ctd *d, struct show *s)
{
	const struct fw_rules *rules = rules_compiled(d);

	for (unsigned int i = 0; i < rules->n_tables; i++) {
		const struct fw_table *t = &rules->table[i];
		struct json_object *o = json_object_new_object();

		s->table = t->number;
		s->n = 0;
		each_entry(firewall_fds(d)->table, count_one, s);
		json_object_object_add(o, "name", json_object_new_string(t->name));
		json_object_object_add(o, "persist", json_object_new_boolean(t->persist));
		json_object_object_add(o, "addresses", json_object_new_int64(s->n));
		json_object_array_add(s->list, o);
		fprintf(s->text, "%-32s %u addresses%s\n", t->name, s->n,
			t->persist ? ", persist" : "");
	}
}

int tables_op_show(struct ctd *d, struct control_request *req)
{
	struct show s = {0};
	const struct fw_table *table = NULL;
	struct json_object *name;
	char *text = NULL;
	size_t len = 0;
	bool one = json_object_object_get_ex(req->in, "name", &name);

	if (one) {
		table = asked(d, req);
		if (!table)
			return -ENOENT;
		s.table = table->number;
	}
	s.text = open_memstream(&text, &len);
	if (!s.text)
		return -ENOMEM;
	s.list = json_object_new_array();
	if (one)
		each_entry(firewall_fds(d)->table, show_one, &s);
	else
		show_tables(d, &s);
	if (one && s.n > SHOW_MAX)
		fprintf(s.text, "and %u more\n", s.n - SHOW_MAX);
	fclose(s.text);
	json_object_object_add(req->out, one ? "addresses" : "tables", s.list);
	json_object_object_add(req->out, "text", json_object_new_string(text));
	free(text);
	return 0;
}
