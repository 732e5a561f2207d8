#include "prgate/secrecy.h"

#include "check.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* The status of a child that does this in a directory where it may leave a core dump as large as it likes. */
static int run_child(void (*work)(void))
{
    static char dir[] = "/tmp/prgate-unit-XXXXXX";
    int status;
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    assert_non_null(mkdtemp(dir));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit limit;
        if (getrlimit(RLIMIT_CORE, &limit) != 0 || chdir(dir) != 0)
            _exit(2);
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_CORE, &limit);
        work();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    char core[64];
    snprintf(core, sizeof core, "%s/core", dir);
    unlink(core);
    snprintf(core, sizeof core, "%s/core.%d", dir, child);
    unlink(core);
    rmdir(dir); /* fails where a dump has another name; the next test would tell */
    return status;
}

static void ask_kernel(void)
{
    struct rlimit limit;
    secrecy_setup();
    if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
        _exit(3);
    if (getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_cur != 0 || limit.rlim_max != 0)
        _exit(4);
}

static void test_process_is_not_dumpable_and_has_no_limit_left(void **state)
{
    (void)state;
    int status = run_child(ask_kernel);
    check_bool("child", "ended by itself", WIFEXITED(status), true);
    check_int("child", "status", WEXITSTATUS(status), 0);
}

static void crash(void)
{
    signal(SIGABRT, SIG_DFL);
    abort();
}

static void crash_in_secrecy(void)
{
    secrecy_setup();
    crash();
}

static void test_crash_leaves_no_dump(void **state)
{
    (void)state;
    int open = run_child(crash);
    if (!WCOREDUMP(open))
        skip(); /* nobody's crash leaves a dump here */
    int secret = run_child(crash_in_secrecy);
    check_bool("child", "ended by SIGABRT", WIFSIGNALED(secret) && WTERMSIG(secret) == SIGABRT, true);
    check_bool("child", "left a dump", WCOREDUMP(secret), false);
}

/* Exits with 1 if this process, as a debugger of the same user, could read its parent's memory. */
static void look_at_parent(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", getppid());
    _exit(access(path, R_OK) == 0 ? 1 : 0);
}

static void be_looked_at(bool in_secrecy)
{
    int status;
    /* Root is not kept out. Becoming somebody else hides a process by itself, so that has to be undone. */
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        _exit(2);
    if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0)
        _exit(3);
    if (in_secrecy)
        secrecy_setup();
    pid_t child = fork();
    if (child == 0)
        look_at_parent();
    _exit(waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : 4);
}

static void be_looked_at_openly(void)
{
    be_looked_at(false);
}

static void be_looked_at_in_secrecy(void)
{
    be_looked_at(true);
}

static void test_own_user_cannot_read_its_memory(void **state)
{
    (void)state;
    check_int("without secrecy", "exit status", WEXITSTATUS(run_child(be_looked_at_openly)), 1);
    int status = run_child(be_looked_at_in_secrecy);
    check_bool("in secrecy", "ended by itself", WIFEXITED(status), true);
    check_int("in secrecy", "exit status", WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_process_is_not_dumpable_and_has_no_limit_left),
        cmocka_unit_test(test_crash_leaves_no_dump),
        cmocka_unit_test(test_own_user_cannot_read_its_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
