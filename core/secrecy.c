#include "prgate/secrecy.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>

#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "prgate/log.h"

/*
 * The limit alone would not do: where core_pattern names a program, the kernel hands it a dump whatever
 * the limit. "Not dumpable" alone would do on Linux; elsewhere there is only the limit.
 */
void secrecy_setup(void)
{
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};
    bool done = setrlimit(RLIMIT_CORE, &none) == 0;
#ifdef __linux__
    done = prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
#endif
    if (!done)
        log_warning("a crash may leave a core dump with secrets in it", LOG_STR("error", strerror(errno)));
}
