// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Which of the two faces: conntrack(8)'s options, or OBJECT VERB. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ct_cmd.h"
#include "ctctl.h"

static const struct ctctl_verb verbs[] = {
	{"flow", "list", ctctl_flow_list, "[FILTER]         the tracked connections"},
	{"flow", "count", ctctl_flow_count, "                how many there are"},
	{"flow", "flush", ctctl_flow_flush, "[FILTER]        delete them"},
	{"flow", "import", ctctl_flow_import,
	 "                enter those of nf_conntrack and the host's sockets"},
	{"flow", "export", ctctl_flow_export, "                enter them into nf_conntrack"},
	{"expect", "list", ctctl_expect_list, "[-f FAMILY]    what helpers wait for"},
	{"expect", "count", ctctl_expect_count, "              how many there are"},
	{"expect", "delete", ctctl_expect_delete,
	 "-p PROTO -s A -d B --sport N --dport N   the one that such a packet would use"},
	{"expect", "flush", ctctl_expect_flush, "              delete all"},
	{"expect", "limit", ctctl_expect_limit, "N [M]         at most N, and M of one master"},
	{"expect", "events", ctctl_expect_events, "             as they come and go"},
	{"zone", "show", ctctl_zone_show, "[ZONE]           connections and limit of each zone"},
	{"zone", "limit", ctctl_zone_limit, "ZONE N          at most N connections; 0: no limit"},
	{"fw", "check", ctctl_fw_check, "FILE              is this rule file right?"},
	{"fw", "load", ctctl_fw_load, "[--confirm SECONDS] [--force] FILE   put it in force"},
	{"fw", "confirm", ctctl_fw_confirm, "                keep what was loaded with --confirm"},
	{"fw", "unload", ctctl_fw_unload, "[--export]       take everything out: all is open"},
	{"fw", "show", ctctl_fw_show, "                   the rules in force"},
	{"fw", "explain", ctctl_fw_explain,
	 "in on IF proto P from A [port N] to B [port N] [flags F|icmp-type T]\n"
	 "                                what would become of such a packet; sends nothing"},
	{"fw", "table", ctctl_fw_table,
	 "show|flush|add|del [NAME [ADDRESS...]]\n"
	 "                                the tables of the rules, and what is in them"},
	{"alg", NULL, ctctl_alg,
	 "                       helpers: packets, and why nothing was granted"},
	{"frag", NULL, ctctl_frag,
	 "                      fragments held: use and limits, counters"},
	{"nat", "whois", ctctl_nat_whois, "ADDRESS PORT      who has this external port"},
	{"nat", "blocks", ctctl_nat_blocks, "[ADDRESS]        deterministic blocks (RFC 7422)"},
	{"nat", "bindings", ctctl_nat_bindings, "               endpoint-independent mappings"},
	{"nat", NULL, ctctl_nat,
	 "                       the pools: ports leased, used, held, refused"},
	{"stats", NULL, ctctl_stats, "                     use and limits, counters, drop reasons"},
	{"check", NULL, ctctl_check, "                     verify the tables (I1, I2, I4)"},
	{"events", NULL, ctctl_events, "[FILTER]            connections as they come and go"},
	{"timeout", "show", ctctl_timeout_show, "[NAME]        seconds of each time-out"},
	{"timeout", "set", ctctl_timeout_set, "NAME SECONDS   change one at once"},
	{"clock", NULL, ctctl_clock, NULL},
	{NULL, NULL, NULL, NULL},
};

static void print_help(struct ctctl *c)
{
	fprintf(c->out,
		"usage: ctctl [--instance NAME] [-j] OBJECT VERB ...\n"
		"       ctctl [--instance NAME] [-j] -L|-G|-D|-I|-A|-U|-E|-F|-C|-S ...\n\n");
	for (const struct ctctl_verb *v = verbs; v->object; v++)
		if (v->help)
			fprintf(c->out, "  %s%s%s %s\n", v->object, v->verb ? " " : "",
				v->verb ? v->verb : "", v->help);
	fprintf(c->out,
		"\nFILTER and the second form are conntrack(8)'s: see `ctctl -h' and "
		"ctctl(8).\n-j, --json: JSON instead of text. Exit status: 0 done, 1 failed, "
		"2 wrong usage.\n");
}

