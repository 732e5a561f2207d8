/*
 * What an operator gets wrong, and the words for it: limits, URLs, things given
 * twice, secrets in two places, files that are not what they should be.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "prgate/buf.h"
#include "prgate/config.h"

#define X10 "xxxxxxxxxx"
#define X50 X10 X10 X10 X10 X10
#define ROCKET "\xf0\x9f\x9a\x80"
#define ROCKET10 ROCKET ROCKET ROCKET ROCKET ROCKET ROCKET ROCKET ROCKET ROCKET ROCKET

#define TOP "state_dir = \"/s\"\nwebhook_secret_file = \"@/secret\"\n"
#define DRY TOP "dry_run = true\n"
#define REPO "repo \"o/r\" { }\n"

static char dir[] = "/tmp/prgate-unit-XXXXXX";
static const char *const files[] = {"secret", "token", "key",  "newlines", "nul",
                                    "blank",  "long",  "fifo", "conf"};

static void path_of(const char *name, char out[128])
{
    snprintf(out, 128, "%s/%s", dir, name);
}

static void put_file(const char *name, const void *bytes, size_t len)
{
    char path[128];
    path_of(name, path);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    fclose(file);
    assert_int_equal(chmod(path, 0640), 0);
}

static int make_files(void **state)
{
    static char long_token[501];
    char path[128];
    (void)state;
    if (mkdtemp(dir) == NULL)
        return -1;
    memset(long_token, 'x', sizeof long_token);
    put_file("secret", "hush\r\n\n", 7);
    put_file("token", "ghs_token\n", 10);
    put_file("key", "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n", 56);
    put_file("newlines", "\n\r\n", 3);
    put_file("nul", "hu\0sh", 5);
    put_file("blank", "two words", 9);
    put_file("long", long_token, sizeof long_token);
    path_of("fifo", path);
    return mkfifo(path, 0600);
}

static int remove_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        char path[128];
        path_of(files[i], path);
        unlink(path);
    }
    return rmdir(dir);
}

/* "@/" in the text stands for the directory. */
static enum err_code open_text(struct config **config, const char *text, struct err *err)
{
    struct buf file;
    char path[128];
    buf_init(&file);
    for (; *text != '\0'; text++) {
        if (text[0] == '@' && text[1] == '/')
            buf_adds(&file, dir);
        else
            buf_addc(&file, *text);
    }
    put_file("conf", file.data, file.len);
    buf_release(&file);
    path_of("conf", path);
    return config_open(config, path, err);
}

struct row {
    const char *name;
    const char *text;
    const char *says; /* NULL: it is accepted; else what the message has behind the file's name */
};

static void check_row(const struct row *row)
{
    struct config *config = NULL;
    struct err err = {0};
    char path[128];
    enum err_code code = open_text(&config, row->text, &err);
    path_of("conf", path);
    if (row->says == NULL) {
        if (code != ERR_OK)
            fail_msg("%s: got \"%s\", want no error", row->name, err.text);
        config_close(config);
        return;
    }
    check_str(row->name, "code", err_code_name(code), "reject");
    check_bool(row->name, "config untouched", config == NULL, true);
    check_int(row->name, "file comes first", strncmp(err.text, path, strlen(path)), 0);
    check_contains(row->name, "error", err.text + strlen(path), row->says);
}

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check_row(&rows[i]);
}

#define API(url) DRY "github { api_url = \"" url "\" }\n" REPO

