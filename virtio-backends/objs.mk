# SPDX-License-Identifier: GPL-2.0
vmm_virtio-y := virtio-backends/core.o virtio-backends/vector.o virtio-backends/worker.o \
	virtio-backends/vq.o virtio-backends/file.o virtio-backends/blk.o virtio-backends/console.o
