// SPDX-License-Identifier: GPL-2.0
/*
 * The first serial port.
 *
 *	guest -- THR --> tx ring -- writer thread --> out_fd
 *	guest <- RBR --- FIFO of 1 or 16 <-- rx ring <-- serial_input()
 *
 * The transmitter is as fast as the reader behind out_fd. THRE and TEMT say that the ring has room
 * for a FIFO's worth of bytes; without room they stay clear, which stops a driver that looks. One
 * that writes all the same (a kernel's console gives up waiting after some ms) is held in its write
 * until there is room, for STALL_MS at most: then bytes are dropped until the reader moves.
 *
 * The transmitter's interrupt:
 *
 *	IDLE -- IER bit set anew, or THR written, and room --> PENDING
 *	IDLE -- THR written, no room --> BUSY -- writer thread took bytes, room again --> PENDING
 *	PENDING -- IIR read that shows it --> IDLE
 *
 * With room it is pending again when the driver, in its interrupt handler, has filled the FIFO and
 * looks at IIR: a driver empties its buffer in one go then, and what a guest wrote just before it
 * powered itself off is out.
 *
 * Locks: [s] serial->lock.
 */
#include "serial.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "../irq.h"
#include "host.h"

#define PORT_COM1	0x3f8
#define SERIAL_GSI	4
#define FIFO_SIZE	16
#define TX_SIZE		65536u		/* powers of two */
#define RX_SIZE		4096u
#define STALL_MS	2000
#define LOOK_MS		100
#define DRAIN_MS	2000
/* what POLLOUT of a pipe, a socket or a terminal promises to take without blocking */
#define WRITE_MAX	256u

#define REG_DATA	0	/* RBR, THR; DLL */
#define REG_IER		1	/* DLM */
#define REG_IIR		2	/* FCR when written */
#define REG_LCR		3
#define REG_MCR		4
#define REG_LSR		5
#define REG_MSR		6
#define REG_SCR		7

#define IER_RX		0x01
#define IER_TX		0x02
#define IER_LINE	0x04
#define IER_MODEM	0x08
#define IER_ALL		0x0f
#define IIR_NONE	0x01
#define IIR_MODEM	0x00
#define IIR_TX		0x02
#define IIR_RX		0x04
#define IIR_LINE	0x06
#define IIR_TIMEOUT	0x0c
#define IIR_FIFO	0xc0
#define FCR_ENABLE	0x01
#define FCR_CLEAR_RX	0x02
#define FCR_TRIGGER	6	/* shift */
#define LCR_DLAB	0x80
#define MCR_DTR		0x01
#define MCR_RTS		0x02
#define MCR_OUT1	0x04
#define MCR_OUT2	0x08
#define MCR_LOOP	0x10
#define MCR_ALL		0x1f
#define LSR_READY	0x01
#define LSR_OVERRUN	0x02
#define LSR_THRE	0x20
#define LSR_TEMT	0x40
#define MSR_DCTS	0x01
#define MSR_DDSR	0x02
#define MSR_TERI	0x04
#define MSR_DDCD	0x08
#define MSR_DELTAS	0x0f
#define MSR_CTS		0x10
#define MSR_DSR		0x20
#define MSR_RI		0x40
#define MSR_DCD		0x80
#define MSR_CABLE	(MSR_CTS | MSR_DSR | MSR_DCD)	/* somebody is always at the other end */

struct ring {
	uint8_t *data;
	unsigned int size, head, nr;
};

struct serial {
	struct vm *vm;			/* [I] */
	int out_fd;			/* [I] */
	int stop_fd;			/* [I] eventfd that ends the writer's poll */
	struct io_region region;	/* [I] */
	bool started;			/* [I] */
	pthread_t writer;		/* [I] */

	pthread_mutex_t lock;
	pthread_cond_t tx_data;		/* the writer waits: bytes or the end came */
	pthread_cond_t tx_room;		/* a vCPU or the end waits: bytes went */
	struct ring tx, rx;		/* [s] */
	uint8_t fifo[FIFO_SIZE];	/* [s] received, oldest first */
	unsigned int fifo_nr;		/* [s] */
	uint8_t ier, fcr, lcr, mcr, scr;	/* [s] */
	uint8_t msr;			/* [s] */
	uint8_t line_errors;		/* [s] LSR bits that a read clears */
	uint16_t divisor;		/* [s] */
	bool tx_busy;			/* [s] THR written, and no room for more */
	bool tx_pending;		/* [s] transmitter interrupt */
	bool stalled;			/* [s] the reader does not move: bytes are dropped */
	bool want_room;			/* [s] serial_input() was refused */
	bool ending;			/* [s] */
	void (*room)(void *opaque);	/* [s] */
	void *room_opaque;		/* [s] */
};

