// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "alg_io.h"
#include "attach.h"
#include "firewall.h"
#include "guard.h"
#include "nat.h"
#include "settings.h"
#include "tables.h"

#define POOLS_LEAST 64

struct rules {
	struct fw_conf *conf;
	uint32_t changes; /* of addresses, counted before they were read into ifs */
	struct fw_ifs ifs;
	struct fw_rules compiled;
	const char *name; /* of the file, for messages */
};

const struct fw_settings *rules_settings(const struct ctd *d)
{
	return fw_conf_settings(d->rules->conf);
}

const struct fw_rules *rules_compiled(const struct ctd *d)
{
	return &d->rules->compiled;
}

const struct fw_ifs *rules_ifs(const struct ctd *d)
{
	return &d->rules->ifs;
}

bool rules_skips(const struct ctd *d, const char *name)
{
	return fw_conf_skips(d->rules->conf, name);
}

/* Pools cost memory though nobody uses them (a word a port): as many as the rules
 * need, and as many again for the pools that a reload leaves behind. */
static uint32_t pools_for(const struct fw_settings *s, const struct fw_rules *compiled)
{
	uint32_t want = 2 * nat_pools_needed(compiled);

	if (want < POOLS_LEAST)
		want = POOLS_LEAST;
	return want < s->nat_pools ? want : s->nat_pools;
}

void rules_limits(const struct fw_settings *s, const struct fw_rules *compiled,
		  struct bpfct_limits *out)
{
	uint32_t both = s->limit[FW_LIMIT_HALF_OPEN];
	uint32_t outside = s->limit[FW_LIMIT_HALF_OPEN_OUTSIDE];
	uint32_t inside = s->limit[FW_LIMIT_HALF_OPEN_INSIDE];

	memset(out, 0, sizeof(*out));
	out->confirmed = s->limit[FW_LIMIT_CONFIRMED];
	out->half[CT_SIDE_OUTSIDE] = outside ? outside : both;
	out->half[CT_SIDE_INSIDE] = inside ? inside : both;
	out->half[CT_SIDE_RETRY] = s->limit[FW_LIMIT_RETRY];
	out->nat = s->limit[FW_LIMIT_NAT];
	out->frag_datagrams = s->frag[FW_FRAG_DATAGRAMS];
	out->frag_bytes = s->frag[FW_FRAG_BYTES];
	out->nat_pools = pools_for(s, compiled);
}

/* conf is ours from here on, also on error. */
static int compile(const struct ctd *d, struct fw_conf *conf, struct rules **out, FILE *err)
{
	struct rules *r = calloc(1, sizeof(*r));
	int ret = -ENOMEM;

	if (!r) {
		fw_conf_free(conf);
		return ret;
	}
	r->conf = conf;
	r->name = "rules";
	r->changes = d && d->fw ? fw_changes(firewall_fds(d)) : 0;
	ret = fw_ifs_read(&r->ifs);
	if (ret)
		fprintf(err, "ctd: cannot read the interfaces: %s\n", strerror(-ret));
	else
		ret = fw_conf_compile(conf, &r->ifs, &r->compiled, err);
	if (ret) {
		fw_ifs_free(&r->ifs);
		fw_conf_free(conf);
		free(r);
		return ret;
	}
	*out = r;
	return 0;
}

void rules_free(struct rules *r)
{
	if (!r)
		return;
	fw_rules_free(&r->compiled);
	fw_ifs_free(&r->ifs);
	fw_conf_free(r->conf);
	free(r);
}

int rules_start_from(struct ctd *d, const char *path)
{
	struct fw_conf *conf;
	int ret;

	ret = fw_conf_parse(path, &conf, stderr);
	return ret ? ret : compile(d, conf, &d->rules, stderr);
}

int rules_start(struct ctd *d)
{
	return rules_start_from(d, d->opt.config);
}

struct rules *rules_none(void)
{
	struct rules *r;
	struct fw_conf *conf;

