// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The language against golden files: good/NAME.conf gives NAME.out (canonical
 * form, compiled rules, warnings), bad/NAME.conf gives NAME.out (the errors).
 * FW_GOLDEN_UPDATE=1 writes the .out files: read the diff before a commit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <cmocka.h>
#include <glob.h>
#include <libgen.h>
#include <limits.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "consumers/firewall/fw_conf.h"

#define GOLDEN_MAX 200

static struct fw_ifs golden_ifs;

static void add_addr(struct fw_if *iface, const char *text, unsigned int plen)
{
	struct fw_ifaddr a = {.family = strchr(text, ':') ? 6 : 4, .prefixlen = plen};

	assert_int_equal(inet_pton(a.family == 4 ? AF_INET : AF_INET6, text, a.addr), 1);
	if (!strncmp(text, "fe80", 4))
		a.scope = RT_SCOPE_LINK;
	assert_int_equal(fw_if_add_addr(iface, &a), 0);
}

/* The machine that the golden files are compiled for. */
static int make_ifs(void **state)
{
	struct fw_if *i;

	(void)state;
	i = fw_ifs_add(&golden_ifs, "lo", 1);
	i->loopback = true;
	add_addr(i, "127.0.0.1", 8);
	i = fw_ifs_add(&golden_ifs, "eth0", 2);
	add_addr(i, "203.0.113.5", 24);
	add_addr(i, "2001:db8:1::5", 64);
	add_addr(i, "fe80::5", 64);
	i = fw_ifs_add(&golden_ifs, "eth1", 3);
	add_addr(i, "192.168.1.1", 24);
	add_addr(i, "fd00:1::1", 64);
	add_addr(i, "fe80::1", 64);
	i = fw_ifs_add(&golden_ifs, "eth2", 4);
	add_addr(i, "192.168.2.1", 24);
	add_addr(i, "192.168.2.77", 24); /* the same network */
	fw_ifs_add(&golden_ifs, "wg0", 5);
	i = fw_ifs_add(&golden_ifs, "eth0.100", 6);
	add_addr(i, "10.100.0.1", 16);
	return 0;
}

static int free_ifs(void **state)
{
	(void)state;
	fw_ifs_free(&golden_ifs);
	return 0;
}

static void dump_net(FILE *out, const char *word, bool negate, bool table, const __be32 *addr,
		     const __be32 *mask, int family)
{
	char a[INET6_ADDRSTRLEN];
	int plen = 0;

	if (table) {
		fprintf(out, " %s %s<%08x>", word, negate ? "! " : "", addr[0]);
		return;
	}

	for (int i = 0; i < 4; i++)
		plen += __builtin_popcount(mask[i]);
	inet_ntop(family == 6 ? AF_INET6 : AF_INET, addr, a, sizeof(a));
	fprintf(out, " %s %s%s/%d", word, negate ? "! " : "", a, plen);
}

static void dump_match(FILE *out, const struct fw_match *m)
{
	if (m->in_ifindex)
		fprintf(out, " in-if %s%u", m->flags & FW_M_IN_NOT ? "! " : "", m->in_ifindex);
	if (m->out_ifindex)
		fprintf(out, " out-if %u", m->out_ifindex);
	if (m->family)
		fprintf(out, " family %u", m->family);
	if (m->flags & FW_M_PROTO)
		fprintf(out, " proto %u", m->proto);
	if (m->flags & FW_M_SRC)
		dump_net(out, "from", m->flags & FW_M_SRC_NOT, m->flags & FW_M_SRC_TABLE, m->saddr,
			 m->smask, m->family);
	if (m->flags & FW_M_SPORT)
		fprintf(out, " sport %u-%u", m->sport_min, m->sport_max);
	if (m->flags & FW_M_DST)
		dump_net(out, "to", m->flags & FW_M_DST_NOT, m->flags & FW_M_DST_TABLE, m->daddr,
			 m->dmask, m->family);
	if (m->flags & FW_M_TO_SELF)
		fputs(" to self", out);
	if (m->flags & FW_M_TO_NOT_SELF)
		fputs(" to ! self", out);
	if (m->flags & FW_M_DPORT)
		fprintf(out, " dport %u-%u", m->dport_min, m->dport_max);
	if (m->flags & FW_M_ICMP_TYPE)
		fprintf(out, " type %u", m->icmp_type);
	if (m->flags & FW_M_ICMP_CODE)
		fprintf(out, " code %u", m->icmp_code);
}

