#include "prgate/inspect.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "prgate/clock.h"
#include "prgate/contents.h"
#include "prgate/gate.h"
#include "prgate/intent.h"
#include "prgate/text.h"

enum {
    ROOM_NEEDED_MB = 16, /* a log file, the pages of a checkpoint, and the regions */
    ROOM_WANTED_MB = 256,
    INODES_WANTED = 100,
    NAMED_MAX = 20 /* of each kind of thing, so that a large heap of them does not hide the rest */
};

static const int64_t year_2020_ms = INT64_C(1577836800000);

struct inspection {
    const struct config *config;
    const char *scratch_dir;
    inspect_fn *tell;
    void *arg;
    unsigned errors;
    uint64_t bytes; /* of the tables' files and the log */

    /* of the walk */
    uint64_t counts[TABLE_END];
    unsigned unreadable, dead, quarantined;
};

static void tell(struct inspection *in, enum finding finding, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void tell(struct inspection *in, enum finding finding, const char *format, ...)
{
    struct buf text;
    va_list args;
    buf_init(&text);
    va_start(args, format);
    buf_addv(&text, format, args);
    va_end(args);
    in->errors += finding == FINDING_ERROR;
    in->tell(in->arg, finding, buf_text(&text));
    buf_release(&text);
}

/* ---- the directory --------------------------------------------------------------- */

static void look_at_clock(struct inspection *in)
{
    if (clock_now_ms() < year_2020_ms)
        tell(in, FINDING_WARNING,
             "the clock says that it is before 2020: set it, tokens and retention go by it");
}

static const char *user_name(uid_t uid)
{
    const struct passwd *entry = getpwuid(uid);
    return entry == NULL ? "?" : entry->pw_name;
}

/* False: there is no use in looking further. */
static bool look_at_owner(struct inspection *in, const char *path, bool is_dir)
{
    struct stat st;
    if (lstat(path, &st) != 0) {
        tell(in, FINDING_ERROR, "%s: %s", path, strerror(errno));
        return false;
    }
    if (is_dir && !S_ISDIR(st.st_mode)) {
        tell(in, FINDING_ERROR, "%s is no directory", path);
        return false;
    }
    if (st.st_uid != geteuid()) {
        tell(in, FINDING_ERROR,
             "%s belongs to user %s (%u), and this is user %u: run it as the pool's user (runuser -u %s -- "
             "prgatectl "
             "check); if it is the wrong owner, chown -R the state directory",
             path, user_name(st.st_uid), (unsigned)st.st_uid, (unsigned)geteuid(), user_name(st.st_uid));
        return false;
    }
    if (faccessat(AT_FDCWD, path, is_dir ? R_OK | W_OK | X_OK : R_OK | W_OK, AT_EACCESS) != 0) {
        tell(in, FINDING_ERROR, "%s cannot be written: %s; %s", path, strerror(errno),
             errno == EROFS ? "mount the file system for writing"
             : is_dir       ? "chmod u+rwx"
                            : "chmod u+rw");
        return false;
    }
    if (st.st_mode & (is_dir ? 0022 : 0077) && strstr(path, "/__db.") == NULL)
        tell(in, FINDING_WARNING, "%s has mode %04o, so that others can %s it: chmod %s", path,
             (unsigned)st.st_mode & 07777, is_dir ? "write in" : "access", is_dir ? "go-w" : "go=");
    return true;
}

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names != NULL; names++)
        if (strncmp(name, *names, strlen(*names)) == 0)
            return true;
    return false;
}

typedef void look_fn(struct inspection *in, const char *path, const char *name);

static void each_name(struct inspection *in, const char *dir, look_fn *look)
{
    struct dirent **names;
    struct buf path;
    int count = scandir(dir, &names, NULL, alphasort);
    if (count < 0) {
        tell(in, FINDING_ERROR, "%s cannot be read: %s", dir, strerror(errno));
        return;
    }
    buf_init(&path);
    for (int i = 0; i < count; i++) {
        buf_clear(&path);
        buf_addf(&path, "%s/%s", dir, names[i]->d_name);
        if (strcmp(names[i]->d_name, ".") != 0 && strcmp(names[i]->d_name, "..") != 0)
            look(in, buf_text(&path), names[i]->d_name);
        free(names[i]);
    }
    free(names);
    buf_release(&path);
}

