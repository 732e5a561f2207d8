#include "prgate/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "prgate/buf.h"
#include "prgate/text.h"

enum {
    CODE_BYTES = (SETUP_CODE_SIZE - 1) / 2,
    HASH_BYTES = 32,
    HASH_SIZE = 2 * HASH_BYTES + 1,
    FILE_SIZE_MAX = 512
};

/* The file's content. */
struct ticket {
    int64_t expires_s;
    unsigned guesses;
    char hashes[2][HASH_SIZE]; /* by enum setup_word */
    char org[LOGIN_SIZE];
};

static void add_path(struct buf *path, const char *state_dir, const char *name)
{
    buf_init(path);
    buf_addf(path, "%s/%s", state_dir, name);
}

/* What it is the hash of tells them apart: no word of one kind is good for the other. */
static void hash(const char *purpose, const char *text, char out[HASH_SIZE])
{
    unsigned char bytes[HASH_BYTES];
    struct buf input;
    buf_init(&input);
    buf_addf(&input, "prgate %s %s", purpose, text);
    if (EVP_Digest(input.data, input.len, bytes, NULL, EVP_sha256(), NULL) != 1)
        OPENSSL_die("SHA-256 failed", __FILE__, __LINE__);
    text_hex(bytes, sizeof bytes, out);
    OPENSSL_cleanse(input.data, input.cap);
    buf_release(&input);
}

void setup_state(const char *code, char state[SETUP_STATE_SIZE])
{
    hash("state of", code, state);
}

/* ---- the lock ---------------------------------------------------------------------- */

enum err_code setup_lock(struct setup_lock *lock, const char *state_dir, bool wait, struct err *err)
{
    lock->fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock->fd < 0)
        return err_set(err, ERR_FATAL, errno, "cannot open %s: %s", state_dir, strerror(errno));
    int result;
    do
        result = flock(lock->fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB);
    while (result != 0 && errno == EINTR);
    if (result == 0)
        return ERR_OK;
    int number = errno;
    setup_unlock(lock);
    return number == EWOULDBLOCK
               ? err_set(err, ERR_RETRY, number, "somebody else is at it: try again")
               : err_set(err, ERR_FATAL, number, "cannot lock %s: %s", state_dir, strerror(number));
}

void setup_unlock(struct setup_lock *lock)
{
    if (lock->fd >= 0)
        close(lock->fd);
    lock->fd = -1;
}

/* ---- the file ---------------------------------------------------------------------- */

static void print_ticket(const struct ticket *ticket, struct buf *out)
{
    buf_addf(out, "version 1\nexpires %" PRId64 "\nguesses %u\ncode %s\nstate %s\norg %s\nend\n",
             ticket->expires_s, ticket->guesses, ticket->hashes[SETUP_CODE], ticket->hashes[SETUP_STATE],
             ticket->org);
}

static bool write_all(const char *path, const struct buf *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool good = fd >= 0 && fchmod(fd, 0600) == 0 && write(fd, text->data, text->len) == (ssize_t)text->len &&
                fsync(fd) == 0;
    int number = errno;
    if (fd >= 0)
        close(fd);
    errno = number;
    return good;
}

static bool sync_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return good;
}

static enum err_code put_ticket(const char *state_dir, const struct ticket *ticket, struct err *err)
{
    struct buf text, new, path;
    enum err_code code = ERR_OK;
    buf_init(&text);
    add_path(&new, state_dir, ".setup.new");
    add_path(&path, state_dir, "setup");
    print_ticket(ticket, &text);
    if (!write_all(buf_text(&new), &text) || rename(buf_text(&new), buf_text(&path)) != 0 ||
        !sync_dir(state_dir)) {
        code = err_set(err, ERR_FATAL, errno, "cannot write %s: %s", buf_text(&path), strerror(errno));
        unlink(buf_text(&new));
    }
    buf_release(&text);
    buf_release(&new);
    buf_release(&path);
    return code;
}

/* The value of the line `name VALUE`, which must be the next one; *at goes behind it. */
static bool take_line(char **at, const char *name, char **value)
{
    size_t len = strlen(name);
    char *end = strchr(*at, '\n');
    if (end == NULL || strncmp(*at, name, len) != 0 || (*at)[len] != ' ')
        return false;
    *value = *at + len + 1;
    *end = '\0';
    *at = end + 1;
    return true;
}