static void ring_init(struct ring *r, unsigned int size)
{
	r->data = xcalloc(1, size);
	r->size = size;
}

static unsigned int ring_room(const struct ring *r)
{
	return r->size - r->nr;
}

static unsigned int ring_put(struct ring *r, const uint8_t *data, size_t len)
{
	unsigned int i, n = len < ring_room(r) ? len : ring_room(r);

	for (i = 0; i < n; i++)
		r->data[(r->head + r->nr + i) & (r->size - 1)] = data[i];
	r->nr += n;
	return n;
}

static unsigned int ring_peek(const struct ring *r, uint8_t *data, unsigned int max)
{
	unsigned int i, n = max < r->nr ? max : r->nr;

	for (i = 0; i < n; i++)
		data[i] = r->data[(r->head + i) & (r->size - 1)];
	return n;
}

static void ring_drop(struct ring *r, unsigned int n)
{
	r->head = (r->head + n) & (r->size - 1);
	r->nr -= n;
}

static bool fifo_on(const struct serial *s)
{
	return s->fcr & FCR_ENABLE;
}

static unsigned int fifo_size(const struct serial *s)
{
	return fifo_on(s) ? FIFO_SIZE : 1;
}

static unsigned int rx_trigger(const struct serial *s)
{
	static const uint8_t trigger[4] = { 1, 4, 8, 14 };

	return fifo_on(s) ? trigger[s->fcr >> FCR_TRIGGER] : 1;
}

static bool tx_ready(const struct serial *s)
{
	return ring_room(&s->tx) >= FIFO_SIZE || s->stalled;
}

/* the interrupt of highest priority */
static uint8_t interrupt_id(const struct serial *s)
{
	if ((s->ier & IER_LINE) && s->line_errors)
		return IIR_LINE;
	if ((s->ier & IER_RX) && s->fifo_nr >= rx_trigger(s))
		return IIR_RX;
	/* bytes below the trigger: the line's silence of four characters is over at once */
	if ((s->ier & IER_RX) && s->fifo_nr)
		return IIR_TIMEOUT;
	if ((s->ier & IER_TX) && s->tx_pending)
		return IIR_TX;
	if ((s->ier & IER_MODEM) && (s->msr & MSR_DELTAS))
		return IIR_MODEM;
	return IIR_NONE;
}

static void update_irq(struct serial *s)
{
	irq_set_level(s->vm, SERIAL_GSI, interrupt_id(s) != IIR_NONE);
}

static void receive(struct serial *s, uint8_t value)
{
	if (s->fifo_nr == fifo_size(s)) {
		s->line_errors |= LSR_OVERRUN;
		/* the newcomer is lost with a FIFO, the one before without */
		if (fifo_on(s))
			return;
		s->fifo_nr--;
	}
	s->fifo[s->fifo_nr++] = value;
}

/* from the ring to the guest; not in loopback, where the line is cut */
static void refill(struct serial *s)
{
	uint8_t value;

	while (!(s->mcr & MCR_LOOP) && s->rx.nr && s->fifo_nr < fifo_size(s)) {
		ring_peek(&s->rx, &value, 1);
		ring_drop(&s->rx, 1);
		receive(s, value);
	}
}

static uint8_t read_rbr(struct serial *s)
{
	uint8_t value;

	if (!s->fifo_nr)
		return 0;
	value = s->fifo[0];
	memmove(s->fifo, s->fifo + 1, --s->fifo_nr);
	refill(s);
	return value;
}

/* hold the vCPU for want of room; true: there is some. The VM's end does not signal tx_room. */
static bool wait_for_room(struct serial *s)
{
	uint64_t end = clock_ns() + STALL_MS * 1000000ull;
	struct timespec ts;

	while (!ring_room(&s->tx) && !s->ending && !s->stalled &&
	       atomic_load(&s->vm->status) < 0) {
		if (clock_ns() >= end) {
			s->stalled = true;
			break;
		}
		clock_gettime(CLOCK_MONOTONIC, &ts);
		ts.tv_nsec += LOOK_MS * 1000000;
		if (ts.tv_nsec >= (long)NSEC_PER_SEC) {
			ts.tv_nsec -= NSEC_PER_SEC;
			ts.tv_sec++;
		}
		pthread_cond_timedwait(&s->tx_room, &s->lock, &ts);
	}
	return ring_room(&s->tx);
}

static void write_thr(struct serial *s, uint8_t value)
{
	if (s->mcr & MCR_LOOP) {
		receive(s, value);
	} else if (s->out_fd >= 0 && (ring_room(&s->tx) || wait_for_room(s))) {
		ring_put(&s->tx, &value, 1);
		if (s->tx.nr == 1)
			pthread_cond_signal(&s->tx_data);
	}
	s->tx_pending = tx_ready(s);
	s->tx_busy = !s->tx_pending;
}

