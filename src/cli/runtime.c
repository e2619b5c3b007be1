// SPDX-License-Identifier: Apache-2.0
#include "runtime.h"

#include "base/err.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_FILE	"lock"
#define PRESET_NAME	"vm"
#define PRESETS_MAX	100000

struct runtime {
	int base;			/* the folder of all */
	int lock;			/* the file, locked */
	char name[VM_CONFIG_NAME_MAX + 1];
};

/* Folders. */

struct base_path {
	char text[PATH_MAX];
};

static int base_path(struct base_path *path, struct err *err)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	int len;

	if (xdg && *xdg && *xdg != '/')
		return err_set(err, -EINVAL, "XDG_RUNTIME_DIR is '%.64s': it has to be a path "
			       "that begins with '/'", xdg);
	if (xdg && *xdg)
		len = snprintf(path->text, sizeof(path->text), "%s/vmm", xdg);
	else if (!geteuid())
		len = snprintf(path->text, sizeof(path->text), "/run/vmm");
	else
		len = snprintf(path->text, sizeof(path->text), "/tmp/vmm-%u",
			       (unsigned)geteuid());
	if (len >= (int)sizeof(path->text))
		return err_set(err, -ENAMETOOLONG, "XDG_RUNTIME_DIR is too long");
	return 0;
}

/* Is it ours alone?  A link is none, wherever it leads. */
static int check_own(int fd, const char *name, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return err_sys(err, -errno, "folder '%s'", name);
	if (st.st_uid != geteuid())
		return err_set(err, -EPERM, "folder '%s' belongs to user %u: set "
			       "XDG_RUNTIME_DIR to a folder of your own", name,
			       (unsigned)st.st_uid);
	if (st.st_mode & 077)
		return err_set(err, -EPERM, "folder '%s' has mode %04o, others may use it: "
			       "'chmod 700' it, or set XDG_RUNTIME_DIR to a folder of your own",
			       name, (unsigned)st.st_mode & 07777);
	return 0;
}

static int open_folder(int at, const char *name, bool make, struct err *err)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(at, name, flags);
	int r;

	if (fd < 0 && errno == ENOENT && make) {
		if (mkdirat(at, name, 0700) && errno != EEXIST)
			return err_sys(err, -errno, "cannot make folder '%s'", name);
		fd = openat(at, name, flags);
	}
	if (fd < 0)
		return err_sys(err, -errno, "cannot open folder '%s'", name);
	r = check_own(fd, name, err);
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

static int lock_base(int base, struct err *err)
{
	while (flock(base, LOCK_EX))
		if (errno != EINTR)
			return err_sys(err, -errno, "cannot lock the folder of running VMs");
	return 0;
}

/* The folder of all, locked until it is closed or unlocked. */
static int open_base(bool make, struct err *err)
{
	struct base_path path;
	int base, r = base_path(&path, err);

	if (r < 0)
		return r;
	base = open_folder(AT_FDCWD, path.text, make, err);
	if (base < 0)
		return base;
	r = lock_base(base, err);
	if (r < 0) {
		close(base);
		return r;
	}
	return base;
}

/* Of one VM; all of these with the folder of all locked. */

static pid_t read_pid(int lock)
{
	char text[16] = "";
	ssize_t len = pread(lock, text, sizeof(text) - 1, 0);
	char *end;
	long pid = len > 0 ? strtol(text, &end, 10) : 0;

	return pid > 0 && pid <= INT_MAX && *end == '\n' ? (pid_t)pid : 0;
}

static struct runtime_vm look_up(int base, const char *name)
{
	struct flock probe = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[VM_CONFIG_NAME_MAX + sizeof("/" LOCK_FILE)];
	struct runtime_vm vm = { .running = false };
	int lock;

	snprintf(vm.name, sizeof(vm.name), "%s", name);
	snprintf(path, sizeof(path), "%s/" LOCK_FILE, name);
	lock = openat(base, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (lock < 0)
		return vm;
	if (!fcntl(lock, F_OFD_GETLK, &probe) && probe.l_type != F_UNLCK) {
		vm.running = true;
		vm.pid = read_pid(lock);
	}
	close(lock);
	return vm;
}

static bool is_vm(const struct dirent *entry)
{
	return (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN) &&
	       !vm_config_check_name(entry->d_name, NULL);
}

/* All that is in it; a folder in there is not ours, and stays. */
static int empty_folder(int folder, const char *name, struct err *err)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int r = 0;

