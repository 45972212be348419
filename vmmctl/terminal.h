/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The user's terminal: raw while a guest has it, as it was before however vmmctl ends.
 *
 *	          terminal_raw()              terminal_restore()
 *	COOKED --------------------> RAW ---------------------------> COOKED
 *	                              |  ^
 *	            terminal_pause()  |  |  terminal_resume()        (SIGTSTP, SIGCONT)
 *	                              v  |
 *	                             PAUSED
 *
 * Who restores: atexit, die(), the handlers of fatal signals, and, where vmmctl has no say
 * (SIGKILL), a small child that waits for its end.
 */
#ifndef VMMCTL_TERMINAL_H
#define VMMCTL_TERMINAL_H

#include <stdbool.h>

/**
 * terminal_raw() - put the terminal behind standard input into raw mode
 *
 * Does nothing when standard input is no terminal. Call it once, from the main thread; there may
 * be others.
 *
 * Return: whether there is a terminal.
 */
bool terminal_raw(void);

/**
 * terminal_restore() - put the terminal back. Safe from any thread and from signal handlers; the
 * first call wins.
 */
void terminal_restore(void);

/** terminal_pause() - put the terminal back while vmmctl is stopped */
void terminal_pause(void);

/** terminal_resume() - raw mode again after terminal_pause() or after somebody else changed it */
void terminal_resume(void);

/** terminal_is_raw() - whether output needs carriage returns */
bool terminal_is_raw(void);

/**
 * terminal_size() - the size of the user's window
 * @cols: columns
 * @rows: rows
 *
 * Return: false when there is none.
 */
bool terminal_size(unsigned short *cols, unsigned short *rows);

/**
 * terminal_reap() - wait for the guarding child; after terminal_restore(), from a normal thread,
 * before exec
 */
void terminal_reap(void);

#endif /* VMMCTL_TERMINAL_H */
