# SPDX-License-Identifier: GPL-2.0
tests += walk
walk-src := walk/walk.c ../../kmod/mmu/walk.c
walk-cflags := -I../../kmod/mmu
