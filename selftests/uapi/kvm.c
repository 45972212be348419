// SPDX-License-Identifier: GPL-2.0
/*
 * KVM on the same processor, in every order of loading, running and unloading: whoever comes second
 * is told so, and the guest that runs computes what it should. Needs KVM as modules that nobody
 * uses.
 *
 * "kvm guest" is no test: it runs a guest of KVM's, says "running", computes until its standard
 * input ends, and says how many sums were right; status 1 if one was wrong.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>

#include "harness.h"
#include "kvm.h"

static const char *vendor_module(void)
{
	static const char *name;
	FILE *f = name ? NULL : fopen("/proc/cpuinfo", "r");
	char *line = NULL;
	size_t size = 0;

	while (f && !name && getline(&line, &size, f) > 0) {
		if (strncmp(line, "flags", 5))
			continue;
		name = strstr(line, " svm") ? "kvm_amd" : strstr(line, " vmx") ? "kvm_intel" : NULL;
		break;
	}
	if (f)
		fclose(f);
	free(line);
	return name;
}

static int command(const char *words, const char *module)
{
	char line[128];

	snprintf(line, sizeof(line), "%s %s >/dev/null 2>&1", words, module);
	return system(line);
}

static bool loaded(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", name);
	return !access(path, F_OK);
}

static const char *cannot(void)
{
	if (geteuid())
		return "not root";
	if (!vendor_module())
		return "no SVM or VMX";
	if (loaded(vendor_module()) || loaded("kvm"))
		return "KVM is loaded already";
	if (command("modprobe -n", vendor_module()))
		return "there is no module of KVM's for this kernel";
	return NULL;
}

/* what is left of KVM goes, and what it brought */
static void unload_all(void)
{
	unsigned int i;

	for (i = 0; i < 50 && (loaded(vendor_module()) || loaded("kvm")); i++) {
		command("rmmod", vendor_module());
		command("rmmod", "kvm");
		t_sleep_ms(i ? 100 : 0);
	}
	command("modprobe -r", "ccp");
}

static int create_vm(void)
{
	struct vmm_create_vm arg = { 0 };
	int sys = t_open(), r = t_ioctl(sys, VMM_CREATE_VM, &arg);

	close(sys);
	return r;
}

/* does /dev/vmm say that no VM lives? */
static bool idle(void)
{
	struct pollfd p = { .fd = t_open(), .events = POLLIN };
	int n = poll(&p, 1, 0);

	close(p.fd);
	return n == 1 && (p.revents & POLLIN);
}

/* ---- every operation in every state ---- */

enum op { LOAD, UNLOAD, VMM_UP, VMM_DOWN, KVM_UP, KVM_DOWN, NR_OPS };

static const char *const op_name[NR_OPS] = {
	"load KVM", "unload KVM", "create vmm's VM", "end it", "create KVM's VM", "end it",
};

#define LOADED	1u
#define VMM	2u
#define KVM	4u

/*
 * The state after @op in @state, which is the same one when the operation is refused; -1 where it
 * makes no sense. @at_load: KVM takes the processors when it is loaded, not with its first VM.
 */
static int next_state(unsigned int state, enum op op, bool at_load)
{
	switch (op) {
	case LOAD:
		if (state & LOADED)
			return -1;
		return at_load && (state & VMM) ? state : state | LOADED;
	case UNLOAD:
		if (!(state & LOADED))
			return -1;
		return state & KVM ? state : state & ~LOADED;
	case VMM_UP:
		if (state & VMM)
			return -1;
		return state & (at_load ? LOADED : KVM) ? state : state | VMM;
	case VMM_DOWN:
		return state & VMM ? (int)(state & ~VMM) : -1;
	case KVM_UP:
		if (!(state & LOADED) || (state & KVM))
			return -1;
		return state & VMM ? state : state | KVM;
	case KVM_DOWN:
		return state & KVM ? (int)(state & ~KVM) : -1;
	default:
		return -1;
	}
}

/* the first step of a shortest way to an operation that was not yet done; -1: all were */
static int plan(unsigned int from, bool done[8][NR_OPS], bool at_load)
{
	int first[8], queue[8], head = 0, tail = 0;
	bool seen[8] = { false };

	seen[from] = true;
	first[from] = -1;
	queue[tail++] = from;
	while (head < tail) {
		int s = queue[head++], op;

		for (op = 0; op < NR_OPS; op++) {
			if (next_state(s, op, at_load) >= 0 && !done[s][op])
				return first[s] < 0 ? op : first[s];
		}
		for (op = 0; op < NR_OPS; op++) {
			int n = next_state(s, op, at_load);

			if (n < 0 || seen[n])
				continue;
			seen[n] = true;
			first[n] = first[s] < 0 ? op : first[s];
			queue[tail++] = n;
		}
	}
	return -1;
}

/**
 * struct world - what is there
 * @vcpu: vmm's guest or NULL
 * @sums: its sums
 * @kvm: KVM's guest or NULL
 */
struct world {
	struct t_vcpu *vcpu;
	struct t_sums *sums;
	struct t_kvm *kvm;
};

