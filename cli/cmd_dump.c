/*
 * prgatectl dump, prgatectl load: the store as lines of JSON, to move it to another host or version.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "prgate/dump.h"

/*
 * The stream that dump and load work with: the real one, with a look at how much goes through. dump counts lines, load
 * bytes, of which a file's size tells how many there are.
 */
struct meter {
    FILE *real;
    struct progress progress;
    uint64_t done, total;
};

static ssize_t meter_write(void *arg, const char *bytes, size_t len)
{
    struct meter *meter = arg;
    size_t written = fwrite(bytes, 1, len, meter->real);
    for (size_t i = 0; i < written; i++)
        meter->done += bytes[i] == '\n';
    progress_show(&meter->progress, meter->done, 0);
    return (ssize_t)written;
}

static ssize_t meter_read(void *arg, char *bytes, size_t len)
{
    struct meter *meter = arg;
    size_t got = fread(bytes, 1, len, meter->real);
    if (got == 0 && ferror(meter->real))
        return -1;
    meter->done += got;
    progress_show(&meter->progress, meter->done >> 10, meter->total == 0 ? 0 : (meter->total >> 10) + 1);
    return (ssize_t)got;
}

enum exit_status cmd_dump(const struct cli *cli)
{
    struct store *store = NULL;
    struct err err = {0};
    struct meter meter = {.real = stdout, .progress = {.what = "dump", .unit = "lines"}};
    FILE *out = NULL;
    enum err_code code = cli_open_store(&store, cli->config, &err);
    if (code == ERR_OK &&
        (out = fopencookie(&meter, "w", (cookie_io_functions_t){.write = meter_write})) == NULL)
        code = err_set(&err, ERR_FATAL, 0, "out of memory");
    if (code == ERR_OK)
        code = dump_write(store, out, &err);
    if (out != NULL && fclose(out) != 0 && code == ERR_OK)
        code = err_set(&err, ERR_FATAL, 0, "writing the dump failed; what is there is incomplete");
    progress_end(&meter.progress);
    store_close(store);
    return code == ERR_OK ? EXIT_OK : cli_complain(&err);
}

static enum err_code load(const struct cli *cli, size_t *entries, struct err *err)
{
    struct stat st;
    struct meter meter = {.real = stdin, .progress = {.what = "load", .unit = "kB"}};
    if (fstat(STDIN_FILENO, &st) == 0 && S_ISREG(st.st_mode))
        meter.total = (uint64_t)st.st_size;
    FILE *in = fopencookie(&meter, "r", (cookie_io_functions_t){.read = meter_read});
    if (in == NULL)
        return err_set(err, ERR_FATAL, 0, "out of memory");
    enum err_code code = dump_load(cli->config->state_dir, in, entries, err);
    fclose(in);
    progress_end(&meter.progress);
    return code;
}

enum exit_status cmd_load(const struct cli *cli)
{
    struct err err = {0};
    size_t entries = 0;
    enum err_code code = cli_check_owner(cli->config->state_dir, &err);
    if (code == ERR_OK)
        code = load(cli, &entries, &err);
    if (code != ERR_OK)
        return cli_complain(&err);
    struct buf sentence;
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "done", "load");
    cJSON_AddStringToObject(object, "state_dir", cli->config->state_dir);
    cJSON_AddNumberToObject(object, "entries", (double)entries);
    buf_init(&sentence);
    buf_addf(&sentence, "%s: %zu entries loaded", cli->config->state_dir, entries);
    cli_print_done(cli, object, buf_text(&sentence));
    buf_release(&sentence);
    return EXIT_OK;
}
