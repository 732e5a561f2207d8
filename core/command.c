/*
 * Reads Markdown line by line as CommonMark has it, as far as it decides what is plain text of the comment itself:
 * lists, since they move the edge that code is measured from; fences; HTML; and within a paragraph what may reach over
 * the end of a line: code spans, tags, comments.
 */
#include "prgate/command.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "prgate/text.h"

enum {
    TAB = 4,
    CODE_INDENT = 4, /* columns that make a line code */
    FENCE_MIN = 3,
    ITEMS_MAX = 8, /* deeper ones begin at columns where no command can stand */
    DIGITS_MAX = 9 /* of a list's number */
};

/* Elements whose content is code, or somebody else's words, or not shown. */
static const char *const hiding[] = {"pre",   "code",     "blockquote", "script",
                                     "style", "textarea", "samp",       "kbd"};

enum { HIDING_COUNT = sizeof hiding / sizeof hiding[0] };

/* Bytes from `at` on that are not blank; the line's own end is not among them. */
struct line {
    const char *start; /* of the line itself */
    const char *at;
    const char *end;
    size_t column; /* of `at` */
    bool marked;   /* a list's marker stands before */
};

struct scan {
    const struct policy *policy;
    const char *end; /* of the body */
    struct command_line *out;

    /* A fence, and the column of the list item that it is in. */
    char fence; /* '`', '~', or 0: there is none */
    size_t fence_len;
    size_t fence_item;

    size_t items[ITEMS_MAX]; /* columns at which the content of open list items begins */
    size_t item_count;
    bool quoted;          /* a line before was, and no blank one has come since */
    bool html;            /* an HTML block, up to a blank line */
    bool paragraph;       /* the line before was text */
    const char *text_end; /* of the paragraph: nothing within it reaches beyond */
    const char *hidden;   /* whatever began before ends here; no command stands before it */
    /* What was looked for in vain is not looked for again. */
    bool unclosed[HIDING_COUNT];
    const char *no_tag_end; /* the paragraph's end up to which there is none */
    const char *no_comment_end;
};

/* ---- lines ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void skip_blanks(struct line *line)
{
    for (; line->at < line->end && is_blank(*line->at); line->at++)
        line->column += *line->at == '\t' ? TAB - line->column % TAB : 1;
}

/* Lines end with LF, CR LF or CR. */
static struct line line_at(const char *start, const char *end)
{
    const char *at = start;
    while (at < end && *at != '\n' && *at != '\r')
        at++;
    struct line line = {.start = start, .at = start, .end = at};
    skip_blanks(&line);
    return line;
}

static const char *next_line(const struct line *line, const char *end)
{
    const char *at = line->end;
    if (at < end && *at == '\r')
        at++;
    if (at < end && *at == '\n' && (at == line->end || at[-1] == '\r'))
        at++;
    return at;
}

static size_t left(const struct line *line)
{
    return (size_t)(line->end - line->at);
}

static size_t run_of(const char *at, const char *end)
{
    const char *from = at;
    while (at < end && *at == *from)
        at++;
    return (size_t)(at - from);
}

static bool starts_with(const char *at, const char *end, const char *text)
{
    size_t len = strlen(text);
    return (size_t)(end - at) >= len && memcmp(at, text, len) == 0;
}

static bool starts_fold(const char *at, const char *end, const char *text)
{
    size_t len = strlen(text);
    return (size_t)(end - at) >= len && strncasecmp(at, text, len) == 0;
}

/* Behind the next `text`, or NULL. */
static const char *behind(const char *at, const char *end, const char *text)
{
    const char *found = at >= end ? NULL : memmem(at, (size_t)(end - at), text, strlen(text));
    return found == NULL ? NULL : found + strlen(text);
}

static const char *end_of_line(const char *at, const char *end)
{
    struct line line = line_at(at, end);
    return line.end;
}

/* ---- what a line begins ---- */

/* A rule, or the line below a heading: nothing but three or more of one sign. */
static bool is_rule(const struct line *line)
{
    size_t count = 0;
    if (left(line) == 0 || strchr("-*_=", *line->at) == NULL)
        return false;
    for (const char *at = line->at; at < line->end; at++) {
        if (*at == *line->at)
            count++;
        else if (!is_blank(*at))
            return false;
    }
    return count >= 3 || *line->at == '=';
}