/* 0 or -errno, as far as the operation tells */
static int apply(struct world *w, enum op op)
{
	struct t_vm *vm;
	int fd;

	switch (op) {
	case LOAD:
		return command("modprobe", vendor_module()) ? -EBUSY : 0;
	case UNLOAD:
		return command("rmmod", vendor_module()) ? -EBUSY : 0;
	case VMM_UP:
		fd = create_vm();
		if (fd < 0)
			return fd;
		vm = t_vm_new();
		close(fd);
		w->vcpu = t_vcpu_new(vm, 0);
		w->sums = t_sums_start(w->vcpu);
		return 0;
	case VMM_DOWN:
		vm = w->vcpu->vm;
		t_vcpu_free(w->vcpu);
		t_vm_free(vm);
		free(w->sums);
		w->vcpu = NULL;
		return 0;
	case KVM_UP:
		w->kvm = t_kvm_new();
		return w->kvm ? 0 : -errno;
	case KVM_DOWN:
		t_kvm_free(w->kvm);
		w->kvm = NULL;
		return 0;
	default:
		return -EINVAL;
	}
}

/* in @state everything is as it should be, and who runs computes right */
static bool holds(const struct world *w, unsigned int state)
{
	bool ok = true;

	if (loaded(vendor_module()) != !!(state & LOADED)) {
		t_say("%s is %sloaded", vendor_module(), state & LOADED ? "not " : "");
		ok = false;
	}
	if (idle() != !(state & VMM)) {
		t_say("/dev/vmm says that %s VM lives", state & VMM ? "no" : "a");
		ok = false;
	}
	return (!w->vcpu || t_sums_next(w->vcpu, w->sums)) && (!w->kvm || t_kvm_sum(w->kvm)) && ok;
}

static unsigned int walk(bool at_load)
{
	bool done[8][NR_OPS] = { { false } };
	unsigned int state = 0, wrong = 0;
	struct world w = { 0 };
	int op;

	while (wrong < 3 && (op = plan(state, done, at_load)) >= 0) {
		unsigned int next = next_state(state, op, at_load);
		bool refused = next == state;
		int r = apply(&w, op);

		t_say("%s%s%s: %s: %s", state & LOADED ? "L" : "-", state & VMM ? "V" : "-",
		      state & KVM ? "K" : "-", op_name[op], r ? strerrorname_np(-r) : "done");
		done[state][op] = true;
		/* KVM has another errno than vmm, and not the same one in all versions */
		if (op == KVM_UP && refused && r < 0)
			r = -EBUSY;
		if (r != (refused ? -EBUSY : 0)) {
			t_say("it should have %s", refused ? "been refused" : "succeeded");
			return wrong + 1;	/* who is there is no longer known */
		}
		state = next;
		wrong += !holds(&w, state);
	}
	if (w.vcpu)
		apply(&w, VMM_DOWN);
	if (w.kvm)
		apply(&w, KVM_DOWN);
	return wrong;
}

static bool takes_at_load(void)
{
	FILE *f = fopen("/sys/module/kvm/parameters/enable_virt_at_load", "r");
	int c = f ? getc(f) : 'N';

	if (f)
		fclose(f);
	return c == 'Y';
}

TEST(every_order)
{
	const char *why = cannot();

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, command("modprobe", "kvm"));
	TH_LOG("KVM takes the processors when it %s", takes_at_load() ? "is loaded" :
	       "makes its first VM");
	EXPECT_EQ(0, walk(takes_at_load()));
	unload_all();
	EXPECT_FALSE(loaded("kvm"));
}

/* newer kernels can be told to be like the older ones */
TEST(every_order_with_a_late_kvm)
{
	const char *why = cannot();

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, command("modprobe", "kvm enable_virt_at_load=0"));
	ASSERT_FALSE(takes_at_load());
	EXPECT_EQ(0, walk(false));
	unload_all();
}

/* ---- at the same time ---- */

static volatile bool stop;

static void *load_and_unload(void *unused)
{
	(void)unused;
	while (!stop) {
		command("modprobe", vendor_module());
		command("rmmod", vendor_module());
	}
	return NULL;
}

TEST(loading_races_with_creating)
{
	const char *why = cannot();
	unsigned int made = 0, refused = 0;
	bool at_load;
	uint64_t end;
	pthread_t t;

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, command("modprobe", "kvm"));
	at_load = takes_at_load();
	ASSERT_EQ(0, pthread_create(&t, NULL, load_and_unload, NULL));
	end = t_now_ns() + 10000000000ull * t_scale();
	while (t_now_ns() < end) {
		int fd = create_vm();

		if (fd >= 0) {
			made++;
			close(fd);
		} else {
			/* the other thread's children end: a signal, though an ignored one */
			if (fd != -EINTR)
				EXPECT_EQ(-EBUSY, fd);
			refused++;
		}
		t_sleep_ms(made % 7);
	}
	stop = true;
	pthread_join(t, NULL);
	TH_LOG("%u VMs made, %u refused", made, refused);
	EXPECT_LT(0, made);
	/* neither side was left with a processor */
	EXPECT_EQ(0, walk(at_load));
	unload_all();
}

static int run_kvm_guest(void)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	struct t_kvm *k = t_kvm_new();
	bool ok = true;

	if (!k) {
		printf("KVM makes no VM: %s\n", strerror(errno));
		return 2;
	}
	ok = t_kvm_sum(k);
	printf("running\n");
	fflush(stdout);
	while (ok && !poll(&in, 1, 20))
		ok = t_kvm_sum(k);
	printf("%lu sums, %s\n", k->sums.nr, ok ? "all right" : "the last is wrong");
	t_kvm_free(k);
	return !ok;
}

int main(int argc, char **argv)
{
	char why[256];

	if (argc == 2 && !strcmp(argv[1], "guest"))
		return run_kvm_guest();
	if (t_missing(why, sizeof(why))) {
		ksft_print_header();
		ksft_exit_skip("%s\n", why);
	}
	t_scale_timeouts();
	return test_harness_run(argc, argv);
}
