/*
 * Two steps: libConfuse turns the file into text values and notes the line of
 * each; then the tables of keys below turn text into fields, so that every
 * complaint can name file, line and key. Every value is text to libConfuse,
 * because its own integers are `long` (GitHub's ids need 64 bits everywhere)
 * and take octal and hexadecimal without asking.
 */
#include "prgate/config.h"

#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_check.h"
#include "config_policy.h"
#include "prgate/buf.h"
#include "prgate/template.h"
#include "prgate/text.h"

enum {
    FILE_MAX = 1024 * 1024,
    SECRET_FILE_MAX = 64 * 1024,
    WHY_SIZE = 384,
    MESSAGE_MAX = 10000,
    OPTIONS_MAX = 96
};

#define ID_MAX ((UINT64_C(1) << 53) - 1)

/* ---- where a value stands, and complaints about it ---- */

struct place {
    const char *path;
    cfg_t *section;
    cfg_opt_t *option; /* NULL: the section as a whole */
    struct err *err;
};

/*
 * libConfuse keeps a section's present line only. on_value() puts a value's line
 * where nothing else is kept: the default number of an option whose type is text.
 */
static long option_line(const cfg_opt_t *option)
{
    return option == NULL ? 0 : option->def.number;
}

static void describe(const struct place *place, struct buf *out)
{
    long line = option_line(place->option);
    buf_adds(out, place->path);
    if (line > 0)
        buf_addf(out, ":%ld", line);
    buf_adds(out, ": ");
    if (line == 0 && place->section->title != NULL)
        buf_addf(out, "%s \"%s\": ", place->section->name, place->section->title);
    else if (line == 0 && strcmp(place->section->name, "root") != 0)
        buf_addf(out, "%s: ", place->section->name);
    if (place->option != NULL)
        buf_addf(out, "%s: ", place->option->name);
}