static void dump_addrs(FILE *out, const __be32 *first, const __be32 *last, int family)
{
	char a[INET6_ADDRSTRLEN], b[INET6_ADDRSTRLEN];

	inet_ntop(family == 6 ? AF_INET6 : AF_INET, first, a, sizeof(a));
	inet_ntop(family == 6 ? AF_INET6 : AF_INET, last, b, sizeof(b));
	fprintf(out, strcmp(a, b) ? " %s-%s" : " %s", a, b);
}

static void dump_nat(FILE *out, const struct fw_nat_rule *n)
{
	static const char *const flags[] = {"eim",    "eif",	 "adf",	   "hairpin",	 "parity",
					    "paired", "random",	 "hash",   "persistent", "static",
					    "self",   "no-icmp", "inside", "none"};

	fprintf(out, "%u %s", n->number, n->kind == FW_NAT_SRC ? "src" : "dst");
	dump_match(out, &n->match);
	fputs(" ->", out);
	if (n->to_ifindex)
		fprintf(out, " (%u)", n->to_ifindex);
	dump_addrs(out, n->to_min, n->to_max, n->match.family);
	fprintf(out, " ports %u-%u", n->port_min, n->port_max);
	for (unsigned int i = 0; i < sizeof(flags) / sizeof(*flags); i++)
		if (n->flags & 1u << i)
			fprintf(out, " %s", flags[i]);
	if (n->plen)
		fprintf(out, " /%u", n->plen);
	if (n->block)
		fprintf(out, " block %u", n->block);
	if (n->max_ports | n->max_states | n->max_rate)
		fprintf(out, " limits %u %u %u", n->max_ports, n->max_states, n->max_rate);
	if (n->pool != FW_NO_POOL)
		fprintf(out, " pool %u, %u from %u of %u", n->pool, n->addrs, n->addr_from,
			n->addrs_all);
	fputc('\n', out);
}

static void dump_pool(FILE *out, unsigned int i, const struct fw_pool *p)
{
	fprintf(out, "pool %u: line %u, IPv%u, %u addresses:", i, p->line, p->family, p->addrs);
	for (unsigned int s = 0; s < p->spans; s++)
		dump_addrs(out, p->span[s].first, p->span[s].last, p->family);
	fprintf(out, " ports %u-%u", p->port_min, p->port_max);
	if (p->block) {
		fprintf(out, " block %u of", p->block);
		dump_addrs(out, p->inside, p->inside, p->family);
		fprintf(out, "/%u", p->inside_plen);
	}
	fputc('\n', out);
}

static void dump_table(FILE *out, const struct fw_table *t)
{
	char a[INET6_ADDRSTRLEN];

	fprintf(out, "table %s %08x%s:", t->name, t->number, t->persist ? " persist" : "");
	for (unsigned int i = 0; i < t->nets; i++) {
		inet_ntop(t->net[i].family == 6 ? AF_INET6 : AF_INET, t->net[i].addr, a, sizeof(a));
		fprintf(out, " %s/%u", a, t->net[i].plen);
	}
	fputc('\n', out);
}

