// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "ctd.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alg_io.h"
#include "aside.h"
#include "attach.h"
#include "confirm.h"
#include "control.h"
#include "events.h"
#include "expect.h"
#include "explain.h"
#include "firewall.h"
#include "frag_sweep.h"
#include "guard.h"
#include "heartbeat.h"
#include "import.h"
#include "nat.h"
#include "notify.h"
#include "route.h"
#include "rules.h"
#include "sandbox.h"
#include "settings.h"
#include "sweep.h"
#include "unload.h"
#include "watch.h"

#define EXIT_UNLOADED  3 /* the unit does not start ctd again */
#define DEFAULT_CONFIG "/etc/bpfct/ctd.conf"

static const char usage_text[] =
	"usage: ctd [-f FILE] [--instance NAME] [--netns NAME] [--clsact] [--no-guard] [-v]\n"
	"       ctd --check [-f FILE] [--netns NAME]\n"
	"       ctd --guard [-f FILE] [--instance NAME] [--netns NAME]\n"
	"       ctd --unload [--instance NAME] [--netns NAME]\n"
	"  -f, --file FILE       configuration and rules (default " DEFAULT_CONFIG ")\n"
	"  -i, --instance NAME   which pins and socket (default \"default\")\n"
	"  -n, --netns NAME      work in that network namespace\n"
	"      --check           read and compile the configuration, change nothing\n"
	"      --guard           close all interfaces until a ctd of the instance runs\n"
	"      --no-guard        leave interfaces open that have no programs yet\n"
	"      --unload          detach and unpin everything of the instance\n"
	"      --clsact          attach by tc filters, not by TCX\n"
	"      --foreground      accepted; there is no other mode\n"
	"  -v, --verbose         more log lines, libbpf's too\n"
	"  -h, --help            this\n"
	"  -V, --version         the version\n";

enum { OPT_CHECK = 256, OPT_GUARD, OPT_NO_GUARD, OPT_UNLOAD, OPT_CLSACT, OPT_FOREGROUND };

/* 0 go on, 1 done, 2 usage error */
static int parse_options(int argc, char **argv, struct ctd_options *opt)
{
	static const struct option longs[] = {
		{"file", required_argument, NULL, 'f'},
		{"instance", required_argument, NULL, 'i'},
		{"netns", required_argument, NULL, 'n'},
		{"check", no_argument, NULL, OPT_CHECK},
		{"guard", no_argument, NULL, OPT_GUARD},
		{"no-guard", no_argument, NULL, OPT_NO_GUARD},
		{"unload", no_argument, NULL, OPT_UNLOAD},
		{"clsact", no_argument, NULL, OPT_CLSACT},
		{"foreground", no_argument, NULL, OPT_FOREGROUND},
		{"verbose", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "f:i:n:vhV", longs, NULL)) != -1) {
		switch (c) {
		case 'f':
			opt->config = optarg;
			break;
		case 'i':
			opt->instance = optarg;
			break;
		case 'n':
			opt->netns = optarg;
			break;
		case OPT_CHECK:
			opt->check = true;
			break;
		case OPT_GUARD:
			opt->guard = true;
			break;
		case OPT_NO_GUARD:
			opt->no_guard = true;
			break;
		case OPT_UNLOAD:
			opt->unload = true;
			break;
		case OPT_CLSACT:
			opt->clsact = true;
			break;
		case OPT_FOREGROUND:
			break;
		case 'v':
			opt->verbose = true;
			break;
		case 'h':
			fputs(usage_text, stdout);
			return 1;
		case 'V':
			puts("ctd " CTD_VERSION);
			return 1;
		default:
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "ctd: unexpected argument '%s' (ctd --help)\n", argv[optind]);
		return 2;
	}
	if (opt->check + opt->unload + opt->guard > 1 || (opt->guard && opt->no_guard)) {
		fputs("ctd: --check, --guard and --unload exclude each other, and --no-guard the "
		      "second (ctd --help)\n",
		      stderr);
		return 2;
	}
	if (!bpfct_instance_valid(opt->instance)) {
		fprintf(stderr,
			"ctd: '%s' is not an instance name, expected 1 to 63 of A-Za-z0-9_-\n",
			opt->instance);
		return 2;
	}
	return 0;
}

