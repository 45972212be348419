// SPDX-License-Identifier: GPL-2.0
/*
 * Priorities, EOI and what is requested of the vCPU: SDM vol. 3, 11.8.
 */
#include <pthread.h>

#include "world.h"

static void accept(u8 vector)
{
	vmm_lapic_accept(cpu(0)->lapic, vector, false);
}

UNIT_TEST(ppr_every_tpr_and_isr)
{
	unsigned int tpr, isr;

	for (tpr = 0; tpr < 256; tpr++) {
		EXPECT_EQ(lapic_calc_ppr(tpr, -1), tpr);
		for (isr = 16; isr < 256; isr++) {
			u32 want = tpr >> 4 >= isr >> 4 ? tpr : isr & 0xf0;

			if (lapic_calc_ppr(tpr, isr) != want)
				FAIL("tpr %#x isr %#x", tpr, isr);
		}
	}
}

UNIT_TEST(every_pair_of_vectors)
{
	int low, high;

	for (low = 16; low < 256; low++) {
		for (high = low + 1; high < 256; high++) {
			world_start(1);
			enable(0);
			accept(low);
			accept(high);
			ASSERT_EQ(take(0), high);
			/* of the same class: waits for the EOI */
			ASSERT_EQ(vmm_lapic_pending(cpu(0)), -1);
			ASSERT_EQ(rd(0, LAPIC_PPR), high & 0xf0);
			wr(0, LAPIC_EOI, 0);
			ASSERT_EQ(take(0), low);
			wr(0, LAPIC_EOI, 0);
			ASSERT_EQ(rd(0, LAPIC_PPR), 0);
		}
	}
}

UNIT_TEST(nesting_and_eoi_order)
{
	world_start(1);
	enable(0);
	accept(0x31);
	EXPECT_EQ(take(0), 0x31);
	accept(0x3f);
	EXPECT_EQ(take(0), -1);		/* same class */
	accept(0x52);
	EXPECT_EQ(take(0), 0x52);
	accept(0xe0);
	EXPECT_EQ(take(0), 0xe0);
	EXPECT_EQ(rd(0, LAPIC_PPR), 0xe0);
	EXPECT_EQ(rd(0, LAPIC_ISR + 0x10), 1u << 0x11);
	EXPECT_EQ(rd(0, LAPIC_ISR + 0x20), 1u << 0x12);
	EXPECT_EQ(rd(0, LAPIC_ISR + 0x70), 1);
	EXPECT_EQ(rd(0, LAPIC_IRR + 0x10), 1u << 0x1f);
	wr(0, LAPIC_EOI, 0);
	EXPECT_EQ(rd(0, LAPIC_PPR), 0x50);
	wr(0, LAPIC_EOI, 0);
	EXPECT_EQ(rd(0, LAPIC_PPR), 0x30);
	EXPECT_EQ(take(0), -1);
	wr(0, LAPIC_EOI, 0);
	EXPECT_EQ(take(0), 0x3f);
	wr(0, LAPIC_EOI, 0);
	wr(0, LAPIC_EOI, 0);		/* one too many */
	EXPECT_EQ(rd(0, LAPIC_PPR), 0);
	EXPECT_EQ(w.v[0].eois, 0);
}

UNIT_TEST(tpr_blocks_its_class)
{
	unsigned int tpr, vector;

	for (tpr = 0; tpr < 256; tpr++) {
		world_start(1);
		enable(0);
		wr(0, LAPIC_TPR, tpr);
		for (vector = 16; vector < 256; vector += 7) {
			bool through = vector >> 4 > tpr >> 4;

			accept(vector);
			if (vmm_lapic_pending(cpu(0)) != (through ? (int)vector : -1))
				FAIL("tpr %#x vector %#x", tpr, vector);
			if (vmm_lapic_blocked(cpu(0)) != (through ? -1 : (int)vector))
				FAIL("blocked: tpr %#x vector %#x", tpr, vector);
			test_and_clear_bit(vector, cpu(0)->lapic->irr);
		}
		EXPECT_EQ(rd(0, LAPIC_PPR), tpr);
	}
}

UNIT_TEST(blocked_only_by_tpr)
{
	world_start(1);
	enable(0);
	accept(0x61);
	EXPECT_EQ(take(0), 0x61);
	accept(0x62);
	/* lowering TPR would not help */
	EXPECT_EQ(vmm_lapic_blocked(cpu(0)), -1);
	vmm_lapic_set_cr8(cpu(0), 9);
	EXPECT_EQ(vmm_lapic_blocked(cpu(0)), -1);
	accept(0x91);
	EXPECT_EQ(vmm_lapic_pending(cpu(0)), -1);
	EXPECT_EQ(vmm_lapic_blocked(cpu(0)), 0x91);
	request(0, VMM_REQ_EVENT);
	vmm_lapic_set_cr8(cpu(0), 8);
	EXPECT(request(0, VMM_REQ_EVENT));
	EXPECT_EQ(take(0), 0x91);
}

/* TPR has to be watched as soon as it is all that holds a vector back */
UNIT_TEST(eoi_leaves_tpr_alone_in_the_way)
{
	world_start(1);
	enable(0);
	vmm_lapic_set_cr8(cpu(0), 6);
	accept(0x91);
	EXPECT_EQ(take(0), 0x91);
	accept(0x51);
	EXPECT(request(0, VMM_REQ_EVENT));
	EXPECT_EQ(vmm_lapic_blocked(cpu(0)), -1);
	wr(0, LAPIC_EOI, 0);
	EXPECT_EQ(vmm_lapic_pending(cpu(0)), -1);
	EXPECT_EQ(vmm_lapic_blocked(cpu(0)), 0x51);
	EXPECT(request(0, VMM_REQ_EVENT));
	/* and when TPR comes into the way of what could be taken */
	vmm_lapic_set_cr8(cpu(0), 0);
	EXPECT(request(0, VMM_REQ_EVENT));
	vmm_lapic_set_cr8(cpu(0), 15);
	EXPECT(request(0, VMM_REQ_EVENT));
	EXPECT_EQ(vmm_lapic_blocked(cpu(0)), 0x51);
}

