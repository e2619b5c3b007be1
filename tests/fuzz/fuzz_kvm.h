/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_kvm.h - what fuzz_kvm.c has to know of an architecture; kvm_ARCH.c has it.
 *
 * A KVM that takes what it is given, and looks at all of it: a struct that is shorter than
 * the kernel would read, or that was never filled, is for the sanitizers to find.
 */
#ifndef TESTS_FUZZ_FUZZ_KVM_H
#define TESTS_FUZZ_FUZZ_KVM_H

#include "kvm/vm.h"

#include <stddef.h>
#include <stdint.h>

struct err;
struct state_reader;

#define FUZZ_KVM_FD 1000		/* of all that KVM has */

/* What the host can do, by the input: a bit for some of the capabilities each. */
unsigned fuzz_kvm_host(void);

/* As the kernel reads it, writes zeroes to it. */
void fuzz_kvm_take(const void *from, size_t len);
void fuzz_kvm_give(void *to, size_t len);

/* Any request but for capabilities, as ioctl() returns it. */
int fuzz_kvm_ask(unsigned long request, void *arg);

/* What the VM has besides, by the input; NULL: nothing. */
struct vm_arch *fuzz_kvm_arch(void);

/* Load what has to be known before there are vCPUs. */
int fuzz_kvm_limit(const struct kvm_vm *vm, struct state_reader *reader, struct err *err);

#endif
