/*
 * Which comments have a command. The input is a comment's body; what is made of it by quoting it, by showing it as
 * code, or by other line ends is held against the body itself.
 */
#include "fuzz.h"

#include <strings.h>

#include "prgate/command.h"

static struct config *config;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    fuzz_setup();
    config = fuzz_config();
    return 0;
}

static struct command_line parse(const void *body, size_t len)
{
    struct command_line line;
    command_parse(&line, &config->policies[0], body, len);
    MUST(line.command < COMMAND_END);
    size_t digits = strlen(line.sha_prefix);
    MUST(strspn(line.sha_prefix, "0123456789abcdef") == digits);
    MUST(digits == 0 || line.command == COMMAND_APPROVE || line.command == COMMAND_RERUN ||
         line.command == COMMAND_CANCEL);
    return line;
}

static bool ends_line(uint8_t c)
{
    return c == '\n' || c == '\r';
}

/* Before each line. */
static struct command_line parse_with(const char *before, const uint8_t *data, size_t size)
{
    struct buf text;
    buf_init(&text);
    buf_adds(&text, before);
    for (size_t i = 0; i < size; i++) {
        buf_addc(&text, (char)data[i]);
        if (data[i] == '\n' || (data[i] == '\r' && (i + 1 == size || data[i + 1] != '\n')))
            buf_adds(&text, before);
    }
    struct command_line line = parse(text.data, text.len);
    buf_release(&text);
    return line;
}

/* In a fence that nothing in it ends. */
static struct command_line parse_fenced(const uint8_t *data, size_t size)
{
    struct buf text;
    size_t longest = 2;
    for (size_t i = 0, run = 0; i < size; i++) {
        run = data[i] == '~' ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    buf_init(&text);
    for (size_t i = 0; i <= longest; i++)
        buf_addc(&text, '~');
    buf_addc(&text, '\n');
    buf_add(&text, data, size);
    struct command_line line = parse(text.data, text.len);
    buf_release(&text);
    return line;
}

static struct command_line parse_with_crlf(const uint8_t *data, size_t size)
{
    struct buf text;
    buf_init(&text);
    for (size_t i = 0; i < size; i++) {
        if (data[i] == '\n')
            buf_addc(&text, '\r');
        buf_addc(&text, (char)data[i]);
    }
    struct command_line line = parse(text.data, text.len);
    buf_release(&text);
    return line;
}

/* A line that begins with the prefix is there at all, with at most three spaces before it. */
static bool has_prefix_at_a_line(const uint8_t *data, size_t size)
{
    const char *prefix = config->policies[0].command_prefix;
    size_t len = strlen(prefix);
    for (size_t at = 0; at < size; at++) {
        if (at > 0 && !ends_line(data[at - 1]))
            continue;
        size_t spaces = 0;
        while (spaces < 3 && at + spaces < size && data[at + spaces] == ' ')
            spaces++;
        if (size - at - spaces >= len && strncasecmp((const char *)data + at + spaces, prefix, len) == 0)
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct command_line line = parse(data, size);
    MUST(line.command == COMMAND_NONE || has_prefix_at_a_line(data, size));
    MUST(parse_with("> ", data, size).command == COMMAND_NONE);
    MUST(parse_with("    ", data, size).command == COMMAND_NONE);
    MUST(parse_fenced(data, size).command == COMMAND_NONE);
    if (size == 0 || memchr(data, '\r', size) == NULL) {
        struct command_line crlf = parse_with_crlf(data, size);
        MUST(crlf.command == line.command && strcmp(crlf.sha_prefix, line.sha_prefix) == 0);
    }
    return 0;
}
