/*
 * fuzz: what the harnesses share. Each is one file with LLVMFuzzerTestOneInput() and runs under libFuzzer with the
 * address and undefined-behaviour sanitizers; tests/fuzz.sh runs them all. What it is given is text as far as that is
 * possible, so that a file of the corpus can be read.
 */
#ifndef PRGATE_TESTS_FUZZ_H
#define PRGATE_TESTS_FUZZ_H

#include <ftw.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "prgate/buf.h"
#include "prgate/config.h"
#include "prgate/log.h"
#include "prgate/tree.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold for any input. libFuzzer keeps the input of a process that aborts. */
#define MUST(condition)                                                                                      \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);                   \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

static char scratch[64]; /* a directory of this process's own */

static inline int scratch_remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type, (void)where;
    return remove(path);
}

static inline void scratch_remove(void)
{
    nftw(scratch, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Below FUZZ_SCRATCH, which tests/fuzz.sh removes whatever happens here. */
static inline void scratch_make(void)
{
    const char *parent = getenv("FUZZ_SCRATCH");
    int len = snprintf(scratch, sizeof scratch, "%s/prgate-fuzz-XXXXXX", parent == NULL ? "/tmp" : parent);
    MUST(len > 0 && (size_t)len < sizeof scratch);
    MUST(mkdtemp(scratch) != NULL);
}

static inline void scratch_write(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", scratch, name);
    FILE *file = fopen(path, "w");
    MUST(file != NULL);
    fputs(text, file);
    MUST(fclose(file) == 0 && chmod(path, 0600) == 0);
}

/* As the programs do in main(). */
static inline void fuzz_setup(void)
{
    tree_setup();
    log_setup(LOG_LEVEL_PANIC, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
    scratch_make();
    atexit(scratch_remove);
}

/* Two webhook secrets, a token, and policies of several kinds. */
static inline struct config *fuzz_config(void)
{
    char text[2048], path[128];
    struct err err = {0};
    struct config *config;
    scratch_write("secret", "hush\n");
    scratch_write("secret.old", "hush before\n");
    scratch_write("token", "ghp_token\n");
    snprintf(text, sizeof text,
             "state_dir = \"%s/state\"\nwebhook_secret_file = {\"%s/secret\", \"%s/secret.old\"}\n"
             "github { api_url = \"https://api.example\" token_file = \"%s/token\" }\n"
             "repo \"octo/pinned\" { label_id = 99 }\nrepo \"*\" { }\n",
             scratch, scratch, scratch, scratch);
    scratch_write("prgate.conf", text);
    snprintf(path, sizeof path, "%s/prgate.conf", scratch);
    if (config_open(&config, path, &err) != ERR_OK) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    return config;
}

#endif
