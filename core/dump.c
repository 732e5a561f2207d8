#include "prgate/dump.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "prgate/alive.h"
#include "prgate/contents.h"
#include "prgate/record.h"
#include "prgate/text.h"
#include "prgate/visible.h"

#ifndef PRGATE_VERSION
#define PRGATE_VERSION "0"
#endif

enum { DUMP_VERSION = 1, SUM_LEN = 8, SUM_SIZE = 2 * SUM_LEN + 1, BATCH = 500 };

/* ---- one line ------------------------------------------------------------------ */

static void make_sum(const struct entry *entry, char sum[SUM_SIZE])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    struct buf all;
    buf_init(&all);
    buf_addf(&all, "%s/%zu/", store_table_name(entry->table), entry->key.len);
    buf_add(&all, entry->key.data, entry->key.len);
    buf_add(&all, entry->value.data, entry->value.len);
    EVP_Digest(all.data, all.len, digest, NULL, EVP_sha256(), NULL);
    text_hex(digest, SUM_LEN, sum);
    buf_release(&all);
}

static void add_hex(struct buf *out, const struct buf *bytes)
{
    char *to = (char *)buf_reserve(out, 2 * bytes->len + 1);
    text_hex(bytes->data, bytes->len, to);
    out->len += 2 * bytes->len;
}

/* What claims a pull request is a process of this host. */
static void drop_claim(struct entry *entry)
{
    struct record record;
    struct err err;
    if (entry->table != TABLE_PR)
        return;
    record_init(&record);
    if (record_decode(&record, entry->value.data, entry->value.len, &err) == ERR_OK && record.claim.held) {
        record.claim = (struct claim){0};
        buf_clear(&entry->value);
        record_encode(&record, &entry->value);
    }
    record_release(&record);
}

static void add_about(const struct entry *entry, struct buf *out)
{
    struct record record;
    struct err err;
    struct buf name;
    buf_init(&name);
    record_init(&record);
    if (entry->table == TABLE_PR &&
        record_decode(&record, entry->value.data, entry->value.len, &err) == ERR_OK)
        buf_addf(&name, "%s#%llu", record.repo, (unsigned long long)record.key.number);
    else
        contents_name(entry, &name);
    const char *text = buf_text(&name);
    if (text_utf8_valid(text, strlen(text)))
        text_add_json(out, text);
    record_release(&record);
    buf_release(&name);
}

static bool is_text(const struct buf *value)
{
    return value->len > 0 && memchr(value->data, '\0', value->len) == NULL &&
           text_utf8_valid(value->data, value->len);
}

static void add_line(struct entry *entry, struct buf *line)
{
    char sum[SUM_SIZE];
    drop_claim(entry);
    make_sum(entry, sum);
    buf_addf(line, "{\"table\":\"%s\",\"key\":\"", store_table_name(entry->table));
    add_hex(line, &entry->key);
    if (is_text(&entry->value)) {
        buf_adds(line, "\",\"text\":\"");
        text_add_json(line, buf_text(&entry->value));
    } else {
        buf_adds(line, "\",\"value\":\"");
        add_hex(line, &entry->value);
    }
    buf_addf(line, "\",\"sum\":\"%s\",\"about\":\"", sum);
    add_about(entry, line);
    buf_adds(line, "\"}\n");
}

/* ---- dump ------------------------------------------------------------------------ */

struct dump {
    FILE *out;
    size_t entries;
};

static enum err_code write_error(struct err *err)
{
    return err_set(err, ERR_FATAL, errno, "writing the dump: %s; what is there is incomplete",
                   strerror(errno));
}

/* The others are of this host's processes. */
static bool is_for_another_host(enum store_table table, struct bytes key)
{
    return table != TABLE_SHARED || visible_is_row(key);
}

