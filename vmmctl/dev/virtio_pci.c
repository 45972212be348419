// SPDX-License-Identifier: GPL-2.0
/*
 * virtio over PCI. Base address registers:
 *
 *	0	I/O, 4 ports: notifications. A port write is the cheapest exit, and the kernel
 *		takes it by itself (VMM_DEV_SET_NOTIFY). All queues share it
 *		(notify_off_multiplier 0): the value written names the queue.
 *	1	memory, 4 KiB: MSI-X table and pending bits
 *	2	memory, 4 KiB: common configuration, ISR, device configuration
 *
 * Device status, as far as the driver moves it:
 *
 *	0 -- ACKNOWLEDGE, DRIVER --> features -- FEATURES_OK --> queues -- DRIVER_OK --> running
 *
 * Bits are added only; zero resets. FEATURES_OK stays clear unless the features are a subset of
 * what was offered with VERSION_1 in it; after it they are fixed. A queue can be enabled between
 * FEATURES_OK and DRIVER_OK, and is fixed then but for its vector. DRIVER_OK needs FEATURES_OK.
 *
 * Registers answer to their own width only (4.1.3.1): other reads give zeros, other writes nothing.
 */
#include "virtio_pci.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

#include "devices.h"
#include "host.h"

#define VENDOR		0x1af4
#define DEVICE_BASE	0x1040	/* + device type */
#define SUBSYSTEM	0x0040	/* modern devices: 0x40 or above (4.1.2.1) */
#define REVISION	1

#define BAR_NOTIFY	0
#define BAR_MSIX	1
#define BAR_CONFIG	2

#define NOTIFY_SIZE	4
#define CONFIG_SIZE	4096
#define COMMON_OFFSET	0x000
#define COMMON_SIZE	sizeof(struct virtio_pci_common_cfg)
#define ISR_OFFSET	0x100
#define ISR_SIZE	1
#define DEVICE_OFFSET	0x200

#define DRIVER_BITS	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | \
			 VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FEATURES_OK | \
			 VIRTIO_CONFIG_S_FAILED)

static struct virtio_dev *to_virtio(struct pci_dev *dev)
{
	return container_of(dev, struct virtio_dev, pci);
}

/* width of the common configuration register at @offset, 0 = none starts here */
static unsigned int common_width(uint64_t offset)
{
	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
	case VIRTIO_PCI_COMMON_DF:
	case VIRTIO_PCI_COMMON_GFSELECT:
	case VIRTIO_PCI_COMMON_GF:
	case VIRTIO_PCI_COMMON_Q_DESCLO:
	case VIRTIO_PCI_COMMON_Q_DESCHI:
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
	case VIRTIO_PCI_COMMON_Q_USEDLO:
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		return 4;
	case VIRTIO_PCI_COMMON_MSIX:
	case VIRTIO_PCI_COMMON_NUMQ:
	case VIRTIO_PCI_COMMON_Q_SELECT:
	case VIRTIO_PCI_COMMON_Q_SIZE:
	case VIRTIO_PCI_COMMON_Q_MSIX:
	case VIRTIO_PCI_COMMON_Q_ENABLE:
	case VIRTIO_PCI_COMMON_Q_NOFF:
		return 2;
	case VIRTIO_PCI_COMMON_STATUS:
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		return 1;
	}
	return 0;
}

/* the queue that queue_select names, NULL = none */
static struct virtio_queue *selected(struct virtio_dev *v)
{
	return v->queue_select < v->info.queues ? &v->queue[v->queue_select] : NULL;
}

static uint32_t read_queue(struct virtio_dev *v, uint64_t offset)
{
	const struct virtio_queue *q = selected(v);

	if (!q)
		return offset == VIRTIO_PCI_COMMON_Q_MSIX ? VMM_DEV_NO_VECTOR : 0;
	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		return q->size;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		return q->vector;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		return q->enabled;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
		return q->desc;
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		return q->desc >> 32;
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
		return q->avail;
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		return q->avail >> 32;
	case VIRTIO_PCI_COMMON_Q_USEDLO:
		return q->used;
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		return q->used >> 32;
	}
	return 0;
}

static uint32_t read_common(struct virtio_dev *v, uint64_t offset)
{
	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		return v->device_select;
	case VIRTIO_PCI_COMMON_DF:
		return v->device_select < 2 ? v->offered >> 32 * v->device_select : 0;
	case VIRTIO_PCI_COMMON_GFSELECT:
		return v->driver_select;
	case VIRTIO_PCI_COMMON_GF:
		return v->driver_select < 2 ? v->driver_features >> 32 * v->driver_select : 0;
	case VIRTIO_PCI_COMMON_MSIX:
		return v->config_vector;
	case VIRTIO_PCI_COMMON_NUMQ:
		return v->info.queues;
	case VIRTIO_PCI_COMMON_STATUS:
		return v->status;
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		return v->generation;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		return v->queue_select;
	}
	return read_queue(v, offset);
}

