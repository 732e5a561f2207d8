/*
 * With --json: what is complained of on stderr, for the JSON on stdout as well.
 *
 * Whatever the commands say to people goes through as it comes. Lines that begin with "prgatectl: " are kept: they say
 * why a command failed. The usage stands for itself.
 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "prgate/buf.h"

struct complaints {
    FILE *real, *seen; /* stderr as it was, and as it is meanwhile */
    struct buf line;   /* as far as it has come */
    struct buf text;   /* the sentences, "; " between them */
};

static void keep_line(struct complaints *complaints)
{
    static const char prefix[] = "prgatectl: ";
    static const char usage[] = "usage: ";
    const char *line = buf_text(&complaints->line);
    const char *kept = NULL;
    if (strncmp(line, prefix, sizeof prefix - 1) == 0)
        kept = line + sizeof prefix - 1;
    else if (strncmp(line, usage, sizeof usage - 1) == 0)
        kept = "the command line is wrong: see prgatectl --help";
    if (kept != NULL && complaints->text.len > 0)
        buf_adds(&complaints->text, "; ");
    if (kept != NULL)
        buf_adds(&complaints->text, kept);
    buf_clear(&complaints->line);
}

static ssize_t see(void *cookie, const char *bytes, size_t len)
{
    struct complaints *complaints = cookie;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == '\n')
            keep_line(complaints);
        else if (bytes[i] == '\r') /* of a progress bar */
            buf_clear(&complaints->line);
        else
            buf_addc(&complaints->line, bytes[i]);
    }
    return (ssize_t)fwrite(bytes, 1, len, complaints->real);
}

struct complaints *complaints_begin(void)
{
    struct complaints *complaints = mem_alloc(sizeof *complaints);
    *complaints = (struct complaints){.real = stderr};
    buf_init(&complaints->line);
    buf_init(&complaints->text);
    complaints->seen = fopencookie(complaints, "w", (cookie_io_functions_t){.write = see});
    if (complaints->seen != NULL) {
        setvbuf(complaints->seen, NULL, _IONBF, 0);
        stderr = complaints->seen;
    }
    return complaints;
}

void complaints_end(struct complaints *complaints, enum exit_status status)
{
    stderr = complaints->real;
    if (complaints->seen != NULL)
        fclose(complaints->seen);
    if (status != EXIT_OK && complaints->text.len > 0) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "error", buf_text(&complaints->text));
        cJSON_AddNumberToObject(object, "status", status);
        cli_print_json_line(object);
    }
    buf_release(&complaints->line);
    buf_release(&complaints->text);
    free(complaints);
}
