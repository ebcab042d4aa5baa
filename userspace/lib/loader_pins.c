// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "loader_pins.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>

/* Not part of an instance's name, so no instance can be called so. */
#define STAGING "+"

const char *const loader_dump_prog[2] = {"ct_dump4", "ct_dump6"};

bool loader_is_private(const struct bpf_map *map)
{
	const char *name = bpf_map__name(map);

	if (strchr(name, '.'))
		return true;
	return (!strncmp(name, "ct_", 3) || !strncmp(name, "nat_", 4) ||
		!strncmp(name, "frag_", 5)) &&
	       !bpfct_map_spec(name);
}

int loader_instance_exists(const char *instance, char *err, size_t errlen)
{
	char path[BPFCT_PATH_MAX];
	int ret;

	ret = bpfct_path_trusted(CT_PIN_ROOT, err, errlen);
	if (ret == -ENOENT)
		return 0;
	bpfct_pin_path(path, instance, NULL);
	if (!ret)
		ret = bpfct_path_trusted(path, err, errlen);
	if (ret == -ENOENT)
		return 0;
	if (ret && ret != -EPERM)
		snprintf(err, errlen, "%s: %s", path, strerror(-ret));
	return ret ? ret : 1;
}

/* Pins, in place of what has that name, without a moment in which nothing has it. */
static int pin_over(int fd, const char *dir, const char *name, char *err, size_t errlen)
{
	char path[BPFCT_PATH_MAX * 2], tmp[BPFCT_PATH_MAX * 2];
	int ret = 0;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	snprintf(tmp, sizeof(tmp), "%s/" STAGING "%s", dir, name);
	unlink(tmp);
	if (bpf_obj_pin(fd, tmp) || rename(tmp, path)) {
		ret = -errno;
		unlink(tmp);
		snprintf(err, errlen, "cannot pin %s: %s", path, strerror(-ret));
	}
	return ret;
}

static int pin_missing_maps(struct bpf_object *obj, const char *dir, char *err, size_t errlen)
{
	char path[BPFCT_PATH_MAX * 2];
	struct bpf_map *map;
	int ret;

	bpf_object__for_each_map(map, obj)
	{
		if (loader_is_private(map))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, bpf_map__name(map));
		if (!access(path, F_OK))
			continue;
		if (bpf_obj_pin(bpf_map__fd(map), path)) {
			ret = -errno;
			snprintf(err, errlen, "cannot pin %s: %s", path, strerror(-ret));
			return ret;
		}
	}
	return 0;
}

static int pin_programs(struct bpfct_core *core, const char *dir, char *err, size_t errlen)
{
	int i, ret;

	ret = pin_over(core->pins.control_fd, dir, "ct_control", err, errlen);
	for (i = 0; i < 2 && !ret; i++)
		ret = pin_over(bpf_link__fd(core->dump[i]), dir, loader_dump_prog[i], err, errlen);
	return ret;
}

/* Unlinks everything in a directory of pins, then the directory. 0 or -errno. */
static int remove_pins(const char *dir)
{
	struct dirent *entry;
	DIR *d = opendir(dir);
	int ret = 0;

	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(d)))
		if (entry->d_name[0] != '.' && unlinkat(dirfd(d), entry->d_name, 0) && !ret)
			ret = -errno;
	closedir(d);
	if (!ret && rmdir(dir))
		ret = -errno;
	return ret;
}

static int pin_new(struct bpfct_core *core, char *err, size_t errlen)
{
	char stage[BPFCT_PATH_MAX], dir[BPFCT_PATH_MAX];
	int ret = 0;

	snprintf(stage, sizeof(stage), CT_PIN_ROOT "/" STAGING "%s", core->pins.instance);
	bpfct_pin_path(dir, core->pins.instance, NULL);
	if (mkdir(CT_PIN_ROOT, 0700) && errno != EEXIST)
		ret = -errno;
	/* In a bpffs that is open to all somebody may have been faster since we looked. */
	if (!ret && bpfct_path_trusted(CT_PIN_ROOT, err, errlen))
		return -EPERM;
	/* What a crash between these lines left behind. */
	if (!ret)
		ret = remove_pins(stage);
	if (!ret && mkdir(stage, 0700))
		ret = -errno;
	if (ret) {
		snprintf(err, errlen, "%s: %s", stage, strerror(-ret));
		return ret;
	}
	ret = pin_missing_maps(core->obj, stage, err, errlen);
	if (!ret)
		ret = pin_programs(core, stage, err, errlen);
	if (!ret && rename(stage, dir)) {
		ret = -errno;
		snprintf(err, errlen, "%s: %s", dir, strerror(-ret));
	}
	if (ret) {
		remove_pins(stage);
		rmdir(CT_PIN_ROOT);
	}
	return ret;
}

int bpfct_core_pin(struct bpfct_core *core, char *err, size_t errlen)
{
	char dir[BPFCT_PATH_MAX];
	int ret;

	if (!core->pinned) {
		ret = pin_new(core, err, errlen);
		core->pinned = !ret;
		return ret;
	}
	bpfct_pin_path(dir, core->pins.instance, NULL);
	return pin_programs(core, dir, err, errlen);
}

int bpfct_core_pin_maps(struct bpfct_core *core, struct bpf_object *obj, char *err, size_t errlen)
{
	char dir[BPFCT_PATH_MAX];

	bpfct_pin_path(dir, core->pins.instance, NULL);
	return pin_missing_maps(obj, dir, err, errlen);
}

int bpfct_unpin(const char *instance, char *err, size_t errlen)
{
	char stage[BPFCT_PATH_MAX], dir[BPFCT_PATH_MAX];
	int ret;

	ret = loader_instance_exists(instance, err, errlen);
	if (ret < 0)
		return ret;
	snprintf(stage, sizeof(stage), CT_PIN_ROOT "/" STAGING "%s", instance);
	bpfct_pin_path(dir, instance, NULL);
	ret = remove_pins(stage);
	if (!ret)
		ret = remove_pins(dir);
	if (ret)
		snprintf(err, errlen, "%s: %s", dir, strerror(-ret));
	else
		rmdir(CT_PIN_ROOT); /* stays while another instance has pins */
	return ret;
}