/* modem inputs in loopback are the outputs (data sheet, 8.6.6) */
static uint8_t modem_inputs(const struct serial *s)
{
	uint8_t msr = 0;

	if (!(s->mcr & MCR_LOOP))
		return MSR_CABLE;
	if (s->mcr & MCR_RTS)
		msr |= MSR_CTS;
	if (s->mcr & MCR_DTR)
		msr |= MSR_DSR;
	if (s->mcr & MCR_OUT1)
		msr |= MSR_RI;
	if (s->mcr & MCR_OUT2)
		msr |= MSR_DCD;
	return msr;
}

static void write_mcr(struct serial *s, uint8_t value)
{
	uint8_t old = s->msr, now, changed;

	s->mcr = value & MCR_ALL;
	now = modem_inputs(s);
	changed = old ^ now;
	s->msr = now | (old & MSR_DELTAS);
	if (changed & MSR_CTS)
		s->msr |= MSR_DCTS;
	if (changed & MSR_DSR)
		s->msr |= MSR_DDSR;
	if (changed & MSR_DCD)
		s->msr |= MSR_DDCD;
	/* the ring indicator counts when it ends */
	if ((changed & MSR_RI) && !(now & MSR_RI))
		s->msr |= MSR_TERI;
	refill(s);
}

static void write_fcr(struct serial *s, uint8_t value)
{
	/* a change of mode clears the FIFOs. Bytes in the tx ring are on the line already. */
	if (((value ^ s->fcr) & FCR_ENABLE) || (value & FCR_CLEAR_RX))
		s->fifo_nr = 0;
	s->fcr = value & FCR_ENABLE ? value & (FCR_ENABLE | 3 << FCR_TRIGGER) : 0;
	refill(s);
}

static void write_ier(struct serial *s, uint8_t value)
{
	if ((value & ~s->ier & IER_TX) && tx_ready(s))
		s->tx_pending = true;
	s->ier = value & IER_ALL;
}

static uint8_t read_iir(struct serial *s)
{
	uint8_t id = interrupt_id(s);

	if (id == IIR_TX)
		s->tx_pending = false;
	return id | (fifo_on(s) ? IIR_FIFO : 0);
}

static uint8_t read_lsr(struct serial *s)
{
	uint8_t lsr = s->line_errors;

	s->line_errors = 0;
	if (s->fifo_nr)
		lsr |= LSR_READY;
	if (tx_ready(s))
		lsr |= LSR_THRE | LSR_TEMT;
	return lsr;
}

static uint8_t serial_read(void *opaque, unsigned int offset)
{
	struct serial *s = opaque;
	uint8_t value;

	switch (offset) {
	case REG_DATA:
		return s->lcr & LCR_DLAB ? s->divisor : read_rbr(s);
	case REG_IER:
		return s->lcr & LCR_DLAB ? s->divisor >> 8 : s->ier;
	case REG_IIR:
		return read_iir(s);
	case REG_LCR:
		return s->lcr;
	case REG_MCR:
		return s->mcr;
	case REG_LSR:
		return read_lsr(s);
	case REG_MSR:
		value = s->msr;
		s->msr &= ~MSR_DELTAS;
		return value;
	default:
		return s->scr;
	}
}

static void serial_write(void *opaque, unsigned int offset, uint8_t value)
{
	struct serial *s = opaque;

	switch (offset) {
	case REG_DATA:
		if (s->lcr & LCR_DLAB)
			s->divisor = (s->divisor & 0xff00) | value;
		else
			write_thr(s, value);
		break;
	case REG_IER:
		if (s->lcr & LCR_DLAB)
			s->divisor = (s->divisor & 0x00ff) | value << 8;
		else
			write_ier(s, value);
		break;
	case REG_IIR:
		write_fcr(s, value);
		break;
	case REG_LCR:
		s->lcr = value;
		break;
	case REG_MCR:
		write_mcr(s, value);
		break;
	case REG_SCR:
		s->scr = value;
		break;
	/* LSR and MSR are for reading */
	}
}

static void serial_access(void *opaque, uint64_t offset, bool is_write, void *data,
			  unsigned int len)
{
	struct serial *s = opaque;
	void (*room)(void *opaque) = NULL;
	void *room_opaque;

	pthread_mutex_lock(&s->lock);
	access_bytes(s, offset, is_write, data, len, serial_read, serial_write);
	update_irq(s);
	if (s->want_room && ring_room(&s->rx) >= RX_SIZE / 2) {
		s->want_room = false;
		room = s->room;
	}
	room_opaque = s->room_opaque;
	pthread_mutex_unlock(&s->lock);
	if (room)
		room(room_opaque);
}

