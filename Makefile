# SPDX-License-Identifier: GPL-2.0
#
# vmm: kernel modules and vmmctl.  "make help" lists the targets.

MAKEFLAGS += --no-print-directory
SHELL := /bin/bash

PREFIX ?= /usr/local
DESTDIR ?=
UDEVDIR ?= /usr/lib/udev/rules.d
VMM_DEBUG ?=

top := $(CURDIR)
build := $(top)/build
testhost := selftests/testhost

# Which kernels the modules are built for: those named by KVER (of the test
# host), that of KDIR, the running one, or all of the test host's that are there.
running := $(shell uname -r)
running-kdir := /lib/modules/$(running)/build
testhost-kvers := $(strip $(patsubst $(build)/kernels/%/release,%,$(wildcard $(build)/kernels/*/release)) \
	$(patsubst $(build)/%-kernel/release,%,$(wildcard $(build)/debug-kernel/release)))

ifneq ($(KVER),)
kernels := $(KVER)
else ifneq ($(KDIR),)
kernels := kdir
else ifneq ($(wildcard $(running-kdir)/Makefile),)
KDIR := $(running-kdir)
kernels := kdir
else
kernels := $(testhost-kvers)
endif

# Of the kernel $(1): build directory, label, VMM_DEBUG, where its modules go.
kdir-of = $(strip $(if $(filter kdir,$(1)),$(KDIR),$(if $(filter debug,$(1)),$(build)/debug-kernel/build,$(build)/kernels/$(1)/build)))
kdir-release := $(if $(filter kdir,$(kernels)),$(shell cat $(KDIR)/include/config/kernel.release 2>/dev/null))
label-of = $(if $(filter kdir,$(1)),$(kdir-release),$(1))
debug-of = $(if $(filter debug,$(1)),1,$(filter 1,$(VMM_DEBUG)))
out-of = $(build)/modules/$(call label-of,$(1))$(if $(filter-out debug,$(1)),$(if $(filter 1,$(VMM_DEBUG)),-debug))$(OUT_SUFFIX)

# Without BTF: it would need pahole where the headers bring a vmlinux.
kbuild = $(MAKE) -C $(call kdir-of,$(1)) M=$(call out-of,$(1)) \
	VMM_DEBUG=$(call debug-of,$(1)) CONFIG_DEBUG_INFO_BTF_MODULES=

module-sources := Kbuild kmod uapi virtio-backends

.PHONY: all
all: vmmctl modules

.PHONY: vmmctl
vmmctl:
	+$(MAKE) -C vmmctl O=$(build)/vmmctl

.PHONY: modules
ifeq ($(kernels),)
modules:
	@echo "No kernel headers: the modules are not built."
	@echo "For the running kernel ($(running)): apt-get install linux-headers-$(running)"
	@echo "(or linux-headers-amd64, and boot that kernel); for the test host: make testhost-kernels"
else
modules: $(addprefix modules-,$(kernels))
endif

# The sources are mirrored by links into one directory a kernel, where Kbuild
# leaves its objects; links whose source is gone are dropped first.
.PHONY: modules-%
modules-%: $(if $(KVER),testhost-kernel-%)
	@[ -n "$(call label-of,$*)" ] && [ -e "$(call kdir-of,$*)/Makefile" ] || { \
		echo "No kernel headers in $(call kdir-of,$*): apt-get install linux-headers-$(running)," >&2; \
		echo "or name another build directory: make KDIR=/lib/modules/VERSION/build" >&2; exit 1; }
	@echo "Modules for $(call label-of,$*) ($(call kdir-of,$*))$(if $(call debug-of,$*), with VMM_DEBUG)"
	@mkdir -p $(call out-of,$*)
	@set -e; exec 9>$(call out-of,$*).lock; flock 9; \
	for d in $(module-sources); do [ ! -e $$d ] || cp -rsf $(top)/$$d $(call out-of,$*)/; done; \
	find $(call out-of,$*) -xtype l -delete
	+@flock $(call out-of,$*).lock $(call kbuild,$*) modules

# The test host's kernels are fetched when they are asked for by KVER.
.PHONY: testhost-kernel-%
testhost-kernel-%:
	@$(testhost)/fetch-kernels $*

.PHONY: testhost-kernels
testhost-kernels:
	$(testhost)/fetch-kernels

.PHONY: install install-modules install-vmmctl uninstall
install: install-modules install-vmmctl

install-modules:
	@[ "$(kernels)" = kdir ] || { \
		echo "No headers of the kernel to install for: apt-get install linux-headers-$(running)," >&2; \
		echo "or name a build directory: make install KDIR=/lib/modules/VERSION/build" >&2; exit 1; }
	+@$(MAKE) modules-kdir
	+$(call kbuild,kdir) INSTALL_MOD_PATH=$(DESTDIR) modules_install

install-vmmctl: vmmctl
	install -D -m 755 $(build)/vmmctl/vmmctl $(DESTDIR)$(PREFIX)/bin/vmmctl
	install -D -m 644 kmod/60-vmm.rules $(DESTDIR)$(UDEVDIR)/60-vmm.rules
	@[ -n "$(DESTDIR)" ] || ! command -v udevadm >/dev/null || udevadm control --reload || true

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/vmmctl $(DESTDIR)$(UDEVDIR)/60-vmm.rules
	find $(DESTDIR)/lib/modules/*/ \( -name vmm.ko\* -o -name vmm_virtio.ko\* \) -path '*/updates/*' -delete
	[ -n "$(DESTDIR)" ] || depmod

.PHONY: unload load
unload load:
	@kmod/load.sh $@

.PHONY: check check-quick check-all
check:
	.ci/run
check-quick:
	.ci/run --quick
check-all:
	.ci/run --all

# The lanes of one kind of test host, all of them.
host-checks := check-svm check-svm-bochs check-vmx check-debug
.PHONY: $(host-checks)
$(host-checks): check-%:
	.ci/run --all --group $*

.PHONY: checkpatch
checkpatch:
	selftests/static/checkpatch

.PHONY: demo
demo:
	@$(testhost)/demo

.PHONY: testhost-shell
testhost-shell:
	+@$(MAKE) KVER=$(or $(KVER),6.12) modules vmmctl
	$(testhost)/run --kernel $(or $(KVER),6.12) --tty --timeout 86400 --name shell --raw-kernel -- bash -l

.PHONY: soak
soak:
	+@$(MAKE) KVER=6.12 VMM_DEBUG=1 modules vmmctl
	VMM_DEBUG=1 TEST_N=$(or $(N),200) TEST_TIME_SCALE=$$(($(or $(N),200) / 20 + 1)) \
		selftests/lib/boot-test 6.12 selftests/boot/soak.sh

.PHONY: clean distclean
clean:
	rm -rf $(build)/modules $(build)/vmmctl $(build)/selftests $(build)/logs
distclean:
	rm -rf $(build)

.PHONY: help
help:
	@echo "make                  vmmctl, and the modules for KDIR=, the running kernel or the test host's"
	@echo "make vmmctl           vmmctl alone                          -> build/vmmctl/"
	@echo "make modules          the modules alone                     -> build/modules/KERNEL/"
	@echo "make install          modules, vmmctl and udev rule (DESTDIR= PREFIX=$(PREFIX) UDEVDIR=)"
	@echo "make uninstall        removes them"
	@echo "make load | unload    the modules into or out of the running kernel"
	@echo "make demo             a Debian guest from its disk, in the test host (YES=1: ask nothing, HW=1: on this machine)"
	@echo "make check            the tests, as .ci/run does; make check-quick: no debug kernel"
	@echo "make check-all        those and the lanes that take hours; check-svm, check-svm-bochs, check-vmx,"
	@echo "                      check-debug: all lanes of that kind of test host"
	@echo "make checkpatch       checkpatch --strict over the tree"
	@echo "make testhost-shell   a shell in the test host"
	@echo "make soak N=200       kills vmmctl N times during a boot"
	@echo "make testhost-kernels fetches the test host's kernels into build/"
	@echo "make clean | distclean  what was built; all of build/"
	@echo
	@echo "KDIR=DIR       build directory of the kernel to build for"
	@echo "KVER='6.1 6.12 debug'  kernels of the test host to build for"
	@echo "VMM_DEBUG=1    the modules check themselves as they run -> build/modules/KERNEL-debug/"
	@echo "W=1 C=2 V=1    as in the kernel's own build"
