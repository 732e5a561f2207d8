/* Which comments have a command, and which only look so. Each row is a body as GitHub would send it. */
#include "check.h"

#include <stdlib.h>

#include "prgate/command.h"
#include "prgate/text.h"

#define SHA "0123456789abcdef0123456789abcdef01234567"
#define FENCE "```\n"

static char prefix[] = "/ci", word_approve[] = "approve", word_rerun[] = "rerun", word_cancel[] = "cancel",
            word_status[] = "status", word_help[] = "help", off[] = "", other_prefix[] = "@gate.bot",
            word_go[] = "Go";

static const struct policy policy = {.command_prefix = prefix,
                                     .command_approve = word_approve,
                                     .command_rerun = word_rerun,
                                     .command_cancel = word_cancel,
                                     .command_status = word_status,
                                     .command_help = word_help};

struct row {
    const char *name, *body;
    enum command command;
    const char *sha;
};

static void check_row(const struct row *row)
{
    struct command_line line;
    command_parse(&line, &policy, row->body, strlen(row->body));
    check_str(row->name, "command", command_name(line.command), command_name(row->command));
    check_str(row->name, "sha", line.sha_prefix, row->sha == NULL ? "" : row->sha);
}

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check_row(&rows[i]);
}

static void test_commands(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"approve", "/ci approve " SHA, COMMAND_APPROVE, SHA},
        {"approve, seven digits", "/ci approve 0123456", COMMAND_APPROVE, "0123456"},
        {"approve, 64 digits", "/ci approve " SHA "0123456789abcdef01234567", COMMAND_APPROVE,
         SHA "0123456789abcdef01234567"},
        {"approve, capitals", "/ci approve ABCDEF0", COMMAND_APPROVE, "abcdef0"},
        {"approve, six digits", "/ci approve 012345", COMMAND_APPROVE, "012345"},
        {"approve, one digit", "/ci approve 0", COMMAND_APPROVE, "0"},
        {"approve without", "/ci approve", COMMAND_APPROVE, ""},
        {"approve, blank without", "/ci approve  \t ", COMMAND_APPROVE, ""},
        {"rerun", "/ci rerun", COMMAND_RERUN, ""},
        {"rerun of", "/ci rerun abcdef0", COMMAND_RERUN, "abcdef0"},
        {"cancel", "/ci cancel", COMMAND_CANCEL, ""},
        {"cancel of", "/ci cancel abcdef0", COMMAND_CANCEL, "abcdef0"},
        {"status", "/ci status", COMMAND_STATUS, NULL},
        {"help", "/ci help", COMMAND_HELP, NULL},
        {"letter case", "/CI ReRun", COMMAND_RERUN, NULL},
        {"tabs between", "/ci\tapprove\t" SHA "\t", COMMAND_APPROVE, SHA},
        {"blanks between", "/ci    approve    " SHA "   ", COMMAND_APPROVE, SHA},
        {"one space before", " /ci help", COMMAND_HELP, NULL},
        {"three spaces before", "   /ci help", COMMAND_HELP, NULL},
        {"LF", "/ci help\n", COMMAND_HELP, NULL},
        {"CR LF", "/ci approve " SHA "\r\n", COMMAND_APPROVE, SHA},
        {"CR", "/ci help\r", COMMAND_HELP, NULL},
        {"CR LF between", "Looks good.\r\n\r\n/ci approve " SHA "\r\n\r\nThanks!\r\n", COMMAND_APPROVE, SHA},
        {"text before", "Looks good.\n\n/ci help", COMMAND_HELP, NULL},
        {"text on the line before", "Looks good.\n/ci help", COMMAND_HELP, NULL},
        {"text on the line behind", "/ci help\nplease", COMMAND_HELP, NULL},
        {"emoji before", "\xf0\x9f\x9a\x80\n/ci help", COMMAND_HELP, NULL},
        {"empty lines", "\n\n\n/ci help\n\n", COMMAND_HELP, NULL},
        {"below a heading", "# Well\n/ci help", COMMAND_HELP, NULL},
        {"below a rule", "---\n/ci help", COMMAND_HELP, NULL},
        {"below a list", "- one\n- two\n\n/ci help", COMMAND_HELP, NULL},
        {"below a table", "| a | b |\n| - | - |\n| 1 | 2 |\n\n/ci help", COMMAND_HELP, NULL},
    };
    check_rows(rows, COUNT_OF(rows));
}

