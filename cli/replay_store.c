#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "replay.h"

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type, (void)where;
    return remove(path);
}

/* Memory where there is some: nothing here need outlive a power cut. *out is the caller's to free. */
static enum err_code make_dir(char **out, struct err *err)
{
    static const char memory[] = "/dev/shm";
    struct buf path;
    const char *temporary = getenv("TMPDIR");
    if (temporary == NULL || temporary[0] == '\0')
        temporary = "/tmp";
    buf_init(&path);
    buf_addf(&path, "%s/prgate-replay.XXXXXX", access(memory, W_OK | X_OK) == 0 ? memory : temporary);
    char *dir = mem_strdup(buf_text(&path));
    enum err_code code = ERR_OK;
    if (mkdtemp(dir) == NULL)
        code = err_set(err, ERR_FATAL, errno, "cannot create %s: %s; set TMPDIR to where there is room",
                       buf_text(&path), strerror(errno));
    else
        *out = mem_strdup(dir); /* only what was made here is ever removed */
    free(dir);
    buf_release(&path);
    return code;
}

enum err_code replay_open(struct replay *replay, struct err *err)
{
    enum err_code code = make_dir(&replay->config.state_dir, err);
    if (code == ERR_OK)
        code = gate_open(&replay->gate, &replay->config, err);
    replay->worker = (struct worker){.gate = &replay->gate};
    if (code == ERR_OK)
        code = github_open(&replay->worker.github, &replay->config, &replay->world.http, NULL, err);
    return code;
}

void replay_close(struct replay *replay)
{
    github_close(replay->worker.github);
    replay->worker = (struct worker){0};
    gate_close(&replay->gate);
    if (replay->config.state_dir != NULL)
        nftw(replay->config.state_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(replay->config.state_dir);
    replay->config.state_dir = NULL;
}