	if (fw_conf_parse_text("none", "", 0, &conf, NULL))
		return NULL;
	return compile(NULL, conf, &r, stderr) ? NULL : r;
}

void rules_stop(struct ctd *d)
{
	rules_free(d->rules);
	d->rules = NULL;
}

/* Are these the rules of the half that is in force? */
static bool in_force(const struct fw_rules *r, const struct fw_fds *fds)
{
	struct fw_config config;
	struct fw_nat_rule nat;
	struct fw_rule rule;
	const struct fw_half *half;
	__u32 i, slot, zero = 0;

	if (bpf_map_lookup_elem(fds->config, &zero, &config) || !config.generation ||
	    config.active > 1)
		return false;
	half = &config.half[config.active];
	if (half->rules != r->n_rules || half->nats != r->n_nats ||
	    half->default_pass != r->default_pass || half->antispoof != r->antispoof ||
	    half->mss_clamp != r->mss_clamp)
		return false;
	for (i = 0; i < r->n_rules; i++) {
		slot = config.active * FW_RULES + i;
		if (bpf_map_lookup_elem(fds->rule, &slot, &rule) ||
		    memcmp(&rule, &r->rule[i], sizeof(rule)))
			return false;
	}
	for (i = 0; i < r->n_nats; i++) {
		slot = config.active * FW_NATS + i;
		if (bpf_map_lookup_elem(fds->nat, &slot, &nat) ||
		    memcmp(&nat, &r->nat[i], sizeof(nat)))
			return false;
	}
	return true;
}

/* The pools first: rules that are in force must find them. Lines on err, may be NULL. */
static int install(struct ctd *d, struct rules *r, const char *name, FILE *err)
{
	const struct fw_fds *fds = firewall_fds(d);
	const uint32_t *attached;
	unsigned int n;
	int ret;

	ret = nat_plan(d, &r->compiled, fw_conf_settings(r->conf), name, err);
	if (ret)
		return ret;
	if (!in_force(&r->compiled, fds)) {
		ret = fw_rules_install(&r->compiled, fds);
		if (ret)
			nat_settle(d, NULL);
		if (!ret)
			log_event(LOG_INFO, "rules", "rules=%u nats=%u", r->compiled.n_rules,
				  r->compiled.n_nats);
	}
	if (!ret)
		ret = fw_algs_install(&r->compiled, fds);
	if (!ret) {
		n = attach_list(d, &attached);
		ret = fw_ifs_install(&r->compiled, &r->ifs, r->changes, attached, n, fds);
		nat_settle(d, &r->compiled);
	}
	return ret;
}

int rules_install(struct ctd *d)
{
	int ret = tables_fill(d, &d->rules->compiled, stderr);

	/* What changed while there was no ctd nobody has counted; rules_refresh() follows. */
	d->rules->changes = fw_changes(firewall_fds(d));
	if (!ret)
		ret = install(d, d->rules, d->opt.config, stderr);
	if (!ret)
		tables_prune(d, &d->rules->compiled, false);
	return ret;
}

int rules_refresh(struct ctd *d)
{
	uint32_t changes = fw_changes(firewall_fds(d));
	struct fw_rules compiled = {0};
	struct fw_ifs ifs = {0};
	int ret;

	ret = fw_ifs_read(&ifs);
	if (ret) {
		log_event(LOG_FAULT, "interfaces", "error=\"%s\"", strerror(-ret));
		fw_ifs_free(&ifs);
		return ret;
	}
	fw_ifs_free(&d->rules->ifs);
	d->rules->ifs = ifs;
	d->rules->changes = changes;
	attach_refresh(d);
	/* An interface of the rules that is gone: the old rules stay, they match its index only. */
	ret = fw_conf_compile(d->rules->conf, &d->rules->ifs, &compiled, NULL);
	if (!ret) {
		fw_rules_free(&d->rules->compiled);
		d->rules->compiled = compiled;
	} else {
		log_event(LOG_WARN, "rules_kept", "reason=\"%s\"", strerror(-ret));
	}
	ret = install(d, d->rules, d->opt.config, NULL);
	if (ret)
		log_event(LOG_FAULT, "rules", "error=\"%s\"", strerror(-ret));
	/* Opened after the programs and what they know of the interfaces are in place. */
	return guard_sync(d) ? -EIO : ret;
}

