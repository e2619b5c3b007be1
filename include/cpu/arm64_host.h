/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arm64_host.h - what vCPUs of an arm64 host can be, besides vcpu.h.
 */
#ifndef CPU_ARM64_HOST_H
#define CPU_ARM64_HOST_H

#include <stdbool.h>

struct vcpu_host;

/* They have a performance monitoring unit. */
bool arm64_host_has_pmu(const struct vcpu_host *host);

#endif
