// SPDX-License-Identifier: Apache-2.0
#include "arm64_host_parts.h"

#include "arm64_reg.h"
#include "base/bits.h"
#include "base/err.h"
#include "boot/arm64_layout.h"
#include "cpu/arm64_host.h"
#include "cpu/vcpu.h"
#include "kvm/arm64_vm.h"
#include "kvm/kvm.h"
#include "state/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool has(const struct kvm_vm *vm, int capability)
{
	return kvm_capability(kvm_vm_system_fd(vm), capability) > 0;
}

static void want(struct vcpu_host *host, unsigned feature)
{
	host->init.features[feature / 32] |= BIT32(feature % 32);
}

bool arm64_host_parts_has(const struct vcpu_host *host, unsigned feature)
{
	return host->init.features[feature / 32] & BIT32(feature % 32);
}

static void want_what_there_is(struct vcpu_host *host, const struct kvm_vm *vm)
{
	int bits = kvm_capability(kvm_vm_system_fd(vm), KVM_CAP_ARM_VM_IPA_SIZE);

	host->address_bits = bits > 0 && bits < ARM64_ADDRESS_BITS ?
				     (unsigned)bits : ARM64_ADDRESS_BITS;
	want(host, KVM_ARM_VCPU_PSCI_0_2);
	if (has(vm, KVM_CAP_ARM_PMU_V3))
		want(host, KVM_ARM_VCPU_PMU_V3);
	if (has(vm, KVM_CAP_ARM_SVE))
		want(host, KVM_ARM_VCPU_SVE);
	/* KVM takes both or none. */
	if (has(vm, KVM_CAP_ARM_PTRAUTH_ADDRESS) && has(vm, KVM_CAP_ARM_PTRAUTH_GENERIC)) {
		want(host, KVM_ARM_VCPU_PTRAUTH_ADDRESS);
		want(host, KVM_ARM_VCPU_PTRAUTH_GENERIC);
	}
}

int vcpu_host_new(struct vcpu_host **ret_host, const struct kvm_vm *vm, struct err *err)
{
	struct vcpu_host *host = calloc(1, sizeof(*host));
	int r;

	if (!host)
		return err_sys(err, -ENOMEM, "cannot ask KVM for its processor");
	r = arm64_vm_target(vm, &host->init, err);
	if (r < 0) {
		vcpu_host_free(host);
		return r;
	}
	want_what_there_is(host, vm);
	*ret_host = host;
	return 0;
}

struct vcpu_host *vcpu_host_free(struct vcpu_host *host)
{
	free(host);
	return NULL;
}

unsigned vcpu_host_address_bits(const struct vcpu_host *host)
{
	return host->address_bits;
}

bool arm64_host_has_pmu(const struct vcpu_host *host)
{
	return arm64_host_parts_has(host, KVM_ARM_VCPU_PMU_V3);
}

/* What has to be known of saved vCPUs before there are new ones. */
struct saved_init {
	uint32_t features[ARRAY_LEN(((struct kvm_vcpu_init *)0)->features)];
	uint64_t sve_vls[KVM_ARM64_SVE_VLS_WORDS];	/* with SVE only */
	uint64_t counter_hz;
	uint32_t gic;					/* its version */
};

static const struct state_field init_fields[] = {
	{ STATE_ARRAY(struct saved_init, features) },
	{ STATE_ARRAY(struct saved_init, sve_vls) },
	{ STATE_ONE(struct saved_init, counter_hz) },
	{ STATE_ONE(struct saved_init, gic) },
	STATE_END
};

static const struct state_table init_table = {
	.name = "vcpu-init", .version = 1, .fields = init_fields,
};

static uint32_t gic_version(const struct kvm_vm *vm)
{
	return arm64_vm_gic(vm) == ARM64_BOOT_GICV3 ? 3 : 2;
}

uint64_t arm64_host_parts_counter_hz(void)
{
	uint64_t hz;

	__asm__("mrs %0, cntfrq_el0" : "=r"(hz));
	return hz;
}

int arm64_host_parts_save(const struct vcpu_host *host, const struct kvm_vm *vm, int fd,
			  struct state_writer *writer, struct err *err)
{
	struct saved_init init = {
		.counter_hz = arm64_host_parts_counter_hz(),
		.gic = gic_version(vm),
	};
	int r = 0;

	memcpy(init.features, host->init.features, sizeof(init.features));
	if (arm64_host_parts_has(host, KVM_ARM_VCPU_SVE))
		r = arm64_reg_get(fd, KVM_REG_ARM64_SVE_VLS, init.sve_vls);
	if (r < 0)
		return err_sys(err, r, "KVM does not tell the lengths of SVE's vectors");
	state_save(writer, &init_table, 0, &init);
	return 0;
}

static const char *feature_name(unsigned feature)
{
	static const char *const names[] = {
		[KVM_ARM_VCPU_PMU_V3] = "event counters (PMUv3)",
		[KVM_ARM_VCPU_SVE] = "SVE",
		[KVM_ARM_VCPU_PTRAUTH_ADDRESS] = "pointer authentication of addresses",
		[KVM_ARM_VCPU_PTRAUTH_GENERIC] = "generic pointer authentication",
	};

	return feature < ARRAY_LEN(names) ? names[feature] : NULL;
}

/* The first that the saved vCPUs have and this host's have not. */
static int check_features(const struct vcpu_host *host, const struct saved_init *init,
			  struct err *err)
{
	for (unsigned i = 0; i < 32 * ARRAY_LEN(init->features); i++) {
		const char *name = feature_name(i);

		if (!(init->features[i / 32] & BIT32(i % 32)) || arm64_host_parts_has(host, i))
			continue;
		return name ? err_set(err, -ENOTSUP, "the guest's processors have %s, this host's "
				      "KVM offers none: let the guest go on where there is the "
				      "same processor", name) :
			      err_set(err, -ENOTSUP, "the guest's processors have feature %u of "
				      "KVM_ARM_VCPU_INIT, which this release does not know", i);
	}
	return 0;
}

int vcpu_host_limit(struct vcpu_host *host, const struct kvm_vm *vm,
		    struct state_reader *reader, struct err *err)
{
	struct saved_init init = { 0 };
	uint64_t hz = arm64_host_parts_counter_hz();
	int r = state_load(reader, &init_table, 0, &init, err);

	if (!r && init.gic != gic_version(vm))
		r = err_set(err, -ENOTSUP, "the guest has a GICv%u, and this host can virtualise a "
			    "GICv%u only", init.gic, gic_version(vm));
	if (!r && init.counter_hz != hz)
		r = err_set(err, -ENOTSUP, "the guest's counter runs at %llu Hz, this host's at "
			    "%llu Hz, and it cannot be scaled: let the guest go on where there is "
			    "the same processor", (unsigned long long)init.counter_hz,
			    (unsigned long long)hz);
	if (!r)
		r = check_features(host, &init, err);
	if (r < 0)
		return r;
	memcpy(host->init.features, init.features, sizeof(init.features));
	memcpy(host->sve_vls, init.sve_vls, sizeof(init.sve_vls));
	host->limited = true;
	return 0;
}
