# SPDX-License-Identifier: GPL-2.0
#
# kmod/irq and kmod/io in userland: lapic/kernel.h stands for the kernel, and its headers are
# empty files, one for each that the sources name.

kunit-files := $(wildcard ../../kmod/irq/*.[ch] ../../kmod/io/*.[ch]) ../../kmod/vmm.h ../../kmod/trace.h
kunit-dir := $(O)/lapic-include
kunit-cflags := -include lapic/kernel.h -I$(kunit-dir) -DKMOD_COMPAT_H \
	-Wno-sign-compare -Wno-missing-field-initializers

$(kunit-dir)/stamp: $(kunit-files) lapic/tests.mk
	@mkdir -p $(kunit-dir)
	@grep -ho '^#include <[^>]*>' $(kunit-files) | sed 's/.*<//; s/>//' | sort -u | \
	while read -r h; do case $$h in \
		(linux/types.h | linux/vmm*.h) ;; \
		(*) mkdir -p $(kunit-dir)/$$(dirname $$h); : >$(kunit-dir)/$$h ;; \
	esac; done
	@touch $@

tests += lapic
lapic-src := $(addprefix lapic/,world.c regs.c priority.c ipi.c timer.c state.c route.c page.c) \
	$(addprefix ../../kmod/irq/,lapic.c lapic_regs.c lapic_timer.c lapic_state.c lapic_page.c ipi.c route.c)
lapic-cflags := $(kunit-cflags)
lapic-deps := $(kunit-dir)/stamp

tests += io-bus
io-bus-src := lapic/bus.c ../../kmod/io/bus.c ../../kmod/io/ioeventfd.c
io-bus-cflags := $(kunit-cflags)
io-bus-deps := $(kunit-dir)/stamp