static void only_this_host_may_do_without_tls(void **state)
{
    static const struct row rows[] = {
        {"https", API("https://ghe.example/api/v3"), NULL},
        {"https with a port", API("https://ghe.example:8443"), NULL},
        {"loopback", API("http://127.0.0.1:9000/x"), NULL},
        {"all of 127/8", API("http://127.9.8.7"), NULL},
        {"localhost", API("http://LocalHost:9000"), NULL},
        {"IPv6 loopback", API("http://[::1]:9000"), NULL},
        {"http elsewhere", API("http://api.github.com"), ":4: api_url: "},
        {"looks like loopback, is a name", API("http://127.0.0.1.evil.example"), "https://"},
        {"looks like loopback, is a user", API("http://127.0.0.1@evil.example/"), "is no URL"},
        {"user and password", API("https://u:p@evil.example/"), "is no URL"},
        {"localhost's neighbour", API("http://localhost.evil.example"), "https://"},
        {"another IPv6 address", API("http://[2001:db8::1]"), "https://"},
        {"backslash", API("http://localhost\\\\\\\\.evil.example"), "is no URL"},
        {"short loopback", API("http://127.1"), "https://"},
        {"another scheme", API("ftp://127.0.0.1/"), "is no URL"},
        {"no scheme", API("api.github.com"), "is no URL"},
        {"no host", API("https:///x"), "is no URL"},
        {"port 0", API("https://a:0"), "is no URL"},
        {"port too large", API("https://a:65536"), "is no URL"},
        {"no port", API("https://a:/"), "is no URL"},
        {"line break", API("https://a/\\r\\nX-Y: z"), "is no URL"},
        {"blank", API("https://a/ b"), "is no URL"},
        {"query", API("https://a/?x=1"), "must not have a query"},
        {"fragment", API("https://a/#x"), "is no URL"},
        {"empty", API(""), "is no URL"},
        {"http_url elsewhere", DRY "repo \"o/r\" { trigger = \"http\" http_url = \"http://ci.example/\" }",
         ":4: http_url: "},
        {"http_url with a query", DRY "repo \"o/r\" { trigger = \"http\" http_url = \"https://ci/?a=b\" }",
         NULL},
        {"public_url needs no TLS", DRY "public_url = \"http://ci.example/prgate/\"\n" REPO, NULL},
        {"public_url with a script", DRY "public_url = \"javascript:x\"\n" REPO, ":4: public_url: "},
        {"public_url with a quote", DRY "public_url = 'https://a/\"'\n" REPO, ":4: public_url: "},
    };
    (void)state;
    check_rows(rows, COUNT_OF(rows));
}

#define REPO_WITH(keys) DRY "repo \"o/r\" {\n" keys "\n}\n"

