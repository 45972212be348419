// SPDX-License-Identifier: GPL-2.0
/*
 * virtio over PCI: a driver on one side, the ioctl boundary on the other.
 */
#include "driver.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <linux/virtio_pci.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../vmmctl/dev/virtio_blk.h"
#include "../../../vmmctl/dev/virtio_console.h"

#define STATUS		VIRTIO_PCI_COMMON_STATUS
#define NO_VECTOR	0xffff
#define ALL_OK		(1 | 2 | 4 | 8)
#define NEEDS_RESET	0x40

static struct fake_device *k;
static struct driver d;

static void start_blk(unsigned int cpus)
{
	char path[] = "/tmp/unit-blk-XXXXXX";
	int fd;

	machine_start(cpus, 64 << 20);
	fd = mkstemp(path);
	unlink(path);
	EXPECT_EQ(ftruncate(fd, 1 << 20), 0);
	EXPECT_EQ(virtio_blk_create(&vm, fd, false, false, 2048, "serial"), 0);
	close(fd);
	k = &kernel.device[0];
	driver_find(&d, 1);
}

static void start_console(void)
{
	machine_start(1, 64 << 20);
	EXPECT_EQ(virtio_console_create(&vm, -1, -1), 0);
	k = &kernel.device[0];
	driver_find(&d, 1);
}

/* DRIVER_OK with both queues of a console */
static void run_console(uint16_t rx_vector, uint16_t tx_vector)
{
	driver_negotiate(&d);
	driver_queue(&d, 0, 0x100000, rx_vector);
	driver_queue(&d, 1, 0x200000, tx_vector);
	set(&d, STATUS, ALL_OK, 1);
	EXPECT_EQ(get(&d, STATUS, 1), ALL_OK);
	EXPECT_EQ(k->state, VMM_DEV_RUNNING);
}

UNIT_TEST(virtio_blk_identity)
{
	struct virtio_blk_config c;
	uint64_t features;
	unsigned int i;

	start_blk(3);
	EXPECT_EQ(cfg_get(&d, 2, 2), 0x1042);
	EXPECT_EQ(cfg_get(&d, 8, 1), 1);
	EXPECT_EQ(cfg_get(&d, 10, 2), 0x0180);
	EXPECT(cfg_get(&d, 0x2e, 2) >= 0x40);
	EXPECT_EQ(k->type, VMM_DEVICE_BLK);
	EXPECT_EQ(k->blk.capacity, 2048);
	EXPECT_EQ(k->blk.queues, 3);
	EXPECT_STREQ((char *)k->blk.serial, "serial");
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_NUMQ, 2), 3);
	EXPECT_EQ(d.config_len, 60);
	memset(&c, 0, sizeof(c));
	for (i = 0; i < d.config_len; i++)
		((uint8_t *)&c)[i] = mmio_read(d.config + i, 1);
	EXPECT_EQ(c.capacity, 2048);
	EXPECT_EQ(c.seg_max, 254);
	EXPECT_EQ(c.blk_size, 512);
	EXPECT_EQ(c.physical_block_exp, 3);
	EXPECT_EQ(c.min_io_size, 8);
	EXPECT_EQ(c.num_queues, 3);
	/* any width, read-only, nothing behind it */
	EXPECT_EQ(mmio_read(d.config, 8), 2048);
	EXPECT_EQ(mmio_read(d.config + 1, 2), 8);
	mmio_write(d.config, 0, 8);
	EXPECT_EQ(mmio_read(d.config, 4), 2048);
	EXPECT_EQ(mmio_read(d.config + 60, 4), 0);
	features = driver_negotiate(&d);
	EXPECT(features & 1ull << VIRTIO_F_VERSION_1);
	EXPECT(features & 1ull << VIRTIO_BLK_F_MQ);
	EXPECT(!(features & 1ull << VIRTIO_BLK_F_RO));
	/* a vector for each queue and one for configuration changes */
	EXPECT_EQ(cfg_get(&d, d.msix_cap + 2, 2) & 0x7ff, 3);
	/* a worker for each queue, and a pool */
	EXPECT(kernel_wait_workers(k, 6));
	EXPECT_EQ(k->blocking, 3);
	machine_end();
}