static void test_not_understood(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"alone", "/ci", COMMAND_UNKNOWN, NULL},
        {"alone with a blank", "/ci ", COMMAND_UNKNOWN, NULL},
        {"another word", "/ci foo", COMMAND_UNKNOWN, NULL},
        {"a word that begins so", "/ci approved " SHA, COMMAND_UNKNOWN, NULL},
        {"a part of a word", "/ci app " SHA, COMMAND_UNKNOWN, NULL},
        {"words behind the SHA", "/ci approve " SHA " please", COMMAND_UNKNOWN, NULL},
        {"no hex digits", "/ci approve HEAD", COMMAND_UNKNOWN, NULL},
        {"a branch", "/ci approve main", COMMAND_UNKNOWN, NULL},
        {"a g among the digits", "/ci approve 012345g", COMMAND_UNKNOWN, NULL},
        {"65 digits", "/ci approve " SHA "0123456789abcdef012345678", COMMAND_UNKNOWN, NULL},
        {"a SHA in backticks", "/ci approve `" SHA "`", COMMAND_UNKNOWN, NULL},
        {"a full stop", "/ci approve " SHA ".", COMMAND_UNKNOWN, NULL},
        {"status of", "/ci status " SHA, COMMAND_UNKNOWN, NULL},
        {"help with", "/ci help me", COMMAND_UNKNOWN, NULL},
        {"rerun everything", "/ci rerun all", COMMAND_UNKNOWN, NULL},
        {"a no-break space in it", "/ci approve\xc2\xa0" SHA, COMMAND_UNKNOWN, NULL},
        {"a look-alike word", "/ci \xd0\xb0pprove " SHA, COMMAND_UNKNOWN, NULL},
        {"full-width digits", "/ci approve \xef\xbc\x90\xef\xbc\x91\xef\xbc\x92", COMMAND_UNKNOWN, NULL},
        {"a zero-width space in it", "/ci approve \xe2\x80\x8b" SHA, COMMAND_UNKNOWN, NULL},
        {"two", "/ci approve " SHA "\n/ci rerun", COMMAND_SEVERAL, NULL},
        {"the same twice", "/ci help\n\n/ci help", COMMAND_SEVERAL, NULL},
        {"one known, one not", "/ci help\n/ci foo", COMMAND_SEVERAL, NULL},
        {"one not known, one is", "/ci foo\n/ci rerun", COMMAND_SEVERAL, NULL},
        {"three", "/ci help\n/ci rerun\n/ci cancel", COMMAND_SEVERAL, NULL},
    };
    check_rows(rows, COUNT_OF(rows));
}

static void test_no_command(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"nothing", "", COMMAND_NONE, NULL},
        {"a line end", "\n", COMMAND_NONE, NULL},
        {"text", "Looks good to me.", COMMAND_NONE, NULL},
        {"a longer name", "/cifoo", COMMAND_NONE, NULL},
        {"a longer name with a word", "/ci-approve approve " SHA, COMMAND_NONE, NULL},
        {"a path", "/ci/approve " SHA, COMMAND_NONE, NULL},
        {"a colon", "/ci: approve " SHA, COMMAND_NONE, NULL},
        {"a no-break space behind",
         "/ci\xc2\xa0"
         "approve " SHA,
         COMMAND_NONE, NULL},
        {"a look-alike slash",
         "\xe2\x81\x84"
         "ci approve " SHA,
         COMMAND_NONE, NULL},
        {"a look-alike letter", "/\xd1\x81i approve " SHA, COMMAND_NONE, NULL},
        {"a zero-width space before", "\xe2\x80\x8b/ci help", COMMAND_NONE, NULL},
        {"a mark of byte order before", "\xef\xbb\xbf/ci help", COMMAND_NONE, NULL},
        {"a no-break space before", "\xc2\xa0/ci help", COMMAND_NONE, NULL},
        {"a line separator before", "x\xe2\x80\xa8/ci help", COMMAND_NONE, NULL},
        {"a form feed before", "\f/ci help", COMMAND_NONE, NULL},
        {"within a line", "please /ci approve " SHA, COMMAND_NONE, NULL},
        {"escaped", "\\/ci help", COMMAND_NONE, NULL},
        {"in bold", "**/ci help**", COMMAND_NONE, NULL},
        {"in a heading", "# /ci help", COMMAND_NONE, NULL},
        {"in a list", "- /ci help", COMMAND_NONE, NULL},
        {"in a numbered list", "1. /ci help", COMMAND_NONE, NULL},
        {"in a list of tasks", "- [ ] /ci help", COMMAND_NONE, NULL},
        {"in a table", "| /ci help |", COMMAND_NONE, NULL},
        {"in quotation marks", "\"/ci help\"", COMMAND_NONE, NULL},
    };
    check_rows(rows, COUNT_OF(rows));
}

