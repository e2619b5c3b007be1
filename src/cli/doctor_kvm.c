// SPDX-License-Identifier: Apache-2.0
/*
 * doctor_kvm.c - /dev/kvm, and what KVM can do.
 */
#include "doctor.h"

#include "base/err.h"
#include "kvm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void doctor_look_kvm(const char *root, struct doctor_finding *finding)
{
	int fd = open(DOCTOR_KVM_PATH, O_RDWR | O_CLOEXEC);
	struct err err = { 0 };
	int version;

	(void)root;
	if (fd < 0) {
		int code = -errno;

		doctor_set(finding, DOCTOR_FAIL, "cannot be opened: %s", strerror(-code));
		doctor_meaning(finding, "no VM can be created");
		doctor_fix(finding, "%s", kvm_advice(code).text);
		return;
	}
	version = kvm_api_version(fd, &err);
	close(fd);
	if (version < 0) {
		doctor_set(finding, DOCTOR_FAIL, "%s", err.text);
		doctor_meaning(finding, "this is no KVM of a Linux since 2.6.22");
		return;
	}
	doctor_set(finding, DOCTOR_OK, "can be opened; API version %d", version);
}

static void append(char *list, size_t len, const char *name)
{
	size_t at = strlen(list);

	snprintf(list + at, len - at, "%s%s", at ? ", " : "", name);
}

void doctor_look_capabilities(const char *root, struct doctor_finding *finding)
{
	char lacking[DOCTOR_TEXT_MAX / 2] = "", optional[DOCTOR_TEXT_MAX / 2] = "";
	char benefits[DOCTOR_TEXT_MAX / 2] = "";
	const struct kvm_feature *feature;
	int fd = open(DOCTOR_KVM_PATH, O_RDWR | O_CLOEXEC);
	unsigned nr = 0;

	(void)root;
	if (fd < 0) {
		doctor_set(finding, DOCTOR_FAIL, "unknown while " DOCTOR_KVM_PATH
			   " cannot be opened");
		return;
	}
	for (; (feature = kvm_feature(nr)); nr++) {
		if (kvm_capability(fd, feature->capability) > 0)
			continue;
		if (!feature->benefit) {
			append(lacking, sizeof(lacking), feature->name);
			continue;
		}
		append(optional, sizeof(optional), feature->name);
		append(benefits, sizeof(benefits), feature->benefit);
	}
	close(fd);
	if (lacking[0]) {
		doctor_set(finding, DOCTOR_FAIL, "lacking: %s", lacking);
		doctor_meaning(finding, "no VM can be created");
		doctor_fix(finding, "run a newer kernel, or one built with all of KVM");
	} else if (optional[0]) {
		doctor_set(finding, DOCTOR_NOTE, "all that are needed; lacking: %s", optional);
		doctor_meaning(finding, "with more of them %s", benefits);
	} else {
		doctor_set(finding, DOCTOR_OK, "all %u that are used", nr);
	}
}
