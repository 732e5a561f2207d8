/*
 * prgatectl setup: makes prgate's GitHub App, by GitHub's manifest flow.
 *
 * With the page: opens it with a one-time code (setup.h), shows its URL, and waits until a process of the pool has stored the
 * App. With --manual nothing needs to be reachable: the form is a file, and what GitHub answers is typed in.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "prgate/app_dir.h"
#include "prgate/buf.h"
#include "prgate/clock.h"
#include "prgate/github_manifest.h"
#include "prgate/manifest.h"
#include "prgate/setup.h"
#include "prgate/text.h"

enum { LOOK_EACH_MS = 200, LINE_SIZE = 4096 };

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

/* Without SA_RESTART: a read from the terminal ends, too. */
static void catch_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaction(numbers[i], &action, NULL);
}

/* ---- before ------------------------------------------------------------------------ */

static enum exit_status refuse(const char *text)
{
    fprintf(stderr, "prgatectl: %s\n", text);
    return EXIT_CONFIG;
}

/* The addresses of the page have the one-time code in them, and GitHub's. */
static bool is_private_way(const char *url)
{
    static const char *const here[] = {"http://127.0.0.1", "http://localhost", "http://[::1]"};
    if (strncmp(url, "https://", 8) == 0)
        return true;
    for (size_t i = 0; i < sizeof here / sizeof *here; i++) {
        size_t len = strlen(here[i]);
        if (strncmp(url, here[i], len) == 0 && (url[len] == '\0' || url[len] == ':' || url[len] == '/'))
            return true;
    }
    return false;
}

/* With the lock: somebody else's App may be on its way into that very place. */
static enum err_code try_place(const struct config *config, struct err *err)
{
    struct setup_lock lock;
    enum err_code code = cli_check_owner(config->state_dir, err);
    if (code == ERR_OK)
        code = setup_lock(&lock, config->state_dir, true, err);
    if (code != ERR_OK)
        return code;
    code = app_dir_prepare(config->app_dir, err);
    if (code == ERR_OK)
        app_dir_abandon(config->app_dir);
    setup_unlock(&lock);
    return code;
}

static enum exit_status check_config(const struct cli *cli)
{
    const struct config *config = cli->config;
    struct err err = {0};
    if (config->app_dir[0] == '\0')
        return refuse("app_dir is not set: in the section github { }, name the directory that the App's "
                      "number, key and webhook secret are to be kept in, like /var/lib/prgate/app");
    if (!config->awaits_app) {
        fprintf(stderr,
                "prgatectl: there is an App already, number %" PRIu64
                ", in %s: to make another one, move that "
                "directory away and reload prgate\n",
                config->app_id, config->app_dir);
        return EXIT_FAILED;
    }
    if (config->public_url[0] == '\0')
        return refuse("public_url is not set: it is where GitHub sends webhooks to, and your browser");
    if (!is_private_way(config->public_url))
        return refuse(
            "public_url does not begin with https://: whoever listens on the way could take the App's "
            "key from GitHub before prgate does; set up TLS first, or make the App by hand");
    if (cli->org[0] != '\0' && !text_is_owner_name(cli->org)) {
        fprintf(stderr, "prgatectl: \"%s\" is no organization's name\n", cli->org);
        return EXIT_USAGE;
    }
    return try_place(config, &err) == ERR_OK ? EXIT_OK : cli_complain(&err);
}

/* ---- after ------------------------------------------------------------------------- */

static void print_rest(const struct cli *cli)
{
    struct buf url;
    const char *dir = cli->config->app_dir;
    buf_init(&url);
    app_dir_add_url(dir, &url);
    if (cli->json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "done", "setup");
        cJSON_AddStringToObject(object, "app_dir", dir);
        cJSON_AddStringToObject(object, "app_url", buf_text(&url));
        cli_print_json_line(object);
    } else {
        printf("\nThe App is set up. %s holds app_id, private-key.pem and webhook.secret: keep a copy.\n"
               "The pool takes it up by itself, within seconds. What remains:\n"
               "  1. Install the App on your repositories: ",
               dir);
        cli_print(url.len > 0 ? buf_text(&url) : "under its settings on GitHub");
        printf("%s\n"
               "  2. Create the gate label in each of them: prgate can set it, but not make it.\n"
               "  3. Look whether all is in place: prgatectl check\n",
               url.len > 0 ? "/installations/new" : "");
    }
    buf_release(&url);
}

/* ---- with the page ----------------------------------------------------------------- */

