// SPDX-License-Identifier: Apache-2.0
#include "config/yaml.h"

#include "all_kinds.h"
#include "base/err.h"
#include "config/cmdline.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static struct all_kinds config, loaded;
static struct err err;
static char *dumped;
static size_t dumped_len;

static void setup(void)
{
	memset(&err, 0, sizeof(err));
	dumped = NULL;
	ck_assert_int_eq(option_defaults(&all_kinds_options, &config), 0);
	ck_assert_int_eq(option_defaults(&all_kinds_options, &loaded), 0);
}

static void teardown(void)
{
	option_fini(&all_kinds_options, &config);
	option_fini(&all_kinds_options, &loaded);
	free(dumped);
}

static int parse(const char *text)
{
	return yaml_parse(&all_kinds_options, &config, "vm.yaml", text, strlen(text), &err);
}

static void give(const char *argument)
{
	const char *argv[] = { "vmm", argument };
	int rest;

	ck_assert_int_eq(cmdline_parse(&all_kinds_options, &config, 2, (char **)argv, &rest,
				       &err), 0);
}

static int dump(void)
{
	FILE *out = open_memstream(&dumped, &dumped_len);
	int rc = yaml_dump(&all_kinds_options, &config, out, &err);

	fclose(out);
	return rc;
}

static void ck_round_trip(void)
{
	ck_assert_int_eq(dump(), 0);
	ck_assert_int_eq(yaml_parse(&all_kinds_options, &loaded, "dump", dumped, dumped_len,
				    &err), 0);
	ck_assert(all_kinds_equal(&config, &loaded));
}

START_TEST(every_kind_is_read)
{
	ck_assert_int_eq(parse("# a comment\n"
			       "memory: 1G\n"
			       "cpus: 4\n"
			       "port: 80\n"
			       "seed: 18446744073709551615\n"
			       "name: 010\n"
			       "log: 'a b: c.log'\n"
			       "direct: true\n"
			       "mac: 52:54:00:12:34:56\n"
			       "clock:\n"
			       "  base: local\n"
			       "image:\n"
			       "  - path: a.img\n"
			       "    format: qcow2\n"
			       "  - {path: \"b.img\", readonly: yes, cache: 64K}\n"), 0);

	ck_assert_uint_eq(config.memory, GiB);
	ck_assert_uint_eq(config.cpus, 4);
	ck_assert_uint_eq(config.port, 80);
	ck_assert_uint_eq(config.seed, UINT64_MAX);
	ck_assert_str_eq(config.name, "010");
	ck_assert_str_eq(config.log, "a b: c.log");
	ck_assert(config.direct);
	ck_assert_uint_eq(config.mac[5], 0x56);
	ck_assert_int_eq(config.clock.base, BASE_LOCAL);
	ck_assert_str_eq(config.clock.zone, "UTC");
	ck_assert_uint_eq(config.nr_images, 2);
	ck_assert_str_eq(config.images[0].path, "a.img");
	ck_assert_int_eq(config.images[0].format, FORMAT_QCOW2);
	ck_assert_str_eq(config.images[1].path, "b.img");
	ck_assert(config.images[1].readonly);
	ck_assert_uint_eq(config.images[1].cache, 64 * KiB);
}
END_TEST

START_TEST(what_the_file_says_counts_as_given)
{
	ck_assert_int_eq(parse("cpus: 1\n"), 0);

	ck_assert(option_given(&all_kinds_options, &config, &config.cpus));
	ck_assert(!option_given(&all_kinds_options, &config, &config.memory));
}
END_TEST

START_TEST(command_line_overrules_the_file_and_adds_to_its_lists)
{
	ck_assert_int_eq(parse("cpus: 2\nmemory: 1G\nimage: [{path: a}]\n"), 0);
	give("--cpus=3");
	give("--image=b");

	ck_assert_uint_eq(config.cpus, 3);
	ck_assert_uint_eq(config.memory, GiB);
	ck_assert_uint_eq(config.nr_images, 2);
	ck_assert_str_eq(config.images[0].path, "a");
	ck_assert_str_eq(config.images[1].path, "b");
}
END_TEST

static const char *const empties[] = {
	"", "\n", "# nothing\n", "---\n", "---\n...\n", "{}\n", "\xef\xbb\xbf",
	"%YAML 1.1\n---\n",
};

START_TEST(file_without_keys_changes_nothing)
{
	ck_assert_int_eq(parse(empties[_i]), 0);

	ck_assert(all_kinds_equal(&config, &loaded));
}
END_TEST

START_TEST(byte_order_mark_before_the_first_key_is_fine)
{
	ck_assert_int_eq(parse("\xef\xbb\xbf" "cpus: 2\n"), 0);

	ck_assert_uint_eq(config.cpus, 2);
}
END_TEST