static void write_features(struct virtio_dev *v, uint32_t value)
{
	unsigned int shift = 32 * v->driver_select;

	if (v->driver_select >= 2 || (v->status & VIRTIO_CONFIG_S_FEATURES_OK))
		return;
	v->driver_features &= ~(0xffffffffull << shift);
	v->driver_features |= (uint64_t)value << shift;
}

static bool features_acceptable(const struct virtio_dev *v)
{
	return !(v->driver_features & ~v->offered) &&
	       (v->driver_features & 1ull << VIRTIO_F_VERSION_1);
}

static void write_status(struct virtio_dev *v, uint8_t value)
{
	uint8_t added = value & ~v->status & DRIVER_BITS;

	if (!value) {
		virtio_dev_reset(v);
		return;
	}
	if ((added & VIRTIO_CONFIG_S_FEATURES_OK) && !features_acceptable(v))
		added &= ~VIRTIO_CONFIG_S_FEATURES_OK;
	if (!((v->status | added) & VIRTIO_CONFIG_S_FEATURES_OK))
		added &= ~VIRTIO_CONFIG_S_DRIVER_OK;
	v->status |= added;
	if (added & VIRTIO_CONFIG_S_DRIVER_OK)
		virtio_dev_sync(v);
}

/* what the driver reads back tells it whether the vector was granted (4.1.4.3) */
static uint16_t granted_vector(const struct virtio_dev *v, uint16_t vector)
{
	return vector < v->pci.msix.nr ? vector : VMM_DEV_NO_VECTOR;
}

static void set_low(uint64_t *field, uint32_t value)
{
	*field = (*field & 0xffffffff00000000ull) | value;
}

static void set_high(uint64_t *field, uint32_t value)
{
	*field = (*field & 0xffffffffull) | (uint64_t)value << 32;
}

static void write_queue_size(struct virtio_dev *v, struct virtio_queue *q, uint16_t value)
{
	/* split rings are a power of two */
	if (value && !(value & (value - 1)) && value <= v->info.max_queue_size)
		q->size = value;
}

static void write_queue_enable(struct virtio_dev *v, struct virtio_queue *q, uint16_t value)
{
	const uint8_t mask = VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK;

	/* writing 0 is forbidden, and anything else but 1 has no meaning */
	if (value == 1 && (v->status & mask) == VIRTIO_CONFIG_S_FEATURES_OK)
		q->enabled = true;
}

static void write_queue(struct virtio_dev *v, uint64_t offset, uint32_t value)
{
	struct virtio_queue *q = selected(v);

	if (!q)
		return;
	if (offset == VIRTIO_PCI_COMMON_Q_MSIX) {
		q->vector = granted_vector(v, value);
		virtio_dev_set_queue_vector(v, v->queue_select);
		return;
	}
	if (q->enabled)
		return;
	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		write_queue_size(v, q, value);
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		write_queue_enable(v, q, value);
		break;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
		set_low(&q->desc, value);
		break;
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		set_high(&q->desc, value);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
		set_low(&q->avail, value);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		set_high(&q->avail, value);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDLO:
		set_low(&q->used, value);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		set_high(&q->used, value);
		break;
	}
}

static void write_common(struct virtio_dev *v, uint64_t offset, uint32_t value)
{
	/* a reset under way decides first */
	virtio_dev_wait(v);
	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		v->device_select = value;
		break;
	case VIRTIO_PCI_COMMON_GFSELECT:
		v->driver_select = value;
		break;
	case VIRTIO_PCI_COMMON_GF:
		write_features(v, value);
		break;
	case VIRTIO_PCI_COMMON_MSIX:
		v->config_vector = granted_vector(v, value);
		virtio_dev_set_msix(v);
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		write_status(v, value);
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		v->queue_select = value;
		break;
	default:
		write_queue(v, offset, value);
		break;
	}
}

static void common_access(struct virtio_dev *v, uint64_t offset, bool is_write, void *data,
			  unsigned int len)
{
	uint8_t *bytes = data;

	/* a 64-bit field in one piece */
	if (len == 8 && !(offset % 8) && offset >= VIRTIO_PCI_COMMON_Q_DESCLO) {
		common_access(v, offset, is_write, bytes, 4);
		common_access(v, offset + 4, is_write, bytes + 4, 4);
		return;
	}
	if (!is_write)
		memset(data, 0, len);
	if (common_width(offset) != len)
		return;
	if (is_write)
		write_common(v, offset, load_le(data, len));
	else
		store_le(data, read_common(v, offset), len);
}