static void limits(void **state)
{
    static const struct row rows[] = {
        {"label of 50", REPO_WITH("label = \"" X50 "\""), NULL},
        {"label of 51", REPO_WITH("label = \"" X50 "x\""), ":5: label: "},
        {"label of 50 rockets", REPO_WITH("label = \"" ROCKET10 ROCKET10 ROCKET10 ROCKET10 ROCKET10 "\""),
         NULL},
        {"label with a line break", REPO_WITH("label = \"a\\nb\""), ":5: label: "},
        {"event of 100", REPO_WITH("dispatch_event = \"" X50 X50 "\""), NULL},
        {"event of 101", REPO_WITH("dispatch_event = \"" X50 X50 "x\""), ":5: dispatch_event: "},
        {"no event", REPO_WITH("dispatch_event = \"\""), ":5: dispatch_event: "},
        {"no commands", REPO_WITH("command_prefix = \"\""), NULL},
        {"prefix of 32", REPO_WITH("command_prefix = \"/1234567890123456789012345678901\""), NULL},
        {"prefix of 33", REPO_WITH("command_prefix = \"/12345678901234567890123456789012\""),
         ":5: command_prefix: "},
        {"prefix of a slash", REPO_WITH("command_prefix = \"/\""), ":5: command_prefix: "},
        {"prefix with a blank", REPO_WITH("command_prefix = \"/ci x\""), ":5: command_prefix: "},
        {"prefix that is a word", REPO_WITH("command_prefix = \"ci\""), ":5: command_prefix: "},
        {"prefix of Markdown", REPO_WITH("command_prefix = \"#ci\""), ":5: command_prefix: "},
        {"prefix with a backtick", REPO_WITH("command_prefix = \"/`ci\""), ":5: command_prefix: "},
        {"prefix that is not ASCII", REPO_WITH("command_prefix = \"/\xc3\xa7i\""), ":5: command_prefix: "},
        {"command of 32", REPO_WITH("command_help = \"12345678901234567890123456789012\""), NULL},
        {"command of 33", REPO_WITH("command_help = \"123456789012345678901234567890123\""),
         ":5: command_help: "},
        {"no word", REPO_WITH("command_approve = \"\""), ":5: command_approve: "},
        {"two words", REPO_WITH("command_rerun = \"run again\""), ":5: command_rerun: "},
        {"a word of Markdown", REPO_WITH("command_cancel = \"*stop*\""), ":5: command_cancel: "},
        {"the same word", REPO_WITH("command_rerun = \"approve\""), ":5: command_rerun: "},
        {"the same word in capitals", REPO_WITH("command_status = \"HELP\""),
         "command_status and command_help"},
        {"the same word for an earlier key", REPO_WITH("command_approve = \"status\""),
         ":5: command_approve: "},
        {"words that change places", REPO_WITH("command_status = \"help\"\ncommand_help = \"status\""), NULL},
        {"label_id over 2^31", REPO_WITH("label_id = 10404216443"), NULL},
        {"largest label_id", REPO_WITH("label_id = 9007199254740991"), NULL},
        {"label_id of 2^53", REPO_WITH("label_id = 9007199254740992"), ":5: label_id: "},
        {"label_id 0", REPO_WITH("label_id = 0"), ":5: label_id: "},
        {"label_id negative", REPO_WITH("label_id = -1"), ":5: label_id: "},
        {"label_id in hex", REPO_WITH("label_id = 0x10"), ":5: label_id: "},
        {"label_id beyond 64 bits", REPO_WITH("label_id = 99999999999999999999"), ":5: label_id: "},
        {"everybody approves", REPO_WITH("approver_permission = \"none\""), ":5: approver_permission: "},
        {"nobody approves", REPO_WITH("approver_permission = \"\""), ":5: approver_permission: "},
        {"everybody is trusted", REPO_WITH("trusted_permission = \"none\""), ":5: trusted_permission: "},
        {"user who climbs", REPO_WITH("trusted_users = {\"ann\",\n\"../tim\"}"), ":5: trusted_users: "},
        {"workflow in a directory", REPO_WITH("workflow = \".github/ci.yml\""), ":5: workflow: "},
        {"workflow that climbs", REPO_WITH("workflow = \"..\""), ":5: workflow: "},
        {"ref with a blank", REPO_WITH("workflow_ref = \"a b\""), ":5: workflow_ref: "},
        {"guarantee", REPO_WITH("trigger_guarantee = \"once\""), "at_most_once, at_least_once"},
        {"budget without a number", REPO_WITH("author_triggers_per_hour = \"few\""),
         ":5: author_triggers_per_hour: "},
        {"budget too large", REPO_WITH("repo_triggers_per_hour = 1001"), ":5: repo_triggers_per_hour: "},
        {"ids too short", DRY "keep_seen_days = 3\n" REPO, ":4: keep_seen_days: must be"},
        {"ledger not at all", DRY "keep_ledger_days = 0\n" REPO, ":4: keep_ledger_days: must be"},
        {"closed too short", DRY "keep_closed_days = 6\n" REPO, ":4: keep_closed_days: must be"},
        {"closed for ever", DRY "keep_closed_days = 3651\n" REPO, ":4: keep_closed_days: must be"},
        {"no patience", DRY "give_up_after = 0\n" REPO, ":4: give_up_after: must be"},
        {"health before", DRY "health_max_age = -1\n" REPO, ":4: health_max_age: must be"},
        {"sweep too seldom", DRY "sweep_interval = 3601\n" REPO, ":4: sweep_interval: must be"},
        {"no time at all", DRY "github { request_timeout = 0 }\n" REPO, ":4: request_timeout: "},
        {"log level", DRY "log_level = \"loud\"\n" REPO, "panic, fatal, error, warning, info, debug"},
        {"root as state_dir", "state_dir = \"//\"\n" REPO, ":1: state_dir: "},
        {"owner only", DRY "repo \"o\" { }", "repo \"o\": "},
        {"star in a name", DRY "repo \"o/r*\" { }", "repo \"o/r*\": "},
        {"star as the owner", DRY "repo \"*/r\" { }", "repo \"*/r\": "},
        {"pattern that climbs", DRY "repo \"../*\" { }", "repo \"../*\": "},
    };
    (void)state;
    check_rows(rows, COUNT_OF(rows));
}

