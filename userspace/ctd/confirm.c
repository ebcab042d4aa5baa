// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "confirm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rules.h"
#include "tables.h"

struct confirm {
	struct event *timer;
	struct rules *before; /* NULL: no trial */
	struct timespec end;  /* CLOCK_MONOTONIC */
};

static void file_path(char path[RUN_PATH_MAX], const char *instance, const char *suffix)
{
	snprintf(path, RUN_PATH_MAX, RUN_DIR "/%s.before%s", instance, suffix);
}

void confirm_forget(const char *instance)
{
	char path[RUN_PATH_MAX];

	file_path(path, instance, "");
	unlink(path);
}

/* Whole or not at all: the name appears with the text complete. */
static int write_file(const char *instance, const char *text, size_t len)
{
	char path[RUN_PATH_MAX], part[RUN_PATH_MAX];
	int fd, ret = 0;

	file_path(path, instance, "");
	file_path(part, instance, ".new");
	unlink(part);
	fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (write(fd, text, len) != (ssize_t)len)
		ret = -EIO;
	close(fd);
	if (!ret && rename(part, path))
		ret = -errno;
	if (ret)
		unlink(part);
	return ret;
}

/* What is in force now. */
static int keep_rules(struct ctd *d)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	int ret;

	if (!f)
		return -ENOMEM;
	rules_print(d, f);
	fclose(f);
	ret = write_file(d->opt.instance, text, len);
	free(text);
	return ret;
}

static void end_trial(struct ctd *d)
{
	struct confirm *c = d->confirm;

	evtimer_del(c->timer);
	rules_free(c->before);
	c->before = NULL;
	confirm_forget(d->opt.instance);
}

/* An interface of theirs may have gone meanwhile: then as they were compiled. */
static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct timeval soon = {.tv_sec = 1};
	struct ctd *d = arg;
	struct confirm *c = d->confirm;
	struct rules *tried;
	int ret;

	(void)fd;
	(void)what;
	if (rules_renew(d, c->before))
		log_event(LOG_WARN, "rules_kept", "reason=\"an interface is gone\"");
	ret = rules_switch(d, c->before, true, &tried, stderr);
	if (ret) {
		log_event(LOG_FAULT, "roll_back", "error=\"%s\"", strerror(-ret));
		evtimer_add(c->timer, &soon);
		return;
	}
	rules_free(tried);
	c->before = NULL; /* in force */
	end_trial(d);
	log_event(LOG_WARN, "rolled_back", "reason=\"not confirmed\" rules=%u", rules_count(d));
}

static void begin_trial(struct ctd *d, unsigned int seconds)
{
	struct timeval wait = {.tv_sec = seconds};
	struct confirm *c = d->confirm;

	clock_gettime(CLOCK_MONOTONIC, &c->end);
	c->end.tv_sec += seconds;
	if (evtimer_add(c->timer, &wait)) /* no clock, no trial */
		on_timer(-1, 0, d);
}

int confirm_load(struct ctd *d, struct rules *r, unsigned int seconds, FILE *err)
{
	struct confirm *c = d->confirm;
	struct rules *before;
	int ret;

	/* A trial after a trial: what was there before the first comes back. */
	if (seconds && !c->before) {
		ret = keep_rules(d);
		if (ret) {
			fprintf(err, "cannot keep the rules in " RUN_DIR ": %s\n", strerror(-ret));
			return ret;
		}
	}
	ret = rules_switch(d, r, seconds, &before, err);
	if (ret) {
		if (seconds && !c->before)
			confirm_forget(d->opt.instance);
		return ret;
	}
	if (seconds && !c->before)
		c->before = before;
	else
		rules_free(before);
	if (!seconds)
		end_trial(d);
	else
		begin_trial(d, seconds);
	return 0;
}

bool confirm_accept(struct ctd *d)
{
	bool was = d->confirm->before;

	end_trial(d);
	if (was)
		tables_prune(d, rules_compiled(d), false);
	return was;
}

unsigned int confirm_left(const struct ctd *d)
{
	struct timespec now;

	if (!d->confirm || !d->confirm->before)
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return d->confirm->end.tv_sec > now.tv_sec ? d->confirm->end.tv_sec - now.tv_sec : 1;
}

int confirm_recover(struct ctd *d)
{
	char path[RUN_PATH_MAX], err[256];
	int ret;

	file_path(path, d->opt.instance, "");
	ret = bpfct_path_trusted(path, err, sizeof(err));
	if (ret == -ENOENT)
		return 0;
	if (ret) {
		log_fail("%s", ret == -EPERM ? err : strerror(-ret));
		return ret;
	}
	ret = rules_start_from(d, path);
	return ret ? ret : 1;
}

int confirm_start(struct ctd *d)
{
	d->confirm = calloc(1, sizeof(*d->confirm));
	if (!d->confirm)
		return -ENOMEM;
	d->confirm->timer = evtimer_new(d->base, on_timer, d);
	return d->confirm->timer ? 0 : -ENOMEM;
}

void confirm_recovered(struct ctd *d)
{
	confirm_forget(d->opt.instance);
	log_event(LOG_WARN, "rolled_back", "reason=\"ctd has ended before they were confirmed\"");
}

/* The file stays: the next ctd rolls back. */
void confirm_stop(struct ctd *d)
{
	if (!d->confirm)
		return;
	if (d->confirm->timer)
		event_free(d->confirm->timer);
	rules_free(d->confirm->before);
	free(d->confirm);
	d->confirm = NULL;
}