static void dump_rules(FILE *out, const struct fw_rules *r)
{
	fprintf(out, "-- default %s, %u rules, %u nat rules, inside",
		r->default_pass ? "pass" : "deny", r->n_rules, r->n_nats);
	for (unsigned int i = 0; i < r->n_inside; i++)
		fprintf(out, " %u", r->inside[i]);
	if (r->antispoof != FW_SPOOF_STRICT || r->mss_clamp)
		fprintf(out, ", antispoof %u mss %d", r->antispoof, r->mss_clamp);
	for (unsigned int i = 0; i < r->n_skip; i++)
		fprintf(out, "%s %u", i ? "" : ", skip", r->skip[i]);
	for (unsigned int i = 0; i < r->n_zones; i++)
		fprintf(out, "%s %u is %u", i ? "," : ", zone of", r->zone[i].ifindex,
			r->zone[i].zone);
	fputc('\n', out);
	for (unsigned int i = 0; i < r->n_tables; i++)
		dump_table(out, &r->table[i]);
	for (unsigned int i = 0; i < r->n_rules; i++) {
		fprintf(out, "%u %s %s", r->rule[i].number,
			r->rule[i].action == FW_PASS	 ? "pass"
			: r->rule[i].action == FW_RETURN ? "return"
							 : "block",
			r->rule[i].dir == FW_IN ? "in" : "out");
		dump_match(out, &r->rule[i].match);
		if (r->rule[i].limit)
			fprintf(out, " limit %u/%us", r->rule[i].limit, r->rule[i].limit_secs);
		if (r->rule[i].overload)
			fprintf(out, " overload <%08x>", r->rule[i].overload);
		fputc('\n', out);
	}
	for (unsigned int i = 0; i < r->n_nats; i++)
		dump_nat(out, &r->nat[i]);
	for (unsigned int i = 0; i < r->n_pools; i++)
		dump_pool(out, i, &r->pool[i]);
	for (unsigned int i = 0; i < r->n_algs; i++) {
		const struct fw_alg_key *k = &r->alg[i].key;

		fprintf(out, "%u helper %u on %u proto %u port %u\n", r->alg[i].alg.number,
			r->alg[i].alg.helper, k->ifindex, k->proto, ntohs(k->port));
	}
}

/* Settings that the canonical text does not show through the conf's own print. */
static void dump_settings(FILE *out, const struct fw_settings *s)
{
	fprintf(out, "-- loose %d liberal %d ignore-rst %d retrans %u checksum %d fragments %d",
		s->tcp_loose, s->tcp_be_liberal, s->tcp_ignore_invalid_rst, s->tcp_max_retrans,
		s->checksum, s->fragments[0]);
	for (unsigned int i = 0; i < FW_LIMIT_MAX; i++)
		if (s->limit[i])
			fprintf(out, " %s %u", fw_limit_text(i), s->limit[i]);
	if (s->nat_reserveds || s->nat_hold_down != 120 || s->nat_pools != 1024)
		fprintf(out, " hold-down %u pools %u reserved", s->nat_hold_down, s->nat_pools);
	for (unsigned int i = 0; i < s->nat_reserveds; i++)
		fprintf(out, " %u-%u", s->nat_reserved[i].min, s->nat_reserved[i].max);
	fprintf(out, " udp %u%s established %u%s\n", s->timeout[CT_TIMEOUT_udp],
		s->timeout_set[CT_TIMEOUT_udp] ? "*" : "", s->timeout[CT_TIMEOUT_tcp_established],
		s->timeout_set[CT_TIMEOUT_tcp_established] ? "*" : "");
}

static char *read_all(const char *path, size_t *len)
{
	FILE *f = fopen(path, "re");
	char *text;

	*len = 0;
	if (!f)
		return NULL;
	text = calloc(1, 1 << 20);
	*len = fread(text, 1, (1 << 20) - 1, f);
	fclose(f);
	return text;
}

static void compare(const char *conf_path, const char *got, size_t got_len)
{
	char path[PATH_MAX];
	size_t len;
	char *want;

	snprintf(path, sizeof(path), "%.*s.out", (int)strlen(conf_path) - 5, conf_path);
	if (getenv("FW_GOLDEN_UPDATE")) {
		FILE *f = fopen(path, "we");

		assert_non_null(f);
		fwrite(got, 1, got_len, f);
		fclose(f);
		return;
	}
	want = read_all(path, &len);
	if (!want)
		fail_msg("%s is missing", path);
	if (strcmp(want, got))
		print_message("%s: got\n%s\nexpected\n%s\n", path, got, want);
	assert_string_equal(want, got);
	free(want);
}

