/*
 * A patch counts if it adds a line that is neither blank, nor a comment, nor among those that it takes away. So
 * deleting, commenting out, re-indenting and any mixture of them do not. Only the new file's lines, context and
 * additions, are asked for comments.
 */
#include "prgate/patch.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "prgate/buf.h"

struct language {
    const char *line; /* what a comment to the end of the line begins with; NULL: there is none */
    const char *open; /* of a comment that may have several lines; NULL: there is none */
    const char *close;
    bool indented;            /* what a line begins with is part of the program */
    const char *const *names; /* ".c", or a whole file's name; NULL ends the list */
    const char *directive;    /* what looks like a comment and is none; NULL: nothing */
};

static const char *const c_names[] = {".c",   ".h",     ".cc",     ".cpp",   ".cxx",   ".hh",     ".hpp",
                                      ".hxx", ".m",     ".mm",     ".cs",    ".java",  ".js",     ".jsx",
                                      ".mjs", ".cjs",   ".ts",     ".kt",    ".kts",   ".dart",   ".tsx",
                                      ".rs",  ".swift", ".gradle", ".proto", ".scala", ".groovy", NULL};
static const char *const go_names[] = {".go", NULL};
static const char *const hash_names[] = {".sh",    ".bash",          ".zsh", ".rb",  ".pl",
                                         ".cmake", ".toml",          ".gn",  ".gni", ".tf",
                                         ".r",     "CMakeLists.txt", NULL};
static const char *const indented_names[] = {".py", ".pyi",  ".yaml",    ".yml",        ".bzl",
                                             ".mk", ".star", "Makefile", "GNUmakefile", NULL};
static const char *const markup_names[] = {".html", ".htm", ".xml", ".md", ".markdown", ".svg", NULL};

static const struct language languages[] = {
    {"//", "/*", "*/", false, c_names, NULL},         {"//", "/*", "*/", false, go_names, "//go:"},
    {"#", NULL, NULL, false, hash_names, "#!"},       {"#", NULL, NULL, true, indented_names, "#!"},
    {NULL, "<!--", "-->", false, markup_names, NULL},
};

/* NULL: not known, so nothing in it is a comment. */
static const struct language *language_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    const char *ending = strrchr(name, '.');
    for (size_t i = 0; i < sizeof languages / sizeof languages[0]; i++)
        for (const char *const *known = languages[i].names; *known != NULL; known++)
            if (**known == '.' ? ending != NULL && ending != name && strcasecmp(ending, *known) == 0
                               : strcmp(name, *known) == 0)
                return &languages[i];
    return NULL;
}

struct line {
    const char *text; /* without the patch's own first character */
    size_t len;
};

static bool begins(const struct line *line, const char *with)
{
    size_t len = strlen(with);
    return line->len >= len && memcmp(line->text, with, len) == 0;
}

static void skip(struct line *line, size_t len)
{
    line->text += len;
    line->len -= len;
}

static void skip_blanks(struct line *line)
{
    while (line->len > 0 && isspace((unsigned char)*line->text))
        skip(line, 1);
}

/* Behind the comment's end, if that is in the line. */
static bool skip_comment(const struct language *language, struct line *line)
{
    const char *close = memmem(line->text, line->len, language->close, strlen(language->close));
    if (close == NULL)
        return false;
    skip(line, (size_t)(close - line->text) + strlen(language->close));
    return true;
}

/*
 * Is there nothing but comment in it? *inside: it begins within one that the hunk has shown the beginning of; set for
 * the next line. What a line of code opens is not looked for: it might be within quotes. Its other lines count then.
 */
static bool is_comment(const struct language *language, struct line line, bool *inside)
{
    bool some = *inside;
    if (*inside && !skip_comment(language, &line))
        return true;
    *inside = false;
    for (;;) {
        skip_blanks(&line);
        if (line.len == 0)
            return some;
        if (language->directive != NULL && begins(&line, language->directive))
            return false;
        if (language->line != NULL && begins(&line, language->line))
            return true;
        if (language->open == NULL || !begins(&line, language->open))
            return false;
        skip(&line, strlen(language->open));
        some = true;
        if (!skip_comment(language, &line)) {
            *inside = true;
            return true;
        }
    }
}