UNIT_TEST(virtio_blk_readonly)
{
	int fd = open("/dev/null", O_RDONLY);

	machine_start(1, 64 << 20);
	EXPECT_EQ(virtio_blk_create(&vm, fd, true, true, 8, NULL), 0);
	EXPECT_EQ(kernel.device[0].blk.flags, VMM_BLK_READONLY | VMM_BLK_DIRECT);
	driver_find(&d, 1);
	EXPECT(driver_negotiate(&d) & 1ull << VIRTIO_BLK_F_RO);
	close(fd);
	machine_end();
}

UNIT_TEST(virtio_no_module)
{
	unsigned int i;

	machine_start(1, 64 << 20);
	for (i = 0; i < FAKE_DEVICES; i++)
		EXPECT_EQ(virtio_console_create(&vm, -1, -1), 0);
	EXPECT_EQ(virtio_console_create(&vm, -1, -1), (unsigned long long)-ENODEV);
	machine_end();
}

UNIT_TEST(virtio_negotiation)
{
	start_console();
	/* VERSION_1 is not optional */
	set(&d, STATUS, 3, 1);
	set(&d, VIRTIO_PCI_COMMON_GFSELECT, 0, 4);
	set(&d, VIRTIO_PCI_COMMON_GF, 1, 4);
	set(&d, STATUS, 11, 1);
	EXPECT_EQ(get(&d, STATUS, 1), 3);
	/* nor what was not offered */
	set(&d, VIRTIO_PCI_COMMON_GFSELECT, 1, 4);
	set(&d, VIRTIO_PCI_COMMON_GF, 1 | 1u << 31, 4);
	set(&d, STATUS, 11, 1);
	EXPECT_EQ(get(&d, STATUS, 1), 3);
	set(&d, VIRTIO_PCI_COMMON_GF, 1, 4);
	/* selectors above 1 read zero and write nothing */
	set(&d, VIRTIO_PCI_COMMON_DFSELECT, 2, 4);
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_DF, 4), 0);
	set(&d, VIRTIO_PCI_COMMON_DFSELECT, 0xffffffff, 4);
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_DF, 4), 0);
	set(&d, VIRTIO_PCI_COMMON_GFSELECT, 0xffffffff, 4);
	set(&d, VIRTIO_PCI_COMMON_GF, 0xffffffff, 4);
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_GF, 4), 0);
	set(&d, STATUS, 11, 1);
	EXPECT_EQ(get(&d, STATUS, 1), 11);
	/* fixed now */
	set(&d, VIRTIO_PCI_COMMON_GFSELECT, 0, 4);
	set(&d, VIRTIO_PCI_COMMON_GF, 0, 4);
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_GF, 4), 1);
	set(&d, STATUS, 15, 1);
	EXPECT_EQ(k->state, VMM_DEV_RUNNING);
	/* F_SIZE is the configuration space's own affair */
	EXPECT_EQ(k->features, 1ull << VIRTIO_F_VERSION_1);
	machine_end();
}

UNIT_TEST(virtio_status_only_grows)
{
	start_console();
	/* DRIVER_OK without FEATURES_OK */
	set(&d, STATUS, 7, 1);
	EXPECT_EQ(get(&d, STATUS, 1), 3);
	EXPECT_EQ(k->starts, 0);
	driver_negotiate(&d);
	set(&d, STATUS, 1, 1);
	EXPECT_EQ(get(&d, STATUS, 1), 11);
	/* bits that are not the driver's */
	set(&d, STATUS, 0x70, 1);
	EXPECT_EQ(get(&d, STATUS, 1), 11);
	set(&d, STATUS, 0x80, 1);
	EXPECT_EQ(get(&d, STATUS, 1), 0x8b);
	set(&d, STATUS, 0, 1);
	EXPECT_EQ(get(&d, STATUS, 1), 0);
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_GF, 4), 0);
	machine_end();
}