static void print_url(const struct cli *cli, const char *code)
{
    const char *base = cli->config->public_url;
    if (cli->json) {
        struct buf url;
        cJSON *object = cJSON_CreateObject();
        buf_init(&url);
        buf_addf(&url, "%s/setup?code=%s", base, code);
        cJSON_AddStringToObject(object, "url", buf_text(&url));
        cJSON_AddNumberToObject(object, "expires_in_seconds", SETUP_LIFE_S);
        cli_print_json_line(object);
        buf_release(&url);
    } else {
        printf("Open this page in a browser that is signed in to GitHub, within %d minutes:\n\n"
               "  %s/setup?code=%s\n\n"
               "Nobody else should see it. Waiting for the App; Ctrl-C closes the page.\n",
               SETUP_LIFE_S / 60, base, code);
    }
    fflush(stdout);
}

static bool is_ours(const struct config *config, const char *code)
{
    return setup_is_open_by(config->state_dir, code, clock_now_ms() / 1000);
}

static void wait_for_app(const struct config *config, const char *code)
{
    while (!interrupted && !app_dir_is_there(config->app_dir) && is_ours(config, code))
        nanosleep(&(struct timespec){.tv_nsec = LOOK_EACH_MS * 1000000L}, NULL);
}

/*
 * Whoever is at it gets to its end first: then there is an App, or there will be none. Another `prgatectl setup` may have
 * opened the page anew since: that one is not ours to close.
 */
static enum err_code close_page(const struct config *config, const char *code, struct err *err)
{
    struct setup_lock lock;
    enum err_code result = setup_lock(&lock, config->state_dir, true, err);
    if (result != ERR_OK)
        return result;
    if (is_ours(config, code) || !setup_is_open(config->state_dir, clock_now_ms() / 1000))
        setup_close(config->state_dir);
    setup_unlock(&lock);
    return ERR_OK;
}

static enum err_code open_page(const struct cli *cli, char code[SETUP_CODE_SIZE], struct err *err)
{
    struct setup_lock lock;
    const char *dir = cli->config->state_dir;
    enum err_code result = setup_lock(&lock, dir, true, err);
    if (result != ERR_OK)
        return result;
    result = setup_open(dir, cli->org, clock_now_ms() / 1000, code, err);
    setup_unlock(&lock);
    return result;
}

/* Killed, it leaves the page open until the code expires. */
static enum exit_status set_up_by_page(const struct cli *cli)
{
    const struct config *config = cli->config;
    char code[SETUP_CODE_SIZE];
    struct err err = {0};
    catch_signals();
    if (open_page(cli, code, &err) != ERR_OK)
        return cli_complain(&err);
    print_url(cli, code);
    wait_for_app(config, code);
    enum err_code closed = close_page(config, code, &err);
    OPENSSL_cleanse(code, sizeof code);
    if (closed != ERR_OK)
        return cli_complain(&err);
    if (app_dir_is_there(config->app_dir)) {
        print_rest(cli);
        return EXIT_OK;
    }
    fputs(interrupted
              ? "prgatectl: interrupted, no App is set up; the page is closed\n"
              : "prgatectl: no App is set up: the code is expired, or void after wrong guesses or by another "
                "setup; run it again\n",
          stderr);
    return EXIT_FAILED;
}

/* ---- by hand ----------------------------------------------------------------------- */

static void add_form(const struct cli *cli, const char *state, struct buf *out)
{
    struct buf url, redirect;
    const struct config *config = cli->config;
    buf_init(&url);
    buf_init(&redirect);
    manifest_add_form_url(config, cli->org, &url);
    buf_addf(&redirect, "%s/setup/done", config->public_url);
    cJSON *manifest = manifest_make(config, config->public_url, buf_text(&redirect));
    char *text = cJSON_PrintUnformatted(manifest);
    buf_adds(out, "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Make the GitHub "
                  "App</title>\n<form method=\"post\" action=\"");
    text_add_html(out, buf_text(&url));
    buf_addf(out, "?state=%s\">\n<input type=\"hidden\" name=\"manifest\" value=\"", state);
    text_add_html(out, text);
    buf_adds(out, "\">\n<button type=\"submit\">Go on to GitHub</button>\n</form>\n</html>\n");
    cJSON_free(text);
    cJSON_Delete(manifest);
    buf_release(&url);
    buf_release(&redirect);
}