static void on_stop(evutil_socket_t sig, short what, void *arg)
{
	struct ctd *d = arg;

	(void)what;
	log_event(LOG_INFO, "stopping", "signal=%d", sig);
	notify_stopping();
	event_base_loopbreak(d->base);
}

static void on_reload(evutil_socket_t sig, short what, void *arg)
{
	struct rules *r = NULL;

	(void)sig;
	(void)what;
	if (rules_read(arg, NULL, 0, &r, stderr) || confirm_load(arg, r, 0, stderr)) {
		rules_free(r);
		log_event(LOG_FAULT, "reload", "error=\"the old rules stay in force\"");
		return;
	}
	log_event(LOG_INFO, "reload", "rules=%u", rules_count(arg));
}

/* The lock, and agreement with what a former ctd of this instance has left. */
static int take_lock(struct ctd *d)
{
	const char *netns = d->opt.netns ? d->opt.netns : "";
	char err[256];
	int ret;

	ret = run_lock_take(&d->lock, d->opt.instance, err, sizeof(err));
	if (ret) {
		log_fail("%s", err);
		return ret;
	}
	if (!d->lock.fresh && strcmp(d->lock.netns, netns)) {
		log_fail("instance '%s' belongs to network namespace '%s' (ctd --unload first)",
			 d->opt.instance, d->lock.netns);
		return -EBUSY;
	}
	snprintf(d->lock.netns, sizeof(d->lock.netns), "%s", netns);
	return 0;
}

static int load(struct ctd *d)
{
	struct bpfct_limits limits;
	char err[256];
	int ret;

	ret = bpffs_ensure(err, sizeof(err));
	if (!ret) {
		rules_limits(rules_settings(d), rules_compiled(d), &limits);
		ret = bpfct_core_load(&d->core, d->opt.instance, &limits, err, sizeof(err));
	}
	if (ret)
		log_fail("%s", err);
	return ret ? ret : firewall_start(d);
}

/* From here on the instance is changed. New maps are filled before anybody can see them. */
static int publish(struct ctd *d)
{
	struct import_stats imported;
	char err[256];
	int ret;

	settings_apply(d, rules_settings(d));
	ret = run_lock_write(&d->lock);
	if (ret) {
		log_fail("%s: %s", d->lock.path, strerror(-ret));
		return ret;
	}
	ret = bpfct_core_pin(&d->core, err, sizeof(err));
	if (ret) {
		log_fail("%s", err);
		return ret;
	}
	ret = firewall_pin(d);
	if (ret)
		return ret;
	ret = expect_start(d);
	if (!ret)
		ret = nat_start(d);
	if (ret)
		return ret;
	ret = rules_install(d);
	if (ret) {
		log_fail("cannot write the rules: %s", strerror(-ret));
		return ret;
	}
	/* Listening before attaching: no change falls between the two. */
	ret = watch_start(d);
	if (!ret)
		ret = route_start(d);
	if (!ret)
		ret = guard_watch(d);
	if (!ret)
		ret = aside_start(d);
	if (ret)
		return ret;
	import_begin(d, &imported);
	ret = attach_start(d);
	if (ret)
		return ret;
	import_end(d, &imported);
	return rules_refresh(d);
}

static int start_duties(struct ctd *d)
{
	int ret;

	aside_unknown(d);
	ret = heartbeat_start(d);
	if (!ret)
		ret = events_start(d);
	if (!ret)
		ret = confirm_start(d);
	if (!ret)
		ret = publish(d);
	if (!ret)
		ret = nat_run(d);
	if (!ret)
		ret = expect_run(d);
	if (!ret)
		ret = alg_io_start(d);
	if (!ret)
		ret = sweep_start(d);
	if (!ret)
		ret = frag_sweep_start(d);
	if (!ret)
		ret = control_start(d);
	return ret;
}

static void stop_duties(struct ctd *d)
{
	control_stop(d);
	confirm_stop(d);
	frag_sweep_stop(d);
	sweep_stop(d);
	alg_io_stop(d);
	nat_stop(d);
	expect_stop(d);
	heartbeat_stop(d); /* from here on nobody listens */
	aside_stop(d);
	route_stop(d);
	watch_stop(d);
	events_stop(d);
	attach_stop(d);
}