UNIT_TEST(virtio_queues)
{
	start_console();
	set(&d, VIRTIO_PCI_COMMON_Q_SELECT, 0, 2);
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_Q_SIZE, 2), 256);
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_Q_MSIX, 2), NO_VECTOR);
	/* before FEATURES_OK */
	set(&d, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	driver_negotiate(&d);
	set(&d, VIRTIO_PCI_COMMON_Q_SELECT, 0, 2);
	/* sizes that are none */
	set(&d, VIRTIO_PCI_COMMON_Q_SIZE, 0, 2);
	set(&d, VIRTIO_PCI_COMMON_Q_SIZE, 3, 2);
	set(&d, VIRTIO_PCI_COMMON_Q_SIZE, 2048, 2);
	set(&d, VIRTIO_PCI_COMMON_Q_SIZE, 0x8000, 2);
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_Q_SIZE, 2), 256);
	set(&d, VIRTIO_PCI_COMMON_Q_SIZE, 1024, 2);
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_Q_SIZE, 2), 1024);
	set(&d, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 2);
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	/* vectors that are not there */
	set(&d, VIRTIO_PCI_COMMON_Q_MSIX, 3, 2);
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_Q_MSIX, 2), NO_VECTOR);
	set(&d, VIRTIO_PCI_COMMON_MSIX, 77, 2);
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_MSIX, 2), NO_VECTOR);
	set(&d, VIRTIO_PCI_COMMON_MSIX, 2, 2);
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_MSIX, 2), 2);
	EXPECT_EQ(k->msix.config_vector, 2);
	driver_queue(&d, 0, 0x100000, 1);
	/* enabled: fixed, but for the vector */
	set(&d, VIRTIO_PCI_COMMON_Q_SIZE, 64, 2);
	set(&d, VIRTIO_PCI_COMMON_Q_DESCLO, 0, 4);
	set(&d, VIRTIO_PCI_COMMON_Q_USEDHI, 1, 4);
	set(&d, VIRTIO_PCI_COMMON_Q_ENABLE, 0, 2);
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_Q_SIZE, 2), 128);
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_Q_DESCLO, 8), 0x100000);
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_Q_USEDLO, 8), 0x102000);
	/* queues that are not there */
	set(&d, VIRTIO_PCI_COMMON_Q_SELECT, 2, 2);
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_Q_SIZE, 2), 0);
	set(&d, VIRTIO_PCI_COMMON_Q_SELECT, 0xffff, 2);
	set(&d, VIRTIO_PCI_COMMON_Q_SIZE, 64, 2);
	set(&d, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);

	set(&d, STATUS, 15, 1);
	EXPECT_EQ(k->state, VMM_DEV_RUNNING);
	EXPECT_EQ(k->queue[0].size, 128);
	EXPECT_EQ(k->queue[0].vector, 1);
	EXPECT_EQ(k->queue[0].desc, 0x100000);
	EXPECT_EQ(k->queue[0].avail, 0x101000);
	EXPECT_EQ(k->queue[0].used, 0x102000);
	EXPECT_EQ(k->queue[1].size, 0);
	/* running: no new queues, but new vectors */
	set(&d, VIRTIO_PCI_COMMON_Q_SELECT, 1, 2);
	set(&d, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	set(&d, VIRTIO_PCI_COMMON_Q_SELECT, 0, 2);
	set(&d, VIRTIO_PCI_COMMON_Q_MSIX, 2, 2);
	EXPECT_EQ(k->queue[0].vector, 2);
	machine_end();
}