static void test_quotes(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"a quote", "> /ci help", COMMAND_NONE, NULL},
        {"without a blank", ">/ci help", COMMAND_NONE, NULL},
        {"indented", "   > /ci help", COMMAND_NONE, NULL},
        {"of a quote", "> > /ci help", COMMAND_NONE, NULL},
        {"continued lazily", "> somebody said\n/ci help", COMMAND_NONE, NULL},
        {"continued lazily twice", "> somebody said\nso\n/ci help", COMMAND_NONE, NULL},
        {"of a quote, continued lazily", "> > somebody said\n/ci help", COMMAND_NONE, NULL},
        {"in a list", "- > /ci help\n/ci help", COMMAND_NONE, NULL},
        {"in a list, continued in it", "- > so\n  /ci help", COMMAND_NONE, NULL},
        {"over", "> somebody said\n\n/ci help", COMMAND_HELP, NULL},
        {"over, CR LF", "> /ci rerun\r\n\r\n/ci help\r\n", COMMAND_HELP, NULL},
        {"over by a line of blanks", "> so\n  \t\n/ci help", COMMAND_HELP, NULL},
        {"with a fence", "> " FENCE "> /ci help\n> " FENCE "\n/ci help", COMMAND_HELP, NULL},
        {"a fence below", "> so\n" FENCE "\n/ci help\n" FENCE, COMMAND_NONE, NULL},
        {"a fence below, and over", "> so\n" FENCE "x\n" FENCE "/ci help", COMMAND_HELP, NULL},
        {"an alert", "> [!NOTE]\n> /ci help\n", COMMAND_NONE, NULL},
        {"of code", ">     /ci help\n", COMMAND_NONE, NULL},
        {"a reply by mail", "/ci status\n\nOn Mon, Ann wrote:\n> /ci approve " SHA "\n> -- \n> Ann\n",
         COMMAND_STATUS, NULL},
        {"prgate's own help, quoted", "> - `/ci approve SHA`: CI may run\n> - `/ci rerun`\n\nthanks",
         COMMAND_NONE, NULL},
    };
    check_rows(rows, COUNT_OF(rows));
}

