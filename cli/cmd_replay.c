/*
 * prgatectl replay DIR [SEED]: proves on a recording that the order in which deliveries arrive does not matter.
 *
 * The store is a temporary one, below /dev/shm or TMPDIR, removed at the end and on SIGINT, SIGTERM and
 * SIGHUP; what a SIGKILL leaves behind is a directory prgate-replay.XXXXXX.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "cli.h"
#include "prgate/clock.h"
#include "prgate/log.h"
#include "prgate/text.h"
#include "replay.h"

enum { SEED_MAX = 999999999 };

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    interrupted = number;
}

static void catch_signals(void (*handler)(int))
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = handler};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaction(numbers[i], &action, NULL);
}

/* The operator's rules, nothing of the operator's state or network. */
static struct config make_config(const struct config *config)
{
    static char token[] = "replay";
    struct config own = *config;
    own.state_dir = NULL;
    own.dry_run = false;
    if (config_credentials(config) == CREDENTIALS_NONE)
        own.token = token;
    return own;
}

static bool replay_all(const struct recordings *recordings, const struct config *config, const char *dir,
                       uint64_t seed)
{
    struct replay *replay = mem_alloc(sizeof *replay);
    struct err err = {0};
    *replay = (struct replay){.config = make_config(config),
                              .next_number = 1,
                              .interrupted = &interrupted,
                              .progress = {.what = "replay", .unit = "schedules"}};
    bool good = true;
    world_init(&replay->world, &replay->config, recordings);
    clock_use(world_now_ms);
    catch_signals(on_signal);
    /* Each schedule would log every decision; what is wrong is told below. */
    log_setup(LOG_LEVEL_ERROR, config->log_format, LOG_TARGET_STDERR);
    if (replay_open(replay, &err) != ERR_OK) {
        cli_complain(&err);
        good = false;
    }
    for (size_t i = 0; good && i < recordings->count; i++)
        good = replay_compare(replay, &recordings->pulls[i], dir, seed);
    replay_close(replay);
    catch_signals(SIG_DFL);
    clock_use(NULL);
    world_release(&replay->world);
    free(replay);
    return good;
}

static bool read_seed(const char *text, uint64_t *seed)
{
    if (text == NULL) {
        if (getrandom(seed, sizeof *seed, 0) != (ssize_t)sizeof *seed)
            *seed = (uint64_t)time(NULL);
        *seed = *seed % SEED_MAX + 1;
        return true;
    }
    if (text_to_u64(text, SEED_MAX, seed))
        return true;
    fprintf(stderr, "prgatectl: \"%s\" is not a seed, a whole number up to %d\n", text, SEED_MAX);
    return false;
}

/* The policies beside the gate ask of GitHub what no recording tells. The policies are the caller's to free. */
static struct config gate_only(const struct config *config)
{
    struct config gate = *config;
    gate.policies = mem_alloc(config->policy_count * sizeof *gate.policies);
    for (size_t i = 0; i < config->policy_count; i++)
        gate.policies[i] = policy_gate_only(&config->policies[i]);
    return gate;
}

static enum exit_status replay(const struct cli *cli, uint64_t seed)
{
    struct recordings recordings;
    struct err err = {0};
    const struct config gate = gate_only(cli->config);
    enum exit_status status = EXIT_FAILED;
    if (replay_load(&recordings, cli->arguments[0], &gate, &err) != ERR_OK) {
        cli_complain(&err);
    } else {
        for (size_t i = 0; i < recordings.note_count; i++)
            puts(recordings.notes[i]);
        if (replay_all(&recordings, &gate, cli->arguments[0], seed))
            status = EXIT_OK;
    }
    replay_unload(&recordings);
    free(gate.policies);
    fflush(stdout);
    return status;
}

/* What it tells is text for people, line by line: that is what the object has, too. */
static enum exit_status replay_as_json(const struct cli *cli, uint64_t seed)
{
    char *text = NULL;
    size_t len = 0;
    FILE *real = stdout, *lines = open_memstream(&text, &len);
    if (lines == NULL) {
        fputs("prgatectl: out of memory\n", stderr);
        return EXIT_FAILED;
    }
    stdout = lines;
    enum exit_status status = replay(cli, seed);
    stdout = real;
    fclose(lines);
    if (status != EXIT_OK && len == 0) { /* it could not be begun, which was complained of */
        free(text);
        return status;
    }
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "directory", cli->arguments[0]);
    cJSON_AddNumberToObject(object, "seed", (double)seed);
    cJSON_AddBoolToObject(object, "same", status == EXIT_OK);
    cJSON_AddStringToObject(object, "text", text);
    cli_print_json(object);
    fflush(stdout);
    free(text);
    return status;
}

enum exit_status cmd_replay(const struct cli *cli)
{
    uint64_t seed;
    if (!read_seed(cli->arguments[1], &seed))
        return EXIT_USAGE;
    enum exit_status status = cli->json ? replay_as_json(cli, seed) : replay(cli, seed);
    if (interrupted != 0)
        raise(interrupted);
    return status;
}
