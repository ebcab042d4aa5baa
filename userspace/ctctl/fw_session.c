// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The ssh session that we are run in: sudo and su take the variable away, but who
 * called them still has it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fw.h"

#define NAME	  "SSH_CONNECTION="
#define ANCESTORS 32

/* From the environment that a process was started with. */
static bool read_environ(pid_t pid, char *out, size_t len)
{
	char path[32], *line = NULL;
	size_t room = 0;
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (!found && getdelim(&line, &room, 0, f) > 0) {
		found = !strncmp(line, NAME, strlen(NAME));
		if (found)
			snprintf(out, len, "%s", line + strlen(NAME));
	}
	free(line);
	fclose(f);
	return found;
}

/* 0: none, or it cannot be told. The name of the program may hold anything. */
static pid_t parent_of(pid_t pid)
{
	char path[32], text[512];
	const char *rest;
	pid_t parent = 0;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = 0;
	rest = strrchr(text, ')');
	if (!rest || sscanf(rest, ") %*c %d", &parent) != 1)
		return 0;
	return parent;
}

bool fw_session(char *out, size_t len)
{
	const char *own = getenv("SSH_CONNECTION");
	pid_t pid = getppid();
	int i;

	if (own) {
		snprintf(out, len, "%s", own);
		return *own; /* set to nothing: there is none, whoever called us */
	}
	for (i = 0; i < ANCESTORS && pid > 1; i++) {
		if (read_environ(pid, out, len))
			return true;
		pid = parent_of(pid);
	}
	return false;
}
