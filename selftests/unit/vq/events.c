// SPDX-License-Identifier: GPL-2.0
/* Interrupts and notifications: who has to tell whom, in both modes and around every wrap. */
#include "../unit.h"
#include "fake.h"

#define ROUNDS (3 * 65536 + 1000)

/* A queue whose descriptors all are one-byte buffers. */
static void events_init(struct ring *r, u16 size, u64 features)
{
	u16 i;

	ring_init(r, size, features);
	for (i = 0; i < size; i++)
		ring_desc(r, i, DATA_GPA + i, 1, D_WRITE, 0);
}

/* Does one of the entries old .. new - 1 have the number @event? By counting, not by arithmetic. */
static bool crossed(u16 old, u16 new, u16 event)
{
	for (; old != new; old++)
		if (old == event)
			return true;
	return false;
}

static void take_and_put(struct ring *r, unsigned int n)
{
	while (n--) {
		ring_offer(r, r->avail_idx % r->cfg.size);
		if (vq_next(&r->vq, &r->chain) != 1 || vq_put(&r->vq, r->chain.head, 1))
			FAIL("chain at %u refused: %d", r->avail_idx, r->vq.error);
	}
}

UNIT_TEST(interrupt_flag)
{
	struct ring r;

	events_init(&r, 8, F_BASE);
	take_and_put(&r, 1);
	EXPECT_EQ(vq_publish(&r.vq), 1);
	ring_set_avail_flags(&r, VRING_AVAIL_F_NO_INTERRUPT);
	take_and_put(&r, 3);
	EXPECT_EQ(vq_publish(&r.vq), 0);
	EXPECT_EQ(ring_used_idx(&r), 4);
	ring_set_avail_flags(&r, 0);
	EXPECT_EQ(vq_publish(&r.vq), 0);	/* nothing new */
	take_and_put(&r, 1);
	EXPECT_EQ(vq_publish(&r.vq), 1);
	ring_set_avail_flags(&r, 0xfffe);	/* other bits mean nothing */
	take_and_put(&r, 1);
	EXPECT_EQ(vq_publish(&r.vq), 1);
	ring_exit(&r);
}

/* With the event index the flag means nothing (virtio 1.2, 2.7.7.2). */
UNIT_TEST(interrupt_flag_with_event_index)
{
	struct ring r;

	events_init(&r, 8, F_BASE | F_EVENT);
	ring_set_avail_flags(&r, VRING_AVAIL_F_NO_INTERRUPT);
	ring_set_used_event(&r, 0);
	take_and_put(&r, 1);
	EXPECT_EQ(vq_publish(&r.vq), 1);
	ring_set_used_event(&r, 1);
	take_and_put(&r, 1);
	EXPECT_EQ(vq_publish(&r.vq), 1);
	ring_set_used_event(&r, 1);
	take_and_put(&r, 1);
	EXPECT_EQ(vq_publish(&r.vq), 0);
	ring_exit(&r);
}

/* Batches of any size, used_event anywhere, three times around the index. */
UNIT_TEST(interrupt_event_wraps)
{
	unsigned int n, yes = 0, no = 0;
	u64 seed = 0x1234567;
	u16 old, event;
	struct ring r;
	u64 total = 0;
	int got, want;

	events_init(&r, 64, F_BASE | F_EVENT);
	/* the first one of a life always interrupts: the driver may have set nothing yet */
	take_and_put(&r, 1);
	ring_set_used_event(&r, 0x8000);
	EXPECT_EQ(vq_publish(&r.vq), 1);
	while (total < ROUNDS) {
		n = 1 + rnd_next(&seed) % 64;
		old = r.vq.next_used;
		/* near the batch, mostly: its first, its last, one before, one behind, or anything
		 */
		switch (rnd_next(&seed) % 6) {
		case 0:
			event = old;
			break;
		case 1:
			event = old + n - 1;
			break;
		case 2:
			event = old - 1;
			break;
		case 3:
			event = old + n;
			break;
		case 4:
			event = old + rnd_next(&seed) % n;
			break;
		default:
			event = rnd_next(&seed);
		}
		ring_set_used_event(&r, event);
		take_and_put(&r, n);
		got = vq_publish(&r.vq);
		want = crossed(old, old + n, event);
		if (got != want) {
			FAIL("%u entries from %u, used_event %u: %d", n, old, event, got);
			break;
		}
		if (got)
			yes++;
		else
			no++;
		total += n;
	}
	EXPECT(yes > 1000 && no > 1000);
	EXPECT_EQ(ring_used_idx(&r), (u16)(total + 1));
	ring_exit(&r);
}

