# SPDX-License-Identifier: GPL-2.0
#
# vmmctl's devices: the real files, with only ioctls and clocks replaced at link time.

devices-hex := $(O)/devices-include/dsdt.hex
devices-aml := $(O)/devices-include/dsdt.aml

$(devices-hex): ../../vmmctl/acpi/dsdt.asl
	@mkdir -p $(@D)
	@iasl -we -vs -tc -p $(@D)/dsdt $< >$(@D)/iasl.log 2>&1 || { cat $(@D)/iasl.log; exit 1; }

devices-vmmctl := irq.c bus.c vm.c kvm.c mem.c error.c log.c terminal.c diagnose.c \
	$(patsubst ../../vmmctl/%,%,$(wildcard ../../vmmctl/dev/*.c ../../vmmctl/acpi/*.c))

tests += devices
devices-src := $(addprefix devices/,kernel.c machine.c pic.c ioapic.c pit.c rtc.c platform.c \
	serial.c pci.c driver.c virtio.c hostile.c acpi.c) $(addprefix ../../vmmctl/,$(devices-vmmctl))
devices-cflags := -D_GNU_SOURCE -pthread -I../../vmmctl -I$(O)/devices-include \
	-Wl,--wrap=vmm_ioctl -Wl,--wrap=clock_ns -Wl,--wrap=wall_ns -Wl,--wrap=loop_start
devices-libs := -lkmod
devices-deps := $(devices-hex)
