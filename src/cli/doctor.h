/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor.h - vmm doctor: what this host offers to VMs, and what to do about
 * what it lacks.
 */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include "config/option.h"

extern const struct option_object doctor_options;

#endif