static void given_twice(void **state)
{
    static const struct row rows[] = {
        {"key", DRY "log_level = \"info\"\nlog_level = \"debug\"\n" REPO, ":5: log_level: given on line 4"},
        {"list", DRY "webhook_secret_file = \"@/token\"\n" REPO, ":4: webhook_secret_file: given on line 2"},
        {"list, added to", DRY "webhook_secret_file += \"@/token\"\n" REPO, NULL},
        {"key of two github sections", DRY "github { app_id = 1 }\ngithub { app_id = 2 }\n" REPO,
         ":5: app_id: given on line 4"},
        {"section, same spelling", DRY REPO REPO, "repo \"o/r\": there is a section \"o/r\" already"},
        {"section with a name that is far too long",
         DRY "repo \"" X50 X50 X50 X50 X50 X50 X50 X50 "\" { }\nrepo \"" X50 X50 X50 X50 X50 X50 X50 X50
             "\" { }\n",
         ":5: found duplicate title"},
        {"section with a quote in its name", DRY "repo \"o'r\" { }\nrepo \"o'r\" { }\n",
         ":5: repo \"o'r\": there is"},
        {"section, other letter case", DRY "repo \"o/r\" { }\nrepo \"O/R\" { }\n",
         "repo \"O/R\": repo \"o/r\" names the same"},
        {"same key in two sections", DRY "repo \"o/a\" { label = \"x\" }\nrepo \"o/b\" { label = \"x\" }",
         NULL},
    };
    (void)state;
    check_rows(rows, COUNT_OF(rows));
}

static void unknown_and_misspelt(void **state)
{
    static const struct row rows[] = {
        {"key", DRY "lable = \"x\"\n" REPO, ":4: lable: unknown key"},
        {"key in a section", REPO_WITH("lable = \"x\""), ":5: lable: unknown key"},
        {"key of another section", DRY "github { label = \"x\" }\n" REPO, ":4: label: unknown key"},
        {"what the parser uses itself", DRY "\"(errors)\" ()\n" REPO, ":4: (errors): unknown key"},
        {"missing equal sign", DRY "log_level \"info\"\n" REPO, ":4: "},
        {"missing brace", DRY "repo \"o/r\"\n", ": premature end of file"},
        {"brace too many", DRY REPO "}\n", ":5: "},
        {"section without a name", DRY "repo { }\n", ":4: "},
    };
    (void)state;
    check_rows(rows, COUNT_OF(rows));
}

#define WITH_TOKEN(file) TOP "github { token_file = \"@/" file "\" }\n" REPO

