// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "unload.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "attach.h"
#include "confirm.h"
#include "guard.h"

static int remove_all(struct ctd *d, bool in_namespace, bool open)
{
	char path[RUN_PATH_MAX], err[256];
	int ret = 0, one;

	if (in_namespace)
		ret = attach_remove(d->opt.instance, &d->lock);
	if (ret)
		log_fail("cannot detach all programs: %s", strerror(-ret));
	one = in_namespace && open ? guard_remove(d->opt.instance) : 0;
	if (one)
		log_fail("cannot remove the nft table: %s", strerror(-one));
	if (one && !ret)
		ret = one;
	one = bpfct_unpin(d->opt.instance, err, sizeof(err));
	if (one)
		log_fail("%s", err);
	if (one && !ret)
		ret = one;
	run_socket_path(path, d->opt.instance);
	unlink(path);
	confirm_forget(d->opt.instance);
	run_lock_drop(&d->lock, !ret);
	return ret;
}

/* A ctd that has just been told to stop gets a moment to do so. */
static int take_lock(struct ctd *d, char *err, size_t errlen)
{
	const struct timespec tenth = {.tv_nsec = 100 * 1000 * 1000};
	int turn, ret;

	for (turn = 0;; turn++) {
		ret = run_lock_take(&d->lock, d->opt.instance, err, errlen);
		if (ret != -EBUSY || turn == 20)
			return ret;
		nanosleep(&tenth, NULL);
	}
}

int unload_run(struct ctd *d)
{
	char err[256];
	bool in_namespace = true;
	int ret;

	ret = take_lock(d, err, sizeof(err));
	if (ret) {
		log_fail("%s%s", err, ret == -EBUSY ? ": stop it first" : "");
		return ret;
	}
	/* A namespace that is gone has taken its programs and qdiscs with it. */
	if (!d->opt.netns && d->lock.netns[0])
		in_namespace = !netns_enter(d->lock.netns, err, sizeof(err));
	return remove_all(d, in_namespace, true);
}

void unload_failed_start(struct ctd *d)
{
	/* The guard that was there before stays; guard_stop() removes our own. */
	remove_all(d, true, false);
}
