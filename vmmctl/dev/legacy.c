// SPDX-License-Identifier: GPL-2.0
/*
 * Small ports of a PC.
 *
 * The keyboard controller (8042, ports 0x60 and 0x64) exists for its reset line. The FADT says that
 * there is none, so that ACPI systems do not look; those that do find one that passes its self test
 * and whose ports time out at once, as with nothing plugged in. It never interrupts.
 *
 * Locks: [k] legacy->lock.
 */
#include "legacy.h"

#include <errno.h>
#include <stdlib.h>

#include "devices.h"
#include "host.h"

#define PORT_KBD_DATA	0x60
#define PORT_KBD_CMD	0x64
#define PORT_POST	0x80
#define PORT_92		0x92

#define ST_OUTPUT_FULL	0x01
#define ST_SYSTEM	0x04
#define ST_COMMAND	0x08
#define ST_UNLOCKED	0x10
#define ST_TIMEOUT	0x40

#define CMD_READ_MODE	0x20
#define CMD_WRITE_MODE	0x60
#define CMD_AUX_OFF	0xa7
#define CMD_AUX_ON	0xa8
#define CMD_AUX_TEST	0xa9
#define CMD_SELF_TEST	0xaa
#define CMD_KBD_TEST	0xab
#define CMD_KBD_OFF	0xad
#define CMD_KBD_ON	0xae
#define CMD_READ_OUT	0xd0
#define CMD_WRITE_OUT	0xd1
#define CMD_WRITE_AUX	0xd4
#define CMD_PULSE	0xf0	/* and above: pulse the lines whose bit is zero */

#define SELF_TEST_OK	0x55
#define PORT_TEST_OK	0x00
#define PORT_TEST_DEAD	0x01	/* clock line stuck low: no such port */
#define KBD_RESEND	0xfe

#define MODE_KBD_OFF	0x10
#define MODE_AUX_OFF	0x20
#define OUT_NO_RESET	0x01
#define OUT_A20		0x02

#define P92_RESET	0x01
#define P92_A20		0x02

#define DEBUG_EXIT_PORTS 4

/**
 * struct legacy - the ports
 * @status: [k] 8042 status register
 * @mode: [k] 8042 mode byte
 * @output: [k] 8042 output buffer
 * @command: [k] command whose data byte is awaited, 0 = none
 * @port92: [k]
 * @post: [k] last POST code
 */
struct legacy {
	struct vm *vm;			/* [I] */
	struct io_region data_region, cmd_region, post_region, p92_region;	/* [I] */
	struct io_region exit_region;	/* [I] size 0 = none */

	pthread_mutex_t lock;
	uint8_t status, mode, output, command;
	uint8_t port92, post;
};

static void answer(struct legacy *l, uint8_t value, uint8_t flags)
{
	l->output = value;
	l->status = (l->status & ~ST_TIMEOUT) | ST_OUTPUT_FULL | flags;
}

static uint8_t data_read(void *opaque, unsigned int offset)
{
	struct legacy *l = opaque;

	(void)offset;
	l->status &= ~(ST_OUTPUT_FULL | ST_TIMEOUT);
	return l->output;
}

static void data_write(void *opaque, unsigned int offset, uint8_t value)
{
	struct legacy *l = opaque;
	uint8_t command = l->command;

	(void)offset;
	l->status &= ~ST_COMMAND;
	l->command = 0;
	switch (command) {
	case CMD_WRITE_MODE:
		l->mode = value;
		break;
	case CMD_WRITE_OUT:
		/* A20 is never closed */
		if (!(value & OUT_NO_RESET))
			vm_end(l->vm, STATUS_REBOOT);
		break;
	default:
		/* for a device that is not there */
		answer(l, KBD_RESEND, ST_TIMEOUT);
		break;
	}
}

static uint8_t cmd_read(void *opaque, unsigned int offset)
{
	(void)offset;
	return ((struct legacy *)opaque)->status;
}

static void cmd_write(void *opaque, unsigned int offset, uint8_t value)
{
	struct legacy *l = opaque;

	(void)offset;
	l->status |= ST_COMMAND;
	l->command = 0;
	switch (value) {
	case CMD_READ_MODE:
		answer(l, l->mode, 0);
		break;
	case CMD_WRITE_MODE:
	case CMD_WRITE_OUT:
	case CMD_WRITE_AUX:
		l->command = value;
		break;
	case CMD_AUX_OFF:
		l->mode |= MODE_AUX_OFF;
		break;
	case CMD_AUX_ON:
		l->mode &= ~MODE_AUX_OFF;
		break;
	case CMD_AUX_TEST:
		answer(l, PORT_TEST_DEAD, 0);
		break;
	case CMD_SELF_TEST:
		l->status |= ST_SYSTEM;
		answer(l, SELF_TEST_OK, 0);
		break;
	case CMD_KBD_TEST:
		answer(l, PORT_TEST_OK, 0);
		break;
	case CMD_KBD_OFF:
		l->mode |= MODE_KBD_OFF;
		break;
	case CMD_KBD_ON:
		l->mode &= ~MODE_KBD_OFF;
		break;
	case CMD_READ_OUT:
		answer(l, OUT_NO_RESET | OUT_A20, 0);
		break;
	default:
		if (value >= CMD_PULSE && !(value & OUT_NO_RESET))
			vm_end(l->vm, STATUS_REBOOT);
		break;
	}
}