static void files_that_are_something_else(void **state)
{
    static const struct row rows[] = {
        {"token", WITH_TOKEN("token"), NULL},
        {"token of two words", WITH_TOKEN("blank"), ":3: token_file: "},
        {"token too long", WITH_TOKEN("long"), ":3: token_file: "},
        {"only newlines", WITH_TOKEN("newlines"), "nothing but newlines"},
        {"NUL byte", WITH_TOKEN("nul"), "NUL byte"},
        {"fifo", WITH_TOKEN("fifo"), "not a regular file"},
        {"missing", WITH_TOKEN("none"), "No such file"},
        {"relative", TOP "github { token_file = \"token\" }\n" REPO, "absolute"},
        {"key that is a token", TOP "github { app_id = 5 private_key_file = \"@/token\" }\n" REPO,
         ":3: private_key_file: "},
        {"key without an App", TOP "github { private_key_file = \"@/key\" }\n" REPO, "set app_id"},
        {"secret of an own CI", REPO_WITH("http_secret_file = \"@/nul\""), ":5: http_secret_file: "},
        {"nine webhook secrets",
         "state_dir = \"/s\"\ndry_run = true\nwebhook_secret_file = {\"@/key\", \"@/key\", \"@/key\", "
         "\"@/key\","
         "\"@/key\", \"@/key\", \"@/key\", \"@/key\", \"@/key\"}\n" REPO,
         ":3: webhook_secret_file: "},
    };
    (void)state;
    check_rows(rows, COUNT_OF(rows));
}

static void the_environment_and_a_file_do_not_compete(void **state)
{
    static const struct {
        const char *name, *variable, *value;
        struct row row;
    } rows[] = {
        {"token",
         "PRGATE_GITHUB_TOKEN",
         "t",
         {"token twice", WITH_TOKEN("token"), "token_file: PRGATE_GITHUB_TOKEN"}},
        {"empty token", "PRGATE_GITHUB_TOKEN", "", {"empty token", WITH_TOKEN("token"), NULL}},
        {"token with a line break",
         "PRGATE_GITHUB_TOKEN",
         "a\nb",
         {"token with a line break", DRY REPO, "PRGATE_GITHUB_TOKEN"}},
        {"token and App",
         "PRGATE_GITHUB_TOKEN",
         "t",
         {"token and App", TOP "github { app_id = 5 private_key_file = \"@/key\" }\n" REPO, "app_id: "}},
        {"App's key",
         "PRGATE_APP_PRIVATE_KEY",
         "-----BEGIN X-----\n",
         {"App's key", TOP "github { app_id = 5 }\n" REPO, NULL}},
        {"no key",
         "PRGATE_APP_PRIVATE_KEY",
         "x",
         {"no key", TOP "github { app_id = 5 }\n" REPO, "PRGATE_APP"}},
        {"no secret in a dry run",
         "PRGATE_GITHUB_TOKEN",
         "",
         {"no secret", "state_dir = \"/s\"\ndry_run = true\n" REPO, "webhook_secret_file: no secret"}},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        setenv(rows[i].variable, rows[i].value, 1);
        check_row(&rows[i].row);
        unsetenv(rows[i].variable);
    }
}

static void a_secret_of_the_environment_comes_on_top(void **state)
{
    struct config *config = NULL;
    struct err err = {0};
    (void)state;
    setenv("PRGATE_WEBHOOK_SECRET", "from outside", 1);
    enum err_code code = open_text(&config, DRY REPO, &err);
    unsetenv("PRGATE_WEBHOOK_SECRET");
    check_int("both", "code", code, ERR_OK);
    check_u64("both", "secrets", config->webhook_secret_count, 2);
    check_str("both", "file's", (const char *)config->webhook_secrets[0].bytes, "hush");
    check_str("both", "variable's", (const char *)config->webhook_secrets[1].bytes, "from outside");
    config_close(config);
}

static void slashes_at_the_end_go_away(void **state)
{
    struct config *config = NULL;
    struct err err = {0};
    (void)state;
    enum err_code code =
        open_text(&config,
                  "state_dir = \"/var/lib/prgate//\"\nwebhook_secret_file = \"@/secret\"\n"
                  "public_url = \"https://ci.example/prgate/\"\n"
                  "dry_run = yes github { api_url = \"https://ghe.example/api/v3/\" }\n" REPO,
                  &err);
    check_str("slashes", "error", err.text, "");
    check_int("slashes", "code", code, ERR_OK);
    check_str("slashes", "state_dir", config->state_dir, "/var/lib/prgate");
    check_str("slashes", "public_url", config->public_url, "https://ci.example/prgate");
    check_str("slashes", "api_url", config->api_url, "https://ghe.example/api/v3");
    config_close(config);
}