static bool parse_ticket(char *text, struct ticket *ticket)
{
    char *version, *expires, *guesses, *code, *state, *org;
    uint64_t expires_s, left;
    if (!take_line(&text, "version", &version) || strcmp(version, "1") != 0 ||
        !take_line(&text, "expires", &expires) || !take_line(&text, "guesses", &guesses) ||
        !take_line(&text, "code", &code) || !take_line(&text, "state", &state) ||
        !take_line(&text, "org", &org) || strcmp(text, "end\n") != 0)
        return false;
    if (!text_to_u64(expires, INT64_MAX, &expires_s) || !text_to_u64(guesses, SETUP_GUESSES, &left))
        return false;
    ticket->expires_s = (int64_t)expires_s;
    ticket->guesses = (unsigned)left;
    return text_copy(ticket->hashes[SETUP_CODE], HASH_SIZE, code) &&
           text_copy(ticket->hashes[SETUP_STATE], HASH_SIZE, state) &&
           text_copy(ticket->org, sizeof ticket->org, org);
}

/* A code that lives on; false: there is none. */
static bool get_ticket(const char *state_dir, int64_t now_s, struct ticket *ticket)
{
    struct buf path;
    char text[FILE_SIZE_MAX];
    *ticket = (struct ticket){0};
    add_path(&path, state_dir, "setup");
    int fd = open(buf_text(&path), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    buf_release(&path);
    if (len <= 0)
        return false;
    text[len] = '\0';
    /* A clock that was set back must not keep it alive. */
    return parse_ticket(text, ticket) && ticket->guesses > 0 && now_s < ticket->expires_s &&
           now_s >= ticket->expires_s - SETUP_LIFE_S;
}

/* ---- the code's life --------------------------------------------------------------- */

enum err_code setup_open(const char *state_dir, const char *org, int64_t now_s, char code[SETUP_CODE_SIZE],
                         struct err *err)
{
    unsigned char bytes[CODE_BYTES];
    char state[SETUP_STATE_SIZE];
    struct ticket ticket = {.expires_s = now_s + SETUP_LIFE_S, .guesses = SETUP_GUESSES};
    if (getentropy(bytes, sizeof bytes) != 0)
        return err_set(err, ERR_FATAL, errno, "no random bytes to be had: %s", strerror(errno));
    text_hex(bytes, sizeof bytes, code);
    OPENSSL_cleanse(bytes, sizeof bytes);
    setup_state(code, state);
    hash("code", code, ticket.hashes[SETUP_CODE]);
    hash("state", state, ticket.hashes[SETUP_STATE]);
    if (!text_copy(ticket.org, sizeof ticket.org, org))
        return err_set(err, ERR_REJECT, 0, "the organization's name is too long");
    enum err_code result = put_ticket(state_dir, &ticket, err);
    if (result != ERR_OK)
        setup_close(state_dir);
    return result;
}

bool setup_is_open(const char *state_dir, int64_t now_s)
{
    struct ticket ticket;
    return get_ticket(state_dir, now_s, &ticket);
}

bool setup_is_open_by(const char *state_dir, const char *code, int64_t now_s)
{
    char own[HASH_SIZE];
    struct ticket ticket;
    hash("code", code, own);
    return get_ticket(state_dir, now_s, &ticket) &&
           CRYPTO_memcmp(own, ticket.hashes[SETUP_CODE], HASH_SIZE) == 0;
}

static bool has_shape(enum setup_word word, const char *text)
{
    size_t len = word == SETUP_CODE ? SETUP_CODE_SIZE - 1 : SETUP_STATE_SIZE - 1;
    return strlen(text) == len && strspn(text, "0123456789abcdef") == len;
}

/* A guess that cannot be counted must not be free: then the code is void at once. */
static void count_guess(const char *state_dir, struct ticket *ticket)
{
    struct err err = {0};
    ticket->guesses--;
    if (ticket->guesses == 0 || put_ticket(state_dir, ticket, &err) != ERR_OK)
        setup_close(state_dir);
}

enum err_code setup_check(const char *state_dir, enum setup_word word, const char *text, int64_t now_s,
                          char org[LOGIN_SIZE], struct err *err)
{
    char given[HASH_SIZE];
    struct ticket ticket;
    if (!has_shape(word, text) || !get_ticket(state_dir, now_s, &ticket))
        return err_set(err, ERR_NOT_FOUND, 0, "no set-up is open, or the code is not its");
    hash(word == SETUP_CODE ? "code" : "state", text, given);
    if (CRYPTO_memcmp(given, ticket.hashes[word], HASH_SIZE) != 0) {
        count_guess(state_dir, &ticket);
        return err_set(err, ERR_NOT_FOUND, 0, "a wrong code; %u more guesses", ticket.guesses);
    }
    text_copy(org, LOGIN_SIZE, ticket.org);
    return ERR_OK;
}

void setup_close(const char *state_dir)
{
    struct buf path;
    add_path(&path, state_dir, "setup");
    unlink(buf_text(&path));
    buf_release(&path);
}
