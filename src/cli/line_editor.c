// SPDX-License-Identifier: Apache-2.0
#include "line_editor.h"

#include "cli/command.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define COLUMNS		80		/* where the width is unknown */
#define DELETE		0x7f

/* Keys of more than one byte, beyond all bytes. */
enum { KEY_END = 256, KEY_HOME, KEY_LEFT, KEY_RIGHT, KEY_UP, KEY_DOWN, KEY_LAST, KEY_DEL,
       KEY_NONE };

static bool is_inside(char byte)
{
	return ((unsigned char)byte & 0xc0) == 0x80;	/* of a UTF-8 sequence */
}

/* Text. */

static void insert(struct line_editor *editor, const char *text, size_t len)
{
	if (len >= sizeof(editor->line) - editor->len)
		return;
	memmove(editor->line + editor->at + len, editor->line + editor->at,
		editor->len - editor->at);
	memcpy(editor->line + editor->at, text, len);
	editor->len += len;
	editor->at += len;
	editor->line[editor->len] = '\0';
}

/* What lies between the cursor and there. */
static void delete_to(struct line_editor *editor, size_t to)
{
	size_t from = to < editor->at ? to : editor->at;
	size_t end = to < editor->at ? editor->at : to;

	memmove(editor->line + from, editor->line + end, editor->len - end + 1);
	editor->len -= end - from;
	editor->at = from;
}

static size_t left_of(const struct line_editor *editor)
{
	size_t at = editor->at;

	while (at && is_inside(editor->line[--at]))
		;
	return at;
}

static size_t right_of(const struct line_editor *editor)
{
	size_t at = editor->at;

	while (at < editor->len && is_inside(editor->line[++at]))
		;
	return at;
}

static size_t word_before(const struct line_editor *editor)
{
	size_t at = editor->at;

	while (at && editor->line[at - 1] == ' ')
		at--;
	while (at && editor->line[at - 1] != ' ')
		at--;
	return at;
}

static void set_line(struct line_editor *editor, const char *text)
{
	editor->len = editor->at = 0;
	insert(editor, text, strlen(text));
	editor->line[editor->len] = '\0';
}

/* History. */

static void remember(struct line_editor *editor)
{
	size_t last = editor->nr_history;
	char *copy;

	if (!editor->len || (last && !strcmp(editor->history[last - 1], editor->line)))
		return;
	copy = strdup(editor->line);
	if (!copy)
		return;
	if (last == LINE_EDITOR_HISTORY) {
		free(editor->history[0]);
		memmove(editor->history, editor->history + 1, --last * sizeof(char *));
	}
	editor->history[last] = copy;
	editor->nr_history = last + 1;
}

static void show_history(struct line_editor *editor, size_t which)
{
	if (which > editor->nr_history)
		return;
	editor->shown = which;
	set_line(editor, which < editor->nr_history ? editor->history[which] : "");
}

/* The terminal. */

static size_t columns_of(const char *text, size_t len)
{
	size_t nr = 0;

	for (size_t i = 0; i < len; i++)
		nr += !is_inside(text[i]);
	return nr;
}

/* So much of the line as fits, with the cursor in it. */
static void draw(const struct line_editor *editor)
{
	struct winsize size;
	size_t width = COLUMNS, start = 0, end;

	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col)
		width = size.ws_col;
	width -= strlen(editor->prompt) + 1 < width ? strlen(editor->prompt) + 1 : 0;
	while (columns_of(editor->line + start, editor->at - start) > width)
		start++;
	while (is_inside(editor->line[start]))
		start++;
	end = editor->at;
	while (end < editor->len && columns_of(editor->line + start, end + 1 - start) <= width)
		end++;
	printf("\r%s%.*s\033[K\r\033[%zuC", editor->prompt, (int)(end - start),
	       editor->line + start, strlen(editor->prompt) +
	       columns_of(editor->line + start, editor->at - start));
	fflush(stdout);
}

static int read_byte(void)
{
	unsigned char byte;
	ssize_t nr;

	do
		nr = read(STDIN_FILENO, &byte, 1);
	while (nr < 0 && errno == EINTR);
	return nr == 1 ? byte : -1;
}

static bool is_more(void)
{
	struct pollfd pollfd = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&pollfd, 1, 0) > 0;
}