int ctctl_usage(struct ctctl *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(c->err, "ctctl: ");
	vfprintf(c->err, fmt, ap);
	fprintf(c->err, "; see `ctctl help'\n");
	va_end(ap);
	return CTCTL_USAGE;
}

int ctctl_fail(struct ctctl *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(c->err, "ctctl: ");
	vfprintf(c->err, fmt, ap);
	fprintf(c->err, "\n");
	va_end(ap);
	return CTCTL_FAILED;
}

int ctctl_open(struct ctctl *c, struct bpfct_pins *p, bool writable)
{
	char err[256] = "";
	int ret = bpfct_pins_open(p, c->instance, writable, err, sizeof(err));

	if (!ret)
		return CTCTL_OK;
	if (ret == -ENOENT)
		return ctctl_fail(c, "%s (is ctd running?)", *err ? err : "no such instance");
	return ctctl_fail(c, "%s", *err ? err : strerror(-ret));
}

bool ctctl_number(const char *s, unsigned long max, unsigned long *n)
{
	unsigned long val;
	char *end;

	if (*s < '0' || *s > '9') /* strtoul takes blanks and signs */
		return false;
	errno = 0;
	val = strtoul(s, &end, 0);
	if (errno || *end || val > max)
		return false;
	*n = val;
	return true;
}

struct ct_view_clock ctctl_clock_now(struct bpfct_pins *p)
{
	struct ct_view_clock clock = {.hz = p->settings->hz, .now_tick = bpfct_now(p)};
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	clock.now_ns = now.tv_sec * 1000000000ULL + now.tv_nsec;
	if (!clock.hz)
		clock.hz = 250;
	return clock;
}

/* Takes --instance NAME, --json and (but under the name conntrack) -j out of
 * argv wherever they stand before `--`. New argc, or -1 for a missing NAME. */
static int take_globals(struct ctctl *c, int argc, char **argv)
{
	int n = 1;

	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];

		if (!strcmp(a, "--instance")) {
			if (++i == argc)
				return -1;
			c->instance = argv[i];
		} else if (!strncmp(a, "--instance=", 11)) {
			c->instance = a + 11;
		} else if (!strcmp(a, "--json") || (!c->conntrack && !strcmp(a, "-j"))) {
			c->json = true;
		} else {
			argv[n++] = argv[i];
		}
	}
	argv[n] = NULL;
	return n;
}

static int run_object(struct ctctl *c, int argc, char **argv)
{
	bool known = false;

	for (const struct ctctl_verb *v = verbs; v->object; v++) {
		if (strcmp(v->object, argv[1]))
			continue;
		if (!v->verb)
			return v->run(c, argc - 1, argv + 1);
		known = true;
		if (argc > 2 && !strcmp(v->verb, argv[2]))
			return v->run(c, argc - 2, argv + 2);
	}
	if (!known)
		return ctctl_usage(c, "no object `%s'", argv[1]);
	if (argc > 2)
		return ctctl_usage(c, "`%s' has no verb `%s'", argv[1], argv[2]);
	return ctctl_usage(c, "`%s' needs a verb", argv[1]);
}

/* What did not reach the reader is a failure (disk full, closed pipe). */
static int flush(struct ctctl *c, int ret)
{
	if ((fflush(c->out) || ferror(c->out)) && ret == CTCTL_OK)
		return ctctl_fail(c, "cannot write: %s", strerror(errno));
	return ret;
}

int ctctl_main(struct ctctl *c, int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/');

	c->prog = argv[0];
	c->conntrack = !strcmp(name ? name + 1 : argv[0], "conntrack");
	if (!c->instance)
		c->instance = "default";
	argc = take_globals(c, argc, argv);
	if (argc < 0)
		return ctctl_usage(c, "--instance needs a name");
	if (c->conntrack || (argc > 1 && argv[1][0] == '-'))
		return flush(c, ct_main(c, argc, argv));
	if (argc < 2 || !strcmp(argv[1], "help")) {
		print_help(c);
		return flush(c, CTCTL_OK);
	}
	return flush(c, run_object(c, argc, argv));
}