struct refusal {
	const char *yaml, *text;
};

static const struct refusal refusals[] = {
	{ "cpus: 1\nmemroy: 1G\n",
	  "vm.yaml:2:1: 'memroy' is unknown: did you mean 'memory'?" },
	{ "image:\n  - path: a\n    fromat: raw\n",
	  "vm.yaml:3:5: 'fromat' is unknown: did you mean 'format'?" },
	{ "clock: {x: 1}\n", "vm.yaml:1:9: 'x' is unknown: there are base, zone" },
	{ "memory: 12Q\n", "vm.yaml:1:9: memory: '12Q' is no size: write a number with K, M, "
			   "G or T, as in 512M" },
	{ "memory: 0\n", "vm.yaml:1:9: memory: '0' is out of range: it must be from 1M to 1T" },
	{ "cpus: 1\ncpus: 2\n", "vm.yaml:2:1: 'cpus' is there twice" },
	{ "image: [{path: a}]\nimage: []\n", "vm.yaml:2:1: 'image' is there twice" },
	{ "config: other.yaml\n",
	  "vm.yaml:1:1: 'config' belongs on the command line only: --config" },
	{ "cpus: [1]\n", "vm.yaml:1:7: cpus: one value is needed, not a list or a mapping" },
	{ "cpus: {a: 1}\n", "vm.yaml:1:7: cpus: one value is needed, not a list or a mapping" },
	{ "name:\ncpus: 1\n",
	  "vm.yaml:1:6: name: there is no value (an empty string is \"\")" },
	{ "image:\n",
	  "vm.yaml:1:7: image: there is no value (an empty string is \"\")" },
	{ "image: a.img\n", "vm.yaml:1:8: image: a list is needed: put '- ' before each item" },
	{ "image: {path: a}\n",
	  "vm.yaml:1:8: image: a list is needed: put '- ' before each item" },
	{ "image: [a.img]\n",
	  "vm.yaml:1:9: image: an item is a mapping, as in '- key: value'" },
	{ "image:\n  - readonly: on\n", "vm.yaml:2:5: image: 'path' is missing" },
	{ "image: [{path: a}, {path: b}, {path: c}, {path: d}]\n",
	  "vm.yaml:1:42: image: there may be at most 3" },
	{ "clock: utc\n", "vm.yaml:1:8: clock: a mapping of keys is needed" },
	{ "- a\n", "vm.yaml:1:1: a configuration is a mapping of keys, as in 'key: value'" },
	{ "a\n", "vm.yaml:1:1: a configuration is a mapping of keys, as in 'key: value'" },
	{ "''\n", "vm.yaml:1:1: a configuration is a mapping of keys, as in 'key: value'" },
	{ "? [a]\n: 1\n", "vm.yaml:1:3: a key must be a plain word" },
	{ "? {a: b}\n: 1\n", "vm.yaml:1:3: a key must be a plain word" },
	{ "name: \"a\\0b\"\n", "vm.yaml:1:7: a value cannot hold a NUL character" },
	{ "\"a\\0b\": 1\n", "vm.yaml:1:1: a value cannot hold a NUL character" },
	{ "name: &a x\n",
	  "vm.yaml:1:7: anchors are not supported: quote a leading '&'" },
	{ "image: &a []\n",
	  "vm.yaml:1:8: anchors are not supported: quote a leading '&'" },
	{ "&a cpus: 1\n",
	  "vm.yaml:1:1: anchors are not supported: quote a leading '&'" },
	{ "name: *a\n", "vm.yaml:1:7: aliases are not supported: write the value again" },
	{ "name: !!str x\n",
	  "vm.yaml:1:7: tags are not supported: quote a leading '!'" },
	{ "clock: !x {}\n",
	  "vm.yaml:1:8: tags are not supported: quote a leading '!'" },
	{ "cpus: 1\n---\ncpus: 2\n", "vm.yaml:2:1: a second document is not supported" },
};

START_TEST(wrong_file_is_refused_with_the_place)
{
	ck_assert_int_eq(parse(refusals[_i].yaml), -EINVAL);

	ck_assert_str_eq(err.text, refusals[_i].text);
}
END_TEST

/* What is wrong is in the words of libyaml. */
static const struct refusal broken[] = {
	{ "name: 'x\n", "vm.yaml:2:1: " },
	{ "image: [\n", "vm.yaml:2:1: " },
	{ "name: \xff\n", "vm.yaml: invalid leading UTF-8 octet at byte 6" },
};

START_TEST(broken_yaml_is_refused_with_the_place)
{
	ck_assert_int_eq(parse(broken[_i].yaml), -EINVAL);

	ck_assert_mem_eq(err.text, broken[_i].text, strlen(broken[_i].text));
}
END_TEST

