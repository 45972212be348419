// SPDX-License-Identifier: GPL-2.0
/*
 * C guests: the test program's own file, as it was linked, becomes part of guest memory.
 */
#include <elf.h>
#include <fcntl.h>

#include "vmmtest.h"

static void read_at(int fd, void *to, size_t len, off_t at)
{
	if (pread(fd, to, len, at) != (ssize_t)len)
		t_die("cannot read this program's own file");
}

/* t_image - load the image and let the 64-bit IDT lead to the stubs of guests/start.S */
void t_image(struct t_vm *vm)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	Elf64_Ehdr eh;
	Elf64_Phdr ph;
	unsigned int i;

	if (fd < 0)
		t_die("open /proc/self/exe: %s", strerror(errno));
	read_at(fd, &eh, sizeof(eh), 0);
	if (eh.e_type != ET_EXEC)
		t_die("the test program was linked position-independent");
	for (i = 0; i < eh.e_phnum; i++) {
		read_at(fd, &ph, sizeof(ph), eh.e_phoff + i * sizeof(ph));
		if (ph.p_type != PT_LOAD)
			continue;
		if (ph.p_vaddr < T_IMAGE || ph.p_vaddr + ph.p_memsz > T_FREE)
			t_die("segment at 0x%lx does not fit the layout", ph.p_vaddr);
		memset(t_gpa(vm, ph.p_vaddr, ph.p_memsz), 0, ph.p_memsz);
		read_at(fd, t_gpa(vm, ph.p_vaddr, ph.p_filesz), ph.p_filesz, ph.p_offset);
	}
	close(fd);

	if (!vm->tables)
		t_tables(vm);
	for (i = 0; i < 256; i++) {
		uint64_t stub = (uintptr_t)g_stubs + 16 * i;
		uint64_t gate[2] = {
			(stub & 0xffff) | (uint64_t)T_CS64 << 16 | 0x8eull << 40 |
				(stub >> 16 & 0xffff) << 48,
			stub >> 32,
		};

		t_load(vm, T_IDT64 + 16 * i, gate, sizeof(gate));
	}
	t_load(vm, T_CODE, g_ap_blob, g_ap_blob_end - g_ap_blob);
	vm->image = true;
}

void t_start(struct t_vcpu *v, void (*fn)(uint64_t arg), uint64_t arg)
{
	uint64_t sp = T_STACKS + (v->id + 1) * T_STACK_SIZE - 64;
	uint64_t end = (uintptr_t)g_end;
	struct vmm_regs regs;

	if (!v->vm->image)
		t_image(v->vm);
	t_set_mode(v, T_LONG);
	sp -= 8;
	t_load(v->vm, sp, &end, 8);
	t_get_regs(v, &regs);
	regs.rip = (uintptr_t)fn;
	regs.gpr[VMM_RDI] = arg;
	regs.gpr[VMM_RSP] = sp;
	t_set_regs(v, &regs);
}
