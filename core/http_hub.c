#include "prgate/http_hub.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "http_internal.h"
#include "prgate/buf.h"
#include "prgate/clock.h"
#include "prgate/fiber.h"
#include "prgate/text.h"

enum {
    LOOK_AGAIN_MS = 500,  /* whether an exchange that can be broken off is to be */
    HOST_SIZE = 256,      /* longest name, with a NUL */
    NAME_KEPT_MS = 50000, /* less than libcurl keeps an address for */
    HOSTS_MAX = 64,       /* whose names are remembered */
    EVENTS_MAX = 64       /* taken from the kernel at once */
};

/* One exchange. It lies on the stack of its fiber. */
struct transfer {
    CURL *easy;
    const atomic_bool *stop; /* NULL: nothing breaks it off */
    struct fiber *fiber;
    struct host *host;
    struct transfer *next;            /* that waits for the same name */
    struct transfer *after, **before; /* in the list of those that libcurl has */
    bool may_begin;
    bool done;
    CURLcode result;
};

struct host {
    char name[HOST_SIZE];
    struct transfer *ahead; /* whose look-up the others wait for; NULL = none is under way */
    struct transfer *waiting, **end;
    int64_t known_until_ms;
};

struct http_hub {
    CURLM *multi;
    int events;               /* epoll: the sockets of which libcurl wants to hear, and `rouser` */
    int rouser;               /* eventfd */
    struct transfer *running; /* those that libcurl has */
    size_t stoppable;         /* of these, how many have a `stop` */
    int64_t look_at_ms;       /* when that is looked at next */
    bool broken;              /* libcurl, or epoll for it, had no memory for some exchange */
    struct host hosts[HOSTS_MAX];
    size_t host_count;
};

/* ---- names ---- */

/* Where the host's name stands in the URL, and how long it is; 0: nowhere that this function would know. */
static size_t find_host(const char *url, const char **host)
{
    const char *scheme_end = strstr(url, "://");
    if (scheme_end == NULL)
        return 0;
    *host = scheme_end + 3;
    size_t len = strcspn(*host, "/?#");
    const char *user_end = memrchr(*host, '@', len);
    if (user_end != NULL) {
        len -= (size_t)(user_end + 1 - *host);
        *host = user_end + 1;
    }
    size_t name_len = strcspn(*host, ":/?#");
    return name_len < len ? name_len : len;
}

/* NULL: there is nothing to wait for, or too much to remember. */
static struct host *host_of(struct http_hub *hub, const char *url)
{
    const char *name;
    size_t len = find_host(url, &name);
    if (len == 0 || len >= HOST_SIZE)
        return NULL;
    for (size_t i = 0; i < hub->host_count; i++)
        if (strlen(hub->hosts[i].name) == len && memcmp(hub->hosts[i].name, name, len) == 0)
            return &hub->hosts[i];
    if (hub->host_count == HOSTS_MAX)
        return NULL;
    struct host *host = &hub->hosts[hub->host_count++];
    *host = (struct host){.known_until_ms = 0};
    memcpy(host->name, name, len);
    host->end = &host->waiting;
    return host;
}

static void wake_first(struct host *host)
{
    struct transfer *first = host->waiting;
    if (first == NULL)
        return;
    host->waiting = first->next;
    if (host->waiting == NULL)
        host->end = &host->waiting;
    first->may_begin = true;
    fiber_wake(first->fiber);
}

/* Until its turn has come, or it has failed with the one ahead of it. */
static void wait_for_name(struct transfer *transfer)
{
    struct host *host = transfer->host;
    while (host->ahead != NULL && !transfer->done) {
        transfer->may_begin = false;
        transfer->next = NULL;
        *host->end = transfer;
        host->end = &transfer->next;
        while (!transfer->may_begin && !transfer->done)
            fiber_wait();
    }
    if (!transfer->done && host->known_until_ms <= clock_monotonic_ms())
        host->ahead = transfer;
}

static bool has_passed(CURL *easy, CURLINFO info)
{
    curl_off_t us = 0;
    return curl_easy_getinfo(easy, info, &us) == CURLE_OK && us > 0;
}

/* The one ahead needs the name no more. Everybody may go on, if it was looked up; else the next one goes ahead. */
static void name_is_passed(struct host *host, bool known)
{
    host->ahead = NULL;
    if (known)
        host->known_until_ms = clock_monotonic_ms() + NAME_KEPT_MS;
    do {
        wake_first(host);
    } while (known && host->waiting != NULL);
}

static void name_is_not_found(struct host *host, CURLcode result)
{
    host->ahead = NULL;
    while (host->waiting != NULL) {
        host->waiting->done = true;
        host->waiting->result = result;
        wake_first(host);
    }
}

