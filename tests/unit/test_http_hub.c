/*
 * Many exchanges at once in one thread: that they are, over which connections, and how many names are looked up.
 */
#include "check.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "crowd_server.h"
#include "prgate/fiber.h"
#include "prgate/http.h"
#include "prgate/http_hub.h"

enum { MANY = CROWD_MAX };

static const char OK_REPLY[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/* ---- names ---- */

enum { SLOW_MS = 5000 };

static atomic_int lookups, lookups_at_once, lookups_at_most;
static atomic_bool answers; /* who knows "slow.test" */

/*
 * In the place of the C library's: libcurl calls this one. "hub.test" is this machine, "nowhere.test" does not exist, and
 * of "slow.test" nothing is heard for long.
 */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");
    memcpy(&real, &symbol, sizeof real);
    if (node == NULL || strstr(node, ".test") == NULL)
        return real(node, service, hints, out);
    atomic_fetch_add(&lookups, 1);
    int now = atomic_fetch_add(&lookups_at_once, 1) + 1;
    if (now > atomic_load(&lookups_at_most))
        atomic_store(&lookups_at_most, now);
    usleep(50000); /* so that the others have come by now */
    for (int ms = 0; strcmp(node, "slow.test") == 0 && !atomic_load(&answers) && ms < SLOW_MS; ms++)
        usleep(1000);
    int code = strcmp(node, "hub.test") == 0 ? real("127.0.0.1", service, hints, out) : EAI_NONAME;
    atomic_fetch_sub(&lookups_at_once, 1);
    return code;
}

/* ---- the kernel ---- */

static bool refuses; /* to watch one more socket */

/* In the place of the C library's: the hub calls this one. */
int epoll_ctl(int events, int deed, int fd, struct epoll_event *event)
{
    int (*real)(int, int, int, struct epoll_event *);
    void *symbol = dlsym(RTLD_NEXT, "epoll_ctl");
    memcpy(&real, &symbol, sizeof real);
    if (!refuses || deed != EPOLL_CTL_ADD)
        return real(events, deed, fd, event);
    errno = ENOSPC;
    return -1;
}

/* ---- libcurl's version ---- */

static curl_version_info_data pretended; /* no number: the true one is told */

/* In the place of libcurl's: http_setup() calls this one. */
curl_version_info_data *curl_version_info(CURLversion version)
{
    curl_version_info_data *(*real)(CURLversion);
    void *symbol = dlsym(RTLD_NEXT, "curl_version_info");
    memcpy(&real, &symbol, sizeof real);
    return pretended.version_num != 0 ? &pretended : real(version);
}

static void test_version_that_cannot_be_used(void **state)
{
    (void)state;
    struct err err = {0};
    pretended = (curl_version_info_data){.version = "7.87.0", .version_num = 0x075700};
    enum err_code code = http_setup(&err);
    pretended.version_num = 0;
    check_str("7.87.0", "code", err_code_name(code), "fatal");
    check_contains("7.87.0", "error", err.text, "libcurl 7.87.0 cannot be used");
}

/* ---- many that ask ---- */

struct asker {
    struct http *http;
    struct http_reply reply;
    const char *url;
    const char *method;
    bool once;
    enum err_code code;
    struct err err;
};

struct crowd {
    struct fibers *fibers;
    struct http_hub *hub;
    struct asker askers[MANY];
    char url[128];
};

static void perform(void *arg)
{
    struct asker *asker = arg;
    struct http_request request = {.method = asker->method, .url = asker->url, .once = asker->once};
    asker->code = asker->http->perform(asker->http, &request, &asker->reply, &asker->err);
}

static struct crowd *crowd_open_keeping(int kept_max, int exchanges_max, int timeout_s)
{
    struct err err = {0};
    struct crowd *crowd = mem_alloc(sizeof *crowd);
    memset(crowd, 0, sizeof *crowd);
    crowd->fibers = fibers_new();
    assert_int_equal(http_hub_open(&crowd->hub, exchanges_max, kept_max, &err), ERR_OK);
    for (int i = 0; i < MANY; i++) {
        struct asker *asker = &crowd->askers[i];
        http_reply_init(&asker->reply);
        asker->url = crowd->url;
        asker->method = "GET";
        assert_int_equal(http_open(&asker->http, timeout_s, &err), ERR_OK);
        http_join(asker->http, crowd->hub);
    }
    return crowd;
}

static struct crowd *crowd_open(int exchanges_max, int timeout_s)
{
    return crowd_open_keeping(exchanges_max, exchanges_max, timeout_s);
}

static void crowd_close(struct crowd *crowd)
{
    for (int i = 0; i < MANY; i++) {
        http_close(crowd->askers[i].http);
        http_reply_release(&crowd->askers[i].reply);
    }
    http_hub_close(crowd->hub);
    fibers_free(crowd->fibers);
    free(crowd);
}