/* A restored queue begins at any index and has no memory of what was signalled. */
UNIT_TEST(interrupt_after_restore)
{
	struct ring r;

	events_init(&r, 8, F_BASE | F_EVENT);
	r.cfg.next_avail = 0xffff;
	r.cfg.next_used = 0xffff;
	ring_restart(&r);
	ring_set_avail(&r, 0xffff);
	ring_set_used_event(&r, 0x1000);
	take_and_put(&r, 2);
	EXPECT_EQ(vq_publish(&r.vq), 1);
	take_and_put(&r, 2);
	EXPECT_EQ(vq_publish(&r.vq), 0);
	ring_set_used_event(&r, 3);
	take_and_put(&r, 1);
	EXPECT_EQ(vq_publish(&r.vq), 1);
	ring_exit(&r);
}

UNIT_TEST(notification_flag)
{
	struct ring r;

	events_init(&r, 8, F_BASE);
	r.mem.watch_gpa = r.cfg.used;
	r.mem.watch_len = 2;
	EXPECT_EQ(vq_notify_off(&r.vq), 0);
	EXPECT_EQ(ring_used_flags(&r), VRING_USED_F_NO_NOTIFY);
	EXPECT_EQ(vq_notify_off(&r.vq), 0);
	EXPECT_EQ(vq_notify_off(&r.vq), 0);
	EXPECT_EQ(r.mem.watch_stores, 1);	/* only what changes is written */
	EXPECT_EQ(vq_notify_on(&r.vq), 0);
	EXPECT_EQ(ring_used_flags(&r), 0);
	EXPECT_EQ(vq_notify_on(&r.vq), 0);
	EXPECT_EQ(r.mem.watch_stores, 2);
	ring_offer(&r, 0);
	EXPECT_EQ(vq_notify_on(&r.vq), 1);
	ring_exit(&r);
}

/* What an earlier life left in the flags is replaced. */
UNIT_TEST(notification_flag_left_over)
{
	struct ring r;
	__le16 *flags;

	events_init(&r, 8, F_BASE);
	flags = fake_at(&r.mem, r.cfg.used, 2);
	*flags = cpu_to_le16(VRING_USED_F_NO_NOTIFY);
	EXPECT_EQ(vq_notify_on(&r.vq), 0);
	EXPECT_EQ(ring_used_flags(&r), 0);
	ring_exit(&r);

	events_init(&r, 8, F_BASE | F_EVENT);
	flags = fake_at(&r.mem, r.cfg.used, 2);
	*flags = cpu_to_le16(VRING_USED_F_NO_NOTIFY);
	EXPECT_EQ(vq_notify_off(&r.vq), 0);
	EXPECT_EQ(ring_used_flags(&r), 0);	/* with the event index they are always 0 */
	ring_exit(&r);
}

/* A chain that comes while notifications are being armed is seen, at every point of the arming. */
static struct ring *racing;
static unsigned int race_at, race_seen;

static void race(struct fake *f, u64 gpa, size_t len)
{
	if (race_seen++ == race_at)
		ring_offer(racing, 0);
}

UNIT_TEST(notification_race)
{
	struct ring r;
	u16 event;
	int mode, ret;

	for (mode = 0; mode < 2; mode++) {
		events_init(&r, 8, F_BASE | (mode ? F_EVENT : 0));
		/* before: not notified, because notifications are off; arming has to say so */
		ring_offer(&r, 0);
		EXPECT_EQ(vq_notify_on(&r.vq), 1);
		EXPECT_EQ(vq_next(&r.vq, &r.chain), 1);
		/* after avail.idx was read: the driver sees notifications armed, and notifies */
		racing = &r;
		race_at = 0;
		race_seen = 0;
		r.mem.after_load = race;
		ret = vq_notify_on(&r.vq);
		r.mem.after_load = NULL;
		EXPECT_EQ(ret, 0);
		event = ring_avail_event(&r);
		if (mode)
			EXPECT(crossed(r.avail_idx - 1, r.avail_idx, event));
		else
			EXPECT_EQ(ring_used_flags(&r) & VRING_USED_F_NO_NOTIFY, 0);
		ring_exit(&r);
	}
}

