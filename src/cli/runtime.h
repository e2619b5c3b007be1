/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime.h - where the running VMs of a user are found: a folder for each.
 *
 *	$XDG_RUNTIME_DIR/vmm/NAME/	whoever has that variable
 *	/run/vmm/NAME/			else root
 *	/tmp/vmm-UID/NAME/		else
 *
 * In the folder are the sockets of the VM and the file lock, which holds its pid.
 * The VM keeps an open file description lock on it, which the kernel takes away
 * when the process ends, however it ends: what is not locked is dead, whatever
 * process may have got its pid.
 *
 * Folders are of mode 0700, and one that belongs to another user, or that others
 * may use, is refused.  Whoever looks at them, makes or removes one, holds a lock
 * (flock) on the folder of all, for that moment; so neither two starts nor a start
 * and a sweep can meet.
 *
 * A VM:
 *
 *	r = runtime_claim(&runtime, "web", &err);
 *	r = runtime_path(&path, runtime_name(runtime), RUNTIME_QMP, &err);
 *	r = qmp_server_listen(server, path.text, &err);
 *	...
 *	runtime_release(runtime);
 *
 * A subcommand:
 *
 *	r = runtime_find(&vm, "web", &err);		is running, or the reason
 *	r = runtime_path(&path, vm.name, RUNTIME_QMP, &err);
 *
 * Any thread; names are those that vm_config_check_name() lets pass.
 */
#ifndef CLI_RUNTIME_H
#define CLI_RUNTIME_H

#include "machine/vm_config.h"

#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

struct err;
struct runtime;

/* Files in the folder of a VM. */
#define RUNTIME_QMP	"qmp"
#define RUNTIME_CONSOLE	"console"
#define RUNTIME_LOG	"log"		/* of a VM that is detached */

/*
 * Make the folder of a VM and hold it until release or the end of this process; a
 * child of fork() holds it as well, until it calls execve() or ends.  What a dead VM has
 * left there is removed.  A name of NULL is the first that is free of vm, vm2,
 * vm3 ...  -EBUSY names the process that has the name.
 */
int runtime_claim(struct runtime **ret_runtime, const char *name, struct err *err);

/* Remove the folder, if it is still the one that was claimed.  NULL is fine. -> NULL */
struct runtime *runtime_release(struct runtime *runtime);

const char *runtime_name(const struct runtime *runtime);

/* Of the file of that name in the folder of a VM; fits a socket's address. */
struct runtime_path {
	char text[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/* -ENAMETOOLONG where a socket could not have such a path. */
int runtime_path(struct runtime_path *ret_path, const char *name, const char *file,
		 struct err *err);

struct runtime_vm {
	char name[VM_CONFIG_NAME_MAX + 1];
	bool running;			/* else it has died and left its folder */
	pid_t pid;			/* 0: unknown */
};

/* All VMs of this user, by name, to be freed; NULL and 0 where there are none. */
int runtime_list(struct runtime_vm **ret_vms, size_t *ret_nr, struct err *err);

/* One that is running; -ENOENT says which are. */
int runtime_find(struct runtime_vm *ret_vm, const char *name, struct err *err);

/*
 * A descriptor (pidfd_open(2)) of the process of the running VM of that name: it is
 * that process, and no other that has got its pid meanwhile.
 */
int runtime_process(const char *name, struct err *err);

/* Remove what a VM has left that died; -EBUSY if one of that name is running. */
int runtime_sweep(const char *name, struct err *err);

#endif
