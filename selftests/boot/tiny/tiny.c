// SPDX-License-Identifier: GPL-2.0
/*
 * A guest that does what its command line says, word by word, and talks on the serial port:
 *
 *	say=TEXT	print TEXT
 *	lines=N		print N lines, numbered
 *	show		print how it was booted: command line, memory map, modules
 *	poweroff reboot reset halt triple panic exit=N
 *			end, in one of the ways there are: N is written to port 0xf4
 *	button		wait for the power button, then power off
 *	deaf		loop for ever
 *	echo		give every byte back, in upper case; q powers off, r reboots, x panics
 *
 * Without any of the ways to end it powers off.
 */
#include <stddef.h>
#include <stdint.h>

#define PORT_SERIAL	0x3f8
#define PORT_PM1_STS	0x600
#define PORT_PM1_CNT	0x604
#define PORT_RESET	0xcf9
#define PORT_8042	0x64
#define PORT_PVPANIC	0x505
#define PORT_EXIT	0xf4

#define RESET_COLD		6
#define STS_POWER_BUTTON	(1 << 8)
#define CNT_S5			(5 << 10 | 1 << 13)
#define LSR_READY		0x01
#define LSR_THRE		0x20

#define MULTIBOOT_MAGIC	0x2badb002
#define PVH_MAGIC	0x336ec578

void triple_fault(void);
void tiny_main(uint32_t magic, const void *info);

struct module {
	uint32_t start, size;
	const char *string;
};

/* what all boot protocols tell, in one form */
static struct {
	const char *protocol, *cmdline;
	struct module modules[4];
	unsigned int nr_modules;
	uint64_t ram;			/* bytes that the memory map calls RAM */
	unsigned int nr_ranges;
} boot;

static void outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" :: "a"(v), "Nd"(port) : "memory");
}

static void outw(uint16_t port, uint16_t v)
{
	__asm__ volatile("outw %0, %1" :: "a"(v), "Nd"(port) : "memory");
}