static void test_code(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"four spaces", "    /ci help", COMMAND_NONE, NULL},
        {"four spaces below text", "text\n    /ci help", COMMAND_NONE, NULL},
        {"a tab", "\t/ci help", COMMAND_NONE, NULL},
        {"a space and a tab", " \t/ci help", COMMAND_NONE, NULL},
        {"a fence", FENCE "/ci help\n" FENCE, COMMAND_NONE, NULL},
        {"a fence of tildes", "~~~\n/ci help\n~~~", COMMAND_NONE, NULL},
        {"CR LF", "```\r\n/ci help\r\n```\r\n", COMMAND_NONE, NULL},
        {"a language", "```sh\n/ci help\n" FENCE, COMMAND_NONE, NULL},
        {"indented", "   ```\n/ci help\n   ```", COMMAND_NONE, NULL},
        {"below text", "text\n" FENCE "/ci help\n" FENCE, COMMAND_NONE, NULL},
        {"not closed", FENCE "/ci help\n\n/ci help\n", COMMAND_NONE, NULL},
        {"closed by fewer", "````\n" FENCE "/ci help\n````", COMMAND_NONE, NULL},
        {"closed by more", FENCE "x\n`````\n/ci help", COMMAND_HELP, NULL},
        {"closed by the other", FENCE "~~~\n/ci help\n" FENCE, COMMAND_NONE, NULL},
        {"closed with a language", FENCE "```sh\n/ci help\n" FENCE, COMMAND_NONE, NULL},
        {"closed, four spaces", FENCE "    ```\n/ci help\n" FENCE, COMMAND_NONE, NULL},
        {"closed, blanks behind", FENCE "x\n```  \n/ci help", COMMAND_HELP, NULL},
        {"over", FENCE "/ci rerun\n" FENCE "/ci help", COMMAND_HELP, NULL},
        {"two, and between", FENCE "x\n" FENCE "/ci help\n" FENCE "y\n" FENCE, COMMAND_HELP, NULL},
        {"two backticks are none", "``\n/ci help", COMMAND_HELP, NULL},
        {"a fence with a backtick behind is none", "``` a`b\n/ci help", COMMAND_HELP, NULL},
        {"tildes with a backtick behind", "~~~ a`b\n/ci help\n~~~", COMMAND_NONE, NULL},
        {"in a list", "- " FENCE "  /ci help\n  " FENCE, COMMAND_NONE, NULL},
        {"in a list, below", "- one\n\n  " FENCE "  /ci help\n  " FENCE, COMMAND_NONE, NULL},
        {"in a list, over with it", "- " FENCE "  x\n\n/ci help", COMMAND_HELP, NULL},
        {"in a list, another begins", "- " FENCE "  x\n" FENCE "/ci help\n" FENCE, COMMAND_NONE, NULL},
        {"in a list, closed further right", "- a\n\n  " FENCE "  x\n     ```\n\n" FENCE "/ci help\n" FENCE,
         COMMAND_NONE, NULL},
        {"in a numbered list", "1. " FENCE "   /ci help\n   " FENCE, COMMAND_NONE, NULL},
        {"in a list of lists", "- - " FENCE "    /ci help\n    ```\n\n/ci help", COMMAND_HELP, NULL},
        {"a rule is no list", "- - -\n" FENCE "/ci help\n" FENCE, COMMAND_NONE, NULL},
        {"a span", "`/ci help`", COMMAND_NONE, NULL},
        {"a span over lines", "as in `this\n/ci help\nthat` there", COMMAND_NONE, NULL},
        {"a span of two over lines", "``this\n/ci help\n`that``", COMMAND_NONE, NULL},
        {"a span that another length does not end", "``this\n/ci help\nthat`", COMMAND_HELP, NULL},
        {"a span that a paragraph ends", "`this\n\n/ci help\n\nthat`", COMMAND_HELP, NULL},
        {"a span that a fence ends", "`this\n/ci help\n" FENCE "`\n" FENCE, COMMAND_HELP, NULL},
        {"a span that is over", "as `this` says\n/ci help\nand `that`", COMMAND_HELP, NULL},
        {"a span that begins behind another", "`a` and `b\n/ci help\nc`", COMMAND_NONE, NULL},
        {"an escaped backtick", "\\`this\n/ci help\nthat`", COMMAND_HELP, NULL},
        {"an escaped backslash", "\\\\`this\n/ci help\nthat`", COMMAND_NONE, NULL},
        {"a span in a list, over lazily", "- `this\n/ci help\nthat`", COMMAND_NONE, NULL},
        {"a span over many lines", "`\na\nb\nc\nd\n/ci help\ne\n`", COMMAND_NONE, NULL},
    };
    check_rows(rows, COUNT_OF(rows));
}

