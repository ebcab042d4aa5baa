// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Rules of iptables-legacy, which no netlink message announces. */
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>

#include "../../bpf/abi/ct_table.h"
#include "aside_find.h"

/* Both families' structures have the same layout up to the entries themselves. */
_Static_assert(sizeof(struct ipt_getinfo) == sizeof(struct ip6t_getinfo), "getinfo");
_Static_assert(offsetof(struct ipt_get_entries, entrytable) ==
		       offsetof(struct ip6t_get_entries, entrytable),
	       "get_entries");

static const struct legacy {
	const char *names; /* tables that exist; asking for another would make it */
	const char *command;
	int family;
	int level;
	int info;
	int entries;
	unsigned int target_at; /* of an entry: offset of its target */
} both[] = {
	{"/proc/net/ip_tables_names", "iptables", AF_INET, IPPROTO_IP, IPT_SO_GET_INFO,
	 IPT_SO_GET_ENTRIES, offsetof(struct ipt_entry, target_offset)},
	{"/proc/net/ip6_tables_names", "ip6tables", AF_INET6, IPPROTO_IPV6, IP6T_SO_GET_INFO,
	 IP6T_SO_GET_ENTRIES, offsetof(struct ip6t_entry, target_offset)},
};

/* Does the chain's policy, the entry at `at`, accept? */
static bool accepts(const struct legacy *l, const struct ipt_get_entries *e, unsigned int at)
{
	const char *entry = (const char *)e->entrytable + at;
	const struct xt_standard_target *target;
	uint16_t offset;

	if (at + l->target_at + sizeof(offset) > e->size)
		return false;
	memcpy(&offset, entry + l->target_at, sizeof(offset));
	if (at + offset + sizeof(*target) > e->size)
		return false;
	target = (const struct xt_standard_target *)(entry + offset);
	return target->verdict == -NF_ACCEPT - 1;
}

static int look_at_table(const struct legacy *l, int fd, const char *table, struct aside_found *f)
{
	static const struct {
		unsigned int hook;
		const char *chain;
		uint8_t flags;
	} sees[] = {{NF_INET_PRE_ROUTING, "PREROUTING", CT_ASIDE_CHAIN | CT_ASIDE_LATE},
		    {NF_INET_FORWARD, "FORWARD", CT_ASIDE_CHAIN},
		    {NF_INET_POST_ROUTING, "POSTROUTING", CT_ASIDE_CHAIN}};
	struct ipt_getinfo info = {0};
	struct ipt_get_entries *e;
	socklen_t len = sizeof(info);
	unsigned int i, h;

	snprintf(info.name, sizeof(info.name), "%.*s", (int)sizeof(info.name) - 1, table);
	if (getsockopt(fd, l->level, l->info, &info, &len))
		return errno == ENOENT ? 0 : -errno;
	len = sizeof(*e) + info.size;
	e = calloc(1, len);
	if (!e)
		return -ENOMEM;
	memcpy(e->name, info.name, sizeof(e->name));
	e->size = info.size;
	/* EAGAIN: replaced between the two calls; it is looked at again in a second. */
	if (getsockopt(fd, l->level, l->entries, e, &len)) {
		free(e);
		return errno == EAGAIN ? 0 : -errno;
	}
	for (i = 0; i < sizeof(sees) / sizeof(sees[0]); i++) {
		h = sees[i].hook;
		if (!(info.valid_hooks & (1u << h)) ||
		    (info.hook_entry[h] == info.underflow[h] && accepts(l, e, info.underflow[h])))
			continue;
		aside_note(f, l->family == AF_INET ? ASIDE_IPV4 : ASIDE_IPV6, sees[i].flags,
			   "%s-legacy table %s, chain %s", l->command, table, sees[i].chain);
	}
	free(e);
	return 0;
}

int aside_find_legacy(struct aside_found *f)
{
	char table[XT_TABLE_MAXNAMELEN + 2];
	unsigned int i;
	int fd, ret = 0;
	FILE *names;

	for (i = 0; i < sizeof(both) / sizeof(both[0]) && !ret; i++) {
		names = fopen(both[i].names, "re");
		if (!names)
			continue; /* a kernel without it */
		fd = socket(both[i].family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (fd < 0)
			ret = -errno;
		while (!ret && fgets(table, sizeof(table), names)) {
			table[strcspn(table, "\n")] = 0;
			ret = look_at_table(&both[i], fd, table, f);
		}
		if (fd >= 0)
			close(fd);
		fclose(names);
	}
	return ret;
}