/* The length of "-", "+", "*", "1." or "1)", 0 where there is none. Within a paragraph only some begin a list. */
static size_t marker_len(const struct line *line, bool paragraph)
{
    size_t len = 0;
    if (left(line) == 0)
        return 0;
    if (strchr("-+*", *line->at) != NULL) {
        len = 1;
    } else {
        while (len < left(line) && len < DIGITS_MAX && is_digit(line->at[len]))
            len++;
        if (len == 0 || len == left(line) || (line->at[len] != '.' && line->at[len] != ')') ||
            (paragraph && !(len == 1 && *line->at == '1')))
            return 0;
        len++;
    }
    bool empty = len == left(line);
    return (empty && paragraph) || (!empty && !is_blank(line->at[len])) ? 0 : len;
}

static size_t fence_len(const struct line *line)
{
    if (left(line) == 0 || (*line->at != '`' && *line->at != '~'))
        return 0;
    size_t len = run_of(line->at, line->end);
    bool is_code_span = *line->at == '`' && memchr(line->at + len, '`', left(line) - len) != NULL;
    return len < FENCE_MIN || is_code_span ? 0 : len;
}

static bool is_name_end(const char *at, const char *end)
{
    return at >= end || !(is_letter(*at) || is_digit(*at) || *at == '-');
}

/* "<p", "</p", and then no more of the name: no autolink. */
static bool is_tag(const char *at, const char *end)
{
    at++;
    if (at < end && *at == '/')
        at++;
    if (at >= end || !is_letter(*at))
        return false;
    while (!is_name_end(at, end))
        at++;
    return at == end || is_blank(*at) || strchr("/>\r\n", *at) != NULL;
}

static bool is_html(const struct line *line)
{
    return left(line) > 1 && *line->at == '<' &&
           (line->at[1] == '!' || line->at[1] == '?' || is_tag(line->at, line->end));
}

static bool is_heading(const struct line *line)
{
    size_t len = left(line) > 0 && *line->at == '#' ? run_of(line->at, line->end) : 0;
    return len > 0 && len <= 6 && (len == left(line) || is_blank(line->at[len]));
}

static size_t innermost(const struct scan *scan)
{
    return scan->item_count == 0 ? 0 : scan->items[scan->item_count - 1];
}

/* Does the line end a paragraph before it? */
static bool ends_paragraph(const struct scan *scan, const struct line *line)
{
    if (left(line) == 0)
        return true;
    return line->column < innermost(scan) + CODE_INDENT &&
           (*line->at == '>' || is_heading(line) || is_rule(line) || fence_len(line) > 0 || is_html(line) ||
            marker_len(line, true) > 0);
}

/* ---- what reaches over lines ---- */

/* The name's place in hiding[] where that element opens here, else HIDING_COUNT. */
static size_t hiding_at(const char *at, const char *end)
{
    for (size_t i = 0; i < HIDING_COUNT; i++)
        if (starts_fold(at + 1, end, hiding[i]) && is_name_end(at + 1 + strlen(hiding[i]), end))
            return i;
    return HIDING_COUNT;
}

/* Is it the tag, without its "<" and "/", of that element? */
static bool names(const char *at, const char *end, const char *name)
{
    return starts_fold(at, end, name) && is_name_end(at + strlen(name), end);
}

/* Behind the closing tag of the element that opens here, others of its kind within it and all; NULL: there is none. */
static const char *end_of_element(struct scan *scan, const char *at, size_t which)
{
    const char *end = scan->end, *last = NULL;
    size_t depth = 1;
    if (scan->unclosed[which])
        return NULL;
    at++;
    while (depth > 0 && (at = memchr(at, '<', (size_t)(end - at))) != NULL) {
        at++;
        if (names(at, end, hiding[which])) {
            depth++;
        } else if (at < end && *at == '/' && names(at + 1, end, hiding[which])) {
            depth--;
            last = at;
        }
    }
    scan->unclosed[which] = last == NULL;
    if (last == NULL)
        return NULL;
    last = memchr(last, '>', (size_t)(end - last));
    return last == NULL ? end : last + 1;
}

/* Behind the code span that this run of backticks opens; NULL: it opens none. */
static const char *end_of_span(const char *at, size_t len, const char *end)
{
    at += len;
    while (at < end && (at = memchr(at, '`', (size_t)(end - at))) != NULL) {
        size_t run = run_of(at, end);
        at += run;
        if (run == len)
            return at;
    }
    return NULL;
}

/* Behind `text`, which is to come before the paragraph ends. */
static const char *seek_end(const struct scan *scan, const char *at, const char *text, const char **in_vain)
{
    const char *found = *in_vain == scan->text_end ? NULL : behind(at, scan->text_end, text);
    if (found == NULL)
        *in_vain = scan->text_end;
    return found;
}

static const char *end_of_tag(struct scan *scan, const char *at)
{
    const char *end = scan->text_end;
    size_t which = hiding_at(at, end);
    if (starts_with(at, end, "<!--"))
        return seek_end(scan, at, "-->", &scan->no_comment_end);
    if (which < HIDING_COUNT)
        return end_of_element(scan, at, which);
    return is_tag(at, end) ? seek_end(scan, at, ">", &scan->no_tag_end) : NULL;
}

