/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFCT_TESTS_FLOOD_H
#define BPFCT_TESTS_FLOOD_H

/* Raw frames at a rate, from many sources: what flood.c and fragflood.c share. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct flood {
	bool v6, tcp;
	uint8_t src[16], dst[16];
	unsigned int src_bits; /* of the prefix; all: one source */
	unsigned int port, sport, count, rate;
};

static inline uint32_t sum16(uint32_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (; len > 1; len -= 2, p += 2)
		sum += p[0] << 8 | p[1];
	return len ? sum + (p[0] << 8) : sum;
}

static inline uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum & 0xffff);
}

static inline int parse_address(const char *text, struct flood *f, uint8_t out[16],
				unsigned int *bits)
{
	char addr[64];
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);

	if (len >= sizeof(addr))
		return -EINVAL;
	memcpy(addr, text, len);
	addr[len] = 0;
	f->v6 = strchr(addr, ':');
	if (inet_pton(f->v6 ? AF_INET6 : AF_INET, addr, out) != 1)
		return -EINVAL;
	*bits = slash ? atoi(slash + 1) : f->v6 ? 128 : 32;
	return 0;
}

/* Another address of the prefix for each number: its bits, scattered. */
static inline void source_of(const struct flood *f, unsigned int n, uint8_t out[16])
{
	unsigned int all = f->v6 ? 128 : 32, bit, room = all - f->src_bits;
	uint32_t scattered = n * 0x9e3779b1u;

	memcpy(out, f->src, 16);
	for (bit = 0; bit < room && bit < 32; bit++)
		if (scattered >> (31 - bit) & 1)
			out[(f->src_bits + bit) / 8] |= 0x80 >> ((f->src_bits + bit) % 8);
}

static inline double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* The Ethernet header: mac is the router's, from nobody in particular. */
static inline void flood_ether(const struct flood *f, uint8_t *frame, const uint8_t mac[6])
{
	memcpy(frame, mac, 6);
	frame[6] = 2; /* a local address; nobody answers to it */
	frame[12] = f->v6 ? 0x86 : 0x08;
	frame[13] = f->v6 ? 0xdd : 0x00;
}

/* Frame n of count at most `rate` a second; -errno. */
static inline int flood_send(const struct flood *f, int fd, const uint8_t *frame, size_t len,
			     unsigned int n, double began)
{
	while (seconds() - began < (double)n / f->rate)
		usleep(500);
	if (send(fd, frame, len, 0) < 0 && errno != ENOBUFS)
		return -errno;
	return 0;
}

/* A packet socket on a device, or -1 with a message. */
static inline int flood_open(const char *who, const char *device)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET};
	int fd, bypass = 1;

	to.sll_ifindex = if_nametoindex(device);
	fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (fd < 0 || !to.sll_ifindex || bind(fd, (struct sockaddr *)&to, sizeof(to))) {
		fprintf(stderr, "%s: %s: %s\n", who, device, strerror(errno));
		return -1;
	}
	setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &bypass, sizeof(bypass));
	return fd;
}

static inline int parse_mac(const char *text, uint8_t mac[6])
{
	return sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3],
		      &mac[4], &mac[5]) == 6
		       ? 0
		       : -EINVAL;
}

#endif