/* A key; -1 at the end of input. */
static int read_key(void)
{
	static const char letters[] = "ABCDHF";
	static const int keys[] = { KEY_UP, KEY_DOWN, KEY_RIGHT, KEY_LEFT, KEY_HOME, KEY_LAST };
	int key = read_byte(), number = 0;
	const char *letter;

	if (key != '\033')
		return key;
	key = read_byte();
	if (key != '[' && key != 'O')
		return key < 0 ? key : KEY_NONE;
	while ((key = read_byte()) >= 0 && (isdigit(key) || key == ';'))
		number = key == ';' ? 0 : number % 100 * 10 + key - '0';
	if (key == '~')
		return number == 3 ? KEY_DEL : number == 1 ? KEY_HOME :
		       number == 4 ? KEY_LAST : KEY_NONE;
	letter = key > 0 ? strchr(letters, key) : NULL;
	return letter ? keys[letter - letters] : key < 0 ? key : KEY_NONE;
}

/* Completion. */

static void list_words(const struct line_editor *editor)
{
	const char *word, *end;
	size_t typed, i = 0;

	putchar('\n');
	while ((word = editor->offer(editor->ctx, editor->line, i++, &typed, &end)))
		printf("%s%s", i > 1 ? "  " : "", word);
	putchar('\n');
}

/* Add what all words have in common, or show them where that is nothing. */
static void complete(struct line_editor *editor)
{
	char tail[LINE_EDITOR_MAX];
	size_t typed = 0, common, nr = 1;
	const char *first, *word, *end = "";

	/* Words are offered for what is before the cursor. */
	memcpy(tail, editor->line + editor->at, editor->len - editor->at + 1);
	editor->line[editor->at] = '\0';
	first = editor->offer(editor->ctx, editor->line, 0, &typed, &end);
	common = first ? strlen(first) : 0;
	for (; first && (word = editor->offer(editor->ctx, editor->line, nr, &typed, &end)); nr++)
		while (strncmp(first, word, common))
			common--;
	if (first && nr > 1 && common == typed)
		list_words(editor);
	memcpy(editor->line + editor->at, tail, editor->len - editor->at + 1);
	if (!first)
		return;
	insert(editor, first + typed, common - typed);
	if (nr == 1)
		insert(editor, end, strlen(end));
}

/* True when the line is done. */
static bool take_key(struct line_editor *editor, int key)
{
	switch (key) {
	case '\r':
	case '\n':
		return true;
	case '\t':
		complete(editor);
		break;
	case CTRL('A'):
	case KEY_HOME:
		editor->at = 0;
		break;
	case CTRL('E'):
	case KEY_LAST:
		editor->at = editor->len;
		break;
	case CTRL('B'):
	case KEY_LEFT:
		editor->at = left_of(editor);
		break;
	case CTRL('F'):
	case KEY_RIGHT:
		editor->at = right_of(editor);
		break;
	case CTRL('H'):
	case DELETE:
		delete_to(editor, left_of(editor));
		break;
	case CTRL('D'):
	case KEY_DEL:
		delete_to(editor, right_of(editor));
		break;
	case CTRL('K'):
		delete_to(editor, editor->len);
		break;
	case CTRL('U'):
		delete_to(editor, 0);
		break;
	case CTRL('W'):
		delete_to(editor, word_before(editor));
		break;
	case CTRL('C'):
		set_line(editor, "");
		break;
	case CTRL('P'):
	case KEY_UP:
		show_history(editor, editor->shown - 1);
		break;
	case CTRL('N'):
	case KEY_DOWN:
		show_history(editor, editor->shown + 1);
		break;
	default:
		if (key >= ' ' && key < KEY_END)
			insert(editor, (char[]){ (char)key }, 1);
	}
	return false;
}

static bool edit(struct line_editor *editor)
{
	bool done = false;

	set_line(editor, "");
	editor->shown = editor->nr_history;
	while (!done) {
		int key;

		/* What is pasted is shown once, and no character in parts. */
		if (!is_more())
			draw(editor);
		key = read_key();
		if (key < 0 || (key == CTRL('D') && !editor->len))
			break;
		done = take_key(editor, key);
	}
	putchar('\n');
	if (done)
		remember(editor);
	return done;
}

static bool read_plain(struct line_editor *editor)
{
	char *end;

	if (!fgets(editor->line, sizeof(editor->line), stdin))
		return false;
	end = strchr(editor->line, '\n');
	if (!end && !feof(stdin)) {
		command_fail("a line has more than %d bytes", LINE_EDITOR_MAX - 2);
		return false;
	}
	if (end)
		*end = '\0';
	return true;
}

bool line_editor_read(struct line_editor *editor)
{
	struct termios before, raw;
	bool there;

	if (tcgetattr(STDIN_FILENO, &before))
		return read_plain(editor);
	raw = before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG | IEXTEN);
	raw.c_iflag &= ~(tcflag_t)(IXON | ICRNL);
	tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	there = edit(editor);
	fflush(stdout);
	tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
	return there;
}

void line_editor_fini(struct line_editor *editor)
{
	while (editor->nr_history)
		free(editor->history[--editor->nr_history]);
}