static enum err_code write_entry(void *arg, const struct entry *entry, struct err *err)
{
    struct dump *dump = arg;
    if (!is_for_another_host(entry->table, buf_bytes(&entry->key)))
        return ERR_OK;
    struct entry copy = {.table = entry->table};
    struct buf line;
    buf_init(&line);
    buf_add(&copy.key, entry->key.data, entry->key.len);
    buf_add(&copy.value, entry->value.data, entry->value.len);
    add_line(&copy, &line);
    bool written = fwrite(line.data, 1, line.len, dump->out) == line.len;
    dump->entries++;
    buf_release(&copy.key);
    buf_release(&copy.value);
    buf_release(&line);
    return written ? ERR_OK : write_error(err);
}

enum err_code dump_write(struct store *store, FILE *out, struct err *err)
{
    struct dump dump = {.out = out};
    if (fprintf(out, "{\"prgate_dump\":%d,\"version\":\"%s\"}\n", DUMP_VERSION, PRGATE_VERSION) < 0)
        return write_error(err);
    enum err_code code = contents_walk(store, write_entry, &dump, err);
    if (code == ERR_OK &&
        (fprintf(out, "{\"end\":true,\"entries\":%zu}\n", dump.entries) < 0 || fflush(out) != 0))
        code = write_error(err);
    return code;
}

/* ---- load ------------------------------------------------------------------------ */

struct load {
    FILE *in;
    struct store *store;
    size_t line;
    size_t entries;
    bool ended;
    struct entry batch[BATCH];
    size_t lines[BATCH];
    size_t count;
    size_t failed; /* which of the batch */
    bool inserted; /* the batch, by an earlier run of the body */
};

static enum err_code refuse(const struct load *load, const char *what, struct err *err)
{
    return err_set(err, ERR_REJECT, 0, "line %zu: %s; nothing was loaded", load->line, what);
}

static bool add_unhex(struct buf *out, const char *hex)
{
    size_t len = hex == NULL ? 0 : strlen(hex);
    if (hex == NULL || len % 2 != 0 || !text_unhex(hex, buf_reserve(out, len / 2 + 1), len / 2))
        return false;
    out->len += len / 2;
    return true;
}

static const char *member(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

static bool find_table(const char *name, enum store_table *out)
{
    for (int table = 0; name != NULL && table < TABLE_END; table++)
        if (strcmp(store_table_name((enum store_table)table), name) == 0) {
            *out = (enum store_table)table;
            return true;
        }
    return false;
}

/* NULL: it is an entry; else what is wrong with it. */
static const char *read_entry(const cJSON *json, struct entry *entry)
{
    char sum[SUM_SIZE];
    const char *text = member(json, "text"), *given = member(json, "sum");
    buf_clear(&entry->key);
    buf_clear(&entry->value);
    if (!find_table(member(json, "table"), &entry->table))
        return "\"table\" names no table that can be loaded";
    if (!add_unhex(&entry->key, member(json, "key")) || entry->key.len == 0)
        return "\"key\" is not hex digits";
    if (!is_for_another_host(entry->table, buf_bytes(&entry->key)))
        return "\"table\" names no table that can be loaded";
    if (text != NULL)
        buf_adds(&entry->value, text);
    else if (!add_unhex(&entry->value, member(json, "value")))
        return "neither \"text\" nor hex digits in \"value\"";
    make_sum(entry, sum);
    if (given == NULL || strcmp(given, sum) != 0)
        return "\"sum\" does not fit: the line was changed or damaged";
    drop_claim(entry);
    return NULL;
}

static enum err_code insert_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct load *load = arg;
    enum err_code code = ERR_OK;
    for (load->failed = 0; load->failed < load->count; load->failed++) {
        const struct entry *entry = &load->batch[load->failed];
        code = store_insert(txn, entry->table, buf_bytes(&entry->key), buf_bytes(&entry->value), err);
        if (code == ERR_CONFLICT && load->inserted)
            code = ERR_OK; /* its commit went through */
        if (code != ERR_OK)
            return code;
    }
    load->inserted = true;
    return code;
}

static enum err_code insert_batch(struct load *load, struct err *err)
{
    load->inserted = false;
    enum err_code code = store_txn(load->store, insert_body, load, err);
    if (code == ERR_CONFLICT) {
        load->line = load->lines[load->failed];
        code = refuse(load, "the same key came before", err);
    }
    load->entries += load->count;
    load->count = 0;
    if (code == ERR_OK)
        code = store_checkpoint(load->store, err);
    return code;
}