static void look_at_store_file(struct inspection *in, const char *path, const char *name)
{
    static const char *const known[] = {"__db.", "log.",  "boot",       "archive.lock", "synced",   "opening",
                                        "use",   "user.", "recovering", "turn",         "unsynced", NULL};
    struct stat st;
    size_t len = strlen(name);
    bool is_table = len > 3 && strcmp(name + len - 3, ".db") == 0;
    if (!is_table && !is_one_of(name, known))
        tell(in, FINDING_WARNING, "%s is nothing of prgate's", path);
    else if (look_at_owner(in, path, false) && strncmp(name, "__db.", 5) != 0 && stat(path, &st) == 0)
        in->bytes += (uint64_t)st.st_size;
}

/* app_dir, or what a set-up left beside it. */
static bool is_of_app(const struct inspection *in, const char *path)
{
    const char *dir = in->config->app_dir;
    size_t len = strlen(dir);
    return len > 0 && strncmp(path, dir, len) == 0 && (path[len] == '\0' || strcmp(path + len, ".new") == 0);
}

static void look_at_state_file(struct inspection *in, const char *path, const char *name)
{
    static const char *const known[] = {"db", "alive", "metrics", "setup", ".setup", NULL};
    static const char *const left[] = {"incomplete", "loading", NULL};
    if (is_one_of(name, left))
        tell(in, FINDING_WARNING,
             "%s was left by a restore or load that did not come to its end: remove it, or do "
             "that again",
             path);
    else if (!is_one_of(name, known) && !is_of_app(in, path))
        tell(in, FINDING_WARNING, "%s is nothing of prgate's", path);
    else
        look_at_owner(in, path, strcmp(name, "metrics") != 0 && strstr(name, "setup") == NULL);
}

static void look_at_file_system(struct inspection *in)
{
    const char *dir = in->config->state_dir;
    struct statfs fs;
    struct statvfs room;
    if (statfs(dir, &fs) != 0 || statvfs(dir, &room) != 0) {
        tell(in, FINDING_ERROR, "cannot look at the file system of %s: %s", dir, strerror(errno));
        return;
    }
    const char *network = store_network_name((long)fs.f_type);
    if (network != NULL)
        tell(in, FINDING_ERROR,
             "%s lies on a network file system (%s): set state_dir to a directory on a local disk", dir,
             network);
    uint64_t mb = (uint64_t)room.f_bavail * room.f_frsize >> 20;
    if (mb < ROOM_NEEDED_MB)
        tell(in, FINDING_ERROR,
             "%s: no space left on the disk (%" PRIu64 " MB): make room, webhooks are answered 503", dir, mb);
    else
        tell(in, mb < ROOM_WANTED_MB ? FINDING_WARNING : FINDING_FINE, "%s: %" PRIu64 " MB are free", dir,
             mb);
    if (room.f_files > 0 && room.f_favail < INODES_WANTED)
        tell(in, FINDING_ERROR, "%s: the file system has no more than %" PRIu64 " inodes free", dir,
             (uint64_t)room.f_favail);
}

static void look_at_directory(struct inspection *in)
{
    struct stat st;
    struct buf home;
    const char *dir = in->config->state_dir;
    if (stat(dir, &st) != 0 && errno == ENOENT) {
        tell(in, FINDING_ERROR,
             "%s does not exist. If prgate ran here before, it is lost: restore a backup. If not: install -d "
             "-m 700 "
             "-o USER %s",
             dir, dir);
        return;
    }
    if (!look_at_owner(in, dir, true))
        return;
    look_at_file_system(in);
    each_name(in, dir, look_at_state_file);
    buf_init(&home);
    buf_addf(&home, "%s/db", dir);
    if (stat(buf_text(&home), &st) == 0)
        each_name(in, buf_text(&home), look_at_store_file);
    buf_release(&home);
}

/* ---- what is in it ------------------------------------------------------------------ */

static void name_dead_letter(struct inspection *in, const struct entry *entry, const char *name)
{
    struct dead_letter letter;
    struct err err;
    if (dead_letter_decode(&letter, entry->value.data, entry->value.len, &err) == ERR_OK)
        tell(in, FINDING_WARNING, "given up: %s: %s of %.10s: %s", name, intent_kind_name(letter.intent.kind),
             letter.intent.sha.hex, letter.reason);
}

static bool can_be_set_aside(enum store_table table)
{
    return table == TABLE_PR || table == TABLE_INBOX || table == TABLE_INTENT;
}

