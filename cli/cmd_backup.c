/*
 * prgatectl backup, prgatectl restore, prgatectl recover: a copy of the store in use, and back; and the store brought
 * into order from its log.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "prgate/alive.h"
#include "prgate/buf.h"
#include "prgate/clock.h"
#include "prgate/store.h"
#include "prgate/tables.h"

enum { LOOK_EACH_MS = 250, COUNT_MAX = 1000000 };

/* ---- how far it has got ---------------------------------------------------------------- */

/*
 * A thread of its own looks how large the copy is: the store tells nothing while it copies. Nor does it tell how far a
 * recovery is: without `to` the seconds are shown.
 */
struct watch {
    const char *from, *to;
    struct progress progress;
    pthread_t thread;
    bool started;
    atomic_bool over;
};

/* In a directory and those right below it, where a store and its copy have their files. */
static uint64_t bytes_below(const char *path, int depth)
{
    DIR *dir = opendir(path);
    uint64_t sum = 0;
    const struct dirent *entry;
    struct stat st;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        struct buf name;
        bool is_self = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
        bool is_region = strncmp(entry->d_name, "__db.", 5) == 0;
        buf_init(&name);
        buf_addf(&name, "%s/%s", path, entry->d_name);
        if (!is_self && !is_region && lstat(buf_text(&name), &st) == 0)
            sum += S_ISREG(st.st_mode)                ? (uint64_t)st.st_size
                   : S_ISDIR(st.st_mode) && depth > 0 ? bytes_below(buf_text(&name), depth - 1)
                                                      : 0;
        buf_release(&name);
    }
    if (dir != NULL)
        closedir(dir);
    return sum;
}

static void *look_on(void *arg)
{
    struct watch *watch = arg;
    int64_t start_ms = clock_monotonic_ms();
    uint64_t total = watch->to == NULL ? 0 : (bytes_below(watch->from, 0) >> 10) + 1;
    do {
        if (watch->to != NULL)
            progress_show(&watch->progress, bytes_below(watch->to, 1) >> 10, total);
        else
            progress_show(&watch->progress, (uint64_t)(clock_monotonic_ms() - start_ms) / 1000, 0);
        nanosleep(&(struct timespec){.tv_nsec = LOOK_EACH_MS * 1000000L}, NULL);
    } while (!atomic_load(&watch->over));
    progress_end(&watch->progress);
    return NULL;
}

static void watch_start(struct watch *watch)
{
    watch->started = isatty(STDERR_FILENO) && pthread_create(&watch->thread, NULL, look_on, watch) == 0;
}

static void watch_end(struct watch *watch)
{
    atomic_store(&watch->over, true);
    if (watch->started)
        pthread_join(watch->thread, NULL);
}

/* ---- backup and restore ------------------------------------------------------------------ */

static void say_done(const struct cli *cli, const char *what, const char *directory, const char *sentence)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "done", what);
    cJSON_AddStringToObject(object, "state_dir", cli->config->state_dir);
    cJSON_AddStringToObject(object, "directory", directory);
    cli_print_done(cli, object, sentence);
}

enum exit_status cmd_backup(const struct cli *cli)
{
    const char *state_dir = cli->config->state_dir, *dir = cli->arguments[0];
    struct store *store = NULL;
    struct err err = {0};
    struct buf home, sentence;
    buf_init(&home);
    buf_init(&sentence);
    buf_addf(&home, "%s/db", state_dir);
    enum err_code code = cli_open_store(&store, cli->config, &err);
    if (code == ERR_OK) {
        struct watch watch = {
            .from = buf_text(&home), .to = dir, .progress = {.what = "backup", .unit = "kB"}};
        watch_start(&watch);
        code = store_backup(store, dir, &err);
        watch_end(&watch);
    }
    store_close(store);
    buf_addf(&sentence, "%s: a verified backup of %s", dir, state_dir);
    if (code == ERR_OK)
        say_done(cli, "backup", dir, buf_text(&sentence));
    buf_release(&home);
    buf_release(&sentence);
    return code == ERR_OK ? EXIT_OK : cli_complain(&err);
}