static void a_file_that_is_no_configuration(void **state)
{
    static const struct {
        const char *name;
        const char *bytes;
        size_t len;
        const char *says;
    } rows[] = {
        {"empty", "", 0, "is empty"},
        {"NUL", "dry_run\0= true", 14, "NUL byte"},
        {"Latin-1", "# caf\xe9\n", 7, "not UTF-8"},
        {"a string without an end", "state_dir = \"/s", 15, ":1: "},
        {"a comment without an end", "/* x", 4, ":"},
        {"an ELF file",
         "\x7f"
         "ELF\x02\x01\x01\x02",
         8, ":1: "},
    };
    char path[128];
    (void)state;
    path_of("conf", path);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct config *config = NULL;
        struct err err = {0};
        put_file("conf", rows[i].bytes, rows[i].len);
        check_int(rows[i].name, "code", config_open(&config, path, &err), ERR_REJECT);
        check_contains(rows[i].name, "error", err.text, rows[i].says);
    }
}

static void a_directory_is_no_configuration(void **state)
{
    struct config *config = NULL;
    struct err err = {0};
    (void)state;
    check_int("directory", "code", config_open(&config, dir, &err), ERR_REJECT);
    check_contains("directory", "error", err.text, "not a regular file");
}

static void nothing_of_a_failure_stays_behind(void **state)
{
    static const struct row bad = {"bad", DRY "label = \"x", ":4: "};
    static const struct row good = {"good", DRY REPO, NULL};
    (void)state;
    for (int i = 0; i < 3; i++) {
        check_row(&bad);
        check_row(&good);
    }
}

static void the_path_comes_from_the_environment(void **state)
{
    (void)state;
    unsetenv("PRGATE_CONF");
    check_str("not set", "path", config_path(), CONFIG_DEFAULT_PATH);
    setenv("PRGATE_CONF", "", 1);
    check_str("empty", "path", config_path(), CONFIG_DEFAULT_PATH);
    setenv("PRGATE_CONF", "/x/y.conf", 1);
    check_str("set", "path", config_path(), "/x/y.conf");
    unsetenv("PRGATE_CONF");
}

static void permissions_have_names(void **state)
{
    (void)state;
    for (enum permission permission = PERMISSION_NONE; permission <= PERMISSION_ADMIN; permission++) {
        enum permission back = PERMISSION_NONE;
        const char *name = permission_name(permission);
        check_bool(name, "known", permission_parse(name, &back), true);
        check_int(name, "value", back, permission);
    }
    enum permission untouched = PERMISSION_READ;
    check_bool("owner", "known", permission_parse("owner", &untouched), false);
    check_int("owner", "value", untouched, PERMISSION_READ);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_this_host_may_do_without_tls),
        cmocka_unit_test(limits),
        cmocka_unit_test(given_twice),
        cmocka_unit_test(unknown_and_misspelt),
        cmocka_unit_test(files_that_are_something_else),
        cmocka_unit_test(the_environment_and_a_file_do_not_compete),
        cmocka_unit_test(a_secret_of_the_environment_comes_on_top),
        cmocka_unit_test(slashes_at_the_end_go_away),
        cmocka_unit_test(a_file_that_is_no_configuration),
        cmocka_unit_test(a_directory_is_no_configuration),
        cmocka_unit_test(nothing_of_a_failure_stays_behind),
        cmocka_unit_test(the_path_comes_from_the_environment),
        cmocka_unit_test(permissions_have_names),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