static void test_html(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"a comment", "<!--\n/ci help\n-->", COMMAND_NONE, NULL},
        {"a comment on a line", "<!-- /ci help -->", COMMAND_NONE, NULL},
        {"a comment with empty lines", "<!--\n\n/ci help\n\n-->", COMMAND_NONE, NULL},
        {"a comment with a fence", "<!--\n" FENCE "-->\n/ci help", COMMAND_HELP, NULL},
        {"a comment over", "<!-- how to\n-->\n/ci help", COMMAND_HELP, NULL},
        {"a comment not closed", "<!--\n\n/ci help", COMMAND_NONE, NULL},
        {"behind a comment on a line", "<!-- x --> y\n/ci help", COMMAND_HELP, NULL},
        {"a comment within text", "text <!-- hidden\n/ci help\n-->", COMMAND_NONE, NULL},
        {"a comment within text, not closed there", "text <!-- x\n\n/ci help", COMMAND_HELP, NULL},
        {"a comment in a fence", FENCE "<!--\n" FENCE "/ci help", COMMAND_HELP, NULL},
        {"an empty comment", "<!-->\n/ci help", COMMAND_HELP, NULL},
        {"of a template", "<!-- Write\n/ci approve " SHA "\nto approve -->\n\n/ci help\n", COMMAND_HELP,
         NULL},
        {"pre", "<pre>\n/ci help\n</pre>", COMMAND_NONE, NULL},
        {"pre with an empty line", "<pre>\n\n/ci help\n</pre>", COMMAND_NONE, NULL},
        {"pre over", "<pre>\nx\n</pre>\n/ci help", COMMAND_HELP, NULL},
        {"pre not closed", "<pre>\n\n/ci help", COMMAND_NONE, NULL},
        {"pre, attributes, capitals", "<PRE lang=\"sh\">\n\n/ci help\n</PRE>", COMMAND_NONE, NULL},
        {"code", "<code>\n/ci help\n</code>", COMMAND_NONE, NULL},
        {"code with an empty line", "<code>\n\n/ci help\n\n</code>", COMMAND_NONE, NULL},
        {"pre and code", "<pre><code>\n\n/ci help\n\n</code></pre>\n", COMMAND_NONE, NULL},
        {"code within text", "as <code>this\n\n/ci help\n\nthat</code>", COMMAND_NONE, NULL},
        {"code within text, not closed", "as <code> this\n\n/ci help", COMMAND_HELP, NULL},
        {"another name", "text <coder> x\n\n/ci help\n</coder>", COMMAND_HELP, NULL},
        {"another closing name", "<pre>\n</prefix>\n\n/ci help\n</pre>", COMMAND_NONE, NULL},
        {"a quotation", "<blockquote>\n\n/ci help\n\n</blockquote>", COMMAND_NONE, NULL},
        {"a quotation in another",
         "<blockquote>\n<blockquote>\nx\n</blockquote>\n\n/ci help\n\n</blockquote>", COMMAND_NONE, NULL},
        {"a quotation over", "<blockquote>x</blockquote>\n\n/ci help", COMMAND_HELP, NULL},
        {"script", "<script>\n\n/ci help\n</script>", COMMAND_NONE, NULL},
        {"a block", "<div>\n/ci help\n</div>", COMMAND_NONE, NULL},
        {"a block over", "<div>x</div>\n\n/ci help", COMMAND_HELP, NULL},
        {"details", "<details>\n/ci help\n</details>", COMMAND_NONE, NULL},
        {"an instruction", "<?php\n\n/ci help\n?>", COMMAND_NONE, NULL},
        {"CDATA", "<![CDATA[\n\n/ci help\n]]>", COMMAND_NONE, NULL},
        {"a declaration", "<!X\n/ci help\n>", COMMAND_NONE, NULL},
        {"an attribute over lines", "see <a title=\"\n/ci help\n\">x</a>", COMMAND_NONE, NULL},
        {"a link", "see <https://example.com/x>\n/ci help", COMMAND_HELP, NULL},
        {"a link first", "<https://example.com/x>\n/ci help", COMMAND_HELP, NULL},
        {"less than", "1 < 2\n/ci help", COMMAND_HELP, NULL},
        {"an arrow", "<- this\n/ci help", COMMAND_HELP, NULL},
        {"a tag that is not closed", "x <y\n/ci help", COMMAND_HELP, NULL},
    };
    check_rows(rows, COUNT_OF(rows));
}

static void test_names(void **state)
{
    (void)state;
    struct policy named = policy;
    struct command_line line;
    named.command_prefix = other_prefix;
    named.command_approve = word_go;
    command_parse(&line, &named, "@Gate.Bot go " SHA, strlen("@Gate.Bot go " SHA));
    check_str("named", "command", command_name(line.command), "approve");
    check_str("named", "sha", line.sha_prefix, SHA);
    command_parse(&line, &named, "/ci approve " SHA, strlen("/ci approve " SHA));
    check_str("the default is no command then", "command", command_name(line.command), "none");
    command_parse(&line, &named, "@gate.bot approve " SHA, strlen("@gate.bot approve " SHA));
    check_str("the default's word is unknown", "command", command_name(line.command), "unknown");
    check_str("word", "approve", command_word(&named, COMMAND_APPROVE), "Go");
    check_str("word", "unknown", command_word(&named, COMMAND_UNKNOWN), "");

    named.command_prefix = off;
    command_parse(&line, &named, "/ci help", strlen("/ci help"));
    check_str("off", "command", command_name(line.command), "none");
    command_parse(&line, &named, " help", strlen(" help"));
    check_str("off", "a word alone", command_name(line.command), "none");
}

