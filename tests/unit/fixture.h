/*
 * fixture: a state directory of a test's own, a configuration, an open gate, deliveries, and a GitHub that is
 * a function. What it starts it takes away again. Include after cmocka's headers.
 */
#ifndef PRGATE_TESTS_FIXTURE_H
#define PRGATE_TESTS_FIXTURE_H

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "prgate/clock.h"
#include "prgate/gate.h"
#include "prgate/inbox.h"
#include "prgate/tables.h"

static const char *const SHA_A = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/* What the transport answers, by call; see answer(). */
enum { CALLS_MAX = 64 };
struct github_fake {
    struct http http; /* first: perform() casts back */
    enum err_code (*answer)(const struct http_request *request, struct http_reply *reply, struct err *err);
    char calls[CALLS_MAX][512]; /* "METHOD URL-path" */
    int count;
};

struct fixture {
    char dir[64];
    struct config *config;
    struct gate gate;
    struct github_fake fake;
    struct worker worker;
};

static inline void write_file(const char *dir, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, 0600), 0);
}

/* `repo_keys` goes into the section of octo/repo. */
static inline void fixture_configure(struct fixture *f, const char *top_keys, const char *repo_keys)
{
    char text[4096], path[256];
    struct err err = {0};
    snprintf(f->dir, sizeof f->dir, "/tmp/prgate-unit-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    /* Nothing but what a test asks for calls GitHub. */
    const char *quiet =
        strstr(top_keys, "reconcile_interval") == NULL && strstr(top_keys, "redeliver_interval") == NULL
            ? "redeliver_interval = 0\nreconcile_interval = 0\n"
            : "";
    write_file(f->dir, "secret", "hush\n");
    write_file(f->dir, "token", "ghp_token\n");
    snprintf(text, sizeof text,
             "state_dir = \"%s/state\"\nwebhook_secret_file = \"%s/secret\"\n%s%s\n"
             "github { api_url = \"http://127.0.0.1:1\" token_file = \"%s/token\" }\n"
             "repo \"octo/repo\" { trusted_users = {\"ann\"} %s }\n",
             f->dir, f->dir, quiet, top_keys, f->dir, repo_keys);
    write_file(f->dir, "prgate.conf", text);
    snprintf(path, sizeof path, "%s/prgate.conf", f->dir);
    if (config_open(&f->config, path, &err) != ERR_OK)
        fail_msg("configuration: %s", err.text);
    log_setup(LOG_LEVEL_PANIC, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
}

static inline enum err_code fake_perform(struct http *http, const struct http_request *request,
                                         struct http_reply *reply, struct err *err)
{
    struct github_fake *fake = (struct github_fake *)http;
    const char *path = strstr(request->url, "://");
    path = strchr(path + 3, '/');
    if (fake->count < CALLS_MAX)
        snprintf(fake->calls[fake->count++], sizeof fake->calls[0], "%s %s", request->method, path);
    http_reply_clear(reply);
    return fake->answer(request, reply, err);
}

static inline void fixture_open_gate(struct fixture *f)
{
    struct err err = {0};
    if (gate_open(&f->gate, f->config, &err) != ERR_OK)
        fail_msg("gate: %s", err.text);
}

static inline void fixture_open_worker(struct fixture *f)
{
    struct err err = {0};
    f->fake.http.perform = fake_perform;
    f->worker = (struct worker){.gate = &f->gate};
    assert_int_equal(github_open(&f->worker.github, f->config, &f->fake.http, NULL, &err), ERR_OK);
}

static inline void fixture_open(struct fixture *f, const char *repo_keys)
{
    *f = (struct fixture){0};
    fixture_configure(f, "", repo_keys);
    fixture_open_gate(f);
    fixture_open_worker(f);
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type, (void)where;
    return remove(path);
}

static inline void fixture_close(struct fixture *f)
{
    github_close(f->worker.github);
    gate_close(&f->gate);
    config_close(f->config);
    nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/*
 * Runs `work` in a process of its own, with the gate open, which must end by SIGKILL; then opens the gate
 * here. Nothing may be open before: a store does not survive a fork.
 */
static inline void fixture_open_after_kill(struct fixture *f, void (*work)(struct fixture *))
{
    *f = (struct fixture){0};
    fixture_configure(f, "", "");
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fixture_open_gate(f);
        fixture_open_worker(f);
        work(f);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    fixture_open_gate(f);
    fixture_open_worker(f);
}

static inline struct event make_event(enum event_action action, const char *delivery)
{
    struct event event = {.action = action, .key = {.repo_id = 5, .number = 7}, .repo = "octo/repo"};
    event.received_ms = clock_now_ms();
    event.visibility = VISIBILITY_PUBLIC;
    event.sender = (struct user){.id = 3, .login = "tim"};
    event.pr = (struct snapshot){.updated_at = 1700000000, .mergeable = MERGEABLE_YES};
    event.pr.author = (struct user){.id = 2, .login = "ann"};
    sha_parse(&event.pr.head, SHA_A);
    strcpy(event.pr.head_ref, "topic");
    strcpy(event.pr.base_ref, "main");
    snprintf(event.delivery, sizeof event.delivery, "%s", delivery);
    event.label_is_gate = action == EVENT_LABELED || action == EVENT_UNLABELED;
    return event;
}

static inline struct receipt put_event(struct fixture *f, const struct event *event, bool may_claim)
{
    struct err err = {0};
    struct receipt receipt;
    if (inbox_put(&f->gate, event, may_claim, &receipt, &err) != ERR_OK)
        fail_msg("inbox: %s", err.text);
    return receipt;
}

/* Another process of the pool that does nothing but live. Call it before the gate is opened. */
static inline pid_t start_process(const struct fixture *f, struct process_id *id)
{
    int ends[2];
    char path[128];
    snprintf(path, sizeof path, "%s/state", f->dir);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct alive *alive;
        struct err err = {0};
        alarm(60); /* should the test fail and forget it */
        if (alive_open(&alive, path, &err) != ERR_OK ||
            write(ends[1], alive_self(alive), sizeof *id) != (ssize_t)sizeof *id)
            _exit(1);
        for (;;)
            pause();
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], id, sizeof *id), sizeof *id);
    close(ends[0]);
    return child;
}

