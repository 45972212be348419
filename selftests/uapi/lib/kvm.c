// SPDX-License-Identifier: GPL-2.0
/*
 * Guests that compute: see kvm.h. The guest, in real mode, walks its 64 KiB of data four times for
 * each sum, and changes what it reads; then it reports, says that it is done, and goes on when it
 * is entered again.
 */
#include <fcntl.h>
#include <linux/kvm.h>

#include "kvm.h"

#define ROUNDS	4

T_BLOB(sum_guest, 16,
	"mov	$" T_STR(T_DATA) " >> 4, %ax\n\t"
	"mov	%ax, %ds\n"
"1:	mov	$" T_STR(ROUNDS) ", %cx\n"
"2:	xor	%si, %si\n"
"3:	roll	$5, %ebx\n\t"
	"addl	(%si), %ebx\n\t"
	"xorl	%ebx, (%si)\n\t"
	"add	$4, %si\n\t"
	"jnz	3b\n\t"
	"dec	%cx\n\t"
	"jnz	2b\n\t"
	"mov	%ebx, %eax\n\t"
	"out	%eax, $" T_STR(T_PORT_REPORT) "\n\t"
	"out	%al, $" T_STR(T_PORT_DONE) "\n\t"
	"jmp	1b\n");

static void sums_init(struct t_sums *s, void *guest_data)
{
	unsigned int i;

	s->acc = 0;
	s->nr = 0;
	for (i = 0; i < SUM_WORDS; i++)
		s->data[i] = i * 0x9e3779b1u ^ getpid();
	memcpy(guest_data, s->data, sizeof(s->data));
}

static uint32_t sums_next(struct t_sums *s)
{
	unsigned int round, i;

	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < SUM_WORDS; i++) {
			s->acc = (s->acc << 5 | s->acc >> 27) + s->data[i];
			s->data[i] ^= s->acc;
		}
	}
	s->nr++;
	return s->acc;
}

static bool right(const char *whose, struct t_sums *s, uint32_t got)
{
	uint32_t want = sums_next(s);

	if (got != want)
		t_say("sum %lu of %s guest: wanted %#x, got %#x", s->nr, whose, want, got);
	return got == want;
}

/* ---- vmm's ---- */

struct t_sums *t_sums_start(struct t_vcpu *v)
{
	struct t_sums *s = malloc(sizeof(*s));

	if (!s)
		t_die("out of memory");
	t_blob(v, T_REAL, sum_guest, sum_guest_end);
	sums_init(s, t_gpa(v->vm, T_DATA, sizeof(s->data)));
	return s;
}

bool t_sums_next(struct t_vcpu *v, struct t_sums *s)
{
	t_reset_reports(v);
	return t_done(v) && v->nr_report == 1 && right("vmm's", s, v->report[0]);
}

/* ---- KVM's ---- */

static void must(int r, const char *what)
{
	if (r < 0)
		t_die("KVM: %s: %s", what, strerror(errno));
}

static void kvm_registers(struct t_kvm *k)
{
	struct kvm_regs regs = { .rip = T_CODE, .rsp = T_STACK, .rflags = 2 };
	struct kvm_sregs sregs;

	must(ioctl(k->vcpu, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
	sregs.cs.selector = 0;
	sregs.cs.base = 0;
	must(ioctl(k->vcpu, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
	must(ioctl(k->vcpu, KVM_SET_REGS, &regs), "KVM_SET_REGS");
}

struct t_kvm *t_kvm_new(void)
{
	struct kvm_userspace_memory_region region = { .memory_size = T_RAM_SIZE };
	struct t_kvm *k = calloc(1, sizeof(*k));
	int err;

	if (!k)
		t_die("out of memory");
	k->sys = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	k->vm = k->sys < 0 ? -1 : ioctl(k->sys, KVM_CREATE_VM, 0);
	if (k->vm < 0) {
		err = errno;
		if (k->sys >= 0)
			close(k->sys);
		free(k);
		errno = err;
		return NULL;
	}
	k->mem = t_alloc(T_RAM_SIZE, 2 << 20);
	region.userspace_addr = (uintptr_t)k->mem;
	must(ioctl(k->vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
	k->vcpu = ioctl(k->vm, KVM_CREATE_VCPU, 0);
	must(k->vcpu, "KVM_CREATE_VCPU");
	k->run_size = ioctl(k->sys, KVM_GET_VCPU_MMAP_SIZE, 0);
	k->run = mmap(NULL, k->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, k->vcpu, 0);
	if (k->run == MAP_FAILED)
		must(-1, "mmap");
	memcpy(k->mem + T_CODE, sum_guest, sum_guest_end - sum_guest);
	sums_init(&k->sums, k->mem + T_DATA);
	kvm_registers(k);
	return k;
}

void t_kvm_free(struct t_kvm *k)
{
	munmap(k->run, k->run_size);
	close(k->vcpu);
	close(k->vm);
	close(k->sys);
	munmap(k->mem, T_RAM_SIZE);
	free(k);
}

bool t_kvm_sum(struct t_kvm *k)
{
	uint32_t got = 0;

	for (;;) {
		if (ioctl(k->vcpu, KVM_RUN, 0)) {
			if (errno == EINTR)
				continue;
			t_say("KVM_RUN: %s", strerror(errno));
			return false;
		}
		if (k->run->exit_reason != KVM_EXIT_IO) {
			t_say("KVM's guest: exit %u", k->run->exit_reason);
			return false;
		}
		if (k->run->io.port == T_PORT_DONE)
			return right("KVM's", &k->sums, got);
		memcpy(&got, (uint8_t *)k->run + k->run->io.data_offset, sizeof(got));
	}
}