UNIT_TEST(virtio_register_widths)
{
	start_console();
	set(&d, VIRTIO_PCI_COMMON_Q_SELECT, 0, 2);
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_Q_SIZE, 1), 0);
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_Q_SIZE, 4), 0);
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_Q_SIZE + 1, 1), 0);
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_DF, 8), 0);
	set(&d, STATUS, 3, 2);
	set(&d, STATUS, 3, 4);
	EXPECT_EQ(get(&d, STATUS, 1), 0);
	set(&d, VIRTIO_PCI_COMMON_Q_DESCLO, 0x1234567890ull, 8);
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_Q_DESCLO, 4), 0x34567890);
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_Q_DESCHI, 4), 0x12);
	set(&d, VIRTIO_PCI_COMMON_Q_DESCLO, 0xffff, 2);
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_Q_DESCLO, 8), 0x1234567890ull);
	/* read-only */
	set(&d, VIRTIO_PCI_COMMON_NUMQ, 9, 2);
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_NUMQ, 2), 2);
	EXPECT_EQ(mmio_read(d.isr, 4), 0);
	machine_end();
}

UNIT_TEST(virtio_notification_port)
{
	start_console();
	EXPECT_EQ(k->notify.addr, d.notify);
	EXPECT_EQ(k->notify.len, 4);
	EXPECT_EQ(k->notify.flags, VMM_DEV_NOTIFY_PIO);
	cfg_set(&d, 4, 6, 2);
	EXPECT_EQ(k->notify.len, 0);
	cfg_set(&d, 0x10, 0xd004, 4);
	EXPECT_EQ(k->notify.len, 0);
	cfg_set(&d, 4, 7, 2);
	EXPECT_EQ(k->notify.addr, 0xd004);
	EXPECT_EQ(k->notify.len, 4);
	/* over the serial port's registers there is no place, but it comes back */
	cfg_set(&d, 0x10, 0x70, 4);
	EXPECT_EQ(k->notify.len, 0);
	cfg_set(&d, 0x10, 0xd000, 4);
	EXPECT_EQ(k->notify.addr, 0xd000);

	/* one that the kernel did not take: it is made to look at its queues */
	run_console(NO_VECTOR, NO_VECTOR);
	k->queue[1].next_avail = 77;
	k->queue[1].next_used = 70;
	outb(0xd000, 1);
	outw(0xd000, 2);
	EXPECT_EQ(k->starts, 1);
	outw(0xd000, 1);
	EXPECT_EQ(k->starts, 2);
	EXPECT_EQ(k->stops, 1);
	EXPECT_EQ(k->queue[1].next_avail, 77);
	EXPECT_EQ(k->queue[1].next_used, 70);
	EXPECT_EQ(inw(0xd000), 0);
	machine_end();
}

UNIT_TEST(virtio_msix)
{
	start_console();
	EXPECT(k->msix.intx_fd >= 0);
	mmio_write(d.msix + 16, 0xfee02000, 4);
	mmio_write(d.msix + 24, 0x45, 4);
	mmio_write(d.msix + 28, 0, 4);
	EXPECT_EQ(k->vector[1].addr, 0xfee02000);
	EXPECT_EQ(k->vector[1].data, 0x45);
	EXPECT_EQ(k->vector[1].flags, 0);
	mmio_write(d.msix + 28, 1, 4);
	EXPECT_EQ(k->vector[1].flags, VMM_DEV_VECTOR_MASKED);
	cfg_set(&d, d.msix_cap + 2, 0xc000, 2);
	EXPECT_EQ(k->msix.flags, VMM_DEV_MSIX_ENABLED | VMM_DEV_MSIX_MASKED);
	cfg_set(&d, d.msix_cap + 2, 0x8000, 2);
	EXPECT_EQ(k->msix.flags, VMM_DEV_MSIX_ENABLED);
	k->pending[0] = 2;
	EXPECT_EQ(mmio_read(d.pba, 4), 2);
	/* a virtio reset leaves MSI-X, but not what queues and configuration use of it */
	set(&d, VIRTIO_PCI_COMMON_MSIX, 0, 2);
	EXPECT_EQ(k->msix.config_vector, 0);
	set(&d, STATUS, 0, 1);
	EXPECT_EQ(k->msix.config_vector, NO_VECTOR);
	EXPECT_EQ(k->msix.flags, VMM_DEV_MSIX_ENABLED);
	machine_end();
}

