/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_serial.h - where the guest's serial port leads to: what --serial says.
 */
#ifndef MACHINE_VM_SERIAL_H
#define MACHINE_VM_SERIAL_H

struct err;
struct vm_config;

enum vm_serial_kind {
	VM_SERIAL_STDIO,
	VM_SERIAL_PTY,
	VM_SERIAL_UNIX,			/* path */
	VM_SERIAL_FILE,			/* path */
	VM_SERIAL_NULL,
};

struct vm_serial {
	enum vm_serial_kind kind;
	const char *path;		/* the configuration's, or NULL */
};

/*
 * Of a configuration; -EINVAL.  Where standard input and output will be nobody's,
 * the preset is null instead of stdio.
 */
int vm_serial_get(struct vm_serial *ret_serial, const struct vm_config *config,
		  struct err *err);

#endif