static enum err_code fail(const struct place *place, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static enum err_code fail(const struct place *place, const char *format, ...)
{
    struct buf text;
    va_list args;
    buf_init(&text);
    describe(place, &text);
    va_start(args, format);
    buf_addv(&text, format, args);
    va_end(args);
    err_set(place->err, ERR_REJECT, 0, "%s", buf_text(&text));
    buf_release(&text);
    return ERR_REJECT;
}

/* The same section, another key. */
static struct place at_key(const struct place *place, const char *key)
{
    struct place other = *place;
    other.option = cfg_getopt(place->section, key);
    return other;
}

/* ---- files ---- */

static void secret_release(struct secret *secret)
{
    if (secret->bytes != NULL)
        OPENSSL_cleanse(secret->bytes, secret->len);
    free(secret->bytes);
    *secret = (struct secret){0};
}

static void secret_text_free(char *text)
{
    if (text != NULL)
        OPENSSL_cleanse(text, strlen(text));
    free(text);
}

/* What of a file is acceptable. */
struct file_rules {
    size_t max;
    mode_t forbidden;
};

static bool file_is_acceptable(const struct file_rules *rules, const struct stat *st, char why[WHY_SIZE])
{
    if (!S_ISREG(st->st_mode))
        snprintf(why, WHY_SIZE, "is not a regular file; name a file");
    else if ((st->st_mode & rules->forbidden) != 0)
        snprintf(why, WHY_SIZE, "can be accessed by everybody (mode %04o); run: chmod o= on it",
                 (unsigned)(st->st_mode & 07777));
    else if (st->st_size == 0)
        snprintf(why, WHY_SIZE, "is empty; put something into it");
    else if ((uintmax_t)st->st_size > rules->max)
        snprintf(why, WHY_SIZE, "is larger than %zu bytes; is it the right file?", rules->max);
    else
        return true;
    return false;
}

/* Reads until `size` bytes are there or the file ends. */
static ssize_t read_all(int fd, unsigned char *to, size_t size)
{
    size_t len = 0;
    while (len < size) {
        ssize_t got = read(fd, to + len, size - len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        len += (size_t)got;
    }
    return (ssize_t)len;
}

/* The whole file with a NUL behind it. On failure `why` continues a sentence that begins with its name. */
static bool slurp(const char *path, const struct file_rules *rules, struct secret *out, char why[WHY_SIZE])
{
    bool good = false;
    struct stat st;
    /* A fifo would block without O_NONBLOCK, and is refused below. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0) {
        snprintf(why, WHY_SIZE, "cannot be read (%s); check the path and its owner", strerror(errno));
        goto done;
    }
    if (!file_is_acceptable(rules, &st, why))
        goto done;
    size_t size = (size_t)st.st_size;
    out->bytes = mem_alloc(size + 1);
    ssize_t len = read_all(fd, out->bytes, size);
    out->len = len < 0 ? 0 : (size_t)len;
    out->bytes[out->len] = '\0';
    if (len < 0)
        snprintf(why, WHY_SIZE, "cannot be read (%s); check the file", strerror(errno));
    else if (memchr(out->bytes, '\0', out->len) != NULL)
        snprintf(why, WHY_SIZE, "contains a NUL byte; save it as plain text");
    else
        good = true;
done:
    if (fd >= 0)
        close(fd);
    if (!good)
        secret_release(out);
    return good;
}

/* Editors end a file with a newline that is no part of the secret. */
static void strip_newline(struct secret *secret)
{
    while (secret->len > 0 &&
           (secret->bytes[secret->len - 1] == '\n' || secret->bytes[secret->len - 1] == '\r'))
        secret->bytes[--secret->len] = '\0';
}

static enum err_code read_secret(const struct place *place, const char *path, struct secret *out)
{
    static const struct file_rules rules = {.max = SECRET_FILE_MAX, .forbidden = 0007};
    char why[WHY_SIZE];
    if (path[0] != '/')
        return fail(place, "\"%s\" is not an absolute path; begin it with a slash", path);
    if (!slurp(path, &rules, out, why))
        return fail(place, "%s %s", path, why);
    strip_newline(out);
    if (out->len > 0)
        return ERR_OK;
    secret_release(out);
    return fail(place, "%s contains nothing but newlines; put the secret into it", path);
}

/* ---- keys: how text becomes a field ---- */

struct choice {
    const char *name; /* NULL ends the list */
    unsigned value;
};

struct key;
typedef enum err_code apply_fn(const struct place *place, const struct key *key, void *field);

struct key {
    const char *name;
    const char *fallback; /* NULL: the field stays as it is */
    apply_fn *apply;
    size_t offset; /* of the field in its struct */
    bool list;
    check_fn *check;              /* of text */
    const struct choice *choices; /* of an enum */
    uint64_t min;                 /* of a number */
    uint64_t max;
};

static const struct choice log_levels[] = {{"panic", LOG_LEVEL_PANIC},
                                           {"fatal", LOG_LEVEL_FATAL},
                                           {"error", LOG_LEVEL_ERROR},
                                           {"warning", LOG_LEVEL_WARNING},
                                           {"info", LOG_LEVEL_INFO},
                                           {"debug", LOG_LEVEL_DEBUG},
                                           {NULL, 0}};
static const struct choice log_formats[] = {{"text", LOG_FORMAT_TEXT}, {"json", LOG_FORMAT_JSON}, {NULL, 0}};
static const struct choice log_targets[] = {
    {"stderr", LOG_TARGET_STDERR}, {"syslog", LOG_TARGET_SYSLOG}, {NULL, 0}};
static const struct choice triggers[] = {{"none", TRIGGER_NONE},
                                         {"repository_dispatch", TRIGGER_REPOSITORY_DISPATCH},
                                         {"workflow_dispatch", TRIGGER_WORKFLOW_DISPATCH},
                                         {"http", TRIGGER_HTTP},
                                         {NULL, 0}};
static const struct choice guarantees[] = {
    {"at_most_once", GUARANTEE_AT_MOST_ONCE}, {"at_least_once", GUARANTEE_AT_LEAST_ONCE}, {NULL, 0}};

/* "none" is no choice: everybody has that much, so it would trust the whole world. */
static const struct choice permissions[] = {{"read", PERMISSION_READ},   {"triage", PERMISSION_TRIAGE},
                                            {"write", PERMISSION_WRITE}, {"maintain", PERMISSION_MAINTAIN},
                                            {"admin", PERMISSION_ADMIN}, {NULL, 0}};

static const char *value_of(const struct place *place)
{
    return cfg_opt_getnstr(place->option, 0);
}

static enum err_code apply_text(const struct place *place, const struct key *key, void *field)
{
    const char *text = value_of(place);
    bool unset = text[0] == '\0' && key->fallback != NULL && key->fallback[0] == '\0';
    const char *wrong = unset || key->check == NULL ? NULL : key->check(text);
    if (wrong != NULL)
        return fail(place, "\"%.100s\" %s", text, wrong);
    *(char **)field = mem_strdup(text);
    return ERR_OK;
}

/* Words for a comment; key->max says which values they may have. */
static enum err_code apply_template(const struct place *place, const struct key *key, void *field)
{
    const char *text = value_of(place);
    char bad[TEMPLATE_BAD_SIZE], names[TEMPLATE_NAMES_SIZE];
    template_names((unsigned)key->max, names);
    if (strlen(text) > MESSAGE_MAX)
        return fail(place, "is longer than %d bytes; shorten it", (int)MESSAGE_MAX);
    if (!template_check(text, (unsigned)key->max, bad))
        return fail(place, "\"%s\" is none of %s; write {{ and }} for braces", bad, names);
    *(char **)field = mem_strdup(text);
    return ERR_OK;
}

/* "" is a choice here, and not the one without the key. */
static enum err_code apply_command_prefix(const struct place *place, const struct key *key, void *field)
{
    if (value_of(place)[0] != '\0')
        return apply_text(place, key, field);
    *(char **)field = mem_strdup("");
    return ERR_OK;
}

/* Paths and URLs to which "/something" will be added. */
static enum err_code apply_base(const struct place *place, const struct key *key, void *field)
{
    enum err_code code = apply_text(place, key, field);
    if (code != ERR_OK)
        return code;
    char *text = *(char **)field;
    size_t len = strlen(text);
    while (len > 0 && text[len - 1] == '/')
        text[--len] = '\0';
    return ERR_OK;
}

static enum err_code apply_u64(const struct place *place, const struct key *key, void *field)
{
    uint64_t value;
    if (!text_to_u64(value_of(place), key->max, &value) || value < key->min)
        return fail(place, "must be a whole number from %" PRIu64 " to %" PRIu64 ", not \"%.40s\"", key->min,
                    key->max, value_of(place));
    *(uint64_t *)field = value;
    return ERR_OK;
}

static enum err_code apply_int(const struct place *place, const struct key *key, void *field)
{
    uint64_t value = 0;
    enum err_code code = apply_u64(place, key, &value);
    if (code == ERR_OK)
        *(int *)field = (int)value;
    return code;
}

static enum err_code apply_bool(const struct place *place, const struct key *key, void *field)
{
    (void)key;
    int value = cfg_parse_boolean(value_of(place));
    if (value < 0)
        return fail(place, "must be true or false, not \"%.40s\"", value_of(place));
    *(bool *)field = value == 1;
    return ERR_OK;
}

static enum err_code apply_choice(const struct place *place, const struct key *key, void *field)
{
    struct buf names;
    for (const struct choice *choice = key->choices; choice->name != NULL; choice++) {
        if (strcmp(choice->name, value_of(place)) == 0) {
            /* Enums of this program have no negative values, so all have unsigned's representation. */
            memcpy(field, &choice->value, sizeof choice->value);
            return ERR_OK;
        }
    }
    buf_init(&names);
    for (const struct choice *choice = key->choices; choice->name != NULL; choice++)
        buf_addf(&names, "%s%s", names.len == 0 ? "" : ", ", choice->name);
    fail(place, "must be one of %s, not \"%.40s\"", buf_text(&names), value_of(place));
    buf_release(&names);
    return ERR_REJECT;
}

/* Field: the policy, since this sets two of its members. */
static enum err_code apply_trusted_permission(const struct place *place, const struct key *key, void *field)
{
    struct policy *policy = field;
    policy->permission_trusts = value_of(place)[0] != '\0';
    return policy->permission_trusts ? apply_choice(place, key, &policy->trusted_permission) : ERR_OK;
}

static enum err_code apply_list(const struct place *place, const struct key *key, void *field)
{
    struct string_list *list = field;
    size_t count = cfg_opt_size(place->option);
    if (count == 0)
        return ERR_OK;
    list->items = mem_alloc(count * sizeof *list->items);
    for (unsigned i = 0; i < count; i++) {
        const char *text = cfg_opt_getnstr(place->option, i);
        const char *wrong = key->check(text);
        if (wrong != NULL)
            return fail(place, "\"%.100s\" %s", text, wrong);
        list->items[list->count++] = mem_strdup(text);
    }
    return ERR_OK;
}

static enum err_code apply_secret_file(const struct place *place, const struct key *key, void *field)
{
    (void)key;
    return read_secret(place, value_of(place), field);
}

static enum err_code apply_secret_text(const struct place *place, const struct key *key, void *field)
{
    struct secret secret = {0};
    enum err_code code = read_secret(place, value_of(place), &secret);
    if (code != ERR_OK)
        return code;
    const char *wrong = key->check((const char *)secret.bytes);
    if (wrong == NULL)
        *(char **)field = mem_strdup((const char *)secret.bytes);
    else
        code = fail(place, "%s %s", value_of(place), wrong);
    secret_release(&secret);
    return code;
}

/* Field: the configuration, whose array and count both change. */
static enum err_code apply_webhook_secrets(const struct place *place, const struct key *key, void *field)
{
    (void)key;
    struct config *config = field;
    size_t count = cfg_opt_size(place->option);
    if (count > CONFIG_SECRETS_MAX)
        return fail(place, "%zu files are too many; at most %d are tried", count, CONFIG_SECRETS_MAX);
    for (unsigned i = 0; i < count; i++) {
        struct secret *secret = &config->webhook_secrets[config->webhook_secret_count];
        enum err_code code = read_secret(place, cfg_opt_getnstr(place->option, i), secret);
        if (code != ERR_OK)
            return code;
        config->webhook_secret_count++;
    }
    return ERR_OK;
}

#define TOP(key, otherwise, function, member)                                                                \
    .name = (key), .fallback = (otherwise), .apply = (function), .offset = offsetof(struct config, member)
#define REPO(key, otherwise, function, member)                                                               \
    .name = (key), .fallback = (otherwise), .apply = (function), .offset = offsetof(struct policy, member)

static const struct key top_keys[] = {
    {TOP("state_dir", NULL, apply_base, state_dir), .check = config_check_state_dir},
    {.name = "webhook_secret_file", .apply = apply_webhook_secrets, .list = true},
    {TOP("dry_run", "false", apply_bool, dry_run)},
    {TOP("status_private", "false", apply_bool, status_private)},
    {TOP("public_url", "", apply_base, public_url), .check = config_check_public_url},
    {TOP("trust_ttl", "300", apply_int, trust_ttl_s), .min = 0, .max = 86400},
    {TOP("accept_threads", "3", apply_int, accept_threads), .min = 1, .max = 256},
    {TOP("drain_threads", "1", apply_int, drain_threads), .min = 1, .max = 256},
    {TOP("pulls_in_progress", "128", apply_int, pulls_in_progress), .min = 1, .max = 2048},
    {TOP("sweep_interval", "1", apply_int, sweep_interval_s), .min = 1, .max = 3600},
    {TOP("give_up_after", "259200", apply_int, give_up_after_s), .min = 1, .max = 31536000},
    {TOP("keep_seen_days", "7", apply_int, keep_seen_days), .min = 4, .max = 3650},
    {TOP("keep_ledger_days", "90", apply_int, keep_ledger_days), .min = 1, .max = 3650},
    {TOP("keep_closed_days", "90", apply_int, keep_closed_days), .min = 7, .max = 3650},
    {TOP("redeliver_interval", "300", apply_int, redeliver_interval_s), .min = 0, .max = 86400},
    {TOP("reconcile_interval", "3600", apply_int, reconcile_interval_s), .min = 0, .max = 86400},
    {TOP("health_max_age", "3600", apply_int, health_max_age_s), .min = 0, .max = 86400},
    {TOP("log_level", "info", apply_choice, log_level), .choices = log_levels},
    {TOP("log_format", "text", apply_choice, log_format), .choices = log_formats},
    {TOP("log_target", "stderr", apply_choice, log_target), .choices = log_targets},
};

static const struct key github_keys[] = {
    {TOP("api_url", "https://api.github.com", apply_base, api_url), .check = config_check_api_url},
    {TOP("app_id", NULL, apply_u64, app_id), .min = 1, .max = ID_MAX},
    {TOP("private_key_file", NULL, apply_secret_text, app_key_pem), .check = config_check_pem},
    {TOP("token_file", NULL, apply_secret_text, token), .check = config_check_token},
    {TOP("app_dir", "", apply_base, app_dir), .check = config_check_state_dir},
    {TOP("request_timeout", "20", apply_int, request_timeout_s), .min = 1, .max = 600},
};

static const struct key repo_keys[] = {
    {REPO("label", "CICD", apply_text, label), .check = config_check_label},
    {REPO("label_id", NULL, apply_u64, label_id), .min = 1, .max = ID_MAX},
    {REPO("trusted_bots", NULL, apply_list, trusted_bots), .list = true, .check = config_check_bot},
    {REPO("trusted_users", NULL, apply_list, trusted_users), .list = true, .check = config_check_login},
    {REPO("trusted_teams", NULL, apply_list, trusted_teams), .list = true, .check = config_check_team},
    {.name = "trusted_permission",
     .fallback = "write",
     .apply = apply_trusted_permission,
     .choices = permissions},
    {REPO("approver_permission", "triage", apply_choice, approver_permission), .choices = permissions},
    {REPO("settle_seconds", "10", apply_int, settle_s), .min = 0, .max = 3600},
    {REPO("check_name", "Awaiting CICD label", apply_text, check_name), .check = config_check_name},
    {REPO("trigger", "repository_dispatch", apply_choice, trigger), .choices = triggers},
    {REPO("dispatch_event", "prgate-ci", apply_text, dispatch_event), .check = config_check_name},
    {REPO("workflow", "", apply_text, workflow), .check = config_check_workflow},
    {REPO("workflow_ref", "", apply_text, workflow_ref), .check = config_check_ref},
    {REPO("http_url", "", apply_text, http_url), .check = config_check_safe_url},
    {REPO("http_secret_file", NULL, apply_secret_file, http_secret)},
    {REPO("trigger_can_be_asked", "false", apply_bool, trigger_can_be_asked)},
    {REPO("trigger_guarantee", "at_most_once", apply_choice, guarantee), .choices = guarantees},
    {REPO("author_triggers_per_hour", "0", apply_int, author_triggers_per_hour), .max = CONFIG_BUDGET_MAX},
    {REPO("repo_triggers_per_hour", "0", apply_int, repo_triggers_per_hour), .max = CONFIG_BUDGET_MAX},
    {REPO("cancel_on_close", "false", apply_bool, cancel_on_close)},
    {REPO("cancel_on_push", "false", apply_bool, cancel_on_push)},
    {REPO("release_first_time_runs", "false", apply_bool, release_runs)},
    {REPO("merge_queue_trigger", "false", apply_bool, queue_trigger)},
    {REPO("queue_label", "", apply_text, queue_label), .check = config_check_label},
    {REPO("emergency_label", "", apply_text, emergency_label), .check = config_check_label},
    {REPO("emergency_check", "", apply_text, emergency_check), .check = config_check_name},
    {REPO("emergency_permission", "write", apply_choice, emergency_permission), .choices = permissions},
    {REPO("emergency_message", "", apply_template, emergency_message), .max = TEMPLATE_OF_EMERGENCY},
    {REPO("tests_needed_for", NULL, apply_list, tests_needed_for), .list = true, .check = config_check_glob},
    {REPO("tests_are", NULL, apply_list, tests_are), .list = true, .check = config_check_glob},
    {REPO("tests_exempt", NULL, apply_list, tests_exempt), .list = true, .check = config_check_glob},
    {REPO("tests_message", "", apply_template, tests_message), .max = TEMPLATE_COMMON},
    {REPO("base_wanted", "", apply_text, base_wanted), .check = config_check_ref},
    {REPO("base_wrong", NULL, apply_list, base_wrong), .list = true, .check = config_check_glob},
    {REPO("base_message", "", apply_template, base_message), .max = TEMPLATE_OF_BASE},
    {REPO("release_branches", NULL, apply_list, release_branches), .list = true, .check = config_check_glob},
    {REPO("release_accounts", NULL, apply_list, release_accounts), .list = true, .check = config_check_login},
    {REPO("close_release_heads", "false", apply_bool, close_release_heads)},
    {REPO("release_head_message", "", apply_template, release_head_message), .max = TEMPLATE_COMMON},
    {REPO("author_labels", NULL, apply_list, author_labels), .list = true, .check = config_check_by_author},
    {REPO("conflict_comment", "true", apply_bool, conflict_comment)},
    {REPO("conflict_message", "", apply_template, conflict_message), .max = TEMPLATE_COMMON},
    {REPO("new_commit_comment", "false", apply_bool, new_commit_comment)},
    {REPO("new_commit_message", "", apply_template, new_commit_message), .max = TEMPLATE_COMMON},
    {REPO("command_prefix", "/ci", apply_command_prefix, command_prefix),
     .check = config_check_command_prefix},
    {REPO("command_approve", "approve", apply_text, command_approve), .check = config_check_command_word},
    {REPO("command_rerun", "rerun", apply_text, command_rerun), .check = config_check_command_word},
    {REPO("command_cancel", "cancel", apply_text, command_cancel), .check = config_check_command_word},
    {REPO("command_status", "status", apply_text, command_status), .check = config_check_command_word},
    {REPO("command_help", "help", apply_text, command_help), .check = config_check_command_word},
};

struct key_table {
    const struct key *keys;
    size_t count;
};

#define KEY_TABLE(keys)                                                                                      \
    {                                                                                                        \
        (keys), sizeof(keys) / sizeof(keys)[0]                                                               \
    }
static const struct key_table top_table = KEY_TABLE(top_keys);
static const struct key_table github_table = KEY_TABLE(github_keys);
static const struct key_table repo_table = KEY_TABLE(repo_keys);

static enum err_code apply_keys(const struct place *section, const struct key_table *table, void *target)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct key *key = &table->keys[i];
        struct place place = at_key(section, key->name);
        bool given = option_line(place.option) > 0;
        if (!given && key->fallback == NULL)
            continue;
        enum err_code code = key->apply(&place, key, (char *)target + key->offset);
        if (code != ERR_OK)
            return code;
    }
    return ERR_OK;
}

/* ---- libConfuse ---- */

/* The name of an option that only carries a pointer into callbacks; nobody can set it. */
#define SINK_OPTION "(errors)"

struct sink {
    struct err *err;
    const char *path; /* libConfuse does not tell it to the github section, which is there before the file */
    bool filled;
};

/* The quoted part of libConfuse's message; "" when there is none. */
static void quoted_part(const char *text, char *out, size_t size)
{
    const char *open = strchr(text, '\'');
    const char *close = strrchr(text, '\'');
    text_copy_cut(out, size, open == close ? "" : open + 1);
    if (open != close && (size_t)(close - open) <= size)
        out[close - open - 1] = '\0';
}

/* Only the first complaint counts: those after it follow from it. */
static void sink_put(struct sink *sink, cfg_t *cfg, const char *text)
{
    static const char unknown[] = "no such option '";
    static const char duplicate[] = "found duplicate title '";
    char name[WHY_SIZE];
    if (sink->filled)
        return;
    sink->filled = true;
    quoted_part(text, name, sizeof name);
    const cfg_t *other =
        strncmp(text, duplicate, sizeof duplicate - 1) == 0
            ? cfg_gettsec(cfg, "repo", name) /* NULL where the name was too long to be quoted */
            : NULL;
    if (strncmp(text, unknown, sizeof unknown - 1) == 0)
        err_set(sink->err, ERR_REJECT, 0, "%s:%d: %s: unknown key; prgate.conf(5) lists those that there are",
                sink->path, cfg->line, name);
    else if (other != NULL)
        err_set(sink->err, ERR_REJECT, 0,
                "%s:%d: repo \"%s\": there is a section \"%s\" already, it ends on line %d; merge the two",
                sink->path, cfg->line, name, other->title, other->line);
    else
        err_set(sink->err, ERR_REJECT, 0, "%s:%d: %s; see prgate.conf(5)", sink->path, cfg->line, text);
}

static void on_error(cfg_t *cfg, const char *format, va_list args)
{
    char text[WHY_SIZE];
    const cfg_opt_t *option = cfg_getopt(cfg, SINK_OPTION);
    vsnprintf(text, sizeof text, format, args);
    if (option != NULL)
        sink_put(*option->simple_value.ptr, cfg, text);
}

/* Called for each value as it is read, when the line is known. */
static int on_value(cfg_t *cfg, cfg_opt_t *option, const char *value, void *result)
{
    bool first = option->nvalues == 1; /* of this assignment: "=" dropped what was there before */
    if (first && option->def.number > 0) {
        cfg_error(cfg, "%s: given on line %ld already; keep one of the two", option->name,
                  option->def.number);
        return -1;
    }
    if (first)
        option->def.number = cfg->line;
    *(const char **)result = value;
    return 0;
}

static int on_sink_call(cfg_t *cfg, cfg_opt_t *option, int argc, const char **argv)
{
    (void)argc;
    (void)argv;
    cfg_error(cfg, "no such option '%s'", option->name);
    return -1;
}

/* Returns how many options it filled in; the array's last one stays zero, which ends it. */
static size_t make_options(const struct key_table *table, void **sink, cfg_opt_t options[OPTIONS_MAX])
{
    size_t count = 0;
    for (; count < table->count; count++) {
        const struct key *key = &table->keys[count];
        options[count] = (cfg_opt_t){.name = key->name,
                                     .type = CFGT_STR,
                                     .flags = key->list ? CFGF_LIST : CFGF_NONE,
                                     .def = {.string = key->list ? NULL : key->fallback},
                                     .parsecb = on_value};
    }
    options[count++] = (cfg_opt_t){
        .name = SINK_OPTION, .type = CFGT_FUNC, .func = on_sink_call, .simple_value = {.ptr = sink}};
    return count;
}

static cfg_t *make_cfg(void **sink)
{
    cfg_opt_t github[OPTIONS_MAX] = {0};
    cfg_opt_t repo[OPTIONS_MAX] = {0};
    cfg_opt_t top[OPTIONS_MAX] = {0};
    make_options(&github_table, sink, github);
    make_options(&repo_table, sink, repo);
    size_t count = make_options(&top_table, sink, top);
    top[count++] = (cfg_opt_t){.name = "github", .type = CFGT_SEC, .subopts = github};
    top[count] = (cfg_opt_t){.name = "repo",
                             .type = CFGT_SEC,
                             .flags = CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES,
                             .subopts = repo};
    return cfg_init(top, CFGF_NONE);
}

/* The parsed file; NULL on error. `*sink` must stay until cfg_free(). */
static cfg_t *parse_text(const char *path, const struct secret *text, void **sink)
{
    FILE *stream = NULL;
    cfg_t *cfg = make_cfg(sink);
    if (cfg == NULL)
        return NULL;
    cfg_set_error_function(cfg, on_error);
    cfg->filename = mem_strdup(path);
    stream = fmemopen(text->bytes, text->len, "r");
    int result = stream == NULL ? CFG_PARSE_ERROR : cfg_parse_fp(cfg, stream);
    if (stream != NULL)
        fclose(stream);
    if (result == CFG_SUCCESS)
        return cfg;
    cfg_free(cfg);
    return NULL;
}

/*
 * To libConfuse the end of the file closes a section as well as a brace does: a file that was cut
 * off would count, with defaults in place of what is gone. In a whole one, a further brace is an error.
 */
static bool is_whole(const char *path, const struct secret *text)
{
    struct sink ignored = {.path = path};
    void *sink = &ignored;
    struct buf longer;
    buf_init(&longer);
    buf_add(&longer, text->bytes, text->len);
    buf_adds(&longer, "\n}");
    cfg_t *cfg = parse_text(path, &(struct secret){.bytes = longer.data, .len = longer.len}, &sink);
    buf_release(&longer);
    if (cfg != NULL)
        cfg_free(cfg);
    return cfg == NULL;
}

static enum err_code parse_checked(const char *path, const struct secret *text, void **sink, cfg_t **out)
{
    struct sink *state = *sink;
    if (!text_utf8_valid(text->bytes, text->len))
        return err_set(state->err, ERR_REJECT, 0, "%s: is not UTF-8; save it as UTF-8", path);
    cfg_t *cfg = parse_text(path, text, sink);
    if (cfg == NULL)
        return state->filled
                   ? ERR_REJECT
                   : err_set(state->err, ERR_REJECT, 0, "%s: cannot be parsed; see prgate.conf(5)", path);
    if (!is_whole(path, text)) {
        cfg_free(cfg);
        return err_set(state->err, ERR_REJECT, 0,
                       "%s: ends inside a section; close it with a brace, or is the file cut off?", path);
    }
    *out = cfg;
    return ERR_OK;
}

static enum err_code parse_file(const char *path, void **sink, cfg_t **out, struct err *err)
{
    static const struct file_rules rules = {.max = FILE_MAX};
    struct secret text = {0};
    char why[WHY_SIZE];
    if (!slurp(path, &rules, &text, why))
        return err_set(err, ERR_REJECT, 0, "%s: %s", path, why);
    enum err_code code = parse_checked(path, &text, sink, out);
    secret_release(&text);
    return code;
}

/* ---- what keys mean together ---- */

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static const char *const variable_names[CONFIG_VARIABLE_END] = {
    [CONFIG_WEBHOOK_SECRET] = "PRGATE_WEBHOOK_SECRET",
    [CONFIG_APP_PRIVATE_KEY] = "PRGATE_APP_PRIVATE_KEY",
    [CONFIG_GITHUB_TOKEN] = "PRGATE_GITHUB_TOKEN",
};

/* unsetenv() only drops the pointer: the text stays where the kernel put it, and where /proc shows it. */
static void wipe_variable(const char *name)
{
    char *value = getenv(name);
    if (value != NULL)
        OPENSSL_cleanse(value, strlen(value));
    unsetenv(name);
}

void config_wipe_environment(void)
{
    for (int i = 0; i < CONFIG_VARIABLE_END; i++)
        wipe_variable(variable_names[i]);
}

/* `before` is NULL at the start. */
static void take_variables(struct config *config, const struct config *before)
{
    for (int i = 0; i < CONFIG_VARIABLE_END; i++) {
        const char *value = before != NULL ? before->variables[i] : environment(variable_names[i]);
        config->variables[i] = value == NULL ? NULL : mem_strdup(value);
    }
}

static enum err_code add_environment_secret(struct config *config, const struct place *top)
{
    const char *value = config->variables[CONFIG_WEBHOOK_SECRET];
    struct place place = at_key(top, "webhook_secret_file");
    if (value != NULL) {
        if (config->webhook_secret_count == CONFIG_SECRETS_MAX)
            return fail(&place, "with PRGATE_WEBHOOK_SECRET there are more than %d secrets; drop one",
                        CONFIG_SECRETS_MAX);
        struct secret *secret = &config->webhook_secrets[config->webhook_secret_count++];
        secret->bytes = (unsigned char *)mem_strdup(value);
        secret->len = strlen(value);
    }
    return ERR_OK;
}

static enum err_code check_secrets(const struct config *config, const struct place *top)
{
    struct place place = at_key(top, "webhook_secret_file");
    if (config->webhook_secret_count == 0 && !config->awaits_app)
        return fail(&place, "no secret; name a file with the webhook's secret, or set PRGATE_WEBHOOK_SECRET");
    return ERR_OK;
}

static enum err_code check_top(struct config *config, const struct place *top)
{
    struct place state_dir = at_key(top, "state_dir");
    if (config->state_dir == NULL)
        return fail(&state_dir, "missing; name the directory that prgate keeps its state in");
    return add_environment_secret(config, top);
}

/* A secret text that can come from a file or, instead, from the environment. */
static enum err_code take_text(const struct config *config, const struct place *place,
                               enum config_variable variable, char **field)
{
    const char *value = config->variables[variable];
    const char *name = variable_names[variable];
    if (value == NULL)
        return ERR_OK;
    if (*field != NULL)
        return fail(place, "%s is set too; keep the file or the variable", name);
    const char *wrong = variable == CONFIG_GITHUB_TOKEN ? config_check_token(value) : config_check_pem(value);
    if (wrong != NULL)
        return fail(place, "%s, used instead, %s", name, wrong);
    *field = mem_strdup(value);
    return ERR_OK;
}

static enum err_code check_credentials(const struct config *config, const struct place *github)
{
    struct place app_id = at_key(github, "app_id");
    struct place key_file = at_key(github, "private_key_file");
    if (config->app_id != 0 && config->token != NULL)
        return fail(&app_id, "a token is given as well; keep the App or the token");
    if (config->app_id != 0 && config->app_key_pem == NULL)
        return fail(&app_id, "the App's key is missing; set private_key_file or PRGATE_APP_PRIVATE_KEY");
    if (config->app_id == 0 && config->app_key_pem != NULL)
        return fail(&key_file, "a key without an App; set app_id");
    if (config_credentials(config) == CREDENTIALS_NONE && !config->dry_run && !config->awaits_app)
        return fail(github,
                    "no credentials; set app_id and private_key_file, or token_file, or dry_run = true; "
                    "or app_dir, and let prgatectl setup make an App");
    return ERR_OK;
}

/* One file of app_dir, as the key would have it that names such a file. */
static enum err_code read_app_file(const struct config *config, const struct place *place, const char *name,
                                   struct secret *out)
{
    struct buf path;
    buf_init(&path);
    buf_addf(&path, "%s/%s", config->app_dir, name);
    enum err_code code = read_secret(place, buf_text(&path), out);
    buf_release(&path);
    return code;
}

static enum err_code take_app_id(struct config *config, const struct place *place)
{
    struct secret text = {0};
    enum err_code code = read_app_file(config, place, "app_id", &text);
    if (code == ERR_OK &&
        (!text_to_u64((const char *)text.bytes, ID_MAX, &config->app_id) || config->app_id == 0))
        code = fail(place, "%s/app_id has no App's number in it", config->app_dir);
    secret_release(&text);
    return code;
}

static enum err_code take_app_key(struct config *config, const struct place *place)
{
    struct secret text = {0};
    enum err_code code = read_app_file(config, place, "private-key.pem", &text);
    const char *wrong = code == ERR_OK ? config_check_pem((const char *)text.bytes) : NULL;
    if (wrong != NULL)
        code = fail(place, "%s/private-key.pem %s", config->app_dir, wrong);
    if (code == ERR_OK)
        config->app_key_pem = mem_strdup((const char *)text.bytes);
    secret_release(&text);
    return code;
}

static enum err_code take_app_secret(struct config *config, const struct place *place)
{
    if (config->webhook_secret_count == CONFIG_SECRETS_MAX)
        return fail(place, "with its secret there are more than %d webhook secrets; drop one",
                    CONFIG_SECRETS_MAX);
    enum err_code code = read_app_file(config, place, "webhook.secret",
                                       &config->webhook_secrets[config->webhook_secret_count]);
    if (code == ERR_OK)
        config->webhook_secret_count++;
    return code;
}

/* It is there whole, or not at all and then prgatectl setup is to make it. */
static enum err_code take_app_dir(struct config *config, const struct place *github)
{
    struct stat st;
    struct place place = at_key(github, "app_dir");
    if (config->app_dir[0] == '\0')
        return ERR_OK;
    if (config->app_id != 0 || config->app_key_pem != NULL || config->token != NULL)
        return fail(&place, "another App or a token is given as well; keep one of them");
    config->awaits_app = lstat(config->app_dir, &st) != 0 && errno == ENOENT;
    if (config->awaits_app)
        return ERR_OK;
    enum err_code code = take_app_id(config, &place);
    if (code == ERR_OK)
        code = take_app_key(config, &place);
    return code == ERR_OK ? take_app_secret(config, &place) : code;
}

static enum err_code load_github(struct config *config, const struct place *github)
{
    struct place key_file = at_key(github, "private_key_file");
    struct place token_file = at_key(github, "token_file");
    enum err_code code = apply_keys(github, &github_table, config);
    if (code == ERR_OK)
        code = take_text(config, &key_file, CONFIG_APP_PRIVATE_KEY, &config->app_key_pem);
    if (code == ERR_OK)
        code = take_text(config, &token_file, CONFIG_GITHUB_TOKEN, &config->token);
    if (code == ERR_OK)
        code = take_app_dir(config, github);
    return code == ERR_OK ? check_credentials(config, github) : code;
}

static enum err_code check_trigger(const struct policy *policy, const struct place *repo)
{
    struct place trigger = at_key(repo, "trigger");
    switch (policy->trigger) {
    case TRIGGER_WORKFLOW_DISPATCH:
        if (policy->workflow[0] == '\0')
            return fail(&trigger, "workflow_dispatch needs to know what to run; set workflow");
        return ERR_OK;
    case TRIGGER_HTTP:
        if (policy->http_url[0] == '\0')
            return fail(&trigger, "http needs to know where to send it; set http_url");
        return ERR_OK;
    case TRIGGER_NONE:
    case TRIGGER_REPOSITORY_DISPATCH:
        return ERR_OK;
    }
    return ERR_OK;
}

static enum err_code check_queue(const struct policy *policy, const struct place *repo)
{
    struct place trigger = at_key(repo, "merge_queue_trigger");
    struct place label = at_key(repo, "queue_label");
    if (policy->queue_trigger && policy->trigger == TRIGGER_NONE)
        return fail(&trigger, "there is nothing to send where the label itself starts CI; let the workflow "
                              "listen to merge_group, or choose another trigger");
    if (text_equal_fold(policy->queue_label, policy->label))
        return fail(&label, "is the gate's own label, and would withdraw the approval; name another");
    return ERR_OK;
}

static enum err_code check_policies(const struct policy *policy, const struct place *repo)
{
    const char *key = NULL;
    const char *wrong = config_policy_wrong(policy, &key);
    if (wrong == NULL)
        return ERR_OK;
    struct place place = at_key(repo, key);
    return fail(&place, "%s", wrong);
}

/* One word cannot ask for two things. */
static enum err_code check_commands(const struct policy *policy, const struct place *repo)
{
    static const char *const keys[] = {"command_approve", "command_rerun", "command_cancel", "command_status",
                                       "command_help"};
    const char *const words[] = {policy->command_approve, policy->command_rerun, policy->command_cancel,
                                 policy->command_status, policy->command_help};
    for (size_t i = 1; i < sizeof keys / sizeof keys[0]; i++) {
        for (size_t j = 0; j < i; j++) {
            struct place given =
                at_key(repo, option_line(cfg_getopt(repo->section, keys[i])) > 0 ? keys[i] : keys[j]);
            if (text_equal_fold(words[i], words[j]))
                return fail(&given,
                            "%s and %s are one word, \"%s\"; letter case does not count; choose another",
                            keys[j], keys[i], words[i]);
        }
    }
    return ERR_OK;
}

/* libConfuse found those written alike; GitHub ignores case, so two more spellings can be one name. */
static enum err_code check_unique(const struct config *config, const struct place *repo)
{
    const struct policy *added = &config->policies[config->policy_count - 1];
    for (const struct policy *other = config->policies; other < added; other++)
        if (text_equal_fold(other->pattern, added->pattern))
            return fail(repo, "repo \"%s\" names the same, letter case does not count; merge the two",
                        other->pattern);
    return ERR_OK;
}

static enum err_code load_policy(struct config *config, const struct place *repo)
{
    struct policy *policy = &config->policies[config->policy_count++];
    const char *wrong = config_check_pattern(repo->section->title);
    *policy = (struct policy){.pattern = mem_strdup(repo->section->title)};
    if (wrong != NULL)
        return fail(repo, "%s", wrong);
    enum err_code code = apply_keys(repo, &repo_table, policy);
    if (code == ERR_OK)
        code = check_trigger(policy, repo);
    if (code == ERR_OK)
        code = check_queue(policy, repo);
    if (code == ERR_OK)
        code = check_policies(policy, repo);
    if (code == ERR_OK)
        code = check_commands(policy, repo);
    return code == ERR_OK ? check_unique(config, repo) : code;
}

static enum err_code load_policies(struct config *config, const struct place *top)
{
    unsigned count = cfg_size(top->section, "repo");
    if (count == 0)
        return fail(top, "no repository; add a section like: repo \"owner/name\" { }");
    config->policies = mem_alloc(count * sizeof *config->policies);
    for (unsigned i = 0; i < count; i++) {
        struct place repo = *top;
        repo.section = cfg_getnsec(top->section, "repo", i);
        enum err_code code = load_policy(config, &repo);
        if (code != ERR_OK)
            return code;
    }
    return ERR_OK;
}

static enum err_code load(struct config *config, cfg_t *cfg, struct err *err)
{
    struct place top = {.path = config->path, .section = cfg, .err = err};
    struct place github = {.path = config->path, .section = cfg_getsec(cfg, "github"), .err = err};
    enum err_code code = apply_keys(&top, &top_table, config);
    if (code == ERR_OK)
        code = check_top(config, &top);
    if (code == ERR_OK)
        code = load_github(config, &github);
    if (code == ERR_OK)
        code = check_secrets(config, &top);
    return code == ERR_OK ? load_policies(config, &top) : code;
}

static enum err_code open_file(struct config **out, const char *path, const struct config *before,
                               struct err *err)
{
    struct sink state = {.err = err, .path = path};
    void *sink = &state;
    struct config *config = NULL;
    cfg_t *cfg = NULL;
    enum err_code code = parse_file(path, &sink, &cfg, err);
    if (code != ERR_OK)
        return code;
    config = mem_alloc(sizeof *config);
    *config = (struct config){.path = mem_strdup(path)};
    take_variables(config, before);
    code = load(config, cfg, err);
    cfg_free(cfg);
    if (code == ERR_OK)
        *out = config;
    else
        config_close(config);
    return code;
}

enum err_code config_open(struct config **out, const char *path, struct err *err)
{
    return open_file(out, path, NULL, err);
}

enum err_code config_reopen(struct config **out, const struct config *now, struct err *err)
{
    return open_file(out, now->path, now, err);
}

static void list_release(struct string_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
}

static void policy_release_extras(struct policy *policy)
{
    free(policy->emergency_label);
    free(policy->emergency_check);
    free(policy->emergency_message);
    list_release(&policy->tests_needed_for);
    list_release(&policy->tests_are);
    list_release(&policy->tests_exempt);
    free(policy->tests_message);
    free(policy->base_wanted);
    list_release(&policy->base_wrong);
    free(policy->base_message);
    list_release(&policy->release_branches);
    list_release(&policy->release_accounts);
    free(policy->release_head_message);
    list_release(&policy->author_labels);
    free(policy->conflict_message);
    free(policy->new_commit_message);
}

static void policy_release(struct policy *policy)
{
    policy_release_extras(policy);
    free(policy->pattern);
    free(policy->label);
    list_release(&policy->trusted_users);
    list_release(&policy->trusted_bots);
    list_release(&policy->trusted_teams);
    free(policy->check_name);
    free(policy->dispatch_event);
    free(policy->workflow);
    free(policy->workflow_ref);
    free(policy->http_url);
    free(policy->queue_label);
    free(policy->command_prefix);
    free(policy->command_approve);
    free(policy->command_rerun);
    free(policy->command_cancel);
    free(policy->command_status);
    free(policy->command_help);
    secret_release(&policy->http_secret);
}

void config_close(struct config *config)
{
    if (config == NULL)
        return;
    for (size_t i = 0; i < config->webhook_secret_count; i++)
        secret_release(&config->webhook_secrets[i]);
    for (size_t i = 0; i < config->policy_count; i++)
        policy_release(&config->policies[i]);
    free(config->policies);
    secret_text_free(config->app_key_pem);
    secret_text_free(config->token);
    for (int i = 0; i < CONFIG_VARIABLE_END; i++)
        secret_text_free(config->variables[i]);
    free(config->app_dir);
    free(config->api_url);
    free(config->public_url);
    free(config->state_dir);
    free(config->path);
    free(config);
}

/* ---- asking ---- */

const char *config_path(void)
{
    const char *path = environment("PRGATE_CONF");
    return path == NULL ? CONFIG_DEFAULT_PATH : path;
}

enum credentials config_credentials(const struct config *config)
{
    if (config->app_id != 0)
        return CREDENTIALS_APP;
    return config->token == NULL ? CREDENTIALS_NONE : CREDENTIALS_TOKEN;
}

static const struct policy *find_policy(const struct config *config, const char *pattern)
{
    for (size_t i = 0; i < config->policy_count; i++)
        if (text_equal_fold(config->policies[i].pattern, pattern))
            return &config->policies[i];
    return NULL;
}

const struct policy *config_policy(const struct config *config, const char *repo)
{
    char wildcard[REPO_NAME_SIZE];
    const char *slash = strchr(repo, '/');
    const struct policy *policy = text_is_repo_name(repo) ? find_policy(config, repo) : NULL;
    if (policy != NULL || slash == NULL || !text_is_repo_name(repo))
        return policy;
    snprintf(wildcard, sizeof wildcard, "%.*s/*", (int)(slash - repo), repo);
    policy = find_policy(config, wildcard);
    return policy != NULL ? policy : find_policy(config, "*");
}

bool policy_is_gate_label(const struct policy *policy, const char *name, uint64_t id)
{
    return text_equal_fold(policy->label, name) && (policy->label_id == 0 || policy->label_id == id);
}

bool policy_names_bot(const struct policy *policy, const char *login, uint64_t *app_id)
{
    char named[LOGIN_SIZE];
    for (size_t i = 0; i < policy->trusted_bots.count; i++)
        if (config_read_bot(policy->trusted_bots.items[i], named, app_id) && text_equal_fold(named, login))
            return true;
    return false;
}

bool string_list_has(const struct string_list *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++)
        if (text_equal_fold(list->items[i], text))
            return true;
    return false;
}

const char *permission_name(enum permission permission)
{
    switch (permission) {
    case PERMISSION_NONE:
        return "none";
    case PERMISSION_READ:
        return "read";
    case PERMISSION_TRIAGE:
        return "triage";
    case PERMISSION_WRITE:
        return "write";
    case PERMISSION_MAINTAIN:
        return "maintain";
    case PERMISSION_ADMIN:
        return "admin";
    case PERMISSION_END:
        break;
    }
    return "?";
}

bool permission_parse(const char *name, enum permission *out)
{
    for (enum permission permission = PERMISSION_NONE; permission <= PERMISSION_ADMIN; permission++) {
        if (strcmp(permission_name(permission), name) == 0) {
            *out = permission;
            return true;
        }
    }
    return false;
}

const char *trigger_kind_name(enum trigger_kind kind)
{
    switch (kind) {
    case TRIGGER_NONE:
        return "none";
    case TRIGGER_REPOSITORY_DISPATCH:
        return "repository_dispatch";
    case TRIGGER_WORKFLOW_DISPATCH:
        return "workflow_dispatch";
    case TRIGGER_HTTP:
        return "http";
    }
    return "?";
}
