// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* `ctctl zone`, `timeout`, `clock`: what lies in mapped arrays. */
#include <string.h>

#include "ctctl.h"

static const char *const timeout_names[] = {
#define X(field, secs) #field,
	CT_TIMEOUTS(X)
#undef X
};

static void print_zone(struct ctctl *c, int n, const struct ct_zone *z, bool *any)
{
	const char *text = "%-6d %10u %10u %10u %10u\n";
	const char *json = "{\"zone\":%d,\"used\":%u,\"limit\":%u,\"high\":%u,\"refused\":%u}";

	if (c->json)
		fputs(*any ? ",\n" : "", c->out);
	else if (!*any)
		fprintf(c->out, "%-6s %10s %10s %10s %10s\n", "ZONE", "USED", "LIMIT", "HIGH",
			"REFUSED");
	fprintf(c->out, c->json ? json : text, n, z->count, z->limit, z->high, z->refused);
	*any = true;
}

int ctctl_zone_show(struct ctctl *c, int argc, char **argv)
{
	unsigned long only = 0;
	struct bpfct_pins p;
	bool any = false;
	int ret;

	if (argc > 2 || (argc == 2 && !ctctl_number(argv[1], 65535, &only)))
		return ctctl_usage(c, "zone show takes a zone, 0 to 65535");
	ret = ctctl_open(c, &p, false);
	if (ret)
		return ret;
	fputs(c->json ? "[\n" : "", c->out);
	for (int i = 0; i < 65536; i++) {
		const struct ct_zone *z = &p.zone[i];

		if (argc == 2 ? i == (int)only : z->count || z->limit || z->high || z->refused)
			print_zone(c, i, z, &any);
	}
	fputs(c->json ? "\n]\n" : "", c->out);
	bpfct_pins_close(&p);
	return CTCTL_OK;
}

int ctctl_zone_limit(struct ctctl *c, int argc, char **argv)
{
	unsigned long zone, limit;
	struct bpfct_pins p;
	int ret;

	if (argc != 3 || !ctctl_number(argv[1], 65535, &zone) ||
	    !ctctl_number(argv[2], UINT32_MAX, &limit))
		return ctctl_usage(c, "zone limit takes a zone and a number");
	ret = ctctl_open(c, &p, true);
	if (ret)
		return ret;
	p.zone[zone].limit = limit;
	bpfct_pins_close(&p);
	return CTCTL_OK;
}

static int find_timeout(const char *name)
{
	for (int i = 0; i < CT_TIMEOUT_MAX; i++)
		if (!strcmp(name, timeout_names[i]))
			return i;
	return -1;
}

int ctctl_timeout_show(struct ctctl *c, int argc, char **argv)
{
	int only = argc > 1 ? find_timeout(argv[1]) : 0, ret;
	const char *sep = "{";
	struct bpfct_pins p;

	if (argc > 2 || only < 0)
		return ctctl_usage(c, "no time-out `%s'", argv[argc - 1]);
	ret = ctctl_open(c, &p, false);
	if (ret)
		return ret;
	for (int i = 0; i < CT_TIMEOUT_MAX; i++) {
		if (argc > 1 && i != only)
			continue;
		if (c->json)
			fprintf(c->out, "%s\"%s\":%u", sep, timeout_names[i],
				p.timeouts[0].secs[i]);
		else
			fprintf(c->out, "%-24s %u\n", timeout_names[i], p.timeouts[0].secs[i]);
		sep = ",";
	}
	fputs(c->json ? "}\n" : "", c->out);
	bpfct_pins_close(&p);
	return CTCTL_OK;
}

int ctctl_timeout_set(struct ctctl *c, int argc, char **argv)
{
	int which = argc > 1 ? find_timeout(argv[1]) : -1, ret;
	unsigned long secs;
	struct bpfct_pins p;

	if (argc != 3)
		return ctctl_usage(c, "timeout set takes a name and seconds");
	if (which < 0)
		return ctctl_usage(c, "no time-out `%s'", argv[1]);
	/* ticks are compared in 31 bits; the shortest wrap is at HZ 1000 */
	if (!ctctl_number(argv[2], INT32_MAX / 1000 * 32, &secs) || !secs)
		return ctctl_usage(c, "`%s' is no number of seconds", argv[2]);
	ret = ctctl_open(c, &p, true);
	if (ret)
		return ret;
	p.timeouts[0].secs[which] = secs;
	bpfct_pins_close(&p);
	return CTCTL_OK;
}

/* Tests only: time passes for this instance. */
int ctctl_clock(struct ctctl *c, int argc, char **argv)
{
	unsigned long secs;
	struct bpfct_pins p;
	int ret;

	if (argc != 3 || strcmp(argv[1], "--advance") || !ctctl_number(argv[2], INT32_MAX, &secs))
		return ctctl_usage(c, "clock takes --advance SECONDS");
	ret = ctctl_open(c, &p, true);
	if (ret)
		return ret;
	__sync_fetch_and_add(&p.settings->clock_offset, (int64_t)secs * p.settings->hz);
	bpfct_pins_close(&p);
	return CTCTL_OK;
}
