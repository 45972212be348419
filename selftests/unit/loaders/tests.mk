# SPDX-License-Identifier: GPL-2.0
#
# vmmctl: kernels and how they are placed (loaders), disks and what is found on them (bootdisk), a
# child that lies about that (bootchild), command line, buses, topology and terminal (command).

loaders-vmmctl-flags := -D_GNU_SOURCE -DVMMCTL_VERSION='"test"' -I../../vmmctl -pthread
loaders-common := $(addprefix ../../vmmctl/,error.c log.c terminal.c)

tests += loaders
loaders-src := $(addprefix loaders/,loaders.c linux.c elf.c multiboot.c) $(loaders-common) \
	$(addprefix ../../vmmctl/,boot.c boot_linux.c boot_pvh.c boot_multiboot.c elf_image.c \
	image.c mem.c)
loaders-cflags := $(loaders-vmmctl-flags)
loaders-env := VMM_TEST_KERNELS="$(wildcard ../../build/kernels/*/boot/vmlinuz-*)"

tests += bootdisk
bootdisk-src := $(addprefix loaders/,bootdisk.c part.c disk.c) $(loaders-common) \
	$(addprefix ../../vmmctl/,bootdisk.c bootdisk_child.c diagnose.c disk.c extfs.c image.c \
	part.c version.c)
bootdisk-cflags := $(loaders-vmmctl-flags) -I/usr/include/ext2fs -I/usr/include/et
bootdisk-libs := -lext2fs -lcom_err

tests += bootchild
bootchild-src := loaders/bootchild.c $(loaders-common) \
	$(addprefix ../../vmmctl/,bootdisk_child.c diagnose.c disk.c image.c version.c)
bootchild-cflags := $(loaders-vmmctl-flags)

tests += command
command-src := $(addprefix loaders/,command.c bus.c topology.c terminal.c) $(loaders-common) \
	$(addprefix ../../vmmctl/,bus.c cmdline.c topology.c options.c version.c)
command-cflags := $(loaders-vmmctl-flags)
