/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Functions that the linker puts in the place of vmmctl's own (--wrap in tests.mk), and those.
 */
#ifndef UNIT_DEVICES_WRAP_H
#define UNIT_DEVICES_WRAP_H

#include <stdint.h>

struct loop;

int __wrap_vmm_ioctl(int fd, unsigned long cmd, void *arg);
uint64_t __wrap_clock_ns(void);
uint64_t __wrap_wall_ns(void);
int __wrap_loop_start(struct loop *loop);
uint64_t __real_clock_ns(void);
uint64_t __real_wall_ns(void);
int __real_loop_start(struct loop *loop);

#endif /* UNIT_DEVICES_WRAP_H */