/* reading acknowledges: bits and INTA go (4.1.4.5) */
static void isr_access(struct virtio_dev *v, bool is_write, void *data, unsigned int len)
{
	if (is_write)
		return;
	memset(data, 0, len);
	if (len != ISR_SIZE)
		return;
	store_le(data, v->isr, 1);
	v->isr = 0;
	pci_set_intx(&v->pci, false);
}

/* no field of the devices that we have is the driver's to write */
static void device_access(struct virtio_dev *v, uint64_t offset, bool is_write, void *data,
			  unsigned int len)
{
	unsigned int i;

	if (is_write)
		return;
	for (i = 0; i < len; i++)
		((uint8_t *)data)[i] = offset + i < v->config_len ? v->config[offset + i] : 0;
}

static bool within(uint64_t offset, unsigned int len, uint64_t start, uint64_t size)
{
	return offset >= start && offset + len <= start + size;
}

static void config_bar_access(struct virtio_dev *v, uint64_t offset, bool is_write, void *data,
			      unsigned int len)
{
	if (within(offset, len, COMMON_OFFSET, COMMON_SIZE))
		common_access(v, offset - COMMON_OFFSET, is_write, data, len);
	else if (offset == ISR_OFFSET)
		isr_access(v, is_write, data, len);
	else if (offset >= DEVICE_OFFSET)
		device_access(v, offset - DEVICE_OFFSET, is_write, data, len);
	else if (!is_write)
		memset(data, 0, len);
}

static void bar_access(struct pci_dev *dev, unsigned int bar, uint64_t offset, bool is_write,
		       void *data, unsigned int len)
{
	struct virtio_dev *v = to_virtio(dev);

	if (bar == BAR_CONFIG) {
		config_bar_access(v, offset, is_write, data, len);
		return;
	}
	if (!is_write)
		memset(data, 0, len);
	else if (len >= 2 && load_le(data, 2) < v->info.queues)
		virtio_dev_notify(v);
}

static void bar_moved(struct pci_dev *dev, unsigned int bar)
{
	struct virtio_dev *v = to_virtio(dev);
	const struct pci_bar *b = &dev->bar[bar];

	if (bar == BAR_NOTIFY)
		virtio_dev_set_port(v, b->mapped ? b->addr : 0, b->mapped ? NOTIFY_SIZE : 0);
}

static void command_written(struct pci_dev *dev)
{
	virtio_dev_sync(to_virtio(dev));
}

/*
 * The capability through which a BAR is reached by configuration accesses alone (4.1.4.9). Whatever
 * the driver put there that is not an access to a BAR of ours does nothing.
 */
static void cfg_window(struct virtio_dev *v, bool is_write)
{
	struct virtio_pci_cfg_cap cap;
	uint8_t *data = &v->pci.cfg[v->cfg_cap + offsetof(struct virtio_pci_cfg_cap, pci_cfg_data)];
	uint8_t copy[4];

	memcpy(&cap, &v->pci.cfg[v->cfg_cap], sizeof(cap));
	if (cap.cap.bar >= PCI_BARS || v->pci.bar[cap.cap.bar].kind == PCI_BAR_NONE)
		return;
	if (cap.cap.length != 1 && cap.cap.length != 2 && cap.cap.length != 4)
		return;
	if (cap.cap.offset % cap.cap.length ||
	    cap.cap.offset + (uint64_t)cap.cap.length > v->pci.bar[cap.cap.bar].size)
		return;
	/* a copy: the access may drop the mutex */
	memcpy(copy, data, sizeof(copy));
	pci_bar_access(&v->pci, cap.cap.bar, cap.cap.offset, is_write, copy, cap.cap.length);
	if (!is_write)
		memcpy(data, copy, cap.cap.length);
}

static bool hits_window(const struct virtio_dev *v, unsigned int reg, unsigned int len)
{
	unsigned int data = v->cfg_cap + offsetof(struct virtio_pci_cfg_cap, pci_cfg_data);

	return reg < data + 4 && data < reg + len;
}

static void cfg_read(struct pci_dev *dev, unsigned int reg, unsigned int len)
{
	struct virtio_dev *v = to_virtio(dev);

	if (hits_window(v, reg, len))
		cfg_window(v, false);
}

