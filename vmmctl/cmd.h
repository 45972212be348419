/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The verbs of vmmctl. Each gets the arguments from its own name on and returns the exit status.
 */
#ifndef VMMCTL_CMD_H
#define VMMCTL_CMD_H

int cmd_run(int argc, char **argv);

/**
 * self_argv - the arguments of this process as they were at its start, for those who start it
 * anew
 */
extern char **self_argv;

#endif /* VMMCTL_CMD_H */
