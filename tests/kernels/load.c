/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Loads BPF objects, every program of each, and says how it went:
 *   ok kernel_6.1_loads_bpf_ct_core
 *   FAIL kernel_6.1_loads_bpf_ct_core: -13; the verifier's last lines follow
 * As process 1 of a guest it loads /obj/<name>.bpf.o, and then powers off.
 * Linked statically: the guest has nothing else.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define LAST_LINES 12
#define MAP_CAP	   16384 /* a guest has little memory; only the verifier's word counts */

static char logbuf[4 << 20];
static size_t loglen;

static int keep_log(enum libbpf_print_level level, const char *fmt, va_list args)
{
	int n;

	if (level == LIBBPF_DEBUG)
		return 0;
	n = vsnprintf(logbuf + loglen, sizeof(logbuf) - loglen, fmt, args);
	if (n > 0 && loglen + (size_t)n < sizeof(logbuf))
		loglen += (size_t)n;
	return n;
}

static void print_last_lines(void)
{
	const char *p = logbuf + loglen;
	int lines = 0;

	while (p > logbuf && lines <= LAST_LINES)
		lines += *--p == '\n';
	for (char *s = strtok((char *)p, "\n"); s; s = strtok(NULL, "\n"))
		printf("  | %s\n", s);
}

static int load(const char *path)
{
	struct bpf_object *obj;
	struct bpf_program *prog;
	struct bpf_map *map;
	int err;

	loglen = 0;
	logbuf[0] = 0;
	obj = bpf_object__open_file(path, NULL);
	err = (int)libbpf_get_error(obj);
	if (err)
		return err;
	bpf_object__for_each_program(prog, obj) bpf_program__set_autoload(prog, true);
	bpf_object__for_each_map(map, obj)
	{
		unsigned int n = bpf_map__max_entries(map);

		bpf_map__set_pin_path(map, NULL);
		switch (bpf_map__type(map)) {
		case BPF_MAP_TYPE_HASH:
		case BPF_MAP_TYPE_LRU_HASH:
			if (n == 0 || n > MAP_CAP)
				bpf_map__set_max_entries(map, MAP_CAP);
			break;
		default:
			if (n == 0)
				bpf_map__set_max_entries(map, 4096);
		}
	}
	err = bpf_object__load(obj);
	bpf_object__close(obj);
	return err;
}

/* build/bpf/ct_core.bpf.o -> bpf_ct_core, as the Makefile's directory is not part of the name */
static void name_of(const char *path, char *name, size_t len)
{
	const char *p = strncmp(path, "/obj/", 5) == 0 ? path + 5 : path;
	char *dot;

	if (strncmp(p, "build/", 6) == 0)
		p += 6;
	snprintf(name, len, "%s", p);
	dot = strstr(name, ".bpf.o");
	if (dot)
		*dot = 0;
	for (char *s = name; *s; s++)
		if (*s == '/')
			*s = '_';
}

static int report(const char *path)
{
	struct utsname u;
	char name[256];
	int major = 0, minor = 0, err;

	uname(&u);
	if (sscanf(u.release, "%d.%d", &major, &minor) != 2)
		return 1;
	name_of(path, name, sizeof(name));
	err = load(path);
	if (!err) {
		printf("ok kernel_%d.%d_loads_%s\n", major, minor, name);
		return 0;
	}
	printf("FAIL kernel_%d.%d_loads_%s: %d (%s)\n", major, minor, name, err, strerror(-err));
	print_last_lines();
	return 1;
}

static int as_init(void)
{
	struct dirent **list;
	char path[512];
	int n;

	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("bpf", "/sys/fs/bpf", "bpf", 0, "mode=700");
	printf("\n"); /* the firmware left the cursor in mid-line */
	n = scandir("/obj", &list, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		if (list[i]->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/obj/%s", list[i]->d_name);
		report(path);
	}
	printf("guest done\n");
	fflush(stdout);
	sync();
	return reboot(RB_POWER_OFF);
}

int main(int argc, char **argv)
{
	int failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	libbpf_set_print(keep_log);
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY});
	if (getpid() == 1)
		return as_init();
	if (argc < 2) {
		fprintf(stderr, "usage: load OBJECT...\n");
		return 2;
	}
	for (int i = 1; i < argc; i++)
		failed |= report(argv[i]);
	return failed;
}
