// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * synflood OBJECT DEVICE MAC ADDRESS PORT RATE SECONDS
 *
 * SYNs from random sources to an address and port, RATE a second, through
 * DEVICE to the router whose MAC address is given. OBJECT is
 * tests/netns/synflood.bpf.o: the frames are made in the kernel. Prints how many were sent
 * in what time; exit status 1 when the machine did not keep the rate by 5 %.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "synflood.h"

/* A call takes some 20 ms to set up, mostly asleep: this is the shortest useful step. */
#define STEP 0.05

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Sends what is due, in steps. Returns how many were sent, < 0 when that failed. */
static double flood(int prog, unsigned int len, double rate, double duration)
{
	static unsigned char frame[SYNFLOOD_FRAME];
	double began = seconds(), sent = 0, now, due;

	while ((now = seconds()) - began < duration) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = len,
			    .flags = BPF_F_TEST_XDP_LIVE_FRAMES);

		due = rate * (now - began) - sent;
		if (due < rate * STEP) {
			usleep(5000);
			continue;
		}
		opts.repeat = due;
		if (bpf_prog_test_run_opts(prog, &opts)) {
			perror("synflood: run");
			return -1;
		}
		sent += opts.repeat;
	}
	printf("%.0f SYNs in %.1f s, %.0f a second\n", sent, now - began, sent / (now - began));
	return sent / (now - began);
}

int main(int argc, char **argv)
{
	struct synflood_conf conf = {0};
	struct bpf_object *obj;
	struct bpf_map *map;
	const struct ether_addr *mac;
	double rate;
	int six;

	mac = argc == 8 ? ether_aton(argv[3]) : NULL;
	six = mac && strchr(argv[4], ':');
	if (!mac || inet_pton(six ? AF_INET6 : AF_INET, argv[4], conf.daddr) != 1) {
		fprintf(stderr, "usage: synflood OBJECT DEVICE MAC ADDRESS PORT RATE SECONDS\n");
		return 2;
	}
	memcpy(conf.mac, mac, sizeof(conf.mac));
	conf.ifindex = if_nametoindex(argv[2]);
	conf.dport = htons(atoi(argv[5]));
	rate = atof(argv[6]);
	obj = bpf_object__open_file(argv[1], NULL);
	map = obj ? bpf_object__find_map_by_name(obj, ".rodata") : NULL;
	if (!conf.ifindex || !map || bpf_map__set_initial_value(map, &conf, sizeof(conf)) ||
	    bpf_object__load(obj)) {
		fprintf(stderr, "synflood: cannot load %s for %s\n", argv[1], argv[2]);
		return 1;
	}
	return flood(bpf_program__fd(
			     bpf_object__find_program_by_name(obj, six ? "synflood6" : "synflood")),
		     six ? SYNFLOOD_FRAME : 64, rate, atof(argv[7])) < rate * 0.95;
}
