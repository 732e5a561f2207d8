/* The files of fcgi/templates, as they are, so that the program needs no path to find them. */
#include "page.h"

#include <stddef.h>
#include <string.h>

extern const char template_diagram[], template_error[], template_foot[], template_head[], template_pull[],
    template_rows[], template_setup[], template_setup_done[], template_status[], template_style[];

/* Each ends with a NUL, and is a C string. The Makefile knows that this file depends on them. */
#define EMBED(symbol, file)                                                                                  \
    __asm__(".pushsection .rodata\n.global " symbol "\n" symbol ":\n.incbin \"fcgi/templates/" file          \
            "\"\n.byte 0\n.popsection\n")

EMBED("template_diagram", "diagram.html");
EMBED("template_error", "error.html");
EMBED("template_foot", "foot.html");
EMBED("template_head", "head.html");
EMBED("template_pull", "pull.html");
EMBED("template_rows", "rows.html");
EMBED("template_setup", "setup.html");
EMBED("template_setup_done", "setup-done.html");
EMBED("template_status", "status.html");
EMBED("template_style", "style.css");

const char *templates_find(const char *name)
{
    static const struct {
        const char *name, *text;
    } templates[] = {
        {"diagram", template_diagram}, {"error", template_error},
        {"foot", template_foot},       {"head", template_head},
        {"pull", template_pull},       {"rows", template_rows},
        {"setup", template_setup},     {"setup-done", template_setup_done},
        {"status", template_status},
    };
    for (size_t i = 0; i < sizeof templates / sizeof *templates; i++)
        if (strcmp(templates[i].name, name) == 0)
            return templates[i].text;
    return NULL;
}

const char *templates_style(void)
{
    return template_style;
}
