/*
 * points: a library for LD_PRELOAD that kills prgate.fcgi with SIGKILL at named points.
 *
 * prgate has no hooks for tests. The points are recognised by the calls that it makes into libfcgi,
 * libcrypto, libcurl and Berkeley DB, and that Berkeley DB makes into libc; the table below has them.
 *
 * CRASH_POINTS names a file that all processes of the pool and the test map. It has one struct slot for each
 * point. The test writes N into `armed`: the N-th time that somebody passes the point from then on, counted
 * over the pool, that process dies there. `passes` and `kills` count over the pool, too. Without CRASH_POINTS, or in
 * another program than prgate.fcgi, nothing happens.
 */
#include <curl/curl.h>
#include <db.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <link.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "db_log.h"

enum point {
    REQUEST_READ,        /* the webhook is read, its signature is about to be checked */
    BEFORE_INBOX_COMMIT, /* it is in a transaction, locks are held */
    AFTER_INBOX_COMMIT,  /* it is in force, on its way to the disk, and nobody knows */
    REPLY_SENT,          /* GitHub knows; the claim is taken, and no thread works yet */
    BEFORE_READ,         /* a call that only asks */
    AFTER_READ,
    BEFORE_TRIGGER, /* marked as sent, and not sent */
    AFTER_TRIGGER,  /* sent, and nobody here knows what came of it */
    BEFORE_LABEL,
    AFTER_LABEL,
    BEFORE_CHECK,
    AFTER_CHECK,
    BEFORE_COMMENT,
    AFTER_COMMENT,
    BEFORE_RESULT_COMMIT, /* done on GitHub, and in a transaction that says so */
    AFTER_RESULT_COMMIT,
    BEFORE_OTHER_COMMIT, /* decisions, claims, marks, what was learnt about people */
    AFTER_OTHER_COMMIT,
    IN_DB_OPENING,    /* amid opening the environment, which may be recovering it */
    IN_DB_BEGUN,      /* a transaction has begun */
    IN_DB_MUTEX,      /* a mutex in the shared regions is held */
    IN_DB_LOG_ZERO,   /* a new file of the log is half filled with zeros, or less */
    IN_DB_LOG_WRITE,  /* half of what was to be written to the log is */
    IN_DB_LOG_SYNC,   /* written to the log, not yet synced */
    IN_DB_PAGE_WRITE, /* a page of a table is about to be written */
    POINT_END
};

static const char *const names[POINT_END] = {
    [REQUEST_READ] = "request read",
    [BEFORE_INBOX_COMMIT] = "before the inbox commit",
    [AFTER_INBOX_COMMIT] = "after the inbox commit",
    [REPLY_SENT] = "after the reply",
    [BEFORE_READ] = "before a read",
    [AFTER_READ] = "after a read",
    [BEFORE_TRIGGER] = "before a trigger",
    [AFTER_TRIGGER] = "after a trigger",
    [BEFORE_LABEL] = "before a label",
    [AFTER_LABEL] = "after a label",
    [BEFORE_CHECK] = "before a check",
    [AFTER_CHECK] = "after a check",
    [BEFORE_COMMENT] = "before a comment",
    [AFTER_COMMENT] = "after a comment",
    [BEFORE_RESULT_COMMIT] = "before a result's commit",
    [AFTER_RESULT_COMMIT] = "after a result's commit",
    [BEFORE_OTHER_COMMIT] = "before another commit",
    [AFTER_OTHER_COMMIT] = "after another commit",
    [IN_DB_OPENING] = "db: opening",
    [IN_DB_BEGUN] = "db: transaction begun",
    [IN_DB_MUTEX] = "db: mutex held",
    [IN_DB_LOG_ZERO] = "db: log half zeroed",
    [IN_DB_LOG_WRITE] = "db: log half written",
    [IN_DB_LOG_SYNC] = "db: log not synced",
    [IN_DB_PAGE_WRITE] = "db: page not written",
};

/* tests/integration/points.py reads and writes the same. */
struct slot {
    char name[28];
    atomic_uint hang;  /* not 0: the thread that is due does not die, it stays there for ever */
    atomic_uint armed; /* 0: nobody is due */
    atomic_uint kills;
    atomic_ullong passes;
};
_Static_assert(sizeof(struct slot) == 48, "as in points.py");
enum { FILE_SIZE = 4096 };
_Static_assert(POINT_END * sizeof(struct slot) < FILE_SIZE, "an empty name ends the list");

static struct slot *slots; /* NULL: not at work */
static uintptr_t db_from, db_to;

/* What the calls of this thread so far say about where it is. */
static _Thread_local struct {
    bool accepted;   /* from accepting a request to the end of the reply */
    bool in_webhook; /* from the signature to the end of the reply */
    bool opening;    /* inside DB_ENV->open() */
    bool has_acted;  /* the last call that went out was more than a question */
    char method[16];
    char url[512];
} here;

/* ---- dying ------------------------------------------------------------------------ */