/* The last is behind characters of several bytes, and breaks the line of a value. */
static const struct refusal tabs[] = {
	{ "\tcpus: 1\n", "vm.yaml:1:1: " },
	{ "clock:\n\tbase: local\n", "vm.yaml:2:1: " },
	{ "image:\n  - path: a\n  \tformat: raw\n", "vm.yaml:3:3: " },
	{ "image:\n  -\tpath: a\n", "vm.yaml:2:4: " },
	{ "name: >\n\ta\n", "vm.yaml:2:1: " },
	{ "name: \xc3\xa9\n\tmemory: 1G\n", "vm.yaml:2:1: " },
};

START_TEST(tab_that_indents_is_refused_with_the_place)
{
	static const char reason[] = "YAML allows only spaces for indentation";

	ck_assert_int_eq(parse(tabs[_i].yaml), -EINVAL);

	ck_assert_mem_eq(err.text, tabs[_i].text, strlen(tabs[_i].text));
	ck_assert_msg(strstr(err.text, reason) != NULL, "%s", err.text);
}
END_TEST

START_TEST(tab_between_a_key_and_its_value_is_fine)
{
	ck_assert_int_eq(parse("cpus:\t2\n"), 0);

	ck_assert_uint_eq(config.cpus, 2);
}
END_TEST

START_TEST(deep_nesting_is_refused_where_it_starts)
{
	char text[64 * 1024];

	memset(text, '[', sizeof(text));
	memcpy(text, "cpus: ", strlen("cpus: "));

	ck_assert_int_eq(yaml_parse(&all_kinds_options, &config, "vm.yaml", text, sizeof(text),
				    &err), -EINVAL);

	ck_assert_str_eq(err.text, "vm.yaml:1:7: cpus: one value is needed, not a list or a "
				   "mapping");
}
END_TEST

/* A comment of len bytes in all. */
static char *comment_of(size_t len)
{
	char *text = malloc(len);

	ck_assert_ptr_nonnull(text);
	memset(text, '#', len);
	return text;
}

START_TEST(text_of_the_largest_size_is_read)
{
	char *text = comment_of(YAML_FILE_MAX);

	ck_assert_int_eq(yaml_parse(&all_kinds_options, &config, "vm.yaml", text,
				    YAML_FILE_MAX, &err), 0);

	free(text);
}
END_TEST

START_TEST(longer_text_is_refused)
{
	char *text = comment_of(YAML_FILE_MAX + 1);

	ck_assert_int_eq(yaml_parse(&all_kinds_options, &config, "vm.yaml", text,
				    YAML_FILE_MAX + 1, &err), -EFBIG);

	ck_assert_str_eq(err.text, "vm.yaml: longer than 1048576 bytes");
	free(text);
}
END_TEST

static void write_file(char *path, const char *text, size_t len)
{
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
	close(fd);
}

START_TEST(file_is_read_by_name)
{
	char path[] = "/tmp/test_yaml.XXXXXX";

	write_file(path, "cpus: 3\n", strlen("cpus: 3\n"));

	ck_assert_int_eq(yaml_load(&all_kinds_options, &config, path, &err), 0);

	ck_assert_uint_eq(config.cpus, 3);
	unlink(path);
}
END_TEST

START_TEST(file_that_is_too_long_is_refused)
{
	char path[] = "/tmp/test_yaml.XXXXXX";
	char *text = comment_of(YAML_FILE_MAX + 1);

	write_file(path, text, YAML_FILE_MAX + 1);

	ck_assert_int_eq(yaml_load(&all_kinds_options, &config, path, &err), -EFBIG);

	unlink(path);
	free(text);
}
END_TEST

START_TEST(file_that_does_not_exist_is_named)
{
	ck_assert_int_eq(yaml_load(&all_kinds_options, &config, "/nonexistent/vm.yaml", &err),
			 -ENOENT);

	ck_assert_str_eq(err.text,
			 "cannot open '/nonexistent/vm.yaml': No such file or directory");
}
END_TEST

START_TEST(folder_cannot_be_read)
{
	ck_assert_int_eq(yaml_load(&all_kinds_options, &config, "/", &err), -EISDIR);

	ck_assert_str_eq(err.text, "cannot read '/': Is a directory");
}
END_TEST

START_TEST(dump_shows_presets_and_leaves_out_what_has_no_value)
{
	ck_assert_int_eq(dump(), 0);

	ck_assert_str_eq(dumped, "memory: 512M\n"
				 "cpus: 1\n"
				 "direct: false\n"
				 "verbose: false\n"
				 "clock:\n"
				 "  base: \"utc\"\n"
				 "  zone: \"UTC\"\n");
}
END_TEST