/* up to WRITE_MAX bytes; false: the port ends, or nobody will ever read */
static bool write_out(struct serial *s, const uint8_t *buf, unsigned int len, unsigned int *done)
{
	struct pollfd fds[2] = {
		{ .fd = s->out_fd, .events = POLLOUT },
		{ .fd = s->stop_fd, .events = POLLIN },
	};
	ssize_t n;

	*done = 0;
	if (poll(fds, 2, -1) < 0)
		return errno == EINTR;
	if (fds[1].revents)
		return false;
	n = write(s->out_fd, buf, len);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	*done = n;
	return true;
}

/* the bytes leave the ring once they are written, so that a stop in between loses none unnoticed */
static void *writer_thread(void *arg)
{
	struct serial *s = arg;
	uint8_t buf[WRITE_MAX];
	unsigned int len, done;
	bool alive = true;

	pthread_mutex_lock(&s->lock);
	while (alive) {
		while (!s->tx.nr && !s->ending)
			pthread_cond_wait(&s->tx_data, &s->lock);
		if (!s->tx.nr)
			break;
		len = ring_peek(&s->tx, buf, sizeof(buf));
		pthread_mutex_unlock(&s->lock);
		alive = write_out(s, buf, len, &done);
		pthread_mutex_lock(&s->lock);
		/* a reader that is gone for good takes everything */
		if (!alive && !s->ending) {
			s->stalled = true;
			alive = true;
			done = s->tx.nr;
		}
		if (!done)
			continue;
		ring_drop(&s->tx, done);
		s->stalled = false;
		pthread_cond_broadcast(&s->tx_room);
		if (s->tx_busy && tx_ready(s)) {
			s->tx_busy = false;
			s->tx_pending = true;
			update_irq(s);
		}
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

size_t serial_input(struct serial *s, const void *data, size_t len)
{
	size_t taken;

	pthread_mutex_lock(&s->lock);
	taken = ring_put(&s->rx, data, len);
	if (taken < len)
		s->want_room = true;
	refill(s);
	update_irq(s);
	pthread_mutex_unlock(&s->lock);
	return taken;
}

void serial_set_room(struct serial *s, void (*fn)(void *opaque), void *opaque)
{
	pthread_mutex_lock(&s->lock);
	s->room = fn;
	s->room_opaque = opaque;
	pthread_mutex_unlock(&s->lock);
}

static void init_conds(struct serial *s)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->tx_data, &attr);
	pthread_cond_init(&s->tx_room, &attr);
	pthread_condattr_destroy(&attr);
}

struct serial *serial_create(struct vm *vm, int out_fd)
{
	struct serial *s = xcalloc(1, sizeof(*s));
	int err;

	s->vm = vm;
	s->out_fd = out_fd;
	s->msr = MSR_CABLE;
	s->divisor = 12;
	s->lcr = 3;
	pthread_mutex_init(&s->lock, NULL);
	init_conds(s);
	ring_init(&s->tx, TX_SIZE);
	ring_init(&s->rx, RX_SIZE);
	s->region = (struct io_region){ PORT_COM1, 8, serial_access, s };
	s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = s->stop_fd < 0 ? -errno : 0;
	err = err ?: bus_add(&vm->pio, &s->region);
	if (!err && out_fd >= 0) {
		err = thread_start(&s->writer, "serial", writer_thread, s);
		s->started = !err;
	}
	if (err) {
		serial_end(s);
		errno = -err;
		return NULL;
	}
	return s;
}

/* wait as long as bytes go out, but not for a reader that stands still */
static void drain(struct serial *s)
{
	struct timespec ts;
	unsigned int before;
	int err = 0;

	while (s->tx.nr && !s->stalled && err != ETIMEDOUT) {
		before = s->tx.nr;
		clock_gettime(CLOCK_MONOTONIC, &ts);
		ts.tv_sec += DRAIN_MS / 1000;
		while (s->tx.nr == before && !err)
			err = pthread_cond_timedwait(&s->tx_room, &s->lock, &ts);
	}
}

void serial_end(struct serial *s)
{
	uint64_t one = 1;

	if (!s)
		return;
	bus_remove(&s->vm->pio, &s->region);
	if (s->started) {
		pthread_mutex_lock(&s->lock);
		drain(s);
		s->ending = true;
		pthread_cond_broadcast(&s->tx_data);
		pthread_mutex_unlock(&s->lock);
		if (write(s->stop_fd, &one, sizeof(one)) < 0)
			warn("serial port: cannot stop its writer: %s", strerror(errno));
		/* hangs in a write that poll called free: leave it and what it uses */
		if (thread_end(s->writer, DRAIN_MS))
			return;
	}
	if (s->stop_fd >= 0)
		close(s->stop_fd);
	pthread_cond_destroy(&s->tx_data);
	pthread_cond_destroy(&s->tx_room);
	pthread_mutex_destroy(&s->lock);
	free(s->tx.data);
	free(s->rx.data);
	free(s);
}