/* Interfaces that `set skip on` names now, or no more. */
static void rules_attach(struct ctd *d)
{
	const uint32_t *attached;
	unsigned int n;
	int ret;

	attach_refresh(d);
	n = attach_list(d, &attached);
	ret = fw_ifs_install(&d->rules->compiled, &d->rules->ifs, d->rules->changes, attached, n,
			     firewall_fds(d));
	if (ret)
		log_event(LOG_FAULT, "interfaces", "error=\"%s\"", strerror(-ret));
}

int rules_read(struct ctd *d, const char *text, size_t len, struct rules **out, FILE *err)
{
	struct fw_conf *conf;
	int ret;

	ret = text ? fw_conf_parse_text("rules", text, len, &conf, err)
		   : fw_conf_parse(d->opt.config, &conf, err);
	if (!ret)
		ret = compile(d, conf, out, err);
	if (!ret)
		(*out)->name = text ? "rules" : d->opt.config;
	return ret;
}

int rules_switch(struct ctd *d, struct rules *r, bool trial, struct rules **before, FILE *err)
{
	struct bpfct_limits limits;
	struct bpfct_sizes sizes;
	char line[256];
	int ret;

	rules_limits(fw_conf_settings(r->conf), &r->compiled, &limits);
	ret = bpfct_core_fit(&d->core, &limits, &sizes, line, sizeof(line));
	if (ret) {
		fprintf(err, "%s\n", line);
		return ret;
	}
	/* Tables before the rules that ask for them; what is too much, afterwards. */
	ret = tables_fill(d, &r->compiled, err);
	if (!ret)
		ret = install(d, r, r->name, err);
	if (ret) {
		tables_prune(d, &d->rules->compiled, true);
		if (ret != -ENOSPC) /* which nat_plan() has explained */
			fprintf(err, "cannot write the rules: %s\n", strerror(-ret));
		return ret;
	}
	d->core.sizes = sizes;
	settings_apply(d, fw_conf_settings(r->conf));
	*before = d->rules;
	d->rules = r;
	tables_prune(d, &r->compiled, trial);
	rules_attach(d);
	alg_io_rules(d);
	guard_sync(d); /* another default */
	return 0;
}

int rules_renew(const struct ctd *d, struct rules *r)
{
	uint32_t changes = fw_changes(firewall_fds(d));
	struct fw_rules compiled = {0};
	struct fw_ifs ifs = {0};
	int ret = fw_ifs_read(&ifs);

	if (!ret) {
		fw_ifs_free(&r->ifs);
		r->ifs = ifs;
		r->changes = changes;
		ret = fw_conf_compile(r->conf, &r->ifs, &compiled, NULL);
	} else {
		fw_ifs_free(&ifs);
	}
	if (ret)
		return ret;
	fw_rules_free(&r->compiled);
	r->compiled = compiled;
	return 0;
}

const struct fw_rules *rules_compiled_of(const struct rules *r)
{
	return &r->compiled;
}

void rules_print(const struct ctd *d, FILE *out)
{
	fw_conf_print(d->rules->conf, out);
}

unsigned int rules_count(const struct ctd *d)
{
	return fw_conf_rules(d->rules->conf);
}

unsigned int rules_line(const struct ctd *d, unsigned int n, FILE *out)
{
	return fw_conf_rule(d->rules->conf, n, out);
}

int rules_hits(const struct ctd *d, unsigned int n, FILE *text, struct fw_hit *hit)
{
	if (n)
		fw_conf_rule(d->rules->conf, n, text);
	return fw_hits(firewall_fds(d), n, hit);
}