static void all_ask(struct crowd *crowd, int count)
{
    struct err err = {0};
    for (int i = 0; i < count; i++)
        assert_int_equal(fibers_start(crowd->fibers, perform, &crowd->askers[i], &err), ERR_OK);
    for (int wait_ms = fibers_run(crowd->fibers); fibers_count(crowd->fibers) > 0;
         wait_ms = fibers_run(crowd->fibers))
        http_hub_run(crowd->hub, wait_ms);
}

static void expect_ok(struct crowd *crowd, int count)
{
    for (int i = 0; i < count; i++) {
        struct asker *asker = &crowd->askers[i];
        check_str("answer", asker->err.text, err_code_name(asker->code), "ok");
        check_str("answer", "body", buf_text(&asker->reply.body), "ok");
    }
}

static void test_all_at_once(void **state)
{
    (void)state;
    struct crowd_server *server = crowd_server_start(MANY, OK_REPLY);
    struct crowd *crowd = crowd_open(MANY, 30);
    snprintf(crowd->url, sizeof crowd->url, "http://127.0.0.1:%d/", server->port);
    for (int round = 0; round < 3; round++) {
        all_ask(crowd, MANY);
        expect_ok(crowd, MANY);
    }
    crowd_close(crowd);
    crowd_server_stop(server);
    check_int("at once", "requests", atomic_load(&server->most), MANY);
    check_int("kept", "connections", atomic_load(&server->accepted), MANY);
    free(server);
}

/* A connection of its own for what must not arrive twice, in the place of one that was kept. */
static void test_connections_are_bounded(void **state)
{
    (void)state;
    struct crowd_server *server = crowd_server_start(4, OK_REPLY);
    struct crowd *crowd = crowd_open(4, 30);
    snprintf(crowd->url, sizeof crowd->url, "http://127.0.0.1:%d/", server->port);
    all_ask(crowd, 4);
    expect_ok(crowd, 4);
    for (int i = 0; i < 4; i++)
        crowd->askers[i].once = true;
    all_ask(crowd, 4);
    expect_ok(crowd, 4);
    crowd_close(crowd);
    crowd_server_stop(server);
    check_int("bounded", "connections in all", atomic_load(&server->accepted), 8);
    free(server);
}

/* What a burst opened beyond that is closed after it, and opened again for the next one. */
static void test_few_connections_are_kept(void **state)
{
    (void)state;
    struct crowd_server *server = crowd_server_start(8, OK_REPLY);
    struct crowd *crowd = crowd_open_keeping(4, 8, 30);
    snprintf(crowd->url, sizeof crowd->url, "http://127.0.0.1:%d/", server->port);
    for (int round = 0; round < 2; round++) {
        all_ask(crowd, 8);
        expect_ok(crowd, 8);
    }
    crowd_close(crowd);
    crowd_server_stop(server);
    check_int("kept", "connections in all", atomic_load(&server->accepted), 12);
    free(server);
}

static void test_one_that_gets_no_answer(void **state)
{
    (void)state;
    char silent[128];
    struct crowd_server *server = crowd_server_start(1, OK_REPLY);
    struct crowd *crowd = crowd_open(MANY, 1);
    snprintf(crowd->url, sizeof crowd->url, "http://127.0.0.1:%d/", server->port);
    snprintf(silent, sizeof silent, "http://127.0.0.1:%d/silent", server->port);
    crowd->askers[0].url = silent;
    crowd->askers[1].url = "http://127.0.0.1:1/";
    crowd->askers[2].url = "ftp://127.0.0.1/";
    crowd->askers[3].url = "nonsense";
    all_ask(crowd, 20);
    check_str("silent", "code", err_code_name(crowd->askers[0].code), "unknown");
    check_str("refused", "code", err_code_name(crowd->askers[1].code), "retry");
    check_str("no HTTP", "code", err_code_name(crowd->askers[2].code), "reject");
    check_str("no host", "code", err_code_name(crowd->askers[3].code), "retry");
    for (int i = 4; i < 20; i++)
        check_str("the others", crowd->askers[i].err.text, err_code_name(crowd->askers[i].code), "ok");
    crowd_close(crowd);
    crowd_server_stop(server);
    free(server);
}

static void count_lookups_anew(void)
{
    atomic_store(&lookups, 0);
    atomic_store(&lookups_at_most, 0);
}