START_TEST(dump_of_every_kind_loads_back)
{
	give("--memory=1025K");
	give("--cpus=255");
	give("--port=0");
	give("--seed=18446744073709551615");
	give("--name=");
	give("--log=a b.log");
	give("-dv");
	give("--mac=52:54:00:12:34:56");
	give("--clock=base=local,zone=Europe/Berlin");
	give("--image=a.img,format=vmdk,readonly,serial=1e3,cache=4K,mac=02:00:00:00:00:01");
	give("--image=b.img");

	ck_round_trip();
}
END_TEST

static const char *const awkward[] = {
	"no", "~", "null", "1e3", "0x10", "- a", "a: b", "a #b", "#", "'", "\"", "\\", "&a",
	"*a", "!x", "%", "@", "`", "---", " lead", "trail ", "\n", "a\nb", "a\n\n  b\n", "\t",
	"\r\n", "\x01\x1b", "\x7f", "\xc2\x85", "\xe2\x80\xa8", "\xef\xbb\xbf", "\xc3\xa4",
	"\xf0\x9f\x98\x80",
	("a very long line of words that goes on and on far past the eighty columns at which "
	 "an emitter would like to fold it  with  double spaces"),
};

START_TEST(awkward_string_loads_back)
{
	config.name = strdup(awkward[_i]);

	ck_round_trip();
}
END_TEST

START_TEST(value_that_the_program_made_up_is_dumped)
{
	const uint8_t mac[6] = { 2, 0, 0, 0, 0, 9 };

	memcpy(config.mac, mac, sizeof(mac));

	ck_round_trip();
	ck_assert_mem_eq(loaded.mac, mac, sizeof(mac));
}
END_TEST

START_TEST(option_of_the_command_line_only_is_not_dumped)
{
	give("--config=vm.yaml");

	ck_round_trip();
	ck_assert_ptr_null(loaded.config);
}
END_TEST

static const char *const no_utf8[] = {
	"\xff", "a\x80", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
	"\xe2\x82", "\xf8\x88\x80\x80\x80",
};

START_TEST(string_that_is_not_utf8_cannot_be_dumped)
{
	config.name = strdup(no_utf8[_i]);

	ck_assert_int_eq(dump(), -EILSEQ);

	ck_assert_str_eq(err.text, "name: a YAML file can hold UTF-8 text only");
}
END_TEST

START_TEST(full_disk_is_reported)
{
	FILE *out = fopen("/dev/full", "w");

	ck_assert_ptr_nonnull(out);
	ck_assert_int_eq(yaml_dump(&all_kinds_options, &config, out, &err), -EIO);

	ck_assert_str_eq(err.text, "cannot write the configuration: Input/output error");
	fclose(out);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("yaml");
	TCase *load = tcase_create("load"), *back = tcase_create("dump");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(load, setup, teardown);
	tcase_add_test(load, every_kind_is_read);
	tcase_add_test(load, what_the_file_says_counts_as_given);
	tcase_add_test(load, command_line_overrules_the_file_and_adds_to_its_lists);
	tcase_add_loop_test(load, file_without_keys_changes_nothing, 0, ARRAY_LEN(empties));
	tcase_add_test(load, byte_order_mark_before_the_first_key_is_fine);
	tcase_add_loop_test(load, wrong_file_is_refused_with_the_place, 0, ARRAY_LEN(refusals));
	tcase_add_loop_test(load, broken_yaml_is_refused_with_the_place, 0, ARRAY_LEN(broken));
	tcase_add_loop_test(load, tab_that_indents_is_refused_with_the_place, 0,
			    ARRAY_LEN(tabs));
	tcase_add_test(load, tab_between_a_key_and_its_value_is_fine);
	tcase_add_test(load, deep_nesting_is_refused_where_it_starts);
	tcase_add_test(load, text_of_the_largest_size_is_read);
	tcase_add_test(load, longer_text_is_refused);
	tcase_add_test(load, file_is_read_by_name);
	tcase_add_test(load, file_that_is_too_long_is_refused);
	tcase_add_test(load, file_that_does_not_exist_is_named);
	tcase_add_test(load, folder_cannot_be_read);
	suite_add_tcase(s, load);

	tcase_add_checked_fixture(back, setup, teardown);
	tcase_add_test(back, dump_shows_presets_and_leaves_out_what_has_no_value);
	tcase_add_test(back, dump_of_every_kind_loads_back);
	tcase_add_loop_test(back, awkward_string_loads_back, 0, ARRAY_LEN(awkward));
	tcase_add_test(back, value_that_the_program_made_up_is_dumped);
	tcase_add_test(back, option_of_the_command_line_only_is_not_dumped);
	tcase_add_loop_test(back, string_that_is_not_utf8_cannot_be_dumped, 0,
			    ARRAY_LEN(no_utf8));
	tcase_add_test(back, full_disk_is_reported);
	suite_add_tcase(s, back);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
