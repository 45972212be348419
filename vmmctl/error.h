/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An error on its way to the user: filled where it is found, printed by whoever decides what it
 * means.
 */
#ifndef VMMCTL_ERROR_H
#define VMMCTL_ERROR_H

/**
 * struct error - one message, without the program's name and without a newline at its end
 * @text: the message; may be several lines
 */
struct error {
	char text[2048];
};

/**
 * error_set() - fill @e
 * @e: where to; what it held is replaced
 *
 * Return: -1 always, so that a caller can write return error_set(...).
 */
int error_set(struct error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** error_add() - append to what @e holds. Return: -1 always. */
int error_add(struct error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif /* VMMCTL_ERROR_H */