	if (!dir) {
		r = err_sys(err, -errno, "cannot read what VM '%s' has left", name);
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (!r && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
		    unlinkat(folder, entry->d_name, 0))
			r = err_sys(err, -errno, "cannot remove '%s' that VM '%s' has left",
				    entry->d_name, name);
	closedir(dir);
	return r;
}

static int remove_folder(int base, const char *name, struct err *err)
{
	int folder = open_folder(base, name, false, err);
	int r;

	if (folder < 0)
		return folder;
	r = empty_folder(folder, name, err);
	close(folder);
	if (!r && unlinkat(base, name, AT_REMOVEDIR))
		r = err_sys(err, -errno, "cannot remove the folder of VM '%s'", name);
	return r;
}

/* Claiming. */

static int lock_file(int folder, const char *name, struct err *err)
{
	struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int lock = openat(folder, LOCK_FILE, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int len, r = 0;

	if (lock < 0)
		return err_sys(err, -errno, "cannot make the lock of VM '%s'", name);
	if (fcntl(lock, F_OFD_SETLK, &all))
		r = -errno;
	len = r ? 0 : dprintf(lock, "%d\n", getpid());
	if (len < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(folder, LOCK_FILE, 0);
		close(lock);
		return err_sys(err, r, "cannot lock the name of VM '%s'", name);
	}
	return lock;
}

/* A name that nobody has. */
static int claim_free(struct runtime *runtime, const char *name, bool is_new, struct err *err)
{
	int folder = open_folder(runtime->base, name, false, err);
	int r;

	if (folder < 0)
		return folder;
	r = is_new ? 0 : empty_folder(folder, name, err);
	if (!r)
		r = runtime->lock = lock_file(folder, name, err);
	close(folder);
	if (r < 0)
		return r;
	snprintf(runtime->name, sizeof(runtime->name), "%s", name);
	return 0;
}

static int claim(struct runtime *runtime, const char *name, struct err *err)
{
	bool is_new = !mkdirat(runtime->base, name, 0700);
	struct runtime_vm vm;

	if (!is_new && errno != EEXIST)
		return err_sys(err, -errno, "cannot make a folder for VM '%s'", name);
	vm = is_new ? (struct runtime_vm){ .running = false } : look_up(runtime->base, name);
	if (vm.running)
		return err_set(err, -EBUSY, "VM '%s' is running already, as process %d: "
			       "choose another --name", name, vm.pid);
	return claim_free(runtime, name, is_new, err);
}

static int claim_any(struct runtime *runtime, struct err *err)
{
	char name[VM_CONFIG_NAME_MAX + 1] = PRESET_NAME;
	int r = claim(runtime, name, err);

	for (unsigned i = 2; r == -EBUSY && i < PRESETS_MAX; i++) {
		snprintf(name, sizeof(name), PRESET_NAME "%u", i);
		r = claim(runtime, name, err);
	}
	return r;
}

int runtime_claim(struct runtime **ret_runtime, const char *name, struct err *err)
{
	struct runtime *runtime = calloc(1, sizeof(*runtime));
	int r;

	if (!runtime)
		return err_sys(err, -ENOMEM, "cannot claim a name");
	runtime->lock = -1;
	runtime->base = open_base(true, err);
	r = runtime->base;
	if (r >= 0)
		r = name ? claim(runtime, name, err) : claim_any(runtime, err);
	if (r < 0) {
		if (runtime->base >= 0)
			close(runtime->base);
		free(runtime);
		return r;
	}
	flock(runtime->base, LOCK_UN);
	*ret_runtime = runtime;
	return 0;
}

/* Somebody may have removed it by hand, and another VM come after that. */
static bool is_still_ours(const struct runtime *runtime)
{
	char path[VM_CONFIG_NAME_MAX + sizeof("/" LOCK_FILE)];
	struct stat ours, there;

	snprintf(path, sizeof(path), "%s/" LOCK_FILE, runtime->name);
	return !fstat(runtime->lock, &ours) &&
	       !fstatat(runtime->base, path, &there, AT_SYMLINK_NOFOLLOW) &&
	       ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

struct runtime *runtime_release(struct runtime *runtime)
{
	if (!runtime)
		return NULL;
	/* What cannot be removed is dead in a moment, and others sweep it. */
	if (!lock_base(runtime->base, NULL) && is_still_ours(runtime))
		remove_folder(runtime->base, runtime->name, NULL);
	close(runtime->lock);
	close(runtime->base);
	free(runtime);
	return NULL;
}

const char *runtime_name(const struct runtime *runtime)
{
	return runtime->name;
}

int runtime_path(struct runtime_path *ret_path, const char *name, const char *file,
		 struct err *err)
{
	struct base_path base;
	int len, r = base_path(&base, err);

	if (r < 0)
		return r;
	len = snprintf(ret_path->text, sizeof(ret_path->text), "%s/%s/%s", base.text, name,
		       file);
	if (len >= (int)sizeof(ret_path->text))
		return err_set(err, -ENAMETOOLONG, "socket '%.64s...': the path has %d bytes, "
			       "and sockets take %zu: choose a shorter --name, or a shorter "
			       "XDG_RUNTIME_DIR", ret_path->text, len,
			       sizeof(ret_path->text) - 1);
	return 0;
}

/* Looking. */

static int by_name(const void *a, const void *b)
{
	return strverscmp(((const struct runtime_vm *)a)->name,
			  ((const struct runtime_vm *)b)->name);
}

static int read_all(DIR *dir, struct runtime_vm **vms, size_t *nr)
{
	struct dirent *entry;

	while ((entry = readdir(dir))) {
		struct runtime_vm *more;

		if (!is_vm(entry))
			continue;
		more = reallocarray(*vms, *nr + 1, sizeof(*more));
		if (!more)
			return -ENOMEM;
		*vms = more;
		more[(*nr)++] = look_up(dirfd(dir), entry->d_name);
	}
	return 0;
}

int runtime_list(struct runtime_vm **ret_vms, size_t *ret_nr, struct err *err)
{
	int base = open_base(false, err);
	DIR *dir = base < 0 ? NULL : fdopendir(base);
	int r;

	*ret_vms = NULL;
	*ret_nr = 0;
	if (base == -ENOENT)
		return 0;
	if (base < 0)
		return base;
	if (!dir) {
		r = err_sys(err, -errno, "cannot list the running VMs");
		close(base);
		return r;
	}
	r = read_all(dir, ret_vms, ret_nr);
	closedir(dir);
	if (r < 0) {
		free(*ret_vms);
		*ret_vms = NULL;
		*ret_nr = 0;
		return err_sys(err, r, "cannot list the running VMs");
	}
	if (*ret_nr)
		qsort(*ret_vms, *ret_nr, sizeof(**ret_vms), by_name);
	return 0;
}

/* "vm, vm2", cut where there is no room, "none" if there are none. */
static void put_running(char *text, size_t size, const struct runtime_vm *vms, size_t nr)
{
	size_t len = 0;

	snprintf(text, size, "none");
	for (size_t i = 0; i < nr; i++) {
		if (!vms[i].running)
			continue;
		if (len + strlen(vms[i].name) + sizeof(", ...") > size) {
			snprintf(text + len, size - len, ", ...");
			return;
		}
		len += (size_t)snprintf(text + len, size - len, "%s%s", len ? ", " : "",
					vms[i].name);
	}
}

static int refuse(const char *name, bool has_died, const struct runtime_vm *vms, size_t nr,
		  struct err *err)
{
	char running[256];

	put_running(running, sizeof(running), vms, nr);
	if (has_died)
		return err_set(err, -ENOENT, "VM '%s' has died; running: %s", name, running);
	return err_set(err, -ENOENT, "no VM '%.64s' is running; running: %s", name, running);
}

int runtime_find(struct runtime_vm *ret_vm, const char *name, struct err *err)
{
	struct runtime_vm *vms;
	size_t nr, i = 0;
	int r = runtime_list(&vms, &nr, err);

	if (r < 0)
		return r;
	while (i < nr && strcmp(vms[i].name, name))
		i++;
	if (i < nr && vms[i].running)
		*ret_vm = vms[i];
	else
		r = refuse(name, i < nr, vms, nr, err);
	free(vms);
	return r;
}

int runtime_process(const char *name, struct err *err)
{
	struct runtime_vm vm, still;
	int r = runtime_find(&vm, name, err);
	int fd;

	if (r < 0)
		return r;
	if (!vm.pid)
		return err_set(err, -ESRCH, "the process of VM '%s' is unknown: its lock file "
			       "has been written to", name);
	fd = pidfd_open(vm.pid, 0);
	if (fd < 0)
		return err_sys(err, -errno, "process %d of VM '%s'", vm.pid, name);
	/* It held the name before and holds it now, so it has been there throughout. */
	r = runtime_find(&still, name, err);
	if (!r && still.pid != vm.pid)
		r = err_set(err, -ESRCH, "VM '%s' has ended, and another has its name", name);
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

int runtime_sweep(const char *name, struct err *err)
{
	int base = open_base(false, err);
	int r;

	if (base < 0)
		return base;
	if (look_up(base, name).running)
		r = err_set(err, -EBUSY, "VM '%s' is running", name);
	else
		r = remove_folder(base, name, err);
	close(base);
	return r;
}