enum exit_status cmd_restore(const struct cli *cli)
{
    const char *state_dir = cli->config->state_dir, *dir = cli->arguments[0];
    struct buf sentence, from, to;
    struct err err = {0};
    buf_init(&from);
    buf_init(&to);
    buf_addf(&from, "%s/db", dir);
    buf_addf(&to, "%s/incomplete", state_dir);
    struct watch watch = {
        .from = buf_text(&from), .to = buf_text(&to), .progress = {.what = "restore", .unit = "kB"}};
    enum err_code code = cli_check_owner(state_dir, &err);
    if (code == ERR_OK)
        code = alive_refuse_pool(state_dir, &err);
    if (code == ERR_OK) {
        watch_start(&watch);
        code = store_restore(state_dir, dir, &err);
        watch_end(&watch);
    }
    buf_release(&from);
    buf_release(&to);
    if (code != ERR_OK)
        return cli_complain(&err);
    buf_init(&sentence);
    buf_addf(&sentence, "%s: restored from %s; redeliver on GitHub what came in since that backup", state_dir,
             dir);
    say_done(cli, "restore", dir, buf_text(&sentence));
    buf_release(&sentence);
    return EXIT_OK;
}

/* ---- recover ----------------------------------------------------------------------------- */

/*
 * Without its mark (boot.h) the store counts as one that was not recovered since the machine booted: whoever opens it
 * next does that, as after a power cut, when all others have let go (fence.h). A crash behind this leaves the recovery
 * to the pool.
 */
static enum err_code forget_boot(const char *state_dir, struct err *err)
{
    struct buf path;
    enum err_code code = ERR_OK;
    buf_init(&path);
    buf_addf(&path, "%s/db/boot", state_dir);
    int fd = open(buf_text(&path), O_RDWR | O_CLOEXEC);
    if (fd < 0 && errno != ENOENT)
        code = err_set(err, ERR_FATAL, errno, "cannot open %s: %s", buf_text(&path), strerror(errno));
    else if (fd >= 0 && ftruncate(fd, 0) != 0)
        code = err_set(err, ERR_FATAL, errno, "cannot empty %s: %s", buf_text(&path), strerror(errno));
    if (fd >= 0)
        close(fd);
    buf_release(&path);
    return code;
}

struct found {
    uint64_t log_records;
    size_t pulls, deliveries, actions;
};

static enum err_code look_around(struct store *store, struct found *found, struct err *err)
{
    enum err_code code = store_check_log(store, &found->log_records, err);
    if (code == ERR_OK)
        code = table_count(store, TABLE_PR, COUNT_MAX, &found->pulls, err);
    if (code == ERR_OK)
        code = table_count(store, TABLE_INBOX, COUNT_MAX, &found->deliveries, err);
    return code == ERR_OK ? table_count(store, TABLE_INTENT, COUNT_MAX, &found->actions, err) : code;
}

static void say_recovered(const struct cli *cli, const struct found *found)
{
    struct buf sentence;
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "done", "recover");
    cJSON_AddStringToObject(object, "state_dir", cli->config->state_dir);
    cJSON_AddNumberToObject(object, "log_records", (double)found->log_records);
    cJSON_AddNumberToObject(object, "pull_requests", (double)found->pulls);
    cJSON_AddNumberToObject(object, "deliveries_waiting", (double)found->deliveries);
    cJSON_AddNumberToObject(object, "actions_waiting", (double)found->actions);
    buf_init(&sentence);
    buf_addf(&sentence,
             "%s: recovered from its log, of which %" PRIu64
             " records were read and found sound; %zu pull requests, %zu deliveries and %zu actions waiting",
             cli->config->state_dir, found->log_records, found->pulls, found->deliveries, found->actions);
    cli_print_done(cli, object, buf_text(&sentence));
    buf_release(&sentence);
}

enum exit_status cmd_recover(const struct cli *cli)
{
    struct store *store = NULL;
    struct err err = {0};
    struct found found = {0};
    enum err_code code = cli_check_owner(cli->config->state_dir, &err);
    if (code == ERR_OK)
        code = alive_refuse_pool(cli->config->state_dir, &err);
    if (code == ERR_OK)
        code = forget_boot(cli->config->state_dir, &err);
    struct watch watch = {.progress = {.what = "recover", .unit = "s"}};
    watch_start(&watch);
    /* Refuses where there is no store. */
    if (code == ERR_OK)
        code = cli_open_store(&store, cli->config, &err);
    if (code == ERR_OK)
        code = look_around(store, &found, &err);
    watch_end(&watch);
    store_close(store);
    if (code != ERR_OK)
        return cli_complain(&err);
    say_recovered(cli, &found);
    return EXIT_OK;
}
