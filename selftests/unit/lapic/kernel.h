/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What kmod/irq and kmod/io use of the kernel, for userland. The kernel's own headers are empty
 * files here (tests.mk), and this one is included before everything else. Time stands still but
 * for clock_advance(), which runs the timers.
 */
#ifndef UNIT_LAPIC_KERNEL_H
#define UNIT_LAPIC_KERNEL_H

#include <assert.h>
#include <errno.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s8 s8;
typedef __s16 s16;
typedef __s32 s32;
typedef long long s64;

#define __rcu
#define __user
#define __aligned(_n)	__attribute__((aligned(_n)))
#define ____cacheline_aligned	__aligned(64)
#define EXPORT_SYMBOL_GPL(_sym)	extern typeof(_sym) _sym
#define likely(_x)	(_x)
#define unlikely(_x)	(_x)
#define U32_MAX		(~0u)
#define ARRAY_SIZE(_a)	(sizeof(_a) / sizeof((_a)[0]))
#define lockdep_is_held(_lock)	true

#define min(_a, _b)	({ typeof(_a) a__ = (_a); typeof(_b) b__ = (_b); a__ < b__ ? a__ : b__; })
#define max(_a, _b)	({ typeof(_a) a__ = (_a); typeof(_b) b__ = (_b); a__ > b__ ? a__ : b__; })
#define min_t(_t, _a, _b)	min((_t)(_a), (_t)(_b))
#define max_t(_t, _a, _b)	max((_t)(_a), (_t)(_b))
#define clamp_t(_t, _v, _lo, _hi)	min_t(_t, max_t(_t, _v, _lo), _hi)
#define container_of(_p, _type, _member) \
	((_type *)((char *)(_p) - offsetof(_type, _member)))
#define check_add_overflow(_a, _b, _sum)	__builtin_add_overflow(_a, _b, _sum)
#define struct_size(_p, _member, _n)	(sizeof(*(_p)) + (_n) * sizeof((_p)->_member[0]))
#define array_size(_n, _size)	((size_t)(_n) * (_size))
#define array_index_nospec(_i, _size)	((_i) < (_size) ? (_i) : 0)

/* errors in pointers */
#define ERR_PTR(_err)	((void *)(long)(_err))
#define PTR_ERR(_p)	((long)(_p))
#define IS_ERR(_p)	((unsigned long)(_p) >= (unsigned long)-4095)

/* memory */
#define GFP_KERNEL_ACCOUNT	0
#define kzalloc(_size, _gfp)	calloc(1, _size)
#define kvzalloc(_size, _gfp)	calloc(1, _size)
#define kvmalloc(_size, _gfp)	malloc(_size)
#define kfree(_p)		free(_p)
#define kvfree(_p)		free(_p)
#define u64_to_user_ptr(_x)	((void *)(uintptr_t)(_x))

static inline void *kmemdup(const void *src, size_t len, int gfp)
{
	void *p = malloc(len);

	return p ? memcpy(p, src, len) : NULL;
}

static inline void *vmemdup_user(const void *src, size_t len)
{
	return src ? kmemdup(src, len, 0) : ERR_PTR(-EFAULT);
}

static inline void *memchr_inv(const void *p, int c, size_t len)
{
	const u8 *b = p;

	for (; len; len--, b++)
		if (*b != (u8)c)
			return (void *)b;
	return NULL;
}

/* memory order and atomics */
#define READ_ONCE(_x)		(*(const volatile typeof(_x) *)&(_x))
#define WRITE_ONCE(_x, _v)	(*(volatile typeof(_x) *)&(_x) = (_v))
/* as strong as the kernel's or stronger */
#define smp_wmb()		__atomic_thread_fence(__ATOMIC_RELEASE)
#define smp_mb__after_atomic()	__atomic_thread_fence(__ATOMIC_SEQ_CST)
#define smp_store_mb(_x, _v) \
	do { WRITE_ONCE(_x, _v); __atomic_thread_fence(__ATOMIC_SEQ_CST); } while (0)
#define smp_load_acquire(_p)	__atomic_load_n(_p, __ATOMIC_ACQUIRE)
#define xchg(_p, _v)		__atomic_exchange_n(_p, _v, __ATOMIC_SEQ_CST)

typedef struct { int counter; } atomic_t;
typedef struct { s64 counter; } atomic64_t;

#define atomic_read(_v)		__atomic_load_n(&(_v)->counter, __ATOMIC_RELAXED)
#define atomic_set(_v, _i)	__atomic_store_n(&(_v)->counter, _i, __ATOMIC_RELAXED)
#define atomic_xchg(_v, _i)	__atomic_exchange_n(&(_v)->counter, _i, __ATOMIC_SEQ_CST)
#define atomic_fetch_or(_i, _v)	__atomic_fetch_or(&(_v)->counter, _i, __ATOMIC_SEQ_CST)
#define atomic_fetch_andnot(_i, _v) \
	__atomic_fetch_and(&(_v)->counter, ~(_i), __ATOMIC_SEQ_CST)
#define atomic_try_cmpxchg(_v, _old, _new) \
	__atomic_compare_exchange_n(&(_v)->counter, _old, _new, false, __ATOMIC_SEQ_CST, \
				    __ATOMIC_RELAXED)
#define atomic64_add(_n, _v)	__atomic_fetch_add(&(_v)->counter, _n, __ATOMIC_SEQ_CST)