static enum err_code take_end(struct load *load, const cJSON *json, struct err *err)
{
    const cJSON *entries = cJSON_GetObjectItemCaseSensitive(json, "entries");
    load->ended = true;
    enum err_code code = insert_batch(load, err);
    if (code == ERR_OK && (!cJSON_IsNumber(entries) || entries->valuedouble != (double)load->entries))
        code = refuse(load, "not as many entries as the dump had: lines are missing", err);
    return code;
}

static enum err_code take_line(struct load *load, const char *text, size_t len, struct err *err)
{
    cJSON *json = cJSON_ParseWithLengthOpts(text, len + 1, NULL, 1);
    enum err_code code = ERR_OK;
    if (!cJSON_IsObject(json)) {
        code = refuse(load, "not a JSON object", err);
    } else if (load->ended) {
        code = refuse(load, "more lines behind the end", err);
    } else if (load->line == 1) {
        const cJSON *version = cJSON_GetObjectItemCaseSensitive(json, "prgate_dump");
        if (!cJSON_IsNumber(version) || version->valueint != DUMP_VERSION)
            code = refuse(load, "not the beginning of a dump of this version", err);
    } else if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "end"))) {
        code = take_end(load, json, err);
    } else {
        const char *wrong = read_entry(json, &load->batch[load->count]);
        load->lines[load->count] = load->line;
        if (wrong != NULL)
            code = refuse(load, wrong, err);
        else if (++load->count == BATCH)
            code = insert_batch(load, err);
    }
    cJSON_Delete(json);
    return code;
}

static enum err_code take_lines(struct load *load, struct err *err)
{
    char *text = NULL;
    size_t size = 0;
    ssize_t len;
    enum err_code code = ERR_OK;
    while (code == ERR_OK && (len = getline(&text, &size, load->in)) > 0) {
        load->line++;
        while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
            text[--len] = '\0';
        code = strlen(text) == (size_t)len ? take_line(load, text, (size_t)len, err)
                                           : refuse(load, "a NUL byte", err);
    }
    free(text);
    if (code == ERR_OK && ferror(load->in))
        code = err_set(err, ERR_FATAL, errno, "reading the dump: %s; nothing was loaded", strerror(errno));
    if (code == ERR_OK && !load->ended)
        code = refuse(load, "the dump's closing line is missing: it was cut off", err);
    return code;
}

/* Into a store of its own, which counts for nothing until all of it is there. */
static enum err_code build(const char *dir, FILE *in, size_t *entries, struct err *err)
{
    struct load *load = mem_alloc(sizeof *load);
    memset(load, 0, sizeof *load);
    load->in = in;
    enum err_code code = store_open(&load->store, dir, err);
    if (code == ERR_OK)
        code = take_lines(load, err);
    store_close(load->store);
    *entries = load->entries;
    for (size_t i = 0; i < BATCH; i++) {
        buf_release(&load->batch[i].key);
        buf_release(&load->batch[i].value);
    }
    free(load);
    return code;
}

enum err_code dump_load(const char *state_dir, FILE *in, size_t *entries, struct err *err)
{
    struct buf dir;
    enum err_code code = alive_refuse_pool(state_dir, err);
    if (code == ERR_OK)
        code = store_make_dir(state_dir, err);
    if (code != ERR_OK)
        return code;
    buf_init(&dir);
    buf_addf(&dir, "%s/loading", state_dir);
    code = store_remove_empty(state_dir, err);
    if (code == ERR_OK)
        code = store_remove(buf_text(&dir), err);
    if (code == ERR_OK)
        code = build(buf_text(&dir), in, entries, err);
    if (code == ERR_OK)
        code = store_restore(state_dir, buf_text(&dir), err);
    struct err ignored;
    store_remove(buf_text(&dir), &ignored);
    buf_release(&dir);
    return code;
}