UNIT_TEST(virtio_intx)
{
	start_console();
	ioapic_route(17, 1 << 15 | 0x51);
	run_console(NO_VECTOR, NO_VECTOR);
	kernel_interrupt(k);
	turn_loop();
	EXPECT_EQ(kernel.nr_msi, 1);
	EXPECT_EQ(cfg_get(&d, 6, 2) & 8, 8);
	EXPECT_EQ(mmio_read(d.isr, 1), 1);
	EXPECT_EQ(mmio_read(d.isr, 1), 0);
	EXPECT_EQ(cfg_get(&d, 6, 2) & 8, 0);
	irq_eoi(&vm, 0x51);
	EXPECT_EQ(kernel.nr_msi, 1);
	virtio_console_resize(&vm, 100, 40);
	EXPECT_EQ(kernel.nr_msi, 2);
	kernel_interrupt(k);
	turn_loop();
	EXPECT_EQ(mmio_read(d.isr, 1), 3);
	/* a late one after reset is nobody's */
	kernel_interrupt(k);
	set(&d, STATUS, 0, 1);
	turn_loop();
	EXPECT_EQ(mmio_read(d.isr, 1), 0);
	machine_end();
}

UNIT_TEST(virtio_console_size)
{
	uint8_t generation;

	start_console();
	EXPECT_EQ(k->type, VMM_DEVICE_CONSOLE);
	EXPECT_EQ(cfg_get(&d, 2, 2), 0x1043);
	EXPECT(driver_negotiate(&d) & 1ull << VIRTIO_CONSOLE_F_SIZE);
	generation = get(&d, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
	virtio_console_resize(&vm, 132, 43);
	EXPECT_EQ(mmio_read(d.config, 2), 132);
	EXPECT_EQ(mmio_read(d.config + 2, 2), 43);
	EXPECT(get(&d, VIRTIO_PCI_COMMON_CFGGENERATION, 1) != generation);
	/* not before DRIVER_OK */
	EXPECT_EQ(k->configs, 0);
	set(&d, STATUS, 15, 1);
	cfg_set(&d, d.msix_cap + 2, 0x8000, 2);
	virtio_console_resize(&vm, ~0u, 0);
	EXPECT_EQ(k->configs, 1);
	EXPECT_EQ(mmio_read(d.config, 4), 0xffff);
	EXPECT_EQ(mmio_read(d.isr, 1), 0);
	machine_end();
	/* without a console */
	machine_start(1, 64 << 20);
	virtio_console_resize(&vm, 1, 1);
	machine_end();
}

UNIT_TEST(virtio_reset)
{
	start_console();
	run_console(0, 1);
	k->interrupt_stop = 5;
	set(&d, STATUS, 0, 1);
	EXPECT_EQ(get(&d, STATUS, 1), 0);
	EXPECT_EQ(k->stops, 1);
	EXPECT_EQ(k->state, VMM_DEV_SETUP);
	set(&d, VIRTIO_PCI_COMMON_Q_SELECT, 0, 2);
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_Q_SIZE, 2), 256);
	EXPECT_EQ(get(&d, VIRTIO_PCI_COMMON_Q_DESCLO, 8), 0);
	/* nothing to stop */
	set(&d, STATUS, 0, 1);
	EXPECT_EQ(k->stops, 1);
	run_console(NO_VECTOR, NO_VECTOR);
	EXPECT_EQ(k->starts, 2);
	EXPECT_EQ(k->queue[0].next_avail, 0);
	/* the VM ends while it waits: not done, but it returns */
	k->interrupt_stop = 1;
	vm_end(&vm, STATUS_POWER_OFF);
	set(&d, STATUS, 0, 1);
	EXPECT_EQ(get(&d, STATUS, 1), 15);
	machine_end();
}

static void *reset_thread(void *arg)
{
	set(&d, STATUS, 0, 1);
	return arg;
}

