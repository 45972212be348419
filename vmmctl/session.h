/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A VM from its start to its end, as seen by the I/O thread: signals, the escape key, the stop
 * deadline.
 *
 *	          SIGTERM, escape key            deadline, SIGTERM, escape key
 *	RUNNING ----------------------> STOPPING ----------------------------> ENDED, STATUS_KILLED
 *	   |        (power button)          |
 *	   +--------------------------------+--- the guest ends: ENDED with its status
 *	   +--------------------------------+--- SIGINT, SIGHUP, SIGQUIT: ENDED, and raised again
 */
#ifndef VMMCTL_SESSION_H
#define VMMCTL_SESSION_H

#include "error.h"
#include "vmmctl.h"

/** session_block_signals() - the main thread, before there are others */
void session_block_signals(void);

/** session_unblock_signals() - before exec, or before a signal is raised again */
void session_unblock_signals(void);

/**
 * session_run() - console, vCPUs, and everything until the VM has ended and its devices are gone
 * @vm: complete but for console and serial port; its vCPUs can run
 * @signal: the signal that ended it, or 0
 * @before_start: last preparations, when every device is there
 * @opaque: its argument
 * @e: what is wrong
 *
 * Return: the VM's exit status, -1 with @e when it did not start.
 */
int session_run(struct vm *vm, int *signal, int (*before_start)(void *opaque, struct error *e),
		void *opaque, struct error *e);

#endif /* VMMCTL_SESSION_H */