/* A new file: what is there stays. */
static bool write_form(const char *path, const struct buf *form)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    bool good = fd >= 0 && write(fd, form->data, form->len) == (ssize_t)form->len;
    int number = errno;
    if (fd >= 0 && close(fd) != 0)
        good = false;
    if (!good)
        fprintf(stderr, "prgatectl: %s cannot be written: %s\n", path, strerror(number));
    if (!good && fd >= 0)
        unlink(path);
    return good;
}

/* The value of `name` in "https://...?code=...&state=..."; false: it is not there. */
static bool take_value(const char *address, const char *name, char *out, size_t size)
{
    size_t len = strlen(name);
    for (const char *at = strchr(address, '?'); at != NULL; at = strchr(at + 1, '&')) {
        if (strncmp(at + 1, name, len) != 0 || at[1 + len] != '=')
            continue;
        const char *value = at + len + 2;
        size_t value_len = strcspn(value, "&#");
        if (value_len >= size)
            return false;
        memcpy(out, value, value_len);
        out[value_len] = '\0';
        return true;
    }
    return false;
}

/* Out of what was pasted: the whole address that GitHub led to. Its state shows that it is the answer to this form. */
static bool read_code(const char *state, char *code, size_t size)
{
    char line[LINE_SIZE], given[SETUP_STATE_SIZE];
    if (fgets(line, sizeof line, stdin) == NULL)
        return false;
    line[strcspn(line, " \t\r\n")] = '\0';
    bool good = take_value(line, "state", given, sizeof given) && strcmp(given, state) == 0 &&
                take_value(line, "code", code, size) && github_is_manifest_code(code);
    OPENSSL_cleanse(line, sizeof line);
    return good;
}

static enum err_code fetch_app(const struct config *config, const char *code, struct app *app,
                               struct err *err)
{
    struct http *http = NULL;
    enum err_code result = http_open(&http, config->request_timeout_s, err);
    if (result == ERR_OK)
        result = github_convert_manifest(config, http, code, app, err);
    http_close(http);
    return result;
}

/* What dying here leaves behind: see finish() in setup_page.c. */
static enum err_code take_app(const struct config *config, const char *code, struct err *err)
{
    struct setup_lock lock;
    struct app app = {0};
    enum err_code result = setup_lock(&lock, config->state_dir, true, err);
    if (result != ERR_OK)
        return result;
    result = app_dir_prepare(config->app_dir, err);
    if (result == ERR_OK) {
        result = fetch_app(config, code, &app, err);
        if (result == ERR_OK)
            result = app_dir_put(config->app_dir, &app, err);
        else
            app_dir_abandon(config->app_dir);
    }
    app_release(&app);
    setup_unlock(&lock);
    return result;
}

static enum exit_status make_form(const struct cli *cli, char state[SETUP_STATE_SIZE])
{
    unsigned char bytes[(SETUP_STATE_SIZE - 1) / 2];
    struct buf form;
    if (getentropy(bytes, sizeof bytes) != 0)
        return refuse("no random bytes to be had");
    text_hex(bytes, sizeof bytes, state);
    buf_init(&form);
    add_form(cli, state, &form);
    bool written = write_form(cli->arguments[0], &form);
    buf_release(&form);
    return written ? EXIT_OK : EXIT_FAILED;
}

static enum exit_status set_up_by_hand(const struct cli *cli)
{
    char state[SETUP_STATE_SIZE], code[LINE_SIZE];
    struct err err = {0};
    enum exit_status status = make_form(cli, state);
    if (status != EXIT_OK)
        return status;
    fprintf(
        stderr,
        "Open %s in a browser that is signed in to GitHub, and make the App there. GitHub then leads to\n"
        "%s/setup/done?code=..., which need not answer. Paste that whole address here, within the hour:\n",
        cli->arguments[0], cli->config->public_url);
    catch_signals();
    if (!read_code(state, code, sizeof code)) {
        fputs("prgatectl: that is not the address that GitHub leads to after this form; no App is set up\n",
              stderr);
        return EXIT_FAILED;
    }
    if (take_app(cli->config, code, &err) != ERR_OK)
        return cli_complain(&err);
    print_rest(cli);
    return EXIT_OK;
}

enum exit_status cmd_setup(const struct cli *cli)
{
    if (cli->manual != (cli->arguments[0] != NULL)) {
        fputs("usage: prgatectl setup [--org ORG]\n       prgatectl setup --manual [--org ORG] FORM.html\n",
              stderr);
        return EXIT_USAGE;
    }
    enum exit_status status = check_config(cli);
    if (status != EXIT_OK)
        return status;
    return cli->manual ? set_up_by_hand(cli) : set_up_by_page(cli);
}