/* a dead disk: the other vCPUs go on, and their writes wait for the reset */
UNIT_TEST(virtio_reset_takes_long)
{
	pthread_t a, b;

	start_console();
	run_console(0, 1);
	k->hold_stop = true;
	pthread_create(&a, NULL, reset_thread, NULL);
	pthread_mutex_lock(&kernel.lock);
	while (!k->stopping)
		pthread_cond_wait(&kernel.cond, &kernel.lock);
	pthread_mutex_unlock(&kernel.lock);
	EXPECT_EQ(get(&d, STATUS, 1), 15);
	EXPECT_EQ(mmio_read(d.config, 2), 80);
	cfg_set(&d, 0x10, 0xd000, 4);
	pthread_create(&b, NULL, reset_thread, NULL);
	usleep(20000);
	EXPECT_EQ(get(&d, STATUS, 1), 15);
	pthread_mutex_lock(&kernel.lock);
	k->hold_stop = false;
	pthread_cond_broadcast(&kernel.cond);
	pthread_mutex_unlock(&kernel.lock);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	EXPECT_EQ(get(&d, STATUS, 1), 0);
	EXPECT_EQ(k->stops, 1);
	/* the port that moved meanwhile */
	EXPECT_EQ(k->notify.addr, 0xd000);
	machine_end();
}

/*
 * Requests in flight on a dead disk, and no thread that hangs: the end of the VM does not wait for
 * them. In a process of its own, for much is left behind.
 */
UNIT_TEST(virtio_end_with_requests_in_flight)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		start_console();
		run_console(0, 1);
		k->hold_stop = true;
		machine_end();
		_exit(vm.devices && k->quit && fcntl(k->fd, F_GETFD) >= 0 ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	EXPECT(WIFEXITED(status) && !WEXITSTATUS(status));
}

UNIT_TEST(virtio_broken_ring)
{
	start_console();
	ioapic_route(17, 1 << 15 | 0x51);
	run_console(NO_VECTOR, NO_VECTOR);
	kernel_break_queue(k, 1, VMM_VQ_CHAIN_LONG);
	turn_loop();
	EXPECT_EQ(get(&d, STATUS, 1), ALL_OK | NEEDS_RESET);
	EXPECT_EQ(k->configs, 1);
	EXPECT_EQ(mmio_read(d.isr, 1), 2);
	/* until reset nothing helps */
	set(&d, STATUS, 15, 1);
	cfg_set(&d, 4, 3, 2);
	cfg_set(&d, 4, 7, 2);
	outw(d.notify, 0);
	EXPECT_EQ(get(&d, STATUS, 1), ALL_OK | NEEDS_RESET);
	EXPECT_EQ(k->starts, 1);
	set(&d, STATUS, 0, 1);
	EXPECT_EQ(get(&d, STATUS, 1), 0);
	run_console(NO_VECTOR, NO_VECTOR);
	/* a report that is older than the reset */
	kernel_break_queue(k, 0, 4000000000u);
	k->state = VMM_DEV_RUNNING;
	turn_loop();
	EXPECT_EQ(get(&d, STATUS, 1), ALL_OK);
	machine_end();
}

UNIT_TEST(virtio_refused_start)
{
	start_console();
	driver_negotiate(&d);
	k->fail_start = ENOMEM;
	set(&d, STATUS, 15, 1);
	EXPECT_EQ(get(&d, STATUS, 1), ALL_OK | NEEDS_RESET);
	EXPECT_EQ(k->configs, 1);
	set(&d, STATUS, 0, 1);
	EXPECT_EQ(get(&d, STATUS, 1), 0);
	/* a ring where none can be */
	driver_negotiate(&d);
	driver_queue(&d, 0, 0x100001, NO_VECTOR);
	set(&d, STATUS, 15, 1);
	EXPECT_EQ(get(&d, STATUS, 1), ALL_OK | NEEDS_RESET);
	EXPECT_EQ(k->starts, 0);
	set(&d, STATUS, 0, 1);
	run_console(0, 1);
	machine_end();
}