/* The body need not end with a NUL, and nothing behind its end is looked at. */
static void test_bounds(void **state)
{
    (void)state;
    static const char *const bodies[] = {("/ci approve " SHA),
                                         "`a\n/ci help\n`",
                                         "<pre>\n/ci help\n</pre>",
                                         "<",
                                         "</",
                                         "<!-",
                                         "- ",
                                         "1.",
                                         "```",
                                         "\\",
                                         "~~~\r",
                                         "<pre",
                                         "text <code"};
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        for (size_t len = 0; len <= strlen(bodies[i]); len++) {
            struct command_line line;
            char *exact = malloc(len + 1); /* the sanitizers watch its end */
            assert_non_null(exact);
            memcpy(exact, bodies[i], len);
            exact = realloc(exact, len == 0 ? 1 : len);
            assert_non_null(exact);
            command_parse(&line, &policy, exact, len);
            assert_true(line.command < COMMAND_END);
            free(exact);
        }
    }
    struct command_line line;
    command_parse(&line, &policy, "/ci help me", strlen("/ci help"));
    check_str("cut", "command", command_name(line.command), "help");
}

/* 64k characters of what takes long to take apart badly, and a command at the end. */
static void test_large_bodies(void **state)
{
    (void)state;
    static const struct {
        const char *part, *end;
        enum command command;
    } rows[] = {
        {"word ", "\n/ci help", COMMAND_HELP},      {"\xf0\x9f\x9a\x80", "\n/ci help", COMMAND_HELP},
        {"\n", "/ci help", COMMAND_HELP},           {"a\n", "/ci help", COMMAND_HELP},
        {"x <a ", "\n/ci help", COMMAND_HELP},      {"x <!-- ", "\n/ci help", COMMAND_HELP},
        {"x <code ", "\n\n/ci help", COMMAND_HELP}, {"<pre>", "\n\n/ci help", COMMAND_NONE},
        {"x`", "\n\n/ci help", COMMAND_HELP},       {"> a\n", "\n/ci help", COMMAND_HELP},
        {"- ", "\n\n/ci help", COMMAND_HELP},       {"- a\n", "\n/ci help", COMMAND_HELP},
        {"```\n", "\n/ci help", COMMAND_HELP},      {"`\n/ci help\n`\n\n", "/ci help", COMMAND_HELP},
        {"/ci help\n", "", COMMAND_SEVERAL},        {"\\", "\n\n/ci help", COMMAND_HELP},
    };
    enum { SIZE = 65536 };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct command_line line;
        size_t part = strlen(rows[i].part), len = 0;
        char *body = malloc(SIZE + 64);
        assert_non_null(body);
        for (size_t n = SIZE / part & ~(size_t)1; n > 0;
             n--, len += part) /* an even number closes what it opens */
            memcpy(body + len, rows[i].part, part);
        strcpy(body + len, rows[i].end);
        command_parse(&line, &policy, body, strlen(body));
        check_str(rows[i].part, "command", command_name(line.command), command_name(rows[i].command));
        free(body);
    }
}

/* A run of each length: each looks for its like in vain. */
static void test_backticks_of_every_length(void **state)
{
    (void)state;
    struct command_line line;
    char *body = malloc(70000);
    assert_non_null(body);
    size_t len = 0;
    for (size_t run = 1; len + run + 1 < 65536; run++) {
        body[len++] = 'x';
        memset(body + len, '`', run);
        len += run;
    }
    strcpy(body + len, "\n/ci help");
    command_parse(&line, &policy, body, strlen(body));
    check_str("runs", "command", command_name(line.command), "help");
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands),     cmocka_unit_test(test_not_understood),
        cmocka_unit_test(test_no_command),   cmocka_unit_test(test_quotes),
        cmocka_unit_test(test_code),         cmocka_unit_test(test_html),
        cmocka_unit_test(test_names),        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_large_bodies), cmocka_unit_test(test_backticks_of_every_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