/*
 * Both sides of a ring as they behave: a driver that notifies only when asked to and looks at
 * used entries only when interrupted, and a device that serves only when notified. Neither may
 * ever sleep while there is work, over three turns of the index.
 */
static void run_both(u64 features, u16 size, u64 seed)
{
	const u64 total = ROUNDS;
	u16 seen = 0, old, idx;		/* driver: used entries seen */
	bool device_awake = true, driver_awake = true, notify, stuck = false;
	u64 offered = 0, done = 0, notified = 0, interrupted = 0;
	unsigned int n, held = 0, in_order;
	struct ring r;
	u16 taken[1024];
	int ret;

	events_init(&r, size, features);
	while (done < total && !stuck) {
		stuck = true;
		if (driver_awake) {
			stuck = false;
			/* takes what is used, arms the interrupt, looks again */
			do {
				idx = ring_used_idx(&r);
				done += (u16)(idx - seen);
				seen = idx;
				if (features & F_EVENT)
					ring_set_used_event(&r, seen);
			} while (ring_used_idx(&r) != seen);
			/* offers as many as it has descriptors for, or fewer */
			n = size - (offered - done);
			n = n ? 1 + rnd_next(&seed) % n : 0;
			old = r.avail_idx;
			offered += n;
			while (n--)
				ring_offer(&r, r.avail_idx % size);
			if (features & F_EVENT)
				notify = crossed(old, r.avail_idx, ring_avail_event(&r));
			else
				notify = !(ring_used_flags(&r) & VRING_USED_F_NO_NOTIFY);
			if (notify && old != r.avail_idx) {
				notified++;
				device_awake = true;
			}
			driver_awake = offered - done < size && rnd_next(&seed) % 2;
		}
		if (device_awake) {
			stuck = false;
			EXPECT(vq_notify_off(&r.vq) == 0);
			for (n = 1 + rnd_next(&seed) % size; n; n--) {
				ret = vq_next(&r.vq, &r.chain);
				if (!ret)
					ret = vq_notify_on(&r.vq);
				if (ret < 0) {
					FAIL("broken: %d", r.vq.error);
					goto out;
				}
				if (!ret) {
					device_awake = false;
					break;
				}
				if (r.chain.nr_in)
					taken[held++] = r.chain.head;
				r.chain.nr_in = 0;
			}
			/* gives back some, in any order; all before it sleeps */
			in_order = rnd_next(&seed) % 2;
			n = device_awake && held ? rnd_next(&seed) % held : held;
			while (n--) {
				unsigned int i = in_order ? 0 : rnd_next(&seed) % held;

				EXPECT(vq_put(&r.vq, taken[i], 1) == 0);
				memmove(&taken[i], &taken[i + 1], (--held - i) * sizeof(taken[0]));
			}
			if (vq_publish(&r.vq) > 0) {
				interrupted++;
				driver_awake = true;
			}
		}
	}
	EXPECT(!stuck);
	EXPECT(notified && interrupted);
	if (size > 1)
		EXPECT(notified < total / 2 && interrupted < total / 2);
out:
	ring_exit(&r);
}

UNIT_TEST(nobody_sleeps_over_work_event_index)
{
	run_both(F_BASE | F_EVENT, 1, 11);
	run_both(F_BASE | F_EVENT, 16, 12);
	run_both(F_BASE | F_EVENT, 256, 13);
}

UNIT_TEST(nobody_sleeps_over_work_flags)
{
	run_both(F_BASE, 1, 21);
	run_both(F_BASE, 16, 22);
	run_both(F_BASE, 256, 23);
}
