/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Process 1 of a guest: loads the modules of /mod, sees the host's files, read-only,
 * over 9p, with a /tmp, /run and /dev of its own and what is under test in /mnt/tree
 * and /mnt/build, runs what /command says there, says `guest done STATUS` and powers
 * off. Without a /command the files are the guest's own, to be written, and their
 * /sbin/init goes on. Linked statically: the guest has nothing else at first.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROOT "/host"

static void load_modules(void)
{
	struct dirent **list;
	char path[300];
	int n = scandir("/mod", &list, NULL, alphasort), fd;

	for (int i = 0; i < n; i++) {
		if (list[i]->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/mod/%s", list[i]->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
			printf("guest: %s: %s\n", path, strerror(errno));
		if (fd >= 0)
			close(fd);
	}
}

static char command[4096];

static int mount_one(const char *what, const char *where, const char *type, const char *data)
{
	if (!mount(what, where, type, strcmp(type, "9p") || !command[0] ? 0 : MS_RDONLY, data))
		return 0;
	printf("guest: %s: %s\n", where, strerror(errno));
	return -1;
}

static const char p9[] = "trans=virtio,version=9p2000.L,cache=loose,msize=262144";

static int enter(void)
{
	return chdir(ROOT) || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".");
}

static int mount_all(void)
{
	mkdir(ROOT, 0755);
	if (mount_one("host", ROOT, "9p", p9) || mount_one("proc", ROOT "/proc", "proc", "") ||
	    mount_one("sysfs", ROOT "/sys", "sysfs", "") ||
	    mount_one("bpf", ROOT "/sys/fs/bpf", "bpf", "mode=700") ||
	    mount_one("devtmpfs", ROOT "/dev", "devtmpfs", "") ||
	    mount_one("tmpfs", ROOT "/tmp", "tmpfs", "mode=1777") ||
	    mount_one("tmpfs", ROOT "/run", "tmpfs", "mode=755") ||
	    mount_one("tmpfs", ROOT "/mnt", "tmpfs", "mode=755"))
		return -1;
	mkdir(ROOT "/mnt/tree", 0755);
	mkdir(ROOT "/mnt/build", 0755);
	if (mount_one("tree", ROOT "/mnt/tree", "9p", p9) ||
	    mount_one("build", ROOT "/mnt/build", "9p", p9))
		return -1;
	return enter();
}

static void boot(void)
{
	mkdir(ROOT, 0755);
	if (!mount_one("host", ROOT, "9p", p9) && !enter())
		execl("/sbin/init", "init", NULL);
	printf("guest: init: %s\n", strerror(errno));
}

static int run(const char *command)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		setsid();
		execl("/bin/bash", "bash", "-c", command, NULL);
		_exit(127);
	}
	/* what the command leaves behind is ours to reap */
	while (waitpid(-1, &status, 0) != pid)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(void)
{
	FILE *f = fopen("/command", "re");

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("\n"); /* the firmware left the cursor in mid-line */
	if (f && fread(command, 1, sizeof(command) - 1, f))
		fclose(f);
	load_modules();
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	setenv("HOME", "/tmp", 1);
	if (!command[0])
		boot();
	else if (!mount_all())
		printf("guest done %d\n", run(command));
	fflush(stdout);
	sync();
	return reboot(RB_POWER_OFF);
}
