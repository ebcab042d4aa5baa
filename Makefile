# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# bpfct. `make help` lists the targets. V=1 shows commands, O=dir builds elsewhere.
O ?= build
PREFIX ?= /usr/local
CLANG ?= clang
CC ?= gcc
BPFTOOL ?= /usr/sbin/bpftool
JOBS ?= $(shell nproc)
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-8s %s\n' $(1) $(2))

ARCH_INC := $(shell $(CC) -print-multiarch 2>/dev/null)
BPF_CFLAGS := -O2 -g -Wall -Wextra -Wno-unused-function -Wno-unused-parameter -Werror -target bpf -mcpu=v3 -Ibpf -I. -I/usr/include/$(ARCH_INC)
CFLAGS ?= -O2 -g
ALL_CFLAGS = $(CFLAGS) -std=gnu11 -Wall -Wextra -Werror -D_GNU_SOURCE -I. -I$(O) -MMD -MP

BPF_SRC := $(wildcard bpf/*.bpf.c consumers/firewall/*.bpf.c consumers/ovs/*.bpf.c examples/*.bpf.c tests/bpf/*.bpf.c tests/bench/*.bpf.c tests/netns/*.bpf.c)
BPF_OBJ := $(BPF_SRC:%.c=$(O)/%.o)
SKEL_SRC := $(wildcard bpf/*.bpf.c consumers/firewall/*.bpf.c consumers/ovs/*.bpf.c)
SKELS := $(SKEL_SRC:%.bpf.c=$(O)/%.skel.h)

LIB_SRC := $(wildcard userspace/lib/*.c)
FW_SRC := $(filter-out %.bpf.c,$(wildcard consumers/firewall/*.c))
FW_GEN := $(O)/consumers/firewall/fw_lex.c $(O)/consumers/firewall/fw_parse.c
CTD_SRC := $(wildcard userspace/ctd/*.c)
CTCTL_SRC := $(wildcard userspace/ctctl/*.c)
LIB_OBJ := $(LIB_SRC:%.c=$(O)/%.o)
FW_OBJ := $(FW_SRC:%.c=$(O)/%.o) $(FW_GEN:%.c=%.o)
CTD_OBJ := $(CTD_SRC:%.c=$(O)/%.o)
CTCTL_OBJ := $(CTCTL_SRC:%.c=$(O)/%.o)
ALG_SRC := $(wildcard alg/*.c)
ALG_OBJ := $(ALG_SRC:%.c=$(O)/%.o)
ALG_LIBS := -losipparser2
LIBS := -lbpf -lelf -lz -lmnl -ljson-c
CTD_LIBS := -lnetfilter_conntrack -lnftnl -levent_core -lsystemd -lseccomp -lcap-ng
CTCTL_LIBS := -lnetfilter_conntrack

FUZZ_SRC := $(wildcard tests/fuzz/*.c)
FUZZ_BIN := $(FUZZ_SRC:%.c=$(O)/%)
UNIT_SRC := $(wildcard tests/unit/*.c)
UNIT_BIN := $(UNIT_SRC:%.c=$(O)/%)
BENCH_SRC := $(filter-out %.bpf.c,$(wildcard tests/bench/*.c))
BENCH_BIN := $(BENCH_SRC:%.c=$(O)/%)
BPFTEST_SRC := $(filter-out %.bpf.c,$(wildcard tests/bpf/*.c))
BPFTEST_BIN := $(BPFTEST_SRC:%.c=$(O)/%)
BPFTEST_LIB := $(patsubst %.c,$(O)/%.o,$(wildcard tests/bpf/lib/*.c))

KERNELTEST_BIN := $(patsubst %.c,$(O)/%,$(wildcard tests/kernels/*.c))
TESTLIB_BIN := $(patsubst %.c,$(O)/%,$(wildcard tests/lib/*.c))

OVS_SRC := $(wildcard consumers/ovs/dpif-bpf*.c)
# Helpers' payload is read in vswitchd by what reads it in ctd.
OVS_CTD := tcx rundir alg_io alg_conn alg_tcp alg_udp alg_packet alg_expect expect expect_gre expect_ops expect_port
OVS_OBJ := $(OVS_SRC:%.c=$(O)/%.o)

.PHONY: all help packages build bpf demo check check-long rfc lint bench install install-ovs uninstall-ovs clean ovs ovs-vswitchd check-ovs demo-ovs
all: packages
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) build

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 14

packages: ## install what packaging/packages.txt names and the machine lacks
	$(Q)packaging/install-packages

build: $(O)/ctd $(O)/ctctl $(O)/libalg.a $(BPF_OBJ) ## compile everything (no tests)
bpf: $(BPF_OBJ) ## compile the BPF objects only

demo: all ## examples/home.conf between two LANs and a server, real traffic, the table
	$(Q)O=$(O) tests/demo

check: all ## build and run all tests, lint included
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) tests-build
	$(Q)O=$(O) tests/run

# What vswitchd is linked from is Debian's source, built once and kept outside the tree.
ovs: all ## ovs-vswitchd 3.1 with our datapath, in build/ovs; docs/ovs.md
	$(Q)tree=$$(consumers/ovs/host) && $(MAKE) --no-print-directory -j$(JOBS) OVS_TREE=$$tree ovs-vswitchd

ovs-vswitchd: $(O)/ovs/ovs-vswitchd

check-ovs: ovs ## OVS's own system tests on our datapath; ARGS='-k conntrack' or numbers picks groups
	$(Q)O=$(O) tests/check-ovs $(ARGS)

demo-ovs: ovs ## a bridge with two namespaces, a pipeline with ct(commit,nat), traffic, dumps
	$(Q)O=$(O) tests/demo-ovs

rfc: all ## the NAT RFCs as tests: a line for each requirement
	$(Q)O=$(O) tests/run scapy/rfc netns/nat_discovery

check-long: all ## the long tests
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) tests-build
	$(Q)O=$(O) tests/run --long

lint: packages ## clang-format, shellcheck, header self-containment, cppcheck
	$(Q)O=$(O) tests/lint

bench: all $(BENCH_BIN) ## figures against nft; BENCH=pattern picks some
	$(Q)tests/bench/run '$(BENCH)'

tests-build: $(UNIT_BIN) $(FUZZ_BIN) $(BPFTEST_BIN) $(BENCH_BIN) $(KERNELTEST_BIN) $(TESTLIB_BIN)
.PHONY: tests-build

$(O)/%.bpf.o: %.bpf.c
	$(call say,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MT $@ -MF $(@:.o=.d) -c $< -o $@

$(O)/%.skel.h: $(O)/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $(notdir $*) >$@.tmp && mv $@.tmp $@

$(O)/consumers/firewall/fw_lex.c: consumers/firewall/fw.l
	$(call say,FLEX,$@)
	@mkdir -p $(@D)
	$(Q)flex -o $@ --header-file=$(@:.c=.h) $<

$(O)/consumers/firewall/fw_parse.c: consumers/firewall/fw.y
	$(call say,BISON,$@)
	@mkdir -p $(@D)
	$(Q)bison -Wall -Werror -d -o $@ $<

$(O)/consumers/firewall/fw_lex.o: $(O)/consumers/firewall/fw_parse.c
$(FW_OBJ): | $(FW_GEN)
$(O)/consumers/firewall/%.o: $(O)/consumers/firewall/%.c
	$(call say,CC,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -Wno-unused-function -Iconsumers/firewall -c $< -o $@

$(O)/%.o: %.c
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -c $< -o $@

$(CTD_OBJ) $(LIB_OBJ): | $(SKELS)

$(O)/libbpfct.a: $(LIB_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(O)/libfw.a: $(FW_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(O)/libalg.a: $(ALG_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(O)/ctd: $(CTD_OBJ) $(O)/libfw.a $(O)/libalg.a $(O)/libbpfct.a
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LIBS) $(CTD_LIBS) $(ALG_LIBS)

$(O)/ctctl: $(CTCTL_OBJ) $(O)/libfw.a $(O)/libbpfct.a
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LIBS) $(CTCTL_LIBS)
	$(Q)ln -sf ctctl $(O)/conntrack

$(O)/tests/unit/%: tests/unit/%.c $(CTCTL_OBJ) $(O)/libfw.a $(O)/libbpfct.a
	$(call say,CCLD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< $(filter-out $(O)/userspace/ctctl/main.o,$(CTCTL_OBJ)) $(O)/libfw.a $(O)/libbpfct.a $(LIBS) $(CTCTL_LIBS) -lcmocka

# The parser eats what a user types and what comes over the socket: with sanitizers.
$(O)/tests/unit/fw_fuzz: tests/unit/fw_fuzz.c $(FW_SRC) $(FW_GEN) $(wildcard consumers/firewall/*.h)
	$(call say,CCLD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -std=gnu11 -Wall -Wextra -Wno-unused-function \
		-D_GNU_SOURCE -I. -Iconsumers/firewall -I$(O)/consumers/firewall -o $@ $(filter %.c,$^) -lbpf -lmnl -lcmocka

# The ALG parsers eat what strangers send: with sanitizers, from the sources.
SANITIZE := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -std=gnu11 -Wall -Wextra -Werror -D_GNU_SOURCE -I.
SANITIZED := $(patsubst %.c,$(O)/sanitized/%.o,$(ALG_SRC) $(wildcard tests/alg/*.c))
$(SANITIZED): $(O)/sanitized/%.o: %.c
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(SANITIZE) -MMD -MP -c $< -o $@

$(O)/tests/unit/alg_%: tests/unit/alg_%.c $(SANITIZED) $(wildcard alg/*.h tests/alg/*.h)
	$(call say,CCLD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(SANITIZE) -o $@ $< $(SANITIZED) $(ALG_LIBS) -lcmocka

$(O)/tests/fuzz/%: tests/fuzz/%.c $(ALG_SRC) tests/alg/lab.c $(wildcard alg/*.h tests/alg/*.h tests/fuzz/*.h)
	$(call say,FUZZ,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(SANITIZE) -fsanitize=fuzzer -o $@ $(filter %.c,$^) $(ALG_LIBS)

$(O)/libbpftest.a: $(BPFTEST_LIB)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

# The races are held against what `ctctl check` verifies.
$(O)/tests/bpf/ct_race: $(O)/userspace/ctctl/check_read.o $(O)/userspace/ctctl/check_verify.o
$(O)/tests/bpf/%: tests/bpf/%.c $(O)/libbpftest.a $(O)/libfw.a $(O)/libbpfct.a
	$(call say,CCLD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< $(O)/libbpftest.a $(filter %.o,$^) $(O)/libfw.a $(O)/libbpfct.a $(LIBS) -lcmocka -lpthread

$(O)/tests/bench/path $(O)/tests/bench/ovs: $(O)/tests/bench/lib/side.o
$(O)/tests/bench/%: tests/bench/%.c $(O)/tests/bench/lib/figure.o $(O)/libbpfct.a
	$(call say,CCLD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< $(filter %.o,$^) $(O)/libbpfct.a $(LIBS) -lpthread

$(O)/tests/lib/%: tests/lib/%.c $(O)/libbpfct.a
	$(call say,CCLD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< $(O)/libbpfct.a $(LIBS)

$(O)/tests/kernels/%: tests/kernels/%.c
	$(call say,CCLD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -static -o $@ $< -lbpf -lelf -lz

# The class: its own objects against the headers of the host's tree, which are not ours to warn about.
$(O)/consumers/ovs/dpif-%.o: consumers/ovs/dpif-%.c
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -include $(OVS_TREE)/config.h -isystem $(OVS_TREE)/include -isystem $(OVS_TREE) \
		-isystem $(OVS_TREE)/lib -c $< -o $@

$(OVS_OBJ): | $(O)/consumers/ovs/ovs_tc.skel.h

$(O)/ovs/ovs-vswitchd: $(OVS_OBJ) $(OVS_CTD:%=$(O)/userspace/ctd/%.o) $(O)/libalg.a $(O)/libbpfct.a $(OVS_TREE)/.built
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -o $@ $(OVS_TREE)/vswitchd/*.o $(filter %.o %/libalg.a %/libbpfct.a,$^) $(OVS_TREE)/ofproto/.libs/libofproto.a \
		$(OVS_TREE)/lib/.libs/libsflow.a -Wl,--whole-archive $(OVS_TREE)/lib/.libs/libopenvswitch.a -Wl,--no-whole-archive \
		$(OVS_TREE)/lib/.libs/libopenvswitchavx512.a $(LIBS) $(ALG_LIBS) -levent_core -latomic -lm -lpthread

# What user space writes into a flow, and how it cuts super-packets, with a sanitizer.
OVS_XLATE := $(addprefix consumers/ovs/dpif-bpf-,key.c action.c action-user.c action-back.c)
$(O)/tests/ovs/malformed: $(OVS_XLATE)
$(O)/tests/ovs/segments: consumers/ovs/dpif-bpf-segment.c
$(O)/tests/ovs/%: tests/ovs/%.c $(wildcard consumers/ovs/*.h) $(OVS_TREE)/.built | $(O)/consumers/ovs/ovs_tc.skel.h
	$(call say,CCLD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -O1 -g -fsanitize=address -std=gnu11 -Wall -Wextra -Werror -D_GNU_SOURCE -I. -I$(O) -include $(OVS_TREE)/config.h \
		-isystem $(OVS_TREE)/include -isystem $(OVS_TREE) -isystem $(OVS_TREE)/lib -o $@ $(filter %.c,$^) \
		-Wl,--whole-archive $(OVS_TREE)/lib/.libs/libopenvswitch.a -Wl,--no-whole-archive \
		$(OVS_TREE)/lib/.libs/libopenvswitchavx512.a -latomic -lm -lpthread

install: build ## into DESTDIR/PREFIX
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)/etc/bpfct
	install -m 755 $(O)/ctd $(O)/ctctl $(DESTDIR)$(PREFIX)/sbin/
	for s in 5 8; do install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man$$s docs/man/*.$$s || exit; done
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's,/usr/local/,$(PREFIX)/,' packaging/bpfct.service >$(DESTDIR)$(PREFIX)/lib/systemd/system/bpfct.service
	install -D -m 644 packaging/bpfct.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/bpfct.conf
	install -D -m 644 packaging/completion/ctctl $(DESTDIR)$(PREFIX)/share/bash-completion/completions/ctctl

# Debian chooses the ovs-vswitchd of its openvswitch-switch by an alternative, whose own has priority 100.
OVS_ALTERNATIVE = ovs-vswitchd $(PREFIX)/lib/bpfct/ovs-vswitchd
install-ovs: ## our ovs-vswitchd (make ovs) in the place of openvswitch-switch's, until uninstall-ovs
	install -D -m 755 $(O)/ovs/ovs-vswitchd $(DESTDIR)$(PREFIX)/lib/bpfct/ovs-vswitchd
	$(if $(DESTDIR),,update-alternatives --install /usr/sbin/ovs-vswitchd $(OVS_ALTERNATIVE) 200)

uninstall-ovs: ## openvswitch-switch's own again
	$(if $(DESTDIR),,update-alternatives --remove $(OVS_ALTERNATIVE))
	rm -f $(DESTDIR)$(PREFIX)/lib/bpfct/ovs-vswitchd
	-rmdir --ignore-fail-on-non-empty $(DESTDIR)$(PREFIX)/lib/bpfct

clean: ## remove what was built
	rm -rf $(O)

.SECONDARY:
-include $(shell find $(O) -name '*.d' 2>/dev/null)