/* ---- lines without their blanks ---- */

/* Those that count of one side, one behind the other with a NUL each; sorted pointers to them are made at the end. */
struct side {
    struct buf text;
    size_t count;
};

/* false, and nothing is added: there is nothing but blanks in it. */
static bool side_add(struct side *side, const struct language *language, struct line line)
{
    size_t before = side->text.len;
    size_t indent = 0;
    while (language != NULL && language->indented && indent < line.len &&
           isspace((unsigned char)line.text[indent]))
        indent++;
    for (size_t i = 0; i < line.len; i++) {
        char c = line.text[i];
        if (c == '\0' || (isspace((unsigned char)c) && i >= indent))
            continue;
        buf_addc(&side->text, c);
    }
    if (side->text.len - before <= indent) {
        side->text.len = before;
        return false;
    }
    buf_addc(&side->text, '\0');
    side->count++;
    return true;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char **sorted(const struct side *side)
{
    const char **lines = mem_alloc((side->count + 1) * sizeof *lines);
    const char *at = (const char *)side->text.data;
    for (size_t i = 0; i < side->count; i++) {
        lines[i] = at;
        at += strlen(at) + 1;
    }
    qsort(lines, side->count, sizeof *lines, compare);
    return lines;
}

/* Is each of `some` among `others`, as often as it is there? */
static bool all_among(const struct side *some, const struct side *others)
{
    if (some->count == 0)
        return true;
    const char **needles = sorted(some);
    const char **hay = sorted(others);
    size_t found = 0;
    for (size_t i = 0; i < others->count && found < some->count; i++)
        if (strcmp(needles[found], hay[i]) == 0)
            found++;
    free(needles);
    free(hay);
    return found == some->count;
}

/* ---- a patch ---- */

struct reading {
    const struct language *language;
    struct side added; /* what is neither blank nor comment */
    struct side deleted;
    bool inside;
};

static void read_line(struct reading *reading, const struct line *whole)
{
    struct line line = *whole;
    char mark = ' '; /* what an empty line of context is at times cut down to */
    if (line.len > 0) {
        mark = *line.text;
        skip(&line, 1);
    }
    if (mark == '@')
        reading->inside = false; /* what lies between hunks is not shown */
    if (mark == '-')
        side_add(&reading->deleted, reading->language, line);
    if (mark != '+' && mark != ' ')
        return; /* "\ No newline at end of file" */
    bool comment = reading->language != NULL && is_comment(reading->language, line, &reading->inside);
    if (mark == '+' && !comment)
        side_add(&reading->added, reading->language, line);
}

static bool read_patch(const struct patch_file *file)
{
    struct reading reading = {.language = language_of(file->name)};
    const char *at = file->patch;
    buf_init(&reading.added.text);
    buf_init(&reading.deleted.text);
    while (*at != '\0') {
        struct line line = {.text = at, .len = strcspn(at, "\n")};
        at += line.len;
        at += *at == '\n' ? 1 : 0;
        read_line(&reading, &line);
    }
    bool counts = !all_among(&reading.added, &reading.deleted);
    buf_release(&reading.added.text);
    buf_release(&reading.deleted.text);
    return counts;
}

bool patch_counts(const struct patch_file *file)
{
    if (strcmp(file->status, "removed") == 0 || strcmp(file->status, "unchanged") == 0)
        return false;
    if (file->patch != NULL)
        return read_patch(file);
    if (file->additions == 0 && file->deletions > 0)
        return false;
    /* Of a binary file GitHub counts no lines, so one that is renamed and changed looks like one that is renamed. */
    return strcmp(file->status, "renamed") != 0 || file->additions > 0;
}