static uint8_t post_read(void *opaque, unsigned int offset)
{
	(void)offset;
	return ((struct legacy *)opaque)->post;
}

static void post_write(void *opaque, unsigned int offset, uint8_t value)
{
	(void)offset;
	((struct legacy *)opaque)->post = value;
}

static uint8_t p92_read(void *opaque, unsigned int offset)
{
	(void)offset;
	return ((struct legacy *)opaque)->port92 | P92_A20;
}

static void p92_write(void *opaque, unsigned int offset, uint8_t value)
{
	struct legacy *l = opaque;
	bool pulse = (value & P92_RESET) && !(l->port92 & P92_RESET);

	(void)offset;
	l->port92 = value;
	if (pulse)
		vm_end(l->vm, STATUS_REBOOT);
}

static void locked_access(struct legacy *l, uint64_t offset, bool is_write, void *data,
			  unsigned int len, byte_read_fn rd, byte_write_fn wr)
{
	pthread_mutex_lock(&l->lock);
	access_bytes(l, offset, is_write, data, len, rd, wr);
	pthread_mutex_unlock(&l->lock);
}

static void data_access(void *opaque, uint64_t offset, bool is_write, void *data,
			unsigned int len)
{
	locked_access(opaque, offset, is_write, data, len, data_read, data_write);
}

static void cmd_access(void *opaque, uint64_t offset, bool is_write, void *data,
		       unsigned int len)
{
	locked_access(opaque, offset, is_write, data, len, cmd_read, cmd_write);
}

static void post_access(void *opaque, uint64_t offset, bool is_write, void *data,
			unsigned int len)
{
	locked_access(opaque, offset, is_write, data, len, post_read, post_write);
}

static void p92_access(void *opaque, uint64_t offset, bool is_write, void *data,
		       unsigned int len)
{
	locked_access(opaque, offset, is_write, data, len, p92_read, p92_write);
}

static void exit_access(void *opaque, uint64_t offset, bool is_write, void *data,
			unsigned int len)
{
	struct legacy *l = opaque;

	if (!is_write)
		store_le(data, 0, len);
	else if (!offset)
		vm_end(l->vm, (load_le(data, len) << 1 | 1) & 0xff);
}

struct legacy *legacy_create(struct vm *vm)
{
	struct legacy *l = xcalloc(1, sizeof(*l));
	int err;

	l->vm = vm;
	pthread_mutex_init(&l->lock, NULL);
	l->status = ST_SYSTEM | ST_UNLOCKED;
	l->mode = MODE_KBD_OFF | MODE_AUX_OFF;
	l->data_region = (struct io_region){ PORT_KBD_DATA, 1, data_access, l };
	l->cmd_region = (struct io_region){ PORT_KBD_CMD, 1, cmd_access, l };
	l->post_region = (struct io_region){ PORT_POST, 1, post_access, l };
	l->p92_region = (struct io_region){ PORT_92, 1, p92_access, l };
	err = bus_add(&vm->pio, &l->data_region);
	err = err ?: bus_add(&vm->pio, &l->cmd_region);
	err = err ?: bus_add(&vm->pio, &l->post_region);
	err = err ?: bus_add(&vm->pio, &l->p92_region);
	if (err) {
		legacy_free(l);
		errno = -err;
		return NULL;
	}
	return l;
}

int debug_exit_create(struct vm *vm, uint16_t port)
{
	struct legacy *l = vm->devices->legacy;
	int err;

	l->exit_region = (struct io_region){ port, DEBUG_EXIT_PORTS, exit_access, l };
	err = bus_add(&vm->pio, &l->exit_region);
	if (err)
		l->exit_region.size = 0;
	return err;
}

void legacy_free(struct legacy *l)
{
	if (!l)
		return;
	bus_remove(&l->vm->pio, &l->data_region);
	bus_remove(&l->vm->pio, &l->cmd_region);
	bus_remove(&l->vm->pio, &l->post_region);
	bus_remove(&l->vm->pio, &l->p92_region);
	if (l->exit_region.size)
		bus_remove(&l->vm->pio, &l->exit_region);
	pthread_mutex_destroy(&l->lock);
	free(l);
}