static enum err_code look_at_entry(void *arg, const struct entry *entry, struct err *err)
{
    struct inspection *in = arg;
    struct buf name;
    (void)err;
    struct err why = {0};
    buf_init(&name);
    contents_name(entry, &name);
    in->counts[entry->table]++;
    if (contents_judge(entry, &why) != ERR_OK && in->unreadable++ < NAMED_MAX)
        tell(in, FINDING_ERROR, "table %s: %s: %s; %s", store_table_name(entry->table), buf_text(&name),
             why.text,
             why.number != 0                  ? "a later version of prgate can read it"
             : can_be_set_aside(entry->table) ? "it goes to quarantine when its turn comes"
                                              : "restore a backup");
    if (entry->table == TABLE_QUARANTINE && in->quarantined++ < NAMED_MAX)
        tell(in, FINDING_WARNING, "in quarantine: %s, %zu bytes", buf_text(&name), entry->value.len);
    if (entry->table == TABLE_DEAD && in->dead++ < NAMED_MAX)
        name_dead_letter(in, entry, buf_text(&name));
    buf_release(&name);
    return ERR_OK;
}

static void look_at_entries(struct inspection *in, struct store *store)
{
    struct err err = {0};
    if (contents_walk(store, look_at_entry, in, &err) != ERR_OK) {
        tell(in, FINDING_ERROR, "the tables cannot be read to their end: %s", err.text);
        return;
    }
    for (int i = 0; i < TABLE_END; i++)
        tell(in, FINDING_FINE, "table %s: %" PRIu64 " entries", store_table_name((enum store_table)i),
             in->counts[i]);
    if (in->unreadable > NAMED_MAX)
        tell(in, FINDING_ERROR, "%u entries in all cannot be decoded", in->unreadable);
    if (in->dead > 0)
        tell(in, FINDING_WARNING, "%u actions were given up: see prgatectl dead", in->dead);
    if (in->quarantined > 0)
        tell(in, FINDING_WARNING, "%u entries are in quarantine: written by another version, or damaged",
             in->quarantined);
}

static void look_at_log(struct inspection *in, struct store *store)
{
    struct err err = {0};
    uint64_t records;
    if (store_check_log(store, &records, &err) != ERR_OK)
        tell(in, FINDING_ERROR, "%s", err.text);
    else
        tell(in, FINDING_FINE, "the log: %" PRIu64 " records", records);
}

/* Only files that nobody has open can be verified: a copy's. */
static void look_at_copy(struct inspection *in, struct store *store)
{
    struct statvfs room;
    struct buf dir;
    struct err err = {0};
    uint64_t needed = in->bytes + in->bytes / 4 + (UINT64_C(16) << 20);
    if (statvfs(in->scratch_dir, &room) == 0 && (uint64_t)room.f_bavail * room.f_frsize < needed) {
        tell(in, FINDING_WARNING,
             "the files were not verified: a copy of them needs %" PRIu64 " MB in %s (set TMPDIR)",
             needed >> 20, in->scratch_dir);
        return;
    }
    buf_init(&dir);
    buf_addf(&dir, "%s/prgate-check-XXXXXX", in->scratch_dir);
    buf_text(&dir);
    if (mkdtemp((char *)dir.data) == NULL) {
        tell(in, FINDING_WARNING, "the files were not verified: no directory in %s: %s (set TMPDIR)",
             in->scratch_dir, strerror(errno));
    } else if (store_backup(store, buf_text(&dir), &err) != ERR_OK) {
        tell(in, FINDING_ERROR, "%s", err.text);
    } else {
        tell(in, FINDING_FINE, "each table's file is sound (verified on a copy)");
    }
    store_remove(buf_text(&dir), &err);
    buf_release(&dir);
}

static void look_at_store(struct inspection *in)
{
    struct gate gate;
    struct err err = {0};
    bool was_there = store_is_there(in->config->state_dir);
    if (gate_open(&gate, in->config, &err) != ERR_OK) {
        tell(in, FINDING_ERROR, "%s", err.text);
    } else {
        if (!was_there)
            tell(in, FINDING_WARNING,
                 "%s held no store: a new one was made. If prgate ran here before, its state is lost: "
                 "restore a backup",
                 in->config->state_dir);
        tell(in, FINDING_FINE, "%s: the store opens", in->config->state_dir);
        look_at_log(in, gate.store);
        look_at_entries(in, gate.store);
        look_at_copy(in, gate.store);
    }
    gate_close(&gate);
}

unsigned inspect_state(const struct config *config, const char *scratch_dir, inspect_fn *tell_fn, void *arg)
{
    struct inspection in = {.config = config, .scratch_dir = scratch_dir, .tell = tell_fn, .arg = arg};
    look_at_clock(&in);
    look_at_directory(&in);
    /* What would be opened as the wrong user, or cannot be written, is left alone. */
    if (in.errors == 0)
        look_at_store(&in);
    return in.errors;
}
