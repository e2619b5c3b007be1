// SPDX-License-Identifier: Apache-2.0
#include "cli/runtime.h"

#include "base/err.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY		65534
#define NR_RIVALS	6
#define NR_ROUNDS	60

static char xdg[32];
static struct err err;

static void setup(void)
{
	memset(&err, 0, sizeof(err));
	snprintf(xdg, sizeof(xdg), "/tmp/runtimeXXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(xdg));
	setenv("XDG_RUNTIME_DIR", xdg, 1);
}

static void teardown(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", xdg);
	ck_assert_int_eq(system(command), 0);
}

static void assert_said(const char *text)
{
	ck_assert_msg(strstr(err.text, text), "'%s' is not in: %s", text, err.text);
}

static const char *in_xdg(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", xdg, name);
	return path;
}

static void make_folder(const char *name)
{
	ck_assert_int_eq(mkdir(in_xdg(name), 0700), 0);
}

static void make_file(const char *name, const char *text)
{
	FILE *file = fopen(in_xdg(name), "w");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

static struct runtime *claim(const char *name)
{
	struct runtime *runtime;

	ck_assert_msg(!runtime_claim(&runtime, name, &err), "%s", err.text);
	return runtime;
}

static bool is_running(const char *name)
{
	struct runtime_vm vm;

	return !runtime_find(&vm, name, &err) && vm.running;
}

/* A child that has claimed the name, and stays; it tells so by a byte. */
static pid_t start_vm(const char *name)
{
	struct runtime *runtime;
	int ends[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(ends), 0);
	pid = fork();
	if (!pid) {
		if (runtime_claim(&runtime, name, NULL) || write(ends[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	close(ends[1]);
	ck_assert_int_eq(read(ends[0], &byte, 1), 1);
	close(ends[0]);
	return pid;
}

static void kill_vm(pid_t pid)
{
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

START_TEST(claimed_name_is_found_with_its_process)
{
	struct runtime *runtime = claim("web");
	struct runtime_vm vm;

	ck_assert_int_eq(runtime_find(&vm, "web", &err), 0);

	ck_assert_str_eq(vm.name, "web");
	ck_assert_int_eq(vm.pid, getpid());
	runtime_release(runtime);
}
END_TEST

START_TEST(released_name_leaves_nothing)
{
	struct runtime *runtime = claim("web");

	make_file("vmm/web/console", "");
	runtime_release(runtime);

	ck_assert_int_eq(access(in_xdg("vmm/web"), F_OK), -1);
}
END_TEST

START_TEST(folders_are_for_their_owner_only)
{
	struct runtime *runtime = claim("web");
	struct stat st;

	ck_assert_int_eq(stat(in_xdg("vmm"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
	ck_assert_int_eq(stat(in_xdg("vmm/web"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
	runtime_release(runtime);
}
END_TEST

START_TEST(second_of_a_name_is_refused_with_the_process_of_the_first)
{
	pid_t pid = start_vm("web");
	struct runtime *second;
	char text[64];

	ck_assert_int_eq(runtime_claim(&second, "web", &err), -EBUSY);

	snprintf(text, sizeof(text), "running already, as process %d", pid);
	assert_said(text);
	kill_vm(pid);
}
END_TEST

START_TEST(without_a_name_the_first_that_is_free_is_taken)
{
	struct runtime *one = claim(NULL), *two = claim(NULL), *three = claim(NULL);

	ck_assert_str_eq(runtime_name(one), "vm");
	ck_assert_str_eq(runtime_name(two), "vm2");
	ck_assert_str_eq(runtime_name(three), "vm3");
	runtime_release(two);
	two = claim(NULL);
	ck_assert_str_eq(runtime_name(two), "vm2");
	runtime_release(one);
	runtime_release(two);
	runtime_release(three);
}
END_TEST

START_TEST(killed_owner_is_dead_and_its_name_free)
{
	struct runtime *runtime;
	pid_t pid = start_vm("web");

	make_file("vmm/web/qmp", "");
	kill_vm(pid);

	ck_assert(!is_running("web"));
	assert_said("'web' has died");
	runtime = claim("web");
	ck_assert(is_running("web"));
	ck_assert_int_eq(access(in_xdg("vmm/web/qmp"), F_OK), -1);
	runtime_release(runtime);
}
END_TEST

START_TEST(pid_of_a_process_that_lives_makes_no_vm)
{
	char pid[16];

	make_folder("vmm");
	make_folder("vmm/web");
	snprintf(pid, sizeof(pid), "%d\n", getpid());
	make_file("vmm/web/lock", pid);

	ck_assert(!is_running("web"));
}
END_TEST

START_TEST(dead_are_listed_and_swept)
{
	struct runtime *runtime;
	struct runtime_vm *vms;
	size_t nr;

	runtime = claim("vm10");
	make_folder("vmm/vm9");
	make_file("vmm/vm9/qmp", "");
	make_folder("vmm/.hidden");
	make_file("vmm/file", "");

	ck_assert_int_eq(runtime_list(&vms, &nr, &err), 0);

	ck_assert_uint_eq(nr, 2);
	ck_assert_str_eq(vms[0].name, "vm9");
	ck_assert(!vms[0].running);
	ck_assert_str_eq(vms[1].name, "vm10");
	ck_assert(vms[1].running);
	free(vms);
	ck_assert_int_eq(runtime_sweep("vm9", &err), 0);
	ck_assert_int_eq(access(in_xdg("vmm/vm9"), F_OK), -1);
	ck_assert_int_eq(runtime_sweep("vm10", &err), -EBUSY);
	ck_assert(is_running("vm10"));
	runtime_release(runtime);
}
END_TEST

START_TEST(folder_in_a_dead_ones_stays_and_is_named)
{
	struct runtime *runtime;

	make_folder("vmm");
	make_folder("vmm/web");
	make_folder("vmm/web/precious");

	ck_assert_int_lt(runtime_sweep("web", &err), 0);
	assert_said("'precious'");
	ck_assert_int_lt(runtime_claim(&runtime, "web", &err), 0);
	ck_assert_int_eq(access(in_xdg("vmm/web/precious"), F_OK), 0);
}
END_TEST

START_TEST(no_vm_at_all_is_an_empty_list)
{
	struct runtime_vm *vms;
	size_t nr;

	ck_assert_int_eq(runtime_list(&vms, &nr, &err), 0);

	ck_assert_ptr_null(vms);
	ck_assert_uint_eq(nr, 0);
	ck_assert(!is_running("web"));
	assert_said("running: none");
}
END_TEST

START_TEST(unknown_name_lists_the_running)
{
	struct runtime *one = claim("one"), *two = claim("two");

	make_folder("vmm/dead");

	ck_assert(!is_running("../one"));

	assert_said("no VM '../one' is running; running: one, two");
	runtime_release(one);
	runtime_release(two);
}
END_TEST

START_TEST(long_list_of_the_running_is_cut)
{
	struct runtime *runtimes[10];
	char name[VM_CONFIG_NAME_MAX];

	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "a-name-of-some-thirty-characters-%d", i);
		runtimes[i] = claim(name);
	}

	ck_assert(!is_running("web"));

	assert_said(", ...");
	for (int i = 0; i < 10; i++)
		runtime_release(runtimes[i]);
}
END_TEST

/* What refuses a folder, whichever it is. */
static void assert_refused(const char *text)
{
	struct runtime *runtime;
	struct runtime_vm *vms;
	size_t nr;

	ck_assert_int_lt(runtime_claim(&runtime, "web", &err), 0);
	assert_said(text);
	ck_assert_int_lt(runtime_list(&vms, &nr, &err), 0);
	assert_said(text);
}

START_TEST(folder_that_others_may_use_is_refused)
{
	make_folder("vmm");
	ck_assert_int_eq(chmod(in_xdg("vmm"), 0750), 0);

	assert_refused("has mode 0750");
}
END_TEST

START_TEST(link_to_a_folder_is_refused)
{
	make_folder("elsewhere");
	ck_assert_int_eq(symlink("elsewhere", in_xdg("vmm")), 0);

	assert_refused("Not a directory");
}
END_TEST

START_TEST(relative_path_is_refused)
{
	setenv("XDG_RUNTIME_DIR", "run", 1);

	assert_refused("begins with '/'");
}
END_TEST

START_TEST(endless_path_is_refused)
{
	char path[5000];

	memset(path, '/', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	setenv("XDG_RUNTIME_DIR", path, 1);

	assert_refused("too long");
}
END_TEST

START_TEST(place_that_is_not_there_says_so)
{
	struct runtime *runtime;

	setenv("XDG_RUNTIME_DIR", in_xdg("nowhere"), 1);

	ck_assert_int_eq(runtime_claim(&runtime, "web", &err), -ENOENT);
	assert_said("nowhere/vmm'");
}
END_TEST

START_TEST(folder_of_a_vm_that_others_may_use_is_refused)
{
	struct runtime *runtime;

	make_folder("vmm");
	make_folder("vmm/web");
	ck_assert_int_eq(chmod(in_xdg("vmm/web"), 0755), 0);

	ck_assert_int_eq(runtime_claim(&runtime, "web", &err), -EPERM);
	assert_said("folder 'web' has mode 0755");
}
END_TEST

/* As another user, what fails is the exit status. */
static int as_nobody(bool (*act)(void))
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(setgid(NOBODY) || setuid(NOBODY) || !act());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static bool folder_of_another_is_refused(void)
{
	struct runtime *runtime;

	return runtime_claim(&runtime, "web", &err) == -EPERM &&
	       strstr(err.text, "belongs to user 0");
}

START_TEST(folder_of_another_user_is_refused)
{
	ck_assert_int_eq(chmod(xdg, 0755), 0);
	make_folder("vmm");
	ck_assert_int_eq(chmod(in_xdg("vmm"), 0755), 0);

	ck_assert_int_eq(as_nobody(folder_of_another_is_refused), 0);
}
END_TEST

static bool place_is_in_tmp(void)
{
	struct runtime_path path;

	return !runtime_path(&path, "web", RUNTIME_QMP, &err) &&
	       !strcmp(path.text, "/tmp/vmm-65534/web/qmp");
}

START_TEST(user_without_a_runtime_folder_has_one_in_tmp)
{
	unsetenv("XDG_RUNTIME_DIR");

	ck_assert_int_eq(as_nobody(place_is_in_tmp), 0);
}
END_TEST

START_TEST(root_without_a_runtime_folder_has_one_in_run)
{
	struct runtime_path path;

	setenv("XDG_RUNTIME_DIR", "", 1);

	ck_assert_int_eq(runtime_path(&path, "web", RUNTIME_QMP, &err), 0);
	ck_assert_str_eq(path.text, "/run/vmm/web/qmp");
}
END_TEST

START_TEST(path_too_long_for_a_socket_says_so)
{
	struct runtime_path path;
	char name[VM_CONFIG_NAME_MAX + 1], long_xdg[101];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	memset(long_xdg, '/', sizeof(long_xdg) - 1);
	long_xdg[sizeof(long_xdg) - 1] = '\0';

	ck_assert_int_eq(runtime_path(&path, name, RUNTIME_CONSOLE, &err), 0);
	setenv("XDG_RUNTIME_DIR", long_xdg, 1);
	ck_assert_int_eq(runtime_path(&path, "w", "q", &err), -ENAMETOOLONG);
	assert_said("the path has 108 bytes, and sockets take 107");
}
END_TEST

START_TEST(folder_that_another_has_made_meanwhile_is_not_removed)
{
	struct runtime *runtime = claim("web");

	ck_assert_int_eq(rename(in_xdg("vmm/web"), "/tmp/runtime-moved"), 0);
	make_folder("vmm/web");
	make_file("vmm/web/lock", "");
	runtime_release(runtime);

	ck_assert_int_eq(access(in_xdg("vmm/web/lock"), F_OK), 0);
	ck_assert_int_eq(system("rm -r /tmp/runtime-moved"), 0);
}
END_TEST

/* Whoever has the name sets the byte, which nobody else may see. */
static void compete_once(int counter, bool dies)
{
	struct runtime *runtime;
	char value = 0;

	runtime_sweep("web", NULL);
	if (runtime_claim(&runtime, "web", NULL))
		_exit(0);
	if (pread(counter, &value, 1, 0) < 0 || value)
		_exit(1);
	value = 1;
	if (pwrite(counter, &value, 1, 0) != 1 || !is_running("web"))
		_exit(2);
	value = 0;
	if (pwrite(counter, &value, 1, 0) != 1)
		_exit(3);
	if (!dies)
		runtime_release(runtime);
	_exit(0);
}

static void compete(int counter)
{
	int status = 0;

	for (int i = 0; i < NR_ROUNDS && !status; i++) {
		if (!fork())
			compete_once(counter, i % 2);
		wait(&status);
	}
	_exit(WEXITSTATUS(status));
}

START_TEST(one_at_a_time_has_a_name_however_many_want_it)
{
	int counter = open(in_xdg("counter"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int status, nr = 0;

	for (int i = 0; i < NR_RIVALS; i++)
		if (!fork())
			compete(counter);

	while (wait(&status) > 0) {
		ck_assert_int_eq(status, 0);
		nr++;
	}
	ck_assert_int_eq(nr, NR_RIVALS);
	close(counter);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("runtime");
	TCase *tc = tcase_create("names");
	TCase *users = tcase_create("users");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);	/* hundreds of processes compete */
	tcase_add_test(tc, claimed_name_is_found_with_its_process);
	tcase_add_test(tc, released_name_leaves_nothing);
	tcase_add_test(tc, folders_are_for_their_owner_only);
	tcase_add_test(tc, second_of_a_name_is_refused_with_the_process_of_the_first);
	tcase_add_test(tc, without_a_name_the_first_that_is_free_is_taken);
	tcase_add_test(tc, killed_owner_is_dead_and_its_name_free);
	tcase_add_test(tc, pid_of_a_process_that_lives_makes_no_vm);
	tcase_add_test(tc, dead_are_listed_and_swept);
	tcase_add_test(tc, folder_in_a_dead_ones_stays_and_is_named);
	tcase_add_test(tc, no_vm_at_all_is_an_empty_list);
	tcase_add_test(tc, unknown_name_lists_the_running);
	tcase_add_test(tc, long_list_of_the_running_is_cut);
	tcase_add_test(tc, folder_that_others_may_use_is_refused);
	tcase_add_test(tc, link_to_a_folder_is_refused);
	tcase_add_test(tc, relative_path_is_refused);
	tcase_add_test(tc, endless_path_is_refused);
	tcase_add_test(tc, place_that_is_not_there_says_so);
	tcase_add_test(tc, folder_of_a_vm_that_others_may_use_is_refused);
	tcase_add_test(tc, path_too_long_for_a_socket_says_so);
	tcase_add_test(tc, folder_that_another_has_made_meanwhile_is_not_removed);
	tcase_add_test(tc, one_at_a_time_has_a_name_however_many_want_it);
	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(users, setup, teardown);
	tcase_add_test(users, folder_of_another_user_is_refused);
	tcase_add_test(users, user_without_a_runtime_folder_has_one_in_tmp);
	tcase_add_test(users, root_without_a_runtime_folder_has_one_in_run);
	/* They become another user. */
	if (!geteuid())
		suite_add_tcase(s, users);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
