// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "../lib/pins.h"

#define BPFFS	      "/sys/fs/bpf"
#define LOCK_FILE_MAX (128 + RUN_MAX_CLSACT * 20)

void run_socket_path(char path[RUN_PATH_MAX], const char *instance)
{
	snprintf(path, RUN_PATH_MAX, RUN_DIR "/%s.sock", instance);
}

static int ensure_dir(char *err, size_t errlen)
{
	int ret;

	if (mkdir(RUN_DIR, 0755) && errno != EEXIST) {
		ret = -errno;
		snprintf(err, errlen, RUN_DIR ": cannot create: %s", strerror(-ret));
		return ret;
	}
	ret = bpfct_path_trusted(RUN_DIR, err, errlen);
	if (ret && ret != -EPERM)
		snprintf(err, errlen, RUN_DIR ": %s", strerror(-ret));
	return ret;
}

/* Lines `pid N`, `netns NAME`, `clsact IFINDEX`; others are ignored. */
static int parse(struct run_lock *lock, char *text)
{
	char *line, *save = NULL;
	int pid = 0;

	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (!strncmp(line, "pid ", 4))
			pid = atoi(line + 4);
		else if (!strncmp(line, "netns ", 6))
			snprintf(lock->netns, sizeof(lock->netns), "%s", line + 6);
		else if (!strncmp(line, "clsact ", 7) && lock->n_clsact < RUN_MAX_CLSACT)
			lock->clsact[lock->n_clsact++] = strtoul(line + 7, NULL, 10);
	}
	return pid;
}

static int read_lock(struct run_lock *lock)
{
	char *text = calloc(1, LOCK_FILE_MAX);
	int pid = 0;

	if (!text)
		return 0;
	if (pread(lock->fd, text, LOCK_FILE_MAX - 1, 0) > 0)
		pid = parse(lock, text);
	free(text);
	return pid;
}

/* Opens and locks. A former owner may unlink the file between the two: -EAGAIN. */
static int open_locked(struct run_lock *lock)
{
	struct stat mine, named;

	lock->fresh = false;
	lock->fd = open(lock->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (lock->fd < 0 && errno == ENOENT) {
		lock->fd =
			open(lock->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		lock->fresh = true;
		if (lock->fd < 0 && errno == EEXIST)
			return -EAGAIN;
	}
	if (lock->fd < 0)
		return -errno;
	if (flock(lock->fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (fstat(lock->fd, &mine) || stat(lock->path, &named) || mine.st_ino != named.st_ino)
		return -EAGAIN;
	return 0;
}

int run_lock_take(struct run_lock *lock, const char *instance, char *err, size_t errlen)
{
	int ret, pid, turn;

	memset(lock, 0, sizeof(*lock));
	lock->fd = -1;
	ret = ensure_dir(err, errlen);
	if (ret)
		return ret;
	snprintf(lock->path, sizeof(lock->path), RUN_DIR "/%s.lock", instance);
	for (turn = 0; turn < 10; turn++) {
		ret = open_locked(lock);
		if (ret != -EAGAIN)
			break;
		if (lock->fd >= 0)
			close(lock->fd);
	}
	pid = lock->fd >= 0 ? read_lock(lock) : 0;
	/* Its writer was killed before it had changed anything. */
	if (!pid)
		lock->fresh = true;
	if (ret == -EBUSY)
		snprintf(err, errlen, "instance '%s' is another's already (pid %d)", instance, pid);
	else if (ret)
		snprintf(err, errlen, "%s: %s", lock->path, strerror(-ret));
	if (ret && lock->fd >= 0) {
		close(lock->fd);
		lock->fd = -1;
	}
	return ret;
}

int run_lock_write(struct run_lock *lock)
{
	char *text = malloc(LOCK_FILE_MAX);
	unsigned int i;
	int n, ret = 0;

	if (!text)
		return -ENOMEM;
	n = snprintf(text, LOCK_FILE_MAX, "pid %d\nnetns %s\n", getpid(), lock->netns);
	for (i = 0; i < lock->n_clsact; i++)
		n += snprintf(text + n, LOCK_FILE_MAX - n, "clsact %u\n", lock->clsact[i]);
	if (pwrite(lock->fd, text, n, 0) != n || ftruncate(lock->fd, n))
		ret = -errno;
	free(text);
	return ret;
}

void run_lock_drop(struct run_lock *lock, bool forget)
{
	if (lock->fd < 0)
		return;
	if (forget) {
		unlink(lock->path);
		rmdir(RUN_DIR);
	}
	close(lock->fd);
	lock->fd = -1;
}

int bpffs_ensure(char *err, size_t errlen)
{
	struct statfs fs;
	int ret;

	if (!statfs(BPFFS, &fs) && fs.f_type == BPF_FS_MAGIC)
		return 0;
	if (!mount("bpf", BPFFS, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700")) {
		/* The kernel adds the sticky bit to what it was asked for. */
		(void)chmod(BPFFS, 0700);
		return 0;
	}
	ret = -errno;
	snprintf(err, errlen, "no bpffs at " BPFFS ", and it cannot be mounted: %s",
		 strerror(-ret));
	return ret;
}

int netns_enter(const char *name, char *err, size_t errlen)
{
	char path[256];
	int fd, ret = 0;

	snprintf(path, sizeof(path), "%s%s", strchr(name, '/') ? "" : "/run/netns/", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		ret = -errno;
		snprintf(err, errlen, "network namespace '%s': cannot open %s: %s", name, path,
			 strerror(-ret));
		return ret;
	}
	if (setns(fd, CLONE_NEWNET)) {
		ret = -errno;
		snprintf(err, errlen, "network namespace '%s': %s", name, strerror(-ret));
	}
	close(fd);
	return ret;
}