static void look_at_host(struct host *host)
{
    CURL *easy = host->ahead->easy;
    long connects = 0;
    bool connected = has_passed(easy, CURLINFO_PRETRANSFER_TIME_T);
    /* Over a connection that was kept, nothing is looked up. */
    bool kept =
        connected && curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connects) == CURLE_OK && connects == 0;
    if (connected || has_passed(easy, CURLINFO_NAMELOOKUP_TIME_T))
        name_is_passed(host, !kept);
}

static void look_at_names(struct http_hub *hub)
{
    for (size_t i = 0; i < hub->host_count; i++)
        if (hub->hosts[i].ahead != NULL)
            look_at_host(&hub->hosts[i]);
}

/* ---- exchanges ---- */

static bool is_about_name(CURL *easy, CURLcode result)
{
    return result == CURLE_COULDNT_RESOLVE_HOST || result == CURLE_COULDNT_RESOLVE_PROXY ||
           (result == CURLE_OPERATION_TIMEDOUT && !has_passed(easy, CURLINFO_NAMELOOKUP_TIME_T));
}

static void let_others_go_on(struct transfer *transfer, CURLcode result)
{
    struct host *host = transfer->host;
    if (host == NULL || host->ahead != transfer)
        return;
    if (is_about_name(transfer->easy, result))
        name_is_not_found(host, result);
    else
        name_is_passed(host, false);
}

static void finish(struct http_hub *hub, struct transfer *transfer, CURLcode result)
{
    curl_multi_remove_handle(hub->multi, transfer->easy);
    *transfer->before = transfer->after;
    if (transfer->after != NULL)
        transfer->after->before = transfer->before;
    if (transfer->stop != NULL)
        hub->stoppable--;
    let_others_go_on(transfer, result);
    transfer->result = result;
    transfer->done = true;
    fiber_wake(transfer->fiber);
}

static CURLcode begin(struct http_hub *hub, struct transfer *transfer)
{
    if (curl_easy_setopt(transfer->easy, CURLOPT_PRIVATE, transfer) != CURLE_OK ||
        curl_multi_add_handle(hub->multi, transfer->easy) != CURLM_OK)
        return CURLE_FAILED_INIT;
    transfer->before = &hub->running;
    transfer->after = hub->running;
    if (transfer->after != NULL)
        transfer->after->before = &transfer->after;
    hub->running = transfer;
    if (transfer->stop != NULL && hub->stoppable++ == 0)
        hub->look_at_ms = clock_monotonic_ms() + LOOK_AGAIN_MS;
    return CURLE_OK;
}

CURLcode http_hub_perform(struct http_hub *hub, CURL *easy, const char *url, const atomic_bool *stop)
{
    struct transfer transfer = {.easy = easy, .stop = stop, .fiber = fiber_self(), .host = host_of(hub, url)};
    if (transfer.host != NULL)
        wait_for_name(&transfer);
    if (transfer.done)
        return transfer.result;
    CURLcode result = begin(hub, &transfer);
    if (result != CURLE_OK) {
        if (transfer.host != NULL && transfer.host->ahead == &transfer)
            name_is_passed(transfer.host, false);
        return result;
    }
    while (!transfer.done)
        fiber_wait();
    return transfer.result;
}

/* ---- the thread's side ---- */

/*
 * libcurl tells what it wants to hear of a socket. Always 0: after an error it would go on with none of its exchanges until
 * they time out, and begin no other one, https://curl.se/libcurl/c/CURLMOPT_SOCKETFUNCTION.html.
 */
static int on_interest(CURL *easy, curl_socket_t socket, int what, void *arg, void *unused)
{
    (void)easy;
    (void)unused;
    struct http_hub *hub = arg;
    struct epoll_event event = {.data.fd = socket};
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(hub->events, EPOLL_CTL_DEL, socket, NULL);
        return 0;
    }
    event.events =
        ((what & CURL_POLL_IN) != 0 ? EPOLLIN : 0U) | ((what & CURL_POLL_OUT) != 0 ? EPOLLOUT : 0U);
    if (epoll_ctl(hub->events, EPOLL_CTL_ADD, socket, &event) != 0 &&
        (errno != EEXIST || epoll_ctl(hub->events, EPOLL_CTL_MOD, socket, &event) != 0))
        hub->broken = true;
    return 0;
}

static int sooner(int wait_ms, int64_t other_ms)
{
    return wait_ms < 0 || other_ms < wait_ms ? (int)other_ms : wait_ms;
}

static int wait_at_most(const struct http_hub *hub, int wait_ms)
{
    long timer_ms = -1;
    if (hub->running == NULL)
        return wait_ms;
    curl_multi_timeout(hub->multi, &timer_ms);
    if (timer_ms >= 0)
        wait_ms = sooner(wait_ms, timer_ms);
    if (hub->stoppable == 0)
        return wait_ms;
    int64_t look_ms = hub->look_at_ms - clock_monotonic_ms();
    return sooner(wait_ms, look_ms > 0 ? look_ms : 0);
}