static void die(const struct slot *slot)
{
    if (atomic_load(&slot->hang) == 0)
        kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

static bool is_due(enum point point)
{
    if (slots == NULL)
        return false;
    struct slot *slot = &slots[point];
    atomic_fetch_add(&slot->passes, 1);
    unsigned left = atomic_load(&slot->armed);
    while (left > 0 && !atomic_compare_exchange_weak(&slot->armed, &left, left - 1))
        continue;
    if (left != 1)
        return false;
    atomic_fetch_add(&slot->kills, 1);
    return true;
}

static void pass(enum point point)
{
    if (is_due(point))
        die(&slots[point]);
}

/* ---- setting up ------------------------------------------------------------------- */

/* ISO C does not let a pointer to data become one to a function; POSIX has dlsym() do it all the same. */
#define NEXT(function)                                                                                       \
    static __typeof__(&function) next;                                                                       \
    do {                                                                                                     \
        if (next == NULL) {                                                                                  \
            void *found = dlsym(RTLD_NEXT, #function);                                                       \
            if (found == NULL)                                                                               \
                abort();                                                                                     \
            memcpy(&next, &found, sizeof next);                                                              \
        }                                                                                                    \
    } while (0)

static int find_db(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size, (void)arg;
    if (strstr(info->dlpi_name, "libdb-") == NULL)
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        uintptr_t end = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz;
        if (info->dlpi_phdr[i].p_type == PT_LOAD && end > db_to)
            db_to = end;
    }
    db_from = info->dlpi_addr;
    return 1;
}

__attribute__((constructor)) static void set_up(void)
{
    const char *path = getenv("CRASH_POINTS");
    if (path == NULL || strcmp(program_invocation_short_name, "prgate.fcgi") != 0)
        return;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *map = fd < 0 ? MAP_FAILED : mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    dl_iterate_phdr(find_db, NULL);
    if (map == MAP_FAILED || db_from == 0) {
        fprintf(stderr, "points: cannot use %s, or no Berkeley DB: %s\n", path, strerror(errno));
        abort();
    }
    close(fd);
    struct slot *mapped = map;
    for (int i = 0; i < POINT_END; i++)
        strncpy(mapped[i].name, names[i], sizeof mapped[i].name - 1);
    slots = mapped;
}

/* ---- requests --------------------------------------------------------------------- */

/* The door computes one for each secret as soon as it has read the body. Own CIs are signed for elsewhere. */
int EVP_MAC_update(EVP_MAC_CTX *context, const unsigned char *data, size_t len)
{
    NEXT(EVP_MAC_update);
    if (here.accepted && !here.in_webhook) {
        here.in_webhook = true;
        pass(REQUEST_READ);
    }
    return next(context, data, len);
}

int FCGX_Accept_r(FCGX_Request *request)
{
    NEXT(FCGX_Accept_r);
    int code = next(request);
    here.accepted = code == 0;
    here.in_webhook = false;
    return code;
}

void FCGX_Finish_r(FCGX_Request *request)
{
    NEXT(FCGX_Finish_r);
    next(request);
    if (here.in_webhook)
        pass(REPLY_SENT);
    here.accepted = here.in_webhook = false;
}

/* ---- calls ------------------------------------------------------------------------ */

#undef curl_easy_setopt
CURLcode curl_easy_setopt(CURL *curl, CURLoption option, ...)
{
    NEXT(curl_easy_setopt);
    va_list list;
    va_start(list, option);
    /* Whatever it is, a pointer, a long or an offset, it fills one register. */
    void *value = va_arg(list, void *);
    va_end(list);
    if (option == CURLOPT_URL)
        snprintf(here.url, sizeof here.url, "%s", (const char *)value);
    if (option == CURLOPT_CUSTOMREQUEST)
        snprintf(here.method, sizeof here.method, "%s", (const char *)value);
    return next(curl, option, value);
}

void curl_easy_reset(CURL *curl)
{
    NEXT(curl_easy_reset);
    here.method[0] = here.url[0] = '\0';
    next(curl);
}

/* The point before the call; the next one in the list is the point after it. */
static enum point kind_of_call(void)
{
    if (here.method[0] == '\0')
        return BEFORE_READ;
    if (strstr(here.url, "/dispatches") != NULL || strstr(here.url, "/_ci/hook") != NULL)
        return BEFORE_TRIGGER;
    if (strstr(here.url, "/labels") != NULL)
        return BEFORE_LABEL;
    if (strstr(here.url, "/check-runs") != NULL || strstr(here.url, "/statuses/") != NULL)
        return BEFORE_CHECK;
    return strstr(here.url, "/comments") != NULL ? BEFORE_COMMENT : BEFORE_READ;
}

CURLcode curl_easy_perform(CURL *curl)
{
    NEXT(curl_easy_perform);
    enum point before = kind_of_call();
    pass(before);
    CURLcode code = next(curl);
    pass(before + 1);
    here.has_acted = before != BEFORE_READ;
    return code;
}

/* Exchanges that are under way in this thread, each of a fiber of its own. */
enum { CALLS_MAX = 1024 };

struct call {
    CURL *curl; /* NULL: free */
    enum point before;
};

static _Thread_local struct call calls[CALLS_MAX];

static struct call *find_call(const CURL *curl)
{
    for (size_t i = 0; i < CALLS_MAX; i++)
        if (calls[i].curl == curl)
            return &calls[i];
    return NULL;
}

CURLMcode curl_multi_add_handle(CURLM *multi, CURL *curl)
{
    NEXT(curl_multi_add_handle);
    struct call *call = find_call(NULL);
    enum point before = kind_of_call(); /* as the fiber has just said, most likely */
    pass(before);
    if (call != NULL)
        *call = (struct call){.curl = curl, .before = before};
    return next(multi, curl);
}

/* One that is broken off comes by here only. */
CURLMcode curl_multi_remove_handle(CURLM *multi, CURL *curl)
{
    NEXT(curl_multi_remove_handle);
    struct call *call = find_call(curl);
    if (call != NULL)
        call->curl = NULL;
    return next(multi, curl);
}

/* The next commit of this thread that is no webhook's is taken for the result's; where many fibers act it may be another's. */
CURLMsg *curl_multi_info_read(CURLM *multi, int *left)
{
    NEXT(curl_multi_info_read);
    CURLMsg *message = next(multi, left);
    struct call *call =
        message != NULL && message->msg == CURLMSG_DONE ? find_call(message->easy_handle) : NULL;
    if (call == NULL)
        return message;
    call->curl = NULL;
    pass(call->before + 1);
    if (call->before != BEFORE_READ)
        here.has_acted = true;
    return message;
}

/* ---- transactions ----------------------------------------------------------------- */

/* Berkeley DB's functions are reached through its structures: these are what stood in them. */
static __typeof__(((DB_ENV *)NULL)->open) next_env_open;
static __typeof__(((DB_ENV *)NULL)->txn_begin) next_txn_begin;
static __typeof__(((DB_TXN *)NULL)->commit) next_commit;

static int commit(DB_TXN *txn, u_int32_t flags)
{
    enum point before = BEFORE_OTHER_COMMIT;
    if (here.in_webhook)
        before = BEFORE_INBOX_COMMIT;
    else if (here.has_acted)
        before = BEFORE_RESULT_COMMIT;
    here.has_acted = false;
    pass(before);
    int code = next_commit(txn, flags);
    if (code == 0)
        pass(before + 1);
    return code;
}

static int txn_begin(DB_ENV *env, DB_TXN *parent, DB_TXN **txn, u_int32_t flags)
{
    int code = next_txn_begin(env, parent, txn, flags);
    if (code != 0)
        return code;
    next_commit = (*txn)->commit;
    (*txn)->commit = commit;
    pass(IN_DB_BEGUN);
    return code;
}

static int env_open(DB_ENV *env, const char *home, u_int32_t flags, int mode)
{
    here.opening = true;
    int code = next_env_open(env, home, flags, mode);
    here.opening = false;
    return code;
}

int db_env_create(DB_ENV **env, u_int32_t flags)
{
    NEXT(db_env_create);
    int code = next(env, flags);
    if (code != 0)
        return code;
    next_env_open = (*env)->open;
    next_txn_begin = (*env)->txn_begin;
    (*env)->open = env_open;
    (*env)->txn_begin = txn_begin;
    return code;
}

/* ---- what Berkeley DB does to files and mutexes ----------------------------------- */

static bool is_db(const void *caller)
{
    return slots != NULL && (uintptr_t)caller >= db_from && (uintptr_t)caller < db_to;
}

static bool is_log(int fd)
{
    char path[DB_LOG_PATH_SIZE];
    return db_log_name(fd, path) != NULL;
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    NEXT(pwrite);
    if (!is_db(__builtin_return_address(0)))
        return next(fd, bytes, len, at);
    if (here.opening)
        pass(IN_DB_OPENING);
    enum point in_log = db_log_is_zeros(bytes, len) ? IN_DB_LOG_ZERO : IN_DB_LOG_WRITE;
    if (!is_log(fd)) {
        pass(IN_DB_PAGE_WRITE);
    } else if (is_due(in_log)) {
        (void)!next(fd, bytes, len / 2, at);
        die(&slots[in_log]);
    }
    return next(fd, bytes, len, at);
}

int fdatasync(int fd)
{
    NEXT(fdatasync);
    if (is_log(fd)) /* Berkeley DB has prgate call it */
        pass(IN_DB_LOG_SYNC);
    return next(fd);
}

void *mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
    NEXT(mmap);
    if (here.opening && is_db(__builtin_return_address(0)))
        pass(IN_DB_OPENING);
    return next(at, len, protection, flags, fd, offset);
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    NEXT(pthread_mutex_unlock);
    if (is_db(__builtin_return_address(0)))
        pass(IN_DB_MUTEX);
    return next(mutex);
}
