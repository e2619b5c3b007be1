// SPDX-License-Identifier: Apache-2.0
#include "arm64_reg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

int arm64_reg_get(int fd, uint64_t id, void *ret_value)
{
	const struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)ret_value };

	return ioctl(fd, KVM_GET_ONE_REG, &reg) ? -errno : 0;
}

int arm64_reg_set(int fd, uint64_t id, const void *value)
{
	const struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)value };

	return ioctl(fd, KVM_SET_ONE_REG, &reg) ? -errno : 0;
}

int arm64_reg_list(int fd, uint64_t *ret_ids, uint32_t *nr)
{
	struct kvm_reg_list *list = malloc(sizeof(*list) + *nr * sizeof(list->reg[0]));
	int r;

	if (!list)
		return -ENOMEM;
	list->n = *nr;
	r = ioctl(fd, KVM_GET_REG_LIST, list) ? -errno : 0;
	if (!r) {
		*nr = (uint32_t)list->n;
		memcpy(ret_ids, list->reg, *nr * sizeof(*ret_ids));
	}
	free(list);
	return r;
}