static void cfg_written(struct pci_dev *dev, unsigned int reg, unsigned int len)
{
	struct virtio_dev *v = to_virtio(dev);

	if (hits_window(v, reg, len))
		cfg_window(v, true);
}

static void msix_vector(struct pci_dev *dev, unsigned int index)
{
	virtio_dev_set_vector(to_virtio(dev), index);
}

static void msix_control(struct pci_dev *dev)
{
	virtio_dev_set_msix(to_virtio(dev));
}

static void msix_pending(struct pci_dev *dev, uint64_t *bits)
{
	virtio_dev_get_pending(to_virtio(dev), bits);
}

static const struct pci_ops virtio_pci_ops = {
	.bar_access	 = bar_access,
	.bar_moved	 = bar_moved,
	.command_written = command_written,
	.cfg_read	 = cfg_read,
	.cfg_written	 = cfg_written,
	.msix_vector	 = msix_vector,
	.msix_control	 = msix_control,
	.msix_pending	 = msix_pending,
};

static unsigned int add_cap(struct virtio_dev *v, uint8_t type, uint8_t bar, uint32_t offset,
			    uint32_t length, unsigned int size)
{
	uint8_t raw[sizeof(struct virtio_pci_cfg_cap)] = {};
	struct virtio_pci_cap cap = {
		.cap_len = size,
		.cfg_type = type,
		.bar = bar,
		.offset = offset,
		.length = length,
	};

	memcpy(raw, &cap, sizeof(cap));
	/* id and link are pci_dev_add_cap()'s */
	return pci_dev_add_cap(&v->pci, PCI_CAP_VENDOR, raw + 2, size - 2);
}

static void add_caps(struct virtio_dev *v)
{
	const unsigned int plain = sizeof(struct virtio_pci_cap);
	uint8_t *writable;

	add_cap(v, VIRTIO_PCI_CAP_COMMON_CFG, BAR_CONFIG, COMMON_OFFSET, COMMON_SIZE, plain);
	/* what follows the plain part is notify_off_multiplier, zero */
	add_cap(v, VIRTIO_PCI_CAP_NOTIFY_CFG, BAR_NOTIFY, 0, NOTIFY_SIZE,
		sizeof(struct virtio_pci_notify_cap));
	add_cap(v, VIRTIO_PCI_CAP_ISR_CFG, BAR_CONFIG, ISR_OFFSET, ISR_SIZE, plain);
	add_cap(v, VIRTIO_PCI_CAP_DEVICE_CFG, BAR_CONFIG, DEVICE_OFFSET, v->config_len, plain);
	v->cfg_cap = add_cap(v, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, 0,
			     sizeof(struct virtio_pci_cfg_cap));
	writable = &v->pci.writable[v->cfg_cap];
	writable[offsetof(struct virtio_pci_cap, bar)] = 0xff;
	memset(writable + offsetof(struct virtio_pci_cap, offset), 0xff, 4);
	memset(writable + offsetof(struct virtio_pci_cap, length), 0xff, 4);
	memset(writable + offsetof(struct virtio_pci_cfg_cap, pci_cfg_data), 0xff, 4);
}

int virtio_pci_create(struct virtio_dev *v, struct vm *vm, uint32_t class, unsigned int blocking)
{
	int ret;

	pci_dev_init(&v->pci, vm, &virtio_pci_ops, VENDOR, DEVICE_BASE + v->info.type, class,
		     REVISION);
	pci_dev_set_subsystem(&v->pci, VENDOR, SUBSYSTEM);
	pci_dev_add_bar(&v->pci, BAR_NOTIFY, PCI_BAR_IO, NOTIFY_SIZE);
	pci_dev_add_msix(&v->pci, BAR_MSIX, v->info.queues + 1);
	pci_dev_add_bar(&v->pci, BAR_CONFIG, PCI_BAR_MEM32, CONFIG_SIZE);
	add_caps(v);
	v->loop = vm->devices->loop;
	ret = pci_add(&v->pci);
	if (ret) {
		virtio_dev_end(v);
		pthread_mutex_destroy(&v->pci.lock);
		free(v);
		return ret;
	}
	/* on the list even if it cannot run: the loop may hold it already */
	v->next = vm->devices->virtio;
	vm->devices->virtio = v;
	return virtio_dev_run(v, blocking);
}

int virtio_pci_end(struct virtio_dev *v)
{
	int ret;

	pci_remove(&v->pci);
	ret = virtio_dev_end(v);
	if (ret)
		return ret;
	pthread_mutex_destroy(&v->pci.lock);
	free(v);
	return 0;
}