static int loop(struct ctd *d)
{
	struct event *sig[3];
	const uint32_t *list;
	unsigned int i;
	int ret;

	sig[0] = evsignal_new(d->base, SIGTERM, on_stop, d);
	sig[1] = evsignal_new(d->base, SIGINT, on_stop, d);
	sig[2] = evsignal_new(d->base, SIGHUP, on_reload, d);
	for (i = 0; i < 3; i++)
		if (!sig[i] || evsignal_add(sig[i], NULL))
			return -ENOMEM;
	ret = sandbox_enter();
	if (ret)
		return ret;
	i = attach_list(d, &list);
	log_event(LOG_INFO, "ready", "interfaces=%u adopted=%s hz=%u", i,
		  d->core.adopted ? "yes" : "no", d->core.pins.settings->hz);
	notify_ready(i);
	ret = event_base_dispatch(d->base) < 0 ? -EIO : 0;
	for (i = 0; i < 3; i++)
		event_free(sig[i]);
	return ret;
}

static int run(struct ctd *d)
{
	bool adopted, recovered;
	int ret;

	ret = confirm_recover(d);
	recovered = ret > 0;
	if (!ret)
		ret = rules_start(d);
	if (ret < 0)
		return ret;
	ret = take_lock(d);
	if (ret)
		goto out_lock;
	ret = guard_start(d);
	if (!ret)
		ret = load(d);
	if (ret)
		goto out_load;
	d->base = event_base_new();
	ret = d->base ? start_duties(d) : -ENOMEM;
	if (!ret && recovered)
		confirm_recovered(d);
	if (!ret)
		ret = loop(d);
	adopted = d->core.adopted;
	stop_duties(d);
	if (ret && !adopted)
		unload_failed_start(d);
	if (d->base)
		event_base_free(d->base);
out_load:
	guard_stop(d, ret && !d->core.adopted);
	explain_stop(d);
	firewall_stop(d);
	bpfct_core_close(&d->core);
out_lock:
	/* A start that failed before it changed anything leaves no lock file either. */
	run_lock_drop(&d->lock, ret && d->lock.fresh);
	rules_stop(d);
	return ret;
}

static int check(struct ctd *d)
{
	struct bpfct_limits limits;
	struct bpfct_sizes sizes;
	char err[256];
	int ret;

	ret = rules_start(d);
	if (ret)
		return ret;
	rules_limits(rules_settings(d), rules_compiled(d), &limits);
	ret = bpfct_sizes(&limits, 1, &sizes, err, sizeof(err));
	if (ret)
		log_fail("%s", err);
	rules_stop(d);
	return ret;
}

/* Before the network is brought up (bpfct.service). A file that is not right closes as well. */
static int guard(struct ctd *d)
{
	int ret, bad = rules_start(d);

	if (bad)
		d->rules = rules_none();
	if (!d->rules)
		return -ENOMEM;
	ret = take_lock(d);
	if (!ret) {
		ret = guard_start(d);
		guard_stop(d, false);
	}
	run_lock_drop(&d->lock, d->lock.fresh);
	rules_stop(d);
	return ret ? ret : bad;
}

int main(int argc, char **argv)
{
	struct ctd d = {
		.opt = {.config = DEFAULT_CONFIG, .instance = "default"},
		.lock = {.fd = -1},
	};
	char err[256];
	int ret;

	ret = parse_options(argc, argv, &d.opt);
	if (ret)
		return ret == 1 ? 0 : 2;
	log_start(d.opt.verbose, d.opt.instance);
	clock_gettime(CLOCK_MONOTONIC, &d.started);
	signal(SIGPIPE, SIG_IGN);
	if (!d.opt.check && sandbox_check())
		return 1;
	if (d.opt.netns && netns_enter(d.opt.netns, err, sizeof(err))) {
		log_fail("%s", err);
		return 1;
	}
	if (d.opt.check)
		ret = check(&d);
	else if (d.opt.guard)
		ret = guard(&d);
	else if (d.opt.unload)
		ret = unload_run(&d);
	else
		ret = run(&d);
	return ret ? 1 : d.quit ? EXIT_UNLOADED : 0;
}
