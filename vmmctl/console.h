/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest's console joined to standard input and output.
 *
 *	hvc:	stdin - I/O thread -> pipe -> virtio console -> pipe -> writer -> stdout
 *	serial:	stdin - I/O thread -> serial_input()          serial port's own thread -> stdout
 *
 * The I/O thread sees every byte of input, so that the escape key works even if the guest reads
 * nothing. What the guest does not take is kept; when that is full, a terminal's further bytes
 * are dropped and a file or pipe is not read on. Output waits for a slow reader.
 */
#ifndef VMMCTL_CONSOLE_H
#define VMMCTL_CONSOLE_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "vmmctl.h"

struct console;
struct loop;

/**
 * console_create() - make the device that vm->opt->console names; the serial port exists in any
 * case
 * @vm: its devices exist, it does not run yet
 * @loop: the I/O thread's
 * @escape: called in the I/O thread when the escape key was pressed
 * @opaque: its argument
 * @e: what is wrong
 *
 * Return: the console, NULL on an error.
 */
struct console *console_create(struct vm *vm, struct loop *loop, void (*escape)(void *opaque),
			       void *opaque, struct error *e);

/**
 * console_start() - begin to read input; @tty: standard input is a terminal in raw mode. I/O
 * thread.
 */
void console_start(struct console *c, bool tty);

/** console_resize() - tell the guest the window's size. I/O thread. */
void console_resize(struct console *c);

/**
 * console_end() - no more input; the serial port is freed. No vCPU runs any more; the devices
 * still exist.
 */
void console_end(struct console *c);

/**
 * console_flush() - let output come to its end
 * @c: console_end() was called and the devices are gone
 * @done: becomes true in the I/O thread, by its loop, when all of it was written
 */
void console_flush(struct console *c, bool *done);

/** console_written() - bytes of output that the reader has taken so far */
uint64_t console_written(struct console *c);

#endif /* VMMCTL_CONSOLE_H */
