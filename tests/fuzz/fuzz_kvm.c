// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_kvm.c - the saved state of vCPUs and of interrupt controllers, with checksums and
 * lengths put right, loaded by way of a KVM that is played here.
 *
 * The first byte of the input tells what the host can do, the second which request fails; the
 * stream follows.  What is refused is refused with a reason, which a terminal can show.
 */
#include "fuzz_kvm.h"

#include "base/err.h"
#include "cpu/arch.h"
#include "state/state.h"
#include "state/stream.h"
#include "unit/stream_repair.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define NR_VCPUS	2
#define HEAD_LEN	2

static unsigned host, failing, nr_requests;

static void must(bool holds)
{
	if (!holds)
		abort();
}

unsigned fuzz_kvm_host(void)
{
	return host;
}

void fuzz_kvm_take(const void *from, size_t len)
{
	static uint8_t taken[64 * 1024];

	must(len <= sizeof(taken));
	memcpy(taken, from, len);
}

void fuzz_kvm_give(void *to, size_t len)
{
	memset(to, 0, len);
}

/* In the place of the C library's. */
int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;

	must(fd == FUZZ_KVM_FD);
	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (request == KVM_CHECK_EXTENSION)
		return host >> (uintptr_t)arg % 8 & 1;
	if (++nr_requests == failing) {
		errno = EINVAL;
		return -1;
	}
	return fuzz_kvm_ask(request, arg);
}

static void judge(int r, const struct err *err)
{
	must(r <= 0 && r == err->code && !*err->text == !r);
	for (const char *at = err->text; *at; at++)
		must(isprint((unsigned char)*at));
}

static void load(struct kvm_vm *vm, struct state_reader *reader)
{
	struct err err = { 0 };

	judge(fuzz_kvm_limit(vm, reader, &err), &err);
	err = (struct err){ 0 };
	judge(arch_check_features(FUZZ_KVM_FD, vm, reader, &err), &err);
	err = (struct err){ 0 };
	judge(kvm_vm_load(vm, reader, &err), &err);
	for (unsigned id = 0; id < NR_VCPUS; id++) {
		err = (struct err){ 0 };
		judge(arch_load(FUZZ_KVM_FD, vm, id, arch_ticks(), reader, &err), &err);
	}
	err = (struct err){ 0 };
	judge(state_reader_end(reader, &err), &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
{
	struct kvm_vm vm = {
		.kvm_fd = FUZZ_KVM_FD, .fd = FUZZ_KVM_FD, .nr_vcpus = NR_VCPUS,
	};
	struct state_reader *reader;
	uint8_t *stream;

	if (len < HEAD_LEN + STREAM_HEADER_LEN)
		return 0;
	host = input[0];
	failing = input[1];
	nr_requests = 0;
	vm.arch = fuzz_kvm_arch();
	len -= HEAD_LEN;
	stream = malloc(len);
	must(stream);
	memcpy(stream, input + HEAD_LEN, len);
	stream_repair(stream, len);
	if (!state_reader_new(&reader, stream, len, NULL)) {
		load(&vm, reader);
		state_reader_free(reader);
	}
	free(stream);
	return 0;
}