/* Text up to the line's end: what begins in it and ends in a later line hides what lies between. */
static void scan_text(struct scan *scan, const char *at, const char *end)
{
    while (at < end) {
        const char *close = NULL;
        size_t len = 1;
        if (*at == '\\') {
            len = 2;
        } else if (*at == '`') {
            len = run_of(at, end);
            close = end_of_span(at, len, scan->text_end);
        } else if (*at == '<') {
            close = end_of_tag(scan, at);
        }
        at = close != NULL ? close : at + len;
    }
    scan->hidden = at > end ? at : end;
}

/* Where a paragraph that begins with this line ends. */
static const char *end_of_text(const struct scan *scan, const struct line *first)
{
    const char *end = scan->end;
    struct line line = *first;
    const char *last;
    do {
        last = line.end;
        const char *next = next_line(&line, end);
        if (next == end)
            break;
        line = line_at(next, end);
    } while (!ends_paragraph(scan, &line));
    return last;
}

/* ---- commands ---- */

static bool is_hex(const char *word, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!is_digit(word[i]) && !(is_letter(word[i]) && (word[i] | 0x20) <= 'f'))
            return false;
    return true;
}

/* Takes the next word off the line; its length, 0 where there is none. */
static size_t take_word(struct line *line, const char **word)
{
    skip_blanks(line);
    *word = line->at;
    while (line->at < line->end && !is_blank(*line->at))
        line->at++;
    return (size_t)(line->at - *word);
}

static enum command find_word(const struct policy *policy, const char *word, size_t len)
{
    for (enum command command = COMMAND_APPROVE; command <= COMMAND_HELP; command++) {
        const char *name = command_word(policy, command);
        if (strlen(name) == len && strncasecmp(name, word, len) == 0)
            return command;
    }
    return COMMAND_UNKNOWN;
}

static bool may_name_commit(enum command command)
{
    return command == COMMAND_APPROVE || command == COMMAND_RERUN || command == COMMAND_CANCEL;
}

/* What stands behind the prefix. */
static void read_command(struct command_line *out, const struct policy *policy, struct line *line)
{
    const char *word;
    size_t len = take_word(line, &word);
    out->command = find_word(policy, word, len);
    if (out->command == COMMAND_UNKNOWN || (len = take_word(line, &word)) == 0)
        return;
    const char *more;
    bool named = may_name_commit(out->command) && len < sizeof out->sha_prefix && is_hex(word, len);
    if (!named || take_word(line, &more) > 0) {
        out->command = COMMAND_UNKNOWN;
        return;
    }
    memcpy(out->sha_prefix, word, len);
    out->sha_prefix[len] = '\0';
    text_fold(out->sha_prefix);
}

static void seek_command(struct scan *scan, const struct line *found)
{
    struct line line = *found;
    const char *prefix = scan->policy->command_prefix;
    if (!starts_fold(line.at, line.end, prefix))
        return;
    line.at += strlen(prefix);
    if (line.at < line.end && !is_blank(*line.at))
        return;
    if (scan->out->command == COMMAND_NONE)
        read_command(scan->out, scan->policy, &line);
    else
        *scan->out = (struct command_line){.command = COMMAND_SEVERAL};
}

/* ---- one line after the other ---- */

/* A list item ends with the first line that stands left of it, unless that is more of its text. */
static void leave_items(struct scan *scan, const struct line *line)
{
    if (scan->paragraph && !ends_paragraph(scan, line))
        return;
    while (scan->item_count > 0 && line->column < innermost(scan))
        scan->item_count--;
}

static void enter_items(struct scan *scan, struct line *line)
{
    size_t len;
    while (line->column < innermost(scan) + CODE_INDENT && !is_rule(line) &&
           (len = marker_len(line, scan->paragraph)) > 0) {
        line->at += len;
        line->column += len;
        size_t item = line->column + 1;
        skip_blanks(line);
        /* Further off it is code, that begins right behind the marker. */
        if (left(line) > 0 && line->column < item + CODE_INDENT)
            item = line->column;
        if (scan->item_count < ITEMS_MAX)
            scan->items[scan->item_count++] = item;
        scan->paragraph = scan->quoted = false;
        line->marked = true;
    }
}

