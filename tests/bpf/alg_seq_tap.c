// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Large segments of an edited connection whose checksum is left to the network card: a tap has the
 * kernel cut them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/pkt_cls.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tests/bpf/lib/seqplay.h"

/* Tables name only what matters. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

static int tap_up(unsigned int *ifindex)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	LIBBPF_OPTS(bpf_tc_hook, hook, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 1, .priority = 1, .prog_fd = seq_prog);
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	assert_true(fd >= 0);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "seq0");
	assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
	assert_int_equal(system("sysctl -qw net.ipv6.conf.seq0.disable_ipv6=1 && "
				"ip link set seq0 up"),
			 0);
	hook.ifindex = *ifindex = if_nametoindex("seq0");
	assert_int_equal(bpf_tc_hook_create(&hook), 0);
	assert_int_equal(bpf_tc_attach(&hook, &opts), 0);
	return fd;
}

/* The next TCP frame to port 21 that leaves by the tap; its length. */
static size_t tap_read(int fd, uint8_t *frame, size_t room, struct virtio_net_hdr *h)
{
	uint8_t buf[70000];
	struct pollfd p = {.fd = fd, .events = POLLIN};
	ssize_t n;

	while (poll(&p, 1, 5000) == 1) {
		n = read(fd, buf, sizeof(buf));
		if (n < (ssize_t)sizeof(*h) + 54 || (size_t)n - sizeof(*h) > room)
			continue;
		memcpy(h, buf, sizeof(*h));
		memcpy(frame, buf + sizeof(*h), n - sizeof(*h));
		return n - sizeof(*h);
	}
	return 0;
}

#define CUT 500

/* A large segment whose checksum is left to the card, as a local sender's comes: the sum of
 * the pseudo header stands in its place. */
static size_t partial_frame(uint8_t *frame, const struct packet *p, struct virtio_net_hdr *h)
{
	bool six = is6(p);
	uint8_t *ip = frame + sizeof(*h) + 14, *l4 = ip + (six ? 40 : 20);
	struct packet small = *p;
	size_t n = 20 + p->payload;

	small.payload = 0;
	build(frame + sizeof(*h), &small);
	for (int i = 0; i < p->payload; i++)
		l4[20 + i] = 'a' + i % 26;
	if (six) {
		put2(ip + 4, n);
	} else {
		put2(ip + 2, 20 + n);
		put2(ip + 10, 0);
		put2(ip + 10, ~sum(ip, 20, 0));
	}
	put2(l4 + 16, sum(ip + (six ? 8 : 12), six ? 32 : 8, n + IPPROTO_TCP));
	*h = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				     .csum_start = l4 - frame - sizeof(*h),
				     .csum_offset = 16};
	if (p->payload > CUT) {
		h->gso_type = six ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
		h->gso_size = CUT;
		h->hdr_len = l4 + 20 - frame - sizeof(*h);
	}
	memcpy(frame, h, sizeof(*h));
	return l4 - frame + n;
}

static void large_partial(int fd, int six, uint32_t ifindex, unsigned int pieces)
{
	struct seq_case c = {.dir = 0, .gen = SEQ_GEN, .redirect = ifindex};
	struct packet p = seq_segment(six, 1200, 8096), want;
	struct ct_label_key key = seq_conn(six);
	uint8_t frame[2000], got[2000];
	struct virtio_net_hdr h;
	uint32_t zero = 0;
	size_t n, len;

	assert_int_equal(bpf_map_update_elem(core.pins.alg_fd, &key, &seq_alg, BPF_ANY), 0);
	assert_int_equal(bpf_map_update_elem(seq_map, &zero, &c, BPF_ANY), 0);
	p.payload = pieces * CUT;
	n = partial_frame(frame, &p, &h);
	assert_int_equal(write(fd, frame, n), n);
	for (unsigned int i = 0; i < pieces; i++) {
		len = tap_read(fd, got, sizeof(got), &h);
		assert_int_equal(h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, 0);
		want = p;
		want.seq = 1206 + i * CUT;
		want.ack = 8100;
		want.payload = 0;
		n = seq_frame(frame, &want, (const uint8_t *)"", 0);
		assert_int_equal(len, n + CUT);
		if (!six) { /* the pieces are numbered */
			put2(frame + 14 + 4, got[14 + 4] << 8 | got[14 + 5]);
			put2(frame + 14 + 2, 40 + CUT);
			put2(frame + 14 + 10, 0);
			put2(frame + 14 + 10, ~sum(frame + 14, 20, 0));
		} else {
			put2(frame + 14 + 4, 20 + CUT);
		}
		/* all but the checksum, then that, over what has come */
		memcpy(frame + n - 4, got + n - 4, 2);
		assert_memory_equal(got, frame, n);
		assert_int_equal(
			sum(got + n - 20, 20 + CUT,
			    sum(got + (six ? 22 : 26), six ? 32 : 8, 20 + CUT + IPPROTO_TCP)),
			0xffff);
	}
}

static void checksums_left_to_the_card_and_large_segments(void **state)
{
	uint32_t ifindex;
	int fd = tap_up(&ifindex);

	(void)state;
	seq_edited(0, 1000, 0, 6);
	seq_edited(1, 8000, 0, -4);
	for (int six = 0; six < 2; six++) {
		large_partial(fd, six, ifindex, 1);
		large_partial(fd, six, ifindex, 3);
	}
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(checksums_left_to_the_card_and_large_segments),
	};

	return cmocka_run_group_tests(tests, seq_up, seq_down);
}