static void be_roused(const struct http_hub *hub)
{
    eventfd_t times;
    eventfd_read(hub->rouser, &times);
}

static void act_on(struct http_hub *hub, curl_socket_t socket, int mask)
{
    int left;
    if (curl_multi_socket_action(hub->multi, socket, mask, &left) != CURLM_OK)
        hub->broken = true;
}

static void tell_libcurl(struct http_hub *hub, const struct epoll_event *event)
{
    int mask = 0;
    if ((event->events & EPOLLIN) != 0)
        mask |= CURL_CSELECT_IN;
    if ((event->events & EPOLLOUT) != 0)
        mask |= CURL_CSELECT_OUT;
    if ((event->events & (EPOLLERR | EPOLLHUP)) != 0)
        mask |= CURL_CSELECT_ERR;
    act_on(hub, event->data.fd, mask);
}

static void finish_those_that_are_over(struct http_hub *hub)
{
    int left;
    const CURLMsg *message;
    while ((message = curl_multi_info_read(hub->multi, &left)) != NULL) {
        char *mine = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode result = message->data.result; /* gone with the handle */
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &mine);
        finish(hub, (struct transfer *)(void *)mine, result);
    }
}

/* libcurl asks its progress callback only about what moves. */
static void break_off(struct http_hub *hub)
{
    if (hub->stoppable == 0)
        return;
    int64_t now_ms = clock_monotonic_ms();
    if (now_ms < hub->look_at_ms)
        return;
    hub->look_at_ms = now_ms + LOOK_AGAIN_MS;
    for (struct transfer *transfer = hub->running, *next; transfer != NULL; transfer = next) {
        next = transfer->after;
        if (transfer->stop != NULL && atomic_load(transfer->stop))
            finish(hub, transfer, CURLE_ABORTED_BY_CALLBACK);
    }
}

/* Which of them would never hear of its socket is not known. All are begun again by whoever wants them. */
static void end_all(struct http_hub *hub)
{
    hub->broken = false;
    for (struct transfer *transfer = hub->running, *next; transfer != NULL; transfer = next) {
        next = transfer->after;
        finish(hub, transfer, CURLE_OUT_OF_MEMORY);
    }
}

void http_hub_run(struct http_hub *hub, int wait_ms)
{
    struct epoll_event events[EVENTS_MAX];
    if (hub->running == NULL && wait_ms == 0)
        return;
    int count = epoll_wait(hub->events, events, EVENTS_MAX, wait_at_most(hub, wait_ms));
    for (int i = 0; i < count; i++) {
        if (events[i].data.fd == hub->rouser)
            be_roused(hub);
        else
            tell_libcurl(hub, &events[i]);
    }
    act_on(hub, CURL_SOCKET_TIMEOUT, 0);
    look_at_names(hub);
    finish_those_that_are_over(hub);
    break_off(hub);
    if (hub->broken)
        end_all(hub);
}

void http_hub_rouse(struct http_hub *hub)
{
    eventfd_write(hub->rouser, 1);
}

/* False: `hub` has what was opened so far. */
static bool open_all(struct http_hub *hub, int exchanges_max, int kept_max)
{
    hub->events = epoll_create1(EPOLL_CLOEXEC);
    hub->rouser = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    hub->multi = curl_multi_init();
    struct epoll_event event = {.events = EPOLLIN, .data.fd = hub->rouser};
    return hub->events >= 0 && hub->rouser >= 0 && hub->multi != NULL &&
           epoll_ctl(hub->events, EPOLL_CTL_ADD, hub->rouser, &event) == 0 &&
           curl_multi_setopt(hub->multi, CURLMOPT_SOCKETFUNCTION, on_interest) == CURLM_OK &&
           curl_multi_setopt(hub->multi, CURLMOPT_SOCKETDATA, hub) == CURLM_OK &&
           curl_multi_setopt(hub->multi, CURLMOPT_MAXCONNECTS, (long)kept_max) == CURLM_OK &&
           curl_multi_setopt(hub->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)exchanges_max) == CURLM_OK;
}

enum err_code http_hub_open(struct http_hub **out, int exchanges_max, int kept_max, struct err *err)
{
    struct http_hub *hub = mem_alloc(sizeof *hub);
    *hub = (struct http_hub){.events = -1};
    if (open_all(hub, exchanges_max, kept_max)) {
        *out = hub;
        return ERR_OK;
    }
    http_hub_close(hub);
    return err_set(err, ERR_FATAL, 0, "no descriptors or memory for several exchanges at once");
}

void http_hub_close(struct http_hub *hub)
{
    if (hub == NULL)
        return;
    curl_multi_cleanup(hub->multi);
    if (hub->events >= 0)
        close(hub->events);
    if (hub->rouser >= 0)
        close(hub->rouser);
    free(hub);
}