/* True: the line is a fence's, or in one. */
static bool in_fence(struct scan *scan, const struct line *line)
{
    if (scan->fence == 0)
        return false;
    if (left(line) == 0)
        return true;
    if (line->column < scan->fence_item) {
        scan->fence = 0; /* with the list item that it was in */
        return false;
    }
    size_t len = *line->at == scan->fence ? run_of(line->at, line->end) : 0;
    struct line rest = *line;
    rest.at += len;
    skip_blanks(&rest);
    if (len >= scan->fence_len && left(&rest) == 0 && line->column < scan->fence_item + CODE_INDENT)
        scan->fence = 0;
    return true;
}

static void begin_html(struct scan *scan, const struct line *line)
{
    static const struct {
        const char *open, *close;
    } kinds[] = {{"<!--", "-->"}, {"<![CDATA[", "]]>"}, {"<?", "?>"}, {"<!", ">"}};
    const char *close = NULL;
    bool found = false;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && !found; i++) {
        found = starts_with(line->at, line->end, kinds[i].open);
        if (found)
            close = behind(line->at + 2, scan->end, kinds[i].close);
    }
    size_t which = hiding_at(line->at, line->end);
    if (!found && which < HIDING_COUNT) {
        found = true;
        close = end_of_element(scan, line->at, which);
    }
    scan->html = !found;
    if (found) /* the rest of the line that it ends in belongs to it */
        scan->hidden = close == NULL ? scan->end : end_of_line(close, scan->end);
}

/* True: it is no text. */
static bool begins_block(struct scan *scan, const struct line *line)
{
    bool is_code = line->column >= innermost(scan) + CODE_INDENT;
    if (*line->at == '>') {
        scan->quoted = true;
        return true;
    }
    if (is_code)
        return !scan->paragraph;
    size_t len = fence_len(line);
    if (len > 0) {
        scan->fence = *line->at;
        scan->fence_len = len;
        scan->fence_item = innermost(scan);
        scan->quoted = false;
        return true;
    }
    if (is_html(line)) {
        scan->quoted = false;
        begin_html(scan, line);
        return true;
    }
    return is_rule(line);
}

static void read_text(struct scan *scan, const struct line *line)
{
    bool heading = is_heading(line);
    if (!scan->paragraph || scan->text_end < line->end)
        scan->text_end = heading ? line->end : end_of_text(scan, line);
    if (line->column < CODE_INDENT && !line->marked)
        seek_command(scan, line);
    scan_text(scan, line->at, line->end);
    scan->paragraph = !heading;
}

static void read_line(struct scan *scan, struct line *line)
{
    if (line->start < scan->hidden) {
        if (scan->hidden >= line->end)
            return;
        if (scan->text_end < line->end)
            scan->text_end = line->end;
        scan_text(scan, scan->hidden, line->end);
        return;
    }
    if (in_fence(scan, line))
        return;
    if (left(line) == 0) {
        scan->quoted = scan->html = scan->paragraph = false;
        return;
    }
    if (scan->html)
        return;
    leave_items(scan, line);
    enter_items(scan, line);
    if (left(line) == 0 || begins_block(scan, line)) {
        scan->paragraph = false;
        return;
    }
    if (!scan->quoted)
        read_text(scan, line);
}

void command_parse(struct command_line *out, const struct policy *policy, const char *body, size_t len)
{
    *out = (struct command_line){.command = COMMAND_NONE};
    if (len == 0 || policy->command_prefix[0] == '\0')
        return;
    struct scan scan = {.policy = policy, .end = body + len, .out = out, .text_end = body, .hidden = body};
    for (const char *at = body; at < scan.end && out->command != COMMAND_SEVERAL;) {
        struct line line = line_at(at, scan.end);
        at = next_line(&line, scan.end);
        read_line(&scan, &line);
    }
}

const char *command_word(const struct policy *policy, enum command command)
{
    switch (command) {
    case COMMAND_APPROVE:
        return policy->command_approve;
    case COMMAND_RERUN:
        return policy->command_rerun;
    case COMMAND_CANCEL:
        return policy->command_cancel;
    case COMMAND_STATUS:
        return policy->command_status;
    case COMMAND_HELP:
        return policy->command_help;
    case COMMAND_NONE:
    case COMMAND_UNKNOWN:
    case COMMAND_SEVERAL:
    case COMMAND_END:
        break;
    }
    return "";
}

const char *command_name(enum command command)
{
    switch (command) {
    case COMMAND_NONE:
        return "none";
    case COMMAND_APPROVE:
        return "approve";
    case COMMAND_RERUN:
        return "rerun";
    case COMMAND_CANCEL:
        return "cancel";
    case COMMAND_STATUS:
        return "status";
    case COMMAND_HELP:
        return "help";
    case COMMAND_UNKNOWN:
        return "unknown";
    case COMMAND_SEVERAL:
        return "several";
    case COMMAND_END:
        break;
    }
    return "?";
}
