#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "prgate/buf.h"
#include "prgate/config.h"
#include "prgate/http.h"
#include "prgate/log.h"
#include "prgate/secrecy.h"
#include "prgate/tree.h"
#include "serve.h"

/*
 * glibc raises its own thresholds when a large block is freed, and then keeps such blocks in the heap of whichever
 * thread had one: a large body would stay in memory once per thread. Fixed, they go back at once.
 *
 * And one heap for all threads: what one of them has freed is another one's next. Each holds its lock for so short that the
 * processor time is the same.
 */
static void set_up_memory(void)
{
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, 256 * 1024);
    mallopt(M_ARENA_MAX, 1);
#endif
}

int main(void)
{
    struct config *config;
    struct err err = {0};
    bool fcgi = serve_is_fcgi();
    if (fcgi)
        serve_hold_signals();
    set_up_memory();
    secrecy_setup();
    tree_setup();
    enum err_code code = config_open(&config, config_path(), &err);
    config_wipe_environment();
    if (code != ERR_OK) {
        log_fatal("the configuration cannot be used", LOG_STR("error", err.text));
        return 78; /* EX_CONFIG */
    }
    log_setup(config->log_level, config->log_format, config->log_target);
    if (http_setup(&err) != ERR_OK) {
        log_fatal("libcurl cannot be used", LOG_STR("error", err.text));
        config_close(config);
        return 1;
    }
    int status = fcgi ? serve_fcgi(&config) : serve_cgi(config);
    http_shutdown();
    config_close(config);
    return status;
}
