// SPDX-License-Identifier: Apache-2.0
/*
 * completion.c - a completion script for bash or zsh.
 *
 * The script is a table, the same for both shells, and a driver.  The table, made
 * from the option tables, is a function that takes a place ("run", "run --disk",
 * "run --disk format") and sets what is offered there and its kind:
 *
 *	command		subcommands; also command+words and command+file, of a command
 *			that is one without them, too
 *	words		just the words
 *	keys		keys of a comma-separated value
 *	file		the words or else a file name; also keys+file
 *
 * The driver, the same for every program, finds the place of the cursor.
 *
 * The driver of zsh leaves most to zsh, which takes whole words.  Bash splits the
 * command line at '=' and ':', which COMP_WORDBREAKS holds, so its driver reads
 * the line itself and hands back only what follows the last of them.
 */
#include "config/completion.h"

#include "config/object.h"
#include "config/option.h"

#include <stdbool.h>
#include <string.h>

/*
 * In the drivers NAME stands for the program's name.
 *
 * For both: the place moves on into the subcommand next, as far as there is one.
 */
#define STEP_INTO \
	"\t\t_NAME_words \"$place\"\n" \
	"\t\tgroup=$kind\n" \
	"\t\t[[ $group == command* ]] || break\n" \
	"\t\tif ! _NAME_words \"$place${place:+ }$next\"; then\n" \
	"\t\t\t[[ $group == command ]] && return\n" \
	"\t\t\tbreak\n" \
	"\t\tfi\n" \
	"\t\tplace+=${place:+ }$next\n"

/*
 * For both: the place moves on to the value that the cursor is in, what is before that to head.
 */
#define FIND_VALUE \
	"\t# The value of an option.\n" \
	"\tif [[ $word == --*=* ]] && _NAME_words \"$place ${word%%=*}\"; then\n" \
	"\t\tplace+=\" ${word%%=*}\"\n" \
	"\t\thead=${word%%=*}=\n" \
	"\t\tword=${word#*=}\n" \
	"\telif [[ $before == -* ]] && _NAME_words \"$place $before\"; then\n" \
	"\t\tplace+=\" $before\"\n" \
	"\tfi\n" \
	"\t_NAME_words \"$place\"\n" \
	"\n" \
	"\t# Of KEY=VALUE pairs, the one after the last comma.\n" \
	"\tif [[ $kind == keys* ]]; then\n" \
	"\t\t[[ $word == *,* ]] && head+=${word%,*}, kind=keys\n" \
	"\t\tword=${word##*,}\n" \
	"\t\tif [[ $word == *=* ]]; then\n" \
	"\t\t\tplace+=\" ${word%%=*}\"\n" \
	"\t\t\thead+=${word%%=*}=\n" \
	"\t\t\tword=${word#*=}\n" \
	"\t\t\t_NAME_words \"$place\"\n" \
	"\t\tfi\n" \
	"\tfi\n" \
	"\n"

static const char bash_driver[] =
	"_NAME()\n"
	"{\n"
	"\tlocal line=${COMP_LINE:0:COMP_POINT} place= head= word before typed kind group next i\n"
	"\tlocal -a typed_words found offer\n"
	"\n"
	"\tCOMPREPLY=()\n"
	"\tread -ra typed_words <<<\"$line\"\n"
	"\t[[ $line == *[[:space:]] ]] && typed_words+=('')\n"
	"\tword=${typed_words[-1]}\n"
	"\tbefore=${typed_words[-2]}\n"
	"\ttyped=$word\n"
	"\n"
	"\t# The subcommand, of one word or two, that the line starts with.\n"
	"\tfor ((i = 1; i < ${#typed_words[@]} - 1; i++)); do\n"
	"\t\tnext=${typed_words[i]}\n"
	STEP_INTO
	"\tdone\n"
	"\n"
	FIND_VALUE
	"\tmapfile -t found < <(compgen -W \"${offer[*]}\" -- \"$word\")\n"
	"\t[[ ${found[0]} == *= ]] && compopt -o nospace\n"
	"\tif [[ ${#found[@]} == 0 && $kind == *file ]]; then\n"
	"\t\tcompopt -o filenames\n"
	"\t\tmapfile -t found < <(compgen -f -- \"$word\")\n"
	"\tfi\n"
	"\n"
	"\t# Of what is typed, readline replaces only what follows the last break.\n"
	"\ttyped=${typed%\"${typed##*[=:]}\"}\n"
	"\tfor word in \"${found[@]}\"; do\n"
	"\t\tword=$head$word\n"
	"\t\tCOMPREPLY+=(\"${word#\"$typed\"}\")\n"
	"\tdone\n"
	"}\n"
	"complete -F _NAME NAME\n";

