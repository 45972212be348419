/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ring engine's environment in userland: guest memory is what the program says it is. The
 * counterpart of virtio-backends/vq_mem.h.
 */
#ifndef VQ_MEM_USER_H
#define VQ_MEM_USER_H

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <linux/types.h>
#include <linux/vmm.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#ifndef U32_MAX
#define U32_MAX UINT32_MAX
#endif
#define BIT_ULL(n) (1ULL << (n))
#define min(a, b) ({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); _a < _b ? _a : _b; })
#define min_t(type, a, b) min((type)(a), (type)(b))
#define array_index_nospec(index, size) ((void)(size), (index))

#define le16_to_cpu(x) le16toh(x)
#define le32_to_cpu(x) le32toh(x)
#define le64_to_cpu(x) le64toh(x)
#define cpu_to_le16(x) htole16(x)
#define cpu_to_le32(x) htole32(x)
#define cpu_to_le64(x) htole64(x)

#define smp_mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define smp_rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define smp_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)

u64 vq_mem_generation(void *mem);
int vq_mem_translate(void *mem, u64 gpa, u64 len, bool write, unsigned long *hva, u64 *run);
int vq_mem_load(void *to, unsigned long hva, size_t len);
int vq_mem_store(unsigned long hva, const void *from, size_t len);
int vq_mem_load16(__le16 *to, unsigned long hva);
int vq_mem_store16(unsigned long hva, __le16 value);
void vq_mem_dirty(void *mem, u64 gpa, u64 len);

#endif