static void test_name_is_looked_up_once(void **state)
{
    (void)state;
    struct crowd_server *server = crowd_server_start(30, OK_REPLY);
    struct crowd *crowd = crowd_open(MANY, 30);
    count_lookups_anew();
    snprintf(crowd->url, sizeof crowd->url, "http://user@hub.test:%d/", server->port);
    all_ask(crowd, 30);
    expect_ok(crowd, 30);
    check_int("found", "look-ups at once", atomic_load(&lookups_at_most), 1);
    check_int("found", "look-ups", atomic_load(&lookups), 1);
    crowd_close(crowd);
    crowd_server_stop(server);
    free(server);
}

static void test_name_that_is_not_there(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_open(MANY, 30);
    count_lookups_anew();
    snprintf(crowd->url, sizeof crowd->url, "http://nowhere.test/");
    all_ask(crowd, 30);
    for (int i = 0; i < 30; i++) {
        check_str("not found", "code", err_code_name(crowd->askers[i].code), "retry");
        check_contains("not found", "error", crowd->askers[i].err.text, "not sent: ");
    }
    check_int("not found", "look-ups", atomic_load(&lookups), 1);
    all_ask(crowd, 1);
    check_int(crowd->askers[0].err.text, "look-ups later", atomic_load(&lookups), 2);
    crowd_close(crowd);
}

/* Nobody but who asks for the name waits for it, and that one not for longer than its time-out. */
static void test_name_of_which_nothing_is_heard(void **state)
{
    (void)state;
    if (curl_version_info(CURLVERSION_NOW)->version_num < 0x075700)
        skip();
    struct crowd *crowd = crowd_open(MANY, 1);
    count_lookups_anew();
    atomic_store(&answers, false);
    snprintf(crowd->url, sizeof crowd->url, "http://slow.test/");
    all_ask(crowd, 2);
    check_int("given up", "look-ups that go on", atomic_load(&lookups_at_once), 1);
    for (int i = 0; i < 2; i++)
        check_str("given up", "code", err_code_name(crowd->askers[i].code), "retry");
    atomic_store(&answers, true);
    while (atomic_load(&lookups_at_once) > 0)
        usleep(1000);
    crowd_close(crowd);
}

/* Whatever is under way ends then, rather than never hear of its reply; afterwards all is as before. */
static void test_without_room_in_the_kernel_all_end(void **state)
{
    (void)state;
    struct crowd_server *server = crowd_server_start(10, OK_REPLY);
    struct crowd *crowd = crowd_open(MANY, 30);
    snprintf(crowd->url, sizeof crowd->url, "http://127.0.0.1:%d/", server->port);
    refuses = true;
    all_ask(crowd, 10);
    refuses = false;
    for (int i = 0; i < 10; i++)
        check_str(crowd->askers[i].err.text, "code", err_code_name(crowd->askers[i].code), "retry");
    all_ask(crowd, 10);
    expect_ok(crowd, 10);
    crowd_close(crowd);
    crowd_server_stop(server);
    free(server);
}

static void *rouse_soon(void *arg)
{
    usleep(20000);
    http_hub_rouse(arg);
    return NULL;
}

static void test_rouse(void **state)
{
    (void)state;
    struct err err = {0};
    struct http_hub *hub;
    pthread_t thread;
    assert_int_equal(http_hub_open(&hub, 1, 1, &err), ERR_OK);
    http_hub_rouse(hub);
    http_hub_run(hub, -1); /* returns at once */
    assert_int_equal(pthread_create(&thread, NULL, rouse_soon, hub), 0);
    http_hub_run(hub, -1);
    pthread_join(thread, NULL);
    http_hub_close(hub);
    http_hub_close(NULL);
}

/* A hub that nothing rouses would be found out when work waits for it. */
static void test_without_descriptors_there_is_no_hub(void **state)
{
    (void)state;
    struct err err = {0};
    struct http_hub *hub;
    struct rlimit before, none;
    int next = open("/dev/null", O_RDONLY);
    assert_true(next >= 0);
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    enum err_code code = http_hub_open(&hub, 1, 1, &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    check_str("no descriptors", "code", err_code_name(code), "fatal");
}

static int setup(void **state)
{
    (void)state;
    struct err err;
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    unsetenv("ALL_PROXY");
    return http_setup(&err) == ERR_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    http_shutdown();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version_that_cannot_be_used),
        cmocka_unit_test(test_all_at_once),
        cmocka_unit_test(test_connections_are_bounded),
        cmocka_unit_test(test_few_connections_are_kept),
        cmocka_unit_test(test_one_that_gets_no_answer),
        cmocka_unit_test(test_name_is_looked_up_once),
        cmocka_unit_test(test_name_that_is_not_there),
        cmocka_unit_test(test_name_of_which_nothing_is_heard),
        cmocka_unit_test(test_without_room_in_the_kernel_all_end),
        cmocka_unit_test(test_rouse),
        cmocka_unit_test(test_without_descriptors_there_is_no_hub),
    };
    return cmocka_run_group_tests_name("http_hub", tests, setup, teardown);
}