static const char zsh_driver[] =
	"_NAME()\n"
	"{\n"
	"\tlocal place= head= word before kind group next i\n"
	"\tlocal -a typed found offer\n"
	"\n"
	"\ttyped=(\"${(@)words[1,CURRENT]}\")\n"
	"\tword=$typed[-1]\n"
	"\tbefore=$typed[-2]\n"
	"\n"
	"\t# The subcommand, of one word or two, that the line starts with.\n"
	"\tfor ((i = 2; i < $#typed; i++)); do\n"
	"\t\tnext=$typed[i]\n"
	STEP_INTO
	"\tdone\n"
	"\n"
	FIND_VALUE
	"\tfound=(\"${(@M)offer:#${(b)word}*}\")\n"
	"\tif [[ -z $found && $kind == *file ]]; then\n"
	"\t\t[[ -z $head ]] || compset -P '*[=,]'\n"
	"\t\t_files\n"
	"\telif [[ $found[1] == *= ]]; then\n"
	"\t\tcompadd -Q -S '' -- \"${(@)found/#/$head}\"\n"
	"\telse\n"
	"\t\tcompadd -Q -- \"${(@)found/#/$head}\"\n"
	"\tfi\n"
	"}\n"
	"\n"
	"# Called by the completion system from a file of its own, or else sourced.\n"
	"if [[ $funcstack[1] == _NAME ]]; then\n"
	"\t_NAME \"$@\"\n"
	"else\n"
	"\tcompdef _NAME NAME\n"
	"fi\n";

/* Print a text of a driver, putting in the name. */
static void put_named(FILE *out, const char *text, const char *program)
{
	const char *at;

	while ((at = strstr(text, "NAME"))) {
		fprintf(out, "%.*s%s", (int)(at - text), text, program);
		text = at + strlen("NAME");
	}
	fputs(text, out);
}

static void put_keys(FILE *out, const struct option_object *object)
{
	const struct option *primary = object_primary(object);
	bool file = primary && primary->kind == OPTION_KIND_PATH;

	fprintf(out, "kind=%s offer=(", file ? "keys+file" : "keys");
	for (uint32_t i = 0; i < object->nr_rows; i++)
		fprintf(out, "%s%s%s", i ? " " : "", object->rows[i].key,
			object->rows[i].kind == OPTION_KIND_BOOL ? "" : "=");
	fputs(")", out);
}

static void put_choices(FILE *out, const char *const *choices)
{
	fputs("kind=words offer=(", out);
	for (size_t i = 0; choices[i]; i++)
		fprintf(out, "%s%s", i ? " " : "", choices[i]);
	fputs(")", out);
}

/* What may stand for a row's value. */
static void put_values(FILE *out, const struct option *row)
{
	switch (row->kind) {
	case OPTION_KIND_PATH:
		fputs("kind=file offer=()", out);
		break;
	case OPTION_KIND_BOOL:
		fputs("kind=words offer=(on off)", out);
		break;
	case OPTION_KIND_CHOICE:
		put_choices(out, row->choices);
		break;
	case OPTION_KIND_GROUP:
	case OPTION_KIND_LIST:
		put_keys(out, row->object);
		break;
	case OPTION_KIND_STRING:
	case OPTION_KIND_NUMBER:
	case OPTION_KIND_SIZE:
	case OPTION_KIND_MAC:
		fputs("kind=words offer=()", out);
		break;
	}
	fputs(" ;;\n", out);
}

/* The places of a row's value and, where it has keys, of theirs. */
static void put_row(FILE *out, const char *command, const struct option *row)
{
	fprintf(out, "\t'%s --%s'", command, row->key);
	if (row->letter)
		fprintf(out, " | '%s -%c'", command, row->letter);
	fputs(") ", out);
	put_values(out, row);
	for (uint32_t i = 0; row->object && i < row->object->nr_rows; i++) {
		const struct option *key = &row->object->rows[i];

		fprintf(out, "\t'%s --%s %s'", command, row->key, key->key);
		if (row->letter)
			fprintf(out, " | '%s -%c %s'", command, row->letter, key->key);
		fputs(") ", out);
		put_values(out, key);
	}
}

static size_t first_word(const char *name)
{
	return strcspn(name, " ");
}