static uint8_t inb(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static uint16_t inw(uint16_t port)
{
	uint16_t v;

	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static void put(char c)
{
	while (!(inb(PORT_SERIAL + 5) & LSR_THRE))
		;
	outb(PORT_SERIAL, c);
}

static void print(const char *s)
{
	while (*s)
		put(*s++);
}

static void print_number(uint32_t v)
{
	char digits[10];
	int n = 0;

	do {
		digits[n++] = '0' + v % 10;
		v /= 10;
	} while (v);
	while (n)
		put(digits[--n]);
}

static void print_value(const char *name, uint32_t v)
{
	print(name);
	print_number(v);
	put('\n');
}

static uint32_t get32(const void *base, unsigned int offset)
{
	return *(const volatile uint32_t *)((uintptr_t)base + offset);
}

static uint64_t get64(const void *base, unsigned int offset)
{
	return get32(base, offset) | (uint64_t)get32(base, offset + 4) << 32;
}

static void *pointer(uint32_t v)
{
	return (void *)(uintptr_t)v;
}

static void add_range(uint64_t size, uint32_t type)
{
	boot.nr_ranges++;
	if (type == 1)
		boot.ram += size;
}

static void add_module(uint32_t start, uint32_t size, const char *string)
{
	if (boot.nr_modules < 4)
		boot.modules[boot.nr_modules++] = (struct module){ start, size, string };
}

static void take_multiboot(const void *info)
{
	const char *p = pointer(get32(info, 48)), *end = p + get32(info, 44);
	const void *m = pointer(get32(info, 24));
	uint32_t i;

	boot.protocol = "multiboot";
	boot.cmdline = pointer(get32(info, 16));
	for (i = 0; i < get32(info, 20); i++, m = (const char *)m + 16)
		add_module(get32(m, 0), get32(m, 4) - get32(m, 0), pointer(get32(m, 8)));
	for (; p < end; p += get32(p, 0) + 4)
		add_range(get64(p, 12), get32(p, 20));
}

static void take_pvh(const void *info)
{
	const char *m = pointer(get32(info, 16)), *p = pointer(get32(info, 40));
	uint32_t i;

	boot.protocol = "pvh";
	boot.cmdline = pointer(get32(info, 24));
	for (i = 0; i < get32(info, 12); i++, m += 32)
		add_module(get32(m, 0), get32(m, 8), pointer(get32(m, 16)));
	for (i = 0; i < get32(info, 48); i++, p += 24)
		add_range(get64(p, 8), get32(p, 16));
}

static void take_linux(const void *zero_page)
{
	const uint8_t *entries = zero_page;
	const char *p = (const char *)zero_page + 0x2d0;
	uint32_t i;

	boot.protocol = "linux";
	boot.cmdline = pointer(get32(zero_page, 0x228));
	if (get32(zero_page, 0x21c))
		add_module(get32(zero_page, 0x218), get32(zero_page, 0x21c), "initrd");
	for (i = 0; i < entries[0x1e8]; i++, p += 20)
		add_range(get64(p, 8), get32(p, 16));
}

static void show(void)
{
	unsigned int i;

	print("protocol: ");
	print(boot.protocol);
	print("\ncommand line: ");
	print(boot.cmdline);
	print_value("\nranges: ", boot.nr_ranges);
	print_value("RAM in MiB: ", (boot.ram + 0xfffff) >> 20);
	for (i = 0; i < boot.nr_modules; i++) {
		const uint8_t *p = pointer(boot.modules[i].start);
		uint32_t n, sum = 0;

		for (n = 0; n < boot.modules[i].size; n++)
			sum += p[n];
		print("module: ");
		print(boot.modules[i].string);
		print_value(" size ", boot.modules[i].size);
		print_value("sum: ", sum);
	}
}

static void power_off(void)
{
	for (;;)
		outw(PORT_PM1_CNT, CNT_S5);
}

static void panic(void)
{
	for (;;)
		outb(PORT_PVPANIC, 1);
}

static void halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

static void echo(void)
{
	for (;;) {
		char c;

		while (!(inb(PORT_SERIAL + 5) & LSR_READY))
			;
		c = inb(PORT_SERIAL);
		if (c == 'q')
			power_off();
		if (c == 'r')
			outb(PORT_RESET, RESET_COLD);
		if (c == 'x')
			panic();
		put(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
	}
}

static void lines(uint32_t n)
{
	uint32_t i;

	for (i = 1; i <= n; i++)
		print_value("this is line ", i);
}

/* what follows @name in @word, which a blank ends; NULL when it does not begin so */
static const char *after(const char *word, const char *name)
{
	while (*name) {
		if (*word++ != *name++)
			return NULL;
	}
	return word;
}

static int is(const char *word, const char *name)
{
	const char *end = after(word, name);

	return end && (!*end || *end == ' ');
}

static uint32_t number(const char *s)
{
	uint32_t v = 0;

	while (*s >= '0' && *s <= '9')
		v = v * 10 + *s++ - '0';
	return v;
}

static void obey(const char *word)
{
	const char *arg;

	arg = after(word, "say=");
	if (arg) {
		while (*arg && *arg != ' ')
			put(*arg++);
		put('\n');
	}
	arg = after(word, "lines=");
	if (arg)
		lines(number(arg));
	arg = after(word, "exit=");
	if (arg)
		outb(PORT_EXIT, number(arg));
	if (is(word, "show"))
		show();
	if (is(word, "poweroff"))
		power_off();
	if (is(word, "reboot"))
		outb(PORT_RESET, RESET_COLD);
	if (is(word, "reset"))
		outb(PORT_8042, 0xfe);
	if (is(word, "halt"))
		halt();
	if (is(word, "triple"))
		triple_fault();
	if (is(word, "panic"))
		panic();
	if (is(word, "echo"))
		echo();
	if (is(word, "button")) {
		while (!(inw(PORT_PM1_STS) & STS_POWER_BUTTON))
			;
		print("the button\n");
		power_off();
	}
	while (is(word, "deaf"))
		;
}

void tiny_main(uint32_t magic, const void *info)
{
	const char *p;

	if (magic == MULTIBOOT_MAGIC)
		take_multiboot(info);
	else if (get32(info, 0) == PVH_MAGIC)
		take_pvh(info);
	else
		take_linux(info);

	for (p = boot.cmdline; *p; ) {
		obey(p);
		while (*p && *p != ' ')
			p++;
		while (*p == ' ')
			p++;
	}
	power_off();
}