/* bits */
#define BITS_PER_LONG	64
#define BIT(_n)		(1ul << (_n))
#define BIT_ULL(_n)	(1ull << (_n))
#define GENMASK(_h, _l)	((~0ul << (_l)) & (~0ul >> (63 - (_h))))
#define GENMASK_ULL(_h, _l)	((~0ull << (_l)) & (~0ull >> (63 - (_h))))
#define BITS_TO_LONGS(_n)	(((_n) + 63) / 64)
#define DECLARE_BITMAP(_name, _n)	unsigned long _name[BITS_TO_LONGS(_n)]
#define bitmap_zero(_map, _n)	memset(_map, 0, BITS_TO_LONGS(_n) * 8)

static inline unsigned int hweight_long(unsigned long word)
{
	return __builtin_popcountl(word);
}

static inline unsigned long __ffs(unsigned long word)
{
	return __builtin_ctzl(word);
}

static inline unsigned long __fls(unsigned long word)
{
	return 63 - __builtin_clzl(word);
}

static inline bool test_bit(unsigned long n, const unsigned long *map)
{
	return READ_ONCE(map[n / 64]) >> (n % 64) & 1;
}

static inline bool test_and_set_bit(unsigned long n, unsigned long *map)
{
	return __atomic_fetch_or(&map[n / 64], BIT(n % 64), __ATOMIC_SEQ_CST) >> (n % 64) & 1;
}

static inline bool test_and_clear_bit(unsigned long n, unsigned long *map)
{
	return __atomic_fetch_and(&map[n / 64], ~BIT(n % 64), __ATOMIC_SEQ_CST) >> (n % 64) & 1;
}

#define set_bit(_n, _map)	((void)test_and_set_bit(_n, _map))
#define clear_bit(_n, _map)	((void)test_and_clear_bit(_n, _map))
#define assign_bit(_n, _map, _v) \
	((void)((_v) ? test_and_set_bit(_n, _map) : test_and_clear_bit(_n, _map)))
#define __set_bit		set_bit
#define __clear_bit		clear_bit
#define __test_and_set_bit	test_and_set_bit

static inline unsigned int find_next_bit(const unsigned long *map, unsigned int n, unsigned int i)
{
	while (i < n && !test_bit(i, map))
		i++;
	return i;
}

#define find_first_bit(_map, _n)	find_next_bit(_map, _n, 0)

/* locks and read-copy-update: the tests have one thread where these are used */
typedef struct { int n; } spinlock_t;
typedef struct { int n; } refcount_t;
struct mutex { int n; };
struct srcu_struct { int n; };
struct rcuwait { int n; };
struct mmu_notifier { int n; };
struct preempt_notifier { int n; };
struct list_head { struct list_head *next, *prev; };
struct mm_struct;

#define mutex_lock(_m)		((_m)->n++)
#define mutex_unlock(_m)	((_m)->n--)
#define synchronize_srcu_expedited(_s)	((void)(_s))
#define srcu_dereference(_p, _s)	(_p)
#define rcu_dereference_protected(_p, _c)	(_p)
#define rcu_assign_pointer(_p, _v)	((_p) = (_v))
#define RCU_INIT_POINTER(_p, _v)	((_p) = (_v))
#define rcu_replace_pointer(_p, _v, _c) \
	({ typeof(_p) old__ = (_p); (_p) = (_v); old__; })

/* tracepoints */
#define TP_PROTO(...)	__VA_ARGS__
#define TRACE_EVENT(_name, _proto, ...)	\
	static inline void trace_##_name(_proto) {}

/* time */
#define NSEC_PER_MSEC	1000000ull
#define NSEC_PER_SEC	1000000000ull
#define CLOCK_MONOTONIC	1
#define HRTIMER_MODE_ABS_PINNED_HARD	0
#define DIV64_U64_ROUND_UP(_n, _d)	(((_n) + (_d) - 1) / (_d))

typedef s64 ktime_t;
enum hrtimer_restart { HRTIMER_NORESTART, HRTIMER_RESTART };

struct hrtimer {
	enum hrtimer_restart (*function)(struct hrtimer *hrt);
	u64 expires;
	bool queued;
	struct hrtimer *next;
};

extern u64 clock_ns;			/* CLOCK_MONOTONIC */
extern struct hrtimer *clock_timers;	/* all that were ever initialised */

void clock_advance(u64 ns);

static inline u64 div64_u64_rem(u64 n, u64 d, u64 *rem)
{
	*rem = n % d;
	return n / d;
}

static inline void hrtimer_init(struct hrtimer *hrt, int clock, int mode)
{
	memset(hrt, 0, sizeof(*hrt));
	hrt->next = clock_timers;
	clock_timers = hrt;
}

static inline void hrtimer_start(struct hrtimer *hrt, ktime_t expires, int mode)
{
	hrt->expires = expires;
	hrt->queued = true;
}

static inline int hrtimer_cancel(struct hrtimer *hrt)
{
	bool queued = hrt->queued;

	hrt->queued = false;
	return queued;
}

static inline void hrtimer_forward_now(struct hrtimer *hrt, ktime_t interval)
{
	while (hrt->expires <= clock_ns)
		hrt->expires += interval;
}

#define hrtimer_set_expires(_hrt, _time)	((_hrt)->expires = (_time))
#define hrtimer_get_expires_ns(_hrt)	((s64)(_hrt)->expires)
#define ktime_get()		((ktime_t)clock_ns)
#define ktime_get_ns()		clock_ns
#define ktime_add_ns(_t, _ns)	((ktime_t)((_t) + (_ns)))
#define ns_to_ktime(_ns)	((ktime_t)(_ns))

/* eventfds: only counted */
struct eventfd_ctx { int refs; int signals; };

struct eventfd_ctx *eventfd_ctx_fdget(int fd);

static inline void eventfd_ctx_put(struct eventfd_ctx *ctx)
{
	ctx->refs--;
}

static inline void vmm_eventfd_signal(struct eventfd_ctx *ctx)
{
	ctx->signals++;
}

#endif