UNIT_TEST(cr8_and_tpr)
{
	world_start(1);
	wr(0, LAPIC_TPR, 0x5a);
	EXPECT_EQ(vmm_lapic_get_cr8(cpu(0)), 5);
	vmm_lapic_set_cr8(cpu(0), 5);		/* brought back unchanged */
	EXPECT_EQ(rd(0, LAPIC_TPR), 0x5a);
	vmm_lapic_set_cr8(cpu(0), 6);
	EXPECT_EQ(rd(0, LAPIC_TPR), 0x60);
	EXPECT_EQ(rd(0, LAPIC_PPR), 0x60);
}

UNIT_TEST(request_and_kick_once)
{
	world_start(1);
	enable(0);
	request(0, VMM_REQ_EVENT);
	w.v[0].kicks = 0;
	accept(0x40);
	EXPECT(request(0, VMM_REQ_EVENT));
	EXPECT_EQ(w.v[0].kicks, 1);
	accept(0x40);				/* merges */
	EXPECT(!request(0, VMM_REQ_EVENT));
	EXPECT_EQ(w.v[0].kicks, 1);
	EXPECT_EQ(take(0), 0x40);
	accept(0x40);				/* again, while in service */
	EXPECT(request(0, VMM_REQ_EVENT));
	EXPECT_EQ(w.v[0].kicks, 2);
	EXPECT_EQ(take(0), -1);
	wr(0, LAPIC_EOI, 0);
	EXPECT(request(0, VMM_REQ_EVENT));	/* the EOI lets it through */
	EXPECT_EQ(take(0), 0x40);
	wr(0, LAPIC_EOI, 0);
	EXPECT(!request(0, VMM_REQ_EVENT));	/* nothing left to look at */
}

UNIT_TEST(eoi_of_level_is_reported)
{
	world_start(1);
	enable(0);
	vmm_lapic_accept(cpu(0)->lapic, 0x71, true);
	vmm_lapic_accept(cpu(0)->lapic, 0x82, false);
	EXPECT_EQ(rd(0, LAPIC_TMR + 0x30), 1u << 0x11);
	EXPECT_EQ(take(0), 0x82);
	wr(0, LAPIC_EOI, 0);
	EXPECT_EQ(w.v[0].eois, 0);
	EXPECT_EQ(take(0), 0x71);
	wr(0, LAPIC_EOI, 0);
	EXPECT_EQ(w.v[0].eois, 1);
	EXPECT_EQ(w.v[0].last_eoi, 0x71);
	/* the trigger mode is that of the last acceptance */
	vmm_lapic_accept(cpu(0)->lapic, 0x71, false);
	EXPECT_EQ(rd(0, LAPIC_TMR + 0x30), 0);
	EXPECT_EQ(take(0), 0x71);
	wr(0, LAPIC_EOI, 0);
	EXPECT_EQ(w.v[0].eois, 1);
}

UNIT_TEST(software_disable_keeps_what_is_requested)
{
	world_start(1);
	enable(0);
	accept(0x44);
	wr(0, LAPIC_SVR, 0xff);
	EXPECT_EQ(vmm_msi_deliver(&w.vm, 0xfee00000, 0x55), 0);
	EXPECT(!irr(0, 0x55));
	EXPECT_EQ(take(0), 0x44);
}

/*
 * Two senders and the owner. The owner looks at IRR only when requested, as a vCPU does; so a bit
 * that is left without a request is an interrupt lost.
 */
#define RACE_ROUNDS	2000
#define RACE_SENDERS	2

static pthread_barrier_t race_start;
static int race_running;

static void *race_sender(void *arg)
{
	unsigned int seed = (unsigned long)arg, round, n;

	for (round = 0; round < RACE_ROUNDS; round++) {
		pthread_barrier_wait(&race_start);
		for (n = 0; n < 40; n++)
			accept(16 + rand_r(&seed) % 8 * 29);
		__atomic_fetch_sub(&race_running, 1, __ATOMIC_SEQ_CST);
		pthread_barrier_wait(&race_start);
	}
	return NULL;
}

static void race_look(void)
{
	while (take(0) >= 0)
		wr(0, LAPIC_EOI, 0);
}

UNIT_TEST(none_lost_among_threads)
{
	pthread_t thread[RACE_SENDERS];
	unsigned long i;
	int round;

	world_start(1);
	enable(0);
	pthread_barrier_init(&race_start, NULL, RACE_SENDERS + 1);
	for (i = 0; i < RACE_SENDERS; i++)
		ASSERT_EQ(pthread_create(&thread[i], NULL, race_sender, (void *)(i + 1)), 0);
	for (round = 0; round < RACE_ROUNDS; round++) {
		race_running = RACE_SENDERS;
		pthread_barrier_wait(&race_start);
		while (__atomic_load_n(&race_running, __ATOMIC_SEQ_CST))
			if (request(0, VMM_REQ_EVENT))
				race_look();
		while (request(0, VMM_REQ_EVENT))
			race_look();
		EXPECT_EQ(lapic_highest(cpu(0)->lapic->irr), -1);
		pthread_barrier_wait(&race_start);
	}
	for (i = 0; i < RACE_SENDERS; i++)
		pthread_join(thread[i], NULL);
	pthread_barrier_destroy(&race_start);
}