static inline void kill_process(pid_t child)
{
    int status;
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* First in a test that counts transactions, or what one of them does. */
static inline void skip_if_run_again(void)
{
    if (getenv("RUN_AGAIN") != NULL)
        skip();
}

/* A body of store_txn() that copies the record out; *arg is a struct record with its key set. */
static inline enum err_code read_record_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct record *record = arg;
    struct pr_key key = record->key;
    return table_get_record(txn, &key, STORE_READ, record, err);
}

/* The caller releases it. */
static inline struct record get_record(struct fixture *f)
{
    struct err err = {0};
    struct record record;
    record_init(&record);
    record.key = (struct pr_key){.repo_id = 5, .number = 7};
    if (store_txn(f->gate.store, read_record_body, &record, &err) != ERR_OK)
        fail_msg("record: %s", err.text);
    return record;
}

static inline enum err_code put_record_body(struct store_txn *txn, void *arg, struct err *err)
{
    return table_put_record(txn, arg, err);
}

static inline void put_record(struct fixture *f, const struct record *record)
{
    struct err err = {0};
    assert_int_equal(store_txn(f->gate.store, put_record_body, (void *)(uintptr_t)record, &err), ERR_OK);
}

static inline size_t count_table(struct fixture *f, enum store_table table)
{
    struct err err = {0};
    size_t count = 0;
    assert_int_equal(table_count(f->gate.store, table, 1000, &count, &err), ERR_OK);
    return count;
}

/*
 * From here on no file grows beyond what is nothing to a log: to the store that is a full disk. Only this
 * process notices, and free_disk() ends it.
 */
static inline void fill_disk(void)
{
    struct rlimit limit;
    fflush(NULL);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = 512;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static inline void free_disk(void)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

#endif