/* Do both start with the same word? */
static bool is_kin(const char *a, const char *b)
{
	return first_word(a) == first_word(b) && !strncmp(a, b, first_word(a));
}

/* Is this the first of the commands that start with its first word? */
static bool opens_family(const struct completion_command *commands, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		if (is_kin(commands[k].name, commands[i].name))
			return false;
	}
	return true;
}

static void put_first_words(FILE *out, const struct completion_command *commands, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		if (opens_family(commands, i))
			fprintf(out, "%.*s ", (int)first_word(commands[i].name),
				commands[i].name);
	}
}

static bool has_second_words(const struct completion_command *commands, size_t nr,
			     const char *name)
{
	for (size_t i = 0; i < nr; i++) {
		if (is_kin(commands[i].name, name) && commands[i].name[first_word(name)])
			return true;
	}
	return false;
}

/* Of the commands that start as name does: "disk" -> create, resize. */
static void put_second_words(FILE *out, const struct completion_command *commands,
			     size_t nr, const char *name)
{
	size_t len = first_word(name);

	for (size_t i = 0; i < nr; i++) {
		if (is_kin(commands[i].name, name) && commands[i].name[len])
			fprintf(out, "%s ", commands[i].name + len + 1);
	}
}

/* The place of a command that explains the others, and of their second words behind it. */
static void put_explainer(FILE *out, const struct completion_command *commands, size_t nr,
			  const char *name)
{
	fprintf(out, "\t'%s') kind=command offer=(", name);
	put_first_words(out, commands, nr);
	fputs(") ;;\n", out);
	for (size_t i = 0; i < nr; i++) {
		const char *first = commands[i].name;

		if (!opens_family(commands, i) || !has_second_words(commands, nr, first))
			continue;
		fprintf(out, "\t'%s %.*s') kind=words offer=(", name, (int)first_word(first),
			first);
		put_second_words(out, commands, nr, first);
		fputs(") ;;\n", out);
	}
}

static void put_command(FILE *out, const struct completion_command *commands, size_t nr,
			const struct completion_command *command)
{
	const struct option_object *object = command->options;
	bool family = !strchr(command->name, ' ') &&
		      has_second_words(commands, nr, command->name);

	fprintf(out, "\t'%s') kind=%s%s offer=(", command->name, family ? "command+" : "",
		command->words_from && !command->files ? "words" : "file");
	if (family)
		put_second_words(out, commands, nr, command->name);
	for (uint32_t i = 0; object && i < object->nr_rows; i++)
		fprintf(out, "%s--%s", i ? " " : "", object->rows[i].key);
	if (command->words)
		fprintf(out, " %s", command->words);
	if (command->words_from)
		fprintf(out, " $(%s 2>/dev/null)", command->words_from);
	fputs(") ;;\n", out);
	for (uint32_t i = 0; object && i < object->nr_rows; i++) {
		/* A bool takes a value only behind '=', which few would type. */
		if (object->rows[i].kind != OPTION_KIND_BOOL)
			put_row(out, command->name, &object->rows[i]);
	}
}

static void put_table(FILE *out, const struct completion_command *commands, size_t nr)
{
	fputs("\t'') kind=command offer=(", out);
	put_first_words(out, commands, nr);
	fputs(") ;;\n", out);
	for (size_t i = 0; i < nr; i++) {
		const char *name = commands[i].name;

		if (name[first_word(name)] && opens_family(commands, i)) {
			fprintf(out, "\t'%.*s') kind=command offer=(", (int)first_word(name),
				name);
			put_second_words(out, commands, nr, name);
			fputs(") ;;\n", out);
		}
		if (commands[i].of_commands)
			put_explainer(out, commands, nr, name);
		else
			put_command(out, commands, nr, &commands[i]);
	}
}

void completion_print(enum completion_shell shell, const char *program,
		      const struct completion_command *commands, size_t nr, FILE *out)
{
	if (shell == COMPLETION_ZSH)
		fprintf(out, "#compdef %s\n", program);
	fprintf(out, "# Completion for %s\n", program);
	put_named(out, "_NAME_words()\n{\n\tcase $1 in\n", program);
	put_table(out, commands, nr);
	/* Whatever became of the command that was asked for words. */
	fputs("\t*) kind= offer=(); return 1 ;;\n\tesac\n\treturn 0\n}\n\n", out);
	put_named(out, shell == COMPLETION_ZSH ? zsh_driver : bash_driver, program);
}
