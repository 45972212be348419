# SPDX-License-Identifier: GPL-2.0

tests += vq
vq-src := $(addprefix vq/,chains.c events.c fake.c hostile.c rules.c) ../../virtio-backends/vq.c
vq-cflags := -Ivq