/* Errors name the file by its last part, so that the tree may be anywhere. */
static int parse_file(const char *path, struct fw_conf **conf, FILE *err)
{
	char copy[PATH_MAX];
	size_t len;
	char *text = read_all(path, &len);
	int ret;

	assert_non_null(text);
	snprintf(copy, sizeof(copy), "%s", path);
	ret = fw_conf_parse_text(basename(copy), text, len, conf, err);
	free(text);
	return ret;
}

static void print_again(const struct fw_conf *conf, FILE *out)
{
	struct fw_conf *again = NULL;
	char *first = NULL, *second = NULL;
	size_t len;
	FILE *f = open_memstream(&first, &len);

	fw_conf_print(conf, f);
	fclose(f);
	assert_int_equal(fw_conf_parse_text("again", first, strlen(first), &again, stderr), 0);
	f = open_memstream(&second, &len);
	fw_conf_print(again, f);
	fclose(f);
	assert_string_equal(first, second);
	fputs(first, out);
	fw_conf_free(again);
	free(first);
	free(second);
}

static void good_file(void **state)
{
	struct fw_rules rules = {0};
	struct fw_conf *conf;
	char *got = NULL;
	size_t len;
	FILE *out = open_memstream(&got, &len);

	assert_int_equal(parse_file(*state, &conf, stderr), 0);
	print_again(conf, out);
	dump_settings(out, fw_conf_settings(conf));
	assert_int_equal(fw_conf_compile(conf, &golden_ifs, &rules, out), 0);
	dump_rules(out, &rules);
	fclose(out);
	compare(*state, got, len);
	fw_rules_free(&rules);
	fw_conf_free(conf);
	free(got);
}

static void bad_file(void **state)
{
	struct fw_rules rules = {0};
	struct fw_conf *conf = NULL;
	char *got = NULL;
	size_t len;
	FILE *out = open_memstream(&got, &len);
	int ret = parse_file(*state, &conf, out);

	if (!ret) {
		ret = fw_conf_compile(conf, &golden_ifs, &rules, out);
		fw_conf_free(conf);
		assert_null(rules.rule);
	} else {
		assert_null(conf);
	}
	fclose(out);
	assert_true(ret < 0);
	assert_true(len > 0);
	compare(*state, got, len);
	free(got);
}

/* tests/unit/fw beside this source, wherever the test is started. */
static void golden_dir(char *dir, size_t len)
{
	char file[PATH_MAX];

	snprintf(file, sizeof(file), "%s", __FILE__);
	snprintf(dir, len, "%s/fw", dirname(file));
}

static unsigned int collect(struct CMUnitTest *tests, unsigned int n, const char *kind,
			    CMUnitTestFunction run)
{
	char dir[PATH_MAX], pattern[PATH_MAX + 32];
	glob_t found;

	golden_dir(dir, sizeof(dir));
	snprintf(pattern, sizeof(pattern), "%s/%s/*.conf", dir, kind);
	if (glob(pattern, 0, NULL, &found))
		return n;
	for (size_t i = 0; i < found.gl_pathc && n < GOLDEN_MAX; i++) {
		char *path = strdup(found.gl_pathv[i]), *name;

		if (asprintf(&name, "%s_%.*s", kind, (int)strlen(strrchr(path, '/') + 1) - 5,
			     strrchr(path, '/') + 1) < 0)
			abort();
		tests[n++] =
			(struct CMUnitTest){.name = name, .test_func = run, .initial_state = path};
	}
	globfree(&found);
	return n;
}

int main(void)
{
	static struct CMUnitTest tests[GOLDEN_MAX];
	unsigned int good = collect(tests, 0, "good", good_file);
	unsigned int all = collect(tests, good, "bad", bad_file);

	if (good < 30 || all - good < 30) {
		printf("FAIL golden_files_are_found: %u good and %u bad of 30 each\n", good,
		       all - good);
		return 1;
	}
	return _cmocka_run_group_tests("fw_golden", tests, all, make_ifs, free_ifs) ? 1 : 0;
}