UNIT_TEST(virtio_bus_master)
{
	start_console();
	cfg_set(&d, 4, 3, 2);
	driver_negotiate(&d);
	driver_queue(&d, 0, 0x100000, NO_VECTOR);
	set(&d, STATUS, 15, 1);
	EXPECT_EQ(k->starts, 0);
	cfg_set(&d, 4, 7, 2);
	EXPECT_EQ(k->starts, 1);
	k->queue[0].next_avail = 5;
	cfg_set(&d, 4, 3, 2);
	EXPECT_EQ(k->stops, 1);
	EXPECT_EQ(get(&d, STATUS, 1), 15);
	cfg_set(&d, 4, 7, 2);
	EXPECT_EQ(k->starts, 2);
	EXPECT_EQ(k->queue[0].next_avail, 5);
	cfg_set(&d, 4, 3, 2);
	set(&d, STATUS, 0, 1);
	EXPECT_EQ(k->stops, 2);
	machine_end();
}

static void window(uint8_t bar, uint32_t offset, uint32_t length)
{
	cfg_set(&d, d.window + 4, bar, 1);
	cfg_set(&d, d.window + 8, offset, 4);
	cfg_set(&d, d.window + 12, length, 4);
}

UNIT_TEST(virtio_configuration_window)
{
	start_console();
	/* without memory decoding: that is its purpose */
	cfg_set(&d, 4, 0, 2);
	window(2, STATUS, 1);
	cfg_set(&d, d.window + 16, 3, 1);
	EXPECT_EQ(cfg_get(&d, d.window + 16, 1), 3);
	window(2, VIRTIO_PCI_COMMON_NUMQ, 2);
	EXPECT_EQ(cfg_get(&d, d.window + 16, 2), 2);
	window(2, 0x200, 4);
	EXPECT_EQ(cfg_get(&d, d.window + 16, 4), 25 << 16 | 80);
	/* what is no access of a BAR leaves the data alone */
	cfg_set(&d, d.window + 16, 0x11223344, 4);
	window(2, 0x201, 4);
	EXPECT_EQ(cfg_get(&d, d.window + 16, 4), 0x11223344);
	window(2, 0x200, 3);
	EXPECT_EQ(cfg_get(&d, d.window + 16, 4), 0x11223344);
	window(2, 4096, 4);
	EXPECT_EQ(cfg_get(&d, d.window + 16, 4), 0x11223344);
	window(2, 0xfffffffc, 4);
	EXPECT_EQ(cfg_get(&d, d.window + 16, 4), 0x11223344);
	window(3, 0, 4);
	EXPECT_EQ(cfg_get(&d, d.window + 16, 4), 0x11223344);
	window(255, 0, 4);
	EXPECT_EQ(cfg_get(&d, d.window + 16, 4), 0x11223344);
	window(2, 0, 0);
	EXPECT_EQ(cfg_get(&d, d.window + 16, 4), 0x11223344);
	/* the MSI-X table and notifications, too */
	window(1, 16 + 8, 4);
	cfg_set(&d, d.window + 16, 0x77, 4);
	EXPECT_EQ(k->vector[1].data, 0x77);
	cfg_set(&d, 4, 7, 2);
	run_console(NO_VECTOR, NO_VECTOR);
	window(0, 0, 2);
	cfg_set(&d, d.window + 16, 1, 2);
	EXPECT_EQ(k->starts, 2);
	/* the rest of the capability is fixed */
	cfg_set(&d, d.window, 0xffffffff, 4);
	EXPECT_EQ(cfg_get(&d, d.window, 1), 0x09);
	machine_end();
}

UNIT_TEST(virtio_real_threads)
{
	unsigned int i;

	/* with the loop's thread and the clock running: creation and end, many times */
	for (i = 0; i < 20; i++) {
		machine_start_real(2, 64 << 20);
		EXPECT_EQ(virtio_console_create(&vm, -1, -1), 0);
		k = &kernel.device[0];
		driver_find(&d, 1);
		run_console(NO_VECTOR, NO_VECTOR);
		kernel_interrupt(k);
		kernel_break_queue(k, 0, VMM_VQ_ORDER);
		machine_end();
	}
}
