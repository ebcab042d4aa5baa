/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_CTD_RUNDIR_H
#define BPFCT_CTD_RUNDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* /run/bpfct: the lock that keeps a second ctd out, and the socket. */
#define RUN_DIR	       "/run/bpfct"
#define RUN_PATH_MAX   96 /* fits sockaddr_un */
#define RUN_MAX_CLSACT 1024

/*
 * The lock file of an instance, flock()ed as long as its ctd lives. It says
 * what an unload must know and the kernel does not: the network namespace, and
 * on which interfaces the clsact qdisc is ours.
 */
struct run_lock {
	int fd;
	bool fresh; /* the file was not there, or nothing in it */
	char path[RUN_PATH_MAX];
	char netns[64]; /* "": that of whoever started ctd */
	uint32_t clsact[RUN_MAX_CLSACT];
	unsigned int n_clsact;
};

/* Creates RUN_DIR if missing, takes the lock and reads what a former ctd left.
 * 0, or -errno with one line in err; -EBUSY: an other ctd has it. */
int run_lock_take(struct run_lock *lock, const char *instance, char *err, size_t errlen);

/* Writes pid, netns and clsact[] into the file. */
int run_lock_write(struct run_lock *lock);

/* Lets go; `forget` removes the file, and RUN_DIR if nothing else is in it. */
void run_lock_drop(struct run_lock *lock, bool forget);

void run_socket_path(char path[RUN_PATH_MAX], const char *instance);

/* Mounts bpffs (0700) if there is none. 0, or -errno with one line in err. */
int bpffs_ensure(char *err, size_t errlen);

/* Enters a network namespace by its name under /run/netns, or by its path. */
int netns_enter(const char *name, char *err, size_t errlen);

#endif
