/*
 * POST /webhook, from the bytes on the wire to the delivery on disk: every answer, and that nothing refused is
 * stored.
 */
#include "check.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

#include "door.h"
#include "fixture.h"
#include "prgate/report.h"
#include "prgate/signature.h"
#include "prgate/text.h"
#include "routes.h"

#define PULL_REQUEST                                                                                         \
    "\"pull_request\":{\"number\":7,\"state\":\"open\",\"draft\":false,"                                     \
    "\"title\":\"t\",\"updated_at\":\"2024-01-31T12:00:00Z\",\"mergeable\":null,"                            \
    "\"user\":{\"id\":2,\"login\":\"ann\"},\"labels\":[],"                                                   \
    "\"head\":{\"sha\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"ref\":\"topic\"},"                     \
    "\"base\":{\"ref\":\"main\"}},\"sender\":{\"id\":3,\"login\":\"tim\"}"
#define REPOSITORY(name) "\"repository\":{\"id\":5,\"full_name\":\"" name "\"}"
#define PAYLOAD(action, repo) "{\"action\":\"" action "\",\"number\":7," PULL_REQUEST "," REPOSITORY(repo) "}"

static const char payload[] = PAYLOAD("opened", "octo/repo");

/* For a header that is not sent; NULL stands for the one that is right. */
static const char absent[] = "absent";

/* A body that comes in pieces of at most `step` bytes and may end early. */
struct source {
    const char *at;
    size_t left;
    size_t step;
    size_t given;
    size_t reads;
};

static size_t read_source(void *arg, void *to, size_t len)
{
    struct source *source = arg;
    size_t take = len < source->step ? len : source->step;
    take = take < source->left ? take : source->left;
    memcpy(to, source->at, take);
    source->at += take;
    source->left -= take;
    source->given += take;
    source->reads++;
    return take;
}

struct post {
    const char *name;
    int status;
    const char *says;
    enum metric counted;
    const char *body, *length, *type, *event, *delivery, *signature, *secret;
    bool unread; /* the body must not have been touched */
    bool may_claim;
    size_t step;       /* bytes that come at a time; 0: 7 */
    size_t ends_after; /* the connection ends after one byte less; 0: after the body */
    struct spares *bodies;
};

static const char *header(const char *given, const char *right)
{
    if (given == absent)
        return NULL;
    return given == NULL ? right : given;
}

static void sign(const char *secret_text, const char *body, size_t len, char out[SIGNATURE_SIZE])
{
    char copy[32];
    snprintf(copy, sizeof copy, "%s", secret_text == NULL ? "hush" : secret_text);
    struct secret secret = {.bytes = (unsigned char *)copy, .len = strlen(copy)};
    signature_make(&secret, body, len, out);
}

static void post(struct fixture *f, const struct post *row, struct reply *reply, struct source *source)
{
    const char *body = row->body == NULL ? payload : row->body;
    size_t len = strlen(body);
    char length[32], signature[SIGNATURE_SIZE];
    *source = (struct source){.at = body,
                              .left = row->ends_after == 0 ? len : row->ends_after - 1,
                              .step = row->step == 0 ? 7 : row->step};
    snprintf(length, sizeof length, "%zu", len);
    sign(row->secret, body, len, signature);
    struct request request = {.method = "POST",
                              .path_info = "/webhook",
                              .content_type = header(row->type, "application/json"),
                              .content_length = header(row->length, length),
                              .event = header(row->event, "pull_request"),
                              .delivery = header(row->delivery, "d-1"),
                              .signature = header(row->signature, signature),
                              .read = read_source,
                              .source = source,
                              .bodies = row->bodies};
    reply_init(reply);
    routes_answer(&f->gate, &request, row->may_claim, reply);
}

static const char *status_word(const struct post *row)
{
    if (row->status == 202)
        return "taken";
    if (row->status != 200)
        return "refused";
    return row->counted == METRIC_DUPLICATE ? "duplicate" : "ignored";
}

static bool is_well_formed(const char *delivery)
{
    return delivery != NULL && text_is_delivery(delivery);
}

/* A reply is one JSON object and no more, with a status in words, and the delivery where it is known. */
static void check_reply(const struct post *row, const struct reply *reply)
{
    const char *end = NULL;
    check_int(row->name, "status", reply->status, row->status);
    check_str(row->name, "type", reply->content_type, "application/json");
    check_contains(row->name, "body", buf_text((struct buf *)(uintptr_t)&reply->body), row->says);
    cJSON *object = cJSON_ParseWithLengthOpts((const char *)reply->body.data, reply->body.len, &end, false);
    check_bool(row->name, "is an object", cJSON_IsObject(object), true);
    check_str(row->name, "behind it", end, "\n");
    check_str(row->name, "status in words", report_text(object, "status"), status_word(row));
    check_int(row->name, "Retry-After", reply->retry_after_s, row->status == 503 ? 5 : 0);
    check_bool(row->name, "Allow", reply->allow != NULL, false);
    check_bool(row->name, "names the delivery", cJSON_GetObjectItem(object, "delivery") != NULL,
               is_well_formed(header(row->delivery, "d-1")));
    cJSON_Delete(object);
}

static void check_nothing_stored(const char *row, struct fixture *f)
{
    static const enum store_table tables[] = {TABLE_INBOX, TABLE_PR, TABLE_SEEN, TABLE_NAME};
    for (size_t i = 0; i < COUNT_OF(tables); i++)
        check_u64(row, store_table_name(tables[i]), count_table(f, tables[i]), 0);
}

static const enum metric outcomes[] = {METRIC_TAKEN,     METRIC_DUPLICATE, METRIC_IGNORED,
                                       METRIC_MALFORMED, METRIC_UNSIGNED,  METRIC_NOT_STORED};

static int64_t count_outcomes(const struct fixture *f)
{
    int64_t sum = 0;
    for (size_t i = 0; i < COUNT_OF(outcomes); i++)
        sum += metrics_get(f->gate.metrics, outcomes[i]);
    return sum;
}

static void check_rows(const struct post *rows, size_t count)
{
    struct fixture f;
    fixture_open(&f, "");
    for (size_t i = 0; i < count; i++) {
        struct reply reply;
        struct source source;
        int64_t before = metrics_get(f.gate.metrics, rows[i].counted);
        post(&f, &rows[i], &reply, &source);
        check_reply(&rows[i], &reply);
        check_bool(rows[i].name, "has work", reply.has_work, false);
        check_int(rows[i].name, "counted", metrics_get(f.gate.metrics, rows[i].counted), before + 1);
        check_int(rows[i].name, "outcomes", count_outcomes(&f), (int64_t)i + 1);
        check_bool(rows[i].name, "body was left alone", source.given == 0, rows[i].unread);
        check_nothing_stored(rows[i].name, &f);
        reply_release(&reply);
    }
    fixture_close(&f);
}

/* ---- refused --------------------------------------------------------------------- */

static void test_media_type_other_than_json_is_refused_unread(void **state)
{
    (void)state;
    static const char *const types[] = {"",
                                        "text/plain",
                                        "application/x-www-form-urlencoded",
                                        "application/jsonx",
                                        "application/json-patch+json",
                                        "application",
                                        " application/json",
                                        "text/json",
                                        absent};
    struct post rows[COUNT_OF(types)];
    for (size_t i = 0; i < COUNT_OF(types); i++)
        rows[i] = (struct post){.name = types[i],
                                .status = 415,
                                .says = "application/json",
                                .counted = METRIC_MALFORMED,
                                .type = types[i],
                                .unread = true};
    check_rows(rows, COUNT_OF(rows));
}

static void test_length_that_is_missing_or_odd_is_refused_unread(void **state)
{
    (void)state;
    static const struct {
        const char *length;
        int status;
        const char *says;
    } lengths[] = {
        {absent, 411, "missing"},
        {"", 411, "missing"},
        {"12x", 400, "not a number"},
        {"-1", 400, "not a number"},
        {"+1", 400, "not a number"},
        {" 1", 400, "not a number"},
        {"1 ", 400, "not a number"},
        {"0x10", 400, "not a number"},
        {"1, 1", 400, "not a number"},
        {"1.0", 400, "not a number"},
        {"26214401", 413, "25 MiB"},
        {"18446744073709551616", 413, "25 MiB"},
        {"99999999999999999999999", 413, "25 MiB"},
    };
    struct post rows[COUNT_OF(lengths)];
    for (size_t i = 0; i < COUNT_OF(lengths); i++)
        rows[i] = (struct post){.name = lengths[i].length,
                                .status = lengths[i].status,
                                .says = lengths[i].says,
                                .counted = METRIC_MALFORMED,
                                .length = lengths[i].length,
                                .unread = true};
    check_rows(rows, COUNT_OF(rows));
}

/* Nobody waits for what will not come: the first empty read ends it, wherever it is. */
static void test_body_that_ends_early_is_read_no_further(void **state)
{
    (void)state;
    struct fixture f;
    size_t len = strlen(payload);
    fixture_open(&f, "");
    for (size_t left = 0; left < len; left += 37) {
        char row[32];
        struct reply reply;
        struct source source;
        snprintf(row, sizeof row, "%zu bytes", left);
        post(&f, &(struct post){.ends_after = left + 1, .step = 1}, &reply, &source);
        check_int(row, "status", reply.status, 400);
        check_u64(row, "given", source.given, left);
        check_u64(row, "reads", source.reads, left + 1);
        reply_release(&reply);
    }
    check_nothing_stored("all", &f);
    fixture_close(&f);
}

static void test_length_that_lies_is_refused(void **state)
{
    (void)state;
    static const struct post rows[] = {
        {.name = "connection lost",
         .status = 400,
         .says = "shorter",
         .counted = METRIC_MALFORMED,
         .ends_after = 21},
        {.name = "more than was sent",
         .status = 400,
         .says = "shorter",
         .counted = METRIC_MALFORMED,
         .length = "100000"},
        {.name = "the most",
         .status = 400,
         .says = "shorter",
         .counted = METRIC_MALFORMED,
         .length = "26214400"},
        {.name = "less than was sent",
         .status = 401,
         .says = "match",
         .counted = METRIC_UNSIGNED,
         .length = "30"},
        {.name = "nothing",
         .status = 401,
         .says = "match",
         .counted = METRIC_UNSIGNED,
         .length = "0",
         .unread = true},
        {.name = "an empty body",
         .status = 400,
         .says = "",
         .counted = METRIC_MALFORMED,
         .body = "",
         .unread = true},
    };
    check_rows(rows, COUNT_OF(rows));
}

static void test_signature_is_asked_for_before_anything_is_believed(void **state)
{
    (void)state;
    static const struct {
        const char *name, *signature, *secret, *says;
    } wrong[] = {
        {"none", absent, NULL, "is missing"},
        {"empty", "", NULL, "64 hex digits"},
        {"SHA-1", "sha1=0123456789012345678901234567890123456789", NULL, "64 hex digits"},
        {"short", "sha256=00", NULL, "64 hex digits"},
        {"zeros", "sha256=0000000000000000000000000000000000000000000000000000000000000000", NULL, "match"},
        {"guessed secret", NULL, "guess", "match"},
    };
    /* What would be refused or ignored for another reason, were it signed. */
    static const struct post bases[] = {
        {.name = "good"},
        {.body = "nonsense"},
        {.event = "ping", .body = "{}"},
        {.event = absent},
        {.delivery = absent},
        {.event = "push"},
        {.delivery = "a b"},
        {.body = PAYLOAD("opened", "other/repo")},
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        struct post rows[COUNT_OF(bases)];
        for (size_t j = 0; j < COUNT_OF(bases); j++) {
            rows[j] = bases[j];
            rows[j].name = wrong[i].name;
            rows[j].status = 401;
            rows[j].says = wrong[i].says;
            rows[j].counted = METRIC_UNSIGNED;
            rows[j].signature = wrong[i].signature;
            rows[j].secret = wrong[i].secret;
        }
        check_rows(rows, COUNT_OF(rows));
    }
}

static void test_signed_nonsense_is_refused(void **state)
{
    (void)state;
    static const struct post rows[] = {
        {.name = "no delivery", .says = "X-GitHub-Delivery", .delivery = absent},
        {.name = "empty delivery", .says = "X-GitHub-Delivery", .delivery = ""},
        {.name = "odd delivery", .says = "X-GitHub-Delivery", .delivery = "a b\r\n"},
        {.name = "no event", .says = "X-GitHub-Event", .event = absent},
        {.name = "empty event", .says = "X-GitHub-Event", .event = ""},
        {.name = "not JSON", .says = "refused", .body = "nonsense"},
        {.name = "half of JSON", .says = "refused", .body = "{\"action\":\"opened\","},
        {.name = "no object", .says = "refused", .body = "[]"},
        {.name = "no pull request",
         .says = "refused",
         .body = "{\"action\":\"opened\",\"number\":7," REPOSITORY("octo/repo") "}"},
        {.name = "repository's name with a path",
         .says = "refused",
         .body = PAYLOAD("opened", "octo/../etc")},
    };
    struct post all[COUNT_OF(rows)];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        all[i] = rows[i];
        all[i].status = 400;
        all[i].counted = METRIC_MALFORMED;
    }
    check_rows(all, COUNT_OF(all));
}

static void test_what_is_of_no_concern_is_acknowledged_and_not_stored(void **state)
{
    (void)state;
    static const struct post rows[] = {
        {.name = "ping", .says = "pong", .event = "ping", .body = "{\"zen\":\"Keep it logically awesome.\"}"},
        {.name = "another event", .says = "no concern", .event = "push", .body = "{}"},
        {.name = "unparsable body of another event",
         .says = "no concern",
         .event = "issues",
         .body = "nonsense"},
        {.name = "another action", .says = "\"pull_request\":7", .body = PAYLOAD("assigned", "octo/repo")},
        {.name = "repository without a section",
         .says = "\"repository\":\"other/repo\"",
         .body = PAYLOAD("opened", "other/repo")},
    };
    struct post all[COUNT_OF(rows)];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        all[i] = rows[i];
        all[i].status = 200;
        all[i].counted = METRIC_IGNORED;
    }
    check_rows(all, COUNT_OF(all));
}

/* ---- people's rights --------------------------------------------------------------- */

static const char *const answers[] = {
    "identity",        "permission/5/bob", "permission/5/ann",   "permission/55/bob", "permission/5/notbob",
    "team/octo/a/bob", "team/octo/a/ann",  "team/octopus/a/ann", "team/other/b/bob",
};

enum { MANY = 200 }; /* answers about others, more than are looked at in one transaction */

static enum err_code put_answers_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)arg;
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < COUNT_OF(answers) && code == ERR_OK; i++)
        code = store_put(txn, TABLE_TRUST, (struct bytes){answers[i], strlen(answers[i])},
                         (struct bytes){"x", 1}, err);
    for (int i = 0; i < MANY && code == ERR_OK; i++) {
        char key[64];
        snprintf(key, sizeof key, "permission/5/a%d", i);
        code = store_put(txn, TABLE_TRUST, (struct bytes){key, strlen(key)}, (struct bytes){"x", 1}, err);
    }
    return code;
}

struct look {
    const char *key;
    bool there;
};

static enum err_code look_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct look *look = arg;
    struct buf value;
    buf_init(&value);
    enum err_code code =
        store_get(txn, TABLE_TRUST, (struct bytes){look->key, strlen(look->key)}, STORE_READ, &value, err);
    buf_release(&value);
    look->there = code == ERR_OK;
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

#define MEMBER(login) "{\"action\":\"removed\",\"member\":{\"login\":\"" login "\",\"id\":9}}"
#define ORGANIZATION "\"organization\":{\"login\":\"Octo\",\"id\":1}"

static void test_change_of_rights_drops_what_was_known(void **state)
{
    (void)state;
    skip_if_run_again();
    static const struct {
        const char *event, *body, *says;
        const char *left; /* of answers[], 1: it is still there */
        bool others_left;
    } rows[] = {
        {"member", MEMBER("Bob"), "4 answers", "101010110", true},
        {"membership", MEMBER("bob"), "4 answers", "101010110", true},
        {"member", MEMBER("eve"), " 0 answers", "111111111", true},
        {"team", "{\"action\":\"added_to_repository\"," REPOSITORY("octo/repo") "," ORGANIZATION "}",
         "205 answers", "100100011", false},
        {"team", "{\"action\":\"deleted\"," ORGANIZATION "}", "206 answers", "100000011", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        struct reply reply;
        struct source source;
        struct err err = {0};
        fixture_open(&f, "");
        assert_int_equal(store_txn(f.gate.store, put_answers_body, NULL, &err), ERR_OK);
        post(&f, &(struct post){.event = rows[i].event, .body = rows[i].body}, &reply, &source);
        check_int(rows[i].event, "status", reply.status, 200);
        check_contains(rows[i].event, "body", buf_text(&reply.body), "\"status\":\"noted\"");
        check_contains(rows[i].event, "body", buf_text(&reply.body), rows[i].says);
        for (size_t j = 0; j < COUNT_OF(answers); j++) {
            struct look look = {.key = answers[j]};
            assert_int_equal(store_txn(f.gate.store, look_body, &look, &err), ERR_OK);
            check_bool(answers[j], rows[i].body, look.there, rows[i].left[j] == '1');
        }
        struct look other = {.key = "permission/5/a199"};
        assert_int_equal(store_txn(f.gate.store, look_body, &other, &err), ERR_OK);
        check_bool(rows[i].event, "others", other.there, rows[i].others_left);
        check_nothing_stored(rows[i].event, &f);
        reply_release(&reply);
        fixture_close(&f);
    }
}

static void test_change_of_rights_that_is_not_signed_or_malformed_drops_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *event, *body, *secret, *says;
        int status;
    } rows[] = {
        {"member", MEMBER("bob"), "other", "does not match", 401},
        {"member", "{}", NULL, "member.login: missing", 400},
        {"membership", MEMBER("b/b"), NULL, "not a GitHub login", 400},
        {"team", "{}", NULL, "organization.login: missing", 400},
        {"team", "{" REPOSITORY("octo/repo") ",\"organization\":{\"login\":\"a/b\"}}", NULL,
         "not a GitHub organization", 400},
        {"team", "{\"repository\":{}," ORGANIZATION "}", NULL, "repository.id: missing", 400},
        {"team", "nonsense", NULL, "body: no JSON", 400},
    };
    struct fixture f;
    struct err err = {0};
    fixture_open(&f, "");
    assert_int_equal(store_txn(f.gate.store, put_answers_body, NULL, &err), ERR_OK);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct reply reply;
        struct source source;
        post(&f, &(struct post){.event = rows[i].event, .body = rows[i].body, .secret = rows[i].secret},
             &reply, &source);
        check_int(rows[i].says, "status", reply.status, rows[i].status);
        check_contains(rows[i].event, "body", buf_text(&reply.body), rows[i].says);
        check_u64(rows[i].says, "answers", count_table(&f, TABLE_TRUST), COUNT_OF(answers) + MANY);
        reply_release(&reply);
    }
    fixture_close(&f);
}

/* ---- taken ----------------------------------------------------------------------- */

static void test_good_one_is_taken_once(void **state)
{
    (void)state;
    static const struct post rows[] = {
        {.name = "first",
         .status = 202,
         .counted = METRIC_TAKEN,
         .says =
             "{\"status\":\"taken\",\"delivery\":\"d-1\",\"repository\":\"octo/repo\",\"pull_request\":7}\n"},
        {.name = "again", .status = 200, .counted = METRIC_DUPLICATE, .says = "duplicate"},
        {.name = "again, byte by byte",
         .status = 200,
         .counted = METRIC_DUPLICATE,
         .says = "duplicate",
         .step = 1,
         .may_claim = true},
        {.name = "the same under another id",
         .status = 202,
         .counted = METRIC_TAKEN,
         .says = "taken",
         .delivery = "d-2"},
    };
    struct fixture f;
    fixture_open(&f, "");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct reply reply;
        struct source source;
        post(&f, &rows[i], &reply, &source);
        check_reply(&rows[i], &reply);
        check_bool(rows[i].name, "has work", reply.has_work, false);
        check_bool(rows[i].name, "was counted", metrics_get(f.gate.metrics, rows[i].counted) > 0, true);
        reply_release(&reply);
    }
    check_int("all", "taken", metrics_get(f.gate.metrics, METRIC_TAKEN), 2);
    check_int("all", "duplicates", metrics_get(f.gate.metrics, METRIC_DUPLICATE), 2);
    check_u64("all", "stored", count_table(&f, TABLE_INBOX), 2);
    fixture_close(&f);
}

/* While a secret is being changed, what either of the two has signed is good; the rest is not. */
static void test_each_of_several_secrets_is_good(void **state)
{
    (void)state;
    static const struct {
        const char *secret;
        int status;
    } rows[] = {{"hush", 202}, {"whisper", 202}, {"hushwhisper", 401}, {"whispe", 401}, {"", 401}};
    struct fixture f = {0};
    char path[128], text[512];
    struct err err = {0};
    fixture_configure(&f, "", "");
    config_close(f.config);
    write_file(f.dir, "second", "whisper\n");
    snprintf(path, sizeof path, "%s/two.conf", f.dir);
    snprintf(text, sizeof text,
             "state_dir = \"%s/state\"\nwebhook_secret_file = {\"%s/secret\", \"%s/second\"}\n"
             "dry_run = true\nrepo \"octo/repo\" { }\n",
             f.dir, f.dir, f.dir);
    write_file(f.dir, "two.conf", text);
    if (config_open(&f.config, path, &err) != ERR_OK)
        fail_msg("configuration: %s", err.text);
    check_u64("configuration", "secrets", f.config->webhook_secret_count, 2);
    fixture_open_gate(&f);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char id[8];
        struct reply reply;
        struct source source;
        snprintf(id, sizeof id, "d-%zu", i);
        post(&f, &(struct post){.secret = rows[i].secret, .delivery = id}, &reply, &source);
        check_int(rows[i].secret, "status", reply.status, rows[i].status);
        reply_release(&reply);
    }
    check_u64("both", "stored", count_table(&f, TABLE_INBOX), 2);
    fixture_close(&f);
}

static void test_media_type_may_have_parameters_and_any_case(void **state)
{
    (void)state;
    static const char *const types[] = {"application/json", "Application/JSON",
                                        "application/json; charset=utf-8", "application/json;charset=UTF-8",
                                        "application/json "};
    struct fixture f;
    fixture_open(&f, "");
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        char id[8];
        struct reply reply;
        struct source source;
        snprintf(id, sizeof id, "d-%zu", i);
        post(&f, &(struct post){.type = types[i], .delivery = id}, &reply, &source);
        check_int(types[i], "status", reply.status, 202);
        reply_release(&reply);
    }
    fixture_close(&f);
}

static void test_work_goes_to_whoever_has_room_and_finds_the_claim_free(void **state)
{
    (void)state;
    static const struct {
        const char *delivery;
        bool may_claim, has_work;
    } rows[] = {{"d-1", false, false}, {"d-2", true, true}, {"d-3", true, false}};
    struct fixture f;
    fixture_open(&f, "");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct reply reply;
        struct source source;
        post(&f, &(struct post){.delivery = rows[i].delivery, .may_claim = rows[i].may_claim}, &reply,
             &source);
        check_int(rows[i].delivery, "status", reply.status, 202);
        check_bool(rows[i].delivery, "has work", reply.has_work, rows[i].has_work);
        if (rows[i].has_work) {
            struct record record = get_record(&f);
            check_u64(rows[i].delivery, "number", reply.pr.number, 7);
            check_bool(rows[i].delivery, "claim", claim_equal(&reply.claim, &record.claim), true);
            record_release(&record);
        }
        reply_release(&reply);
    }
    fixture_close(&f);
}

/* GitHub's limit to the byte: blanks in front are JSON, too. */
static void test_largest_body_is_taken(void **state)
{
    (void)state;
    struct fixture f;
    struct reply reply;
    struct source source;
    size_t len = strlen(payload);
    char *body = mem_alloc(DOOR_BODY_MAX + 1);
    memset(body, ' ', DOOR_BODY_MAX);
    memcpy(body + DOOR_BODY_MAX - len, payload, len + 1);
    fixture_open(&f, "");
    post(&f, &(struct post){.body = body, .step = 65536}, &reply, &source);
    check_int("25 MiB", "status", reply.status, 202);
    check_u64("25 MiB", "read", source.given, DOOR_BODY_MAX);
    reply_release(&reply);
    fixture_close(&f);
    free(body);
}

/* The payload, with blanks in front. */
static char *padded(size_t len)
{
    char *body = mem_alloc(len + 1);
    memset(body, ' ', len);
    memcpy(body + len - strlen(payload), payload, strlen(payload) + 1);
    return body;
}

static void test_large_bodies_share_a_room_and_small_ones_do_not(void **state)
{
    (void)state;
    const size_t all = DOOR_LARGE_AT_ONCE, large = DOOR_LARGE + 1;
    static const char wrong[] = "sha256=0000000000000000000000000000000000000000000000000000000000000000";
    const struct {
        const char *name;
        size_t used, len;
        int status;
        const char *signature;
        size_t ends_after;
    } rows[] = {
        {.name = "nobody else", .used = 0, .len = large, .status = 202},
        {.name = "the last room", .used = all - large, .len = large, .status = 202},
        {.name = "a byte too many", .used = all - large + 1, .len = large, .status = 503},
        {.name = "all taken", .used = all, .len = large, .status = 503},
        {.name = "two of the largest", .used = DOOR_BODY_MAX, .len = DOOR_BODY_MAX, .status = 202},
        {.name = "three", .used = all, .len = DOOR_BODY_MAX, .status = 503},
        {.name = "small", .used = all, .len = DOOR_LARGE, .status = 202},
        {.name = "wrongly signed", .used = 0, .len = large, .status = 401, .signature = wrong},
        {.name = "cut off", .used = 0, .len = large, .status = 400, .ends_after = 1000},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        struct reply reply;
        struct source source;
        char *body = padded(rows[i].len);
        fixture_open(&f, "");
        atomic_store(&f.gate.large_bodies, rows[i].used);
        post(&f,
             &(struct post){.body = body,
                            .step = 65536,
                            .signature = rows[i].signature,
                            .ends_after = rows[i].ends_after},
             &reply, &source);
        check_int(rows[i].name, "status", reply.status, rows[i].status);
        check_u64(rows[i].name, "in use afterwards", atomic_load(&f.gate.large_bodies), rows[i].used);
        if (rows[i].status == 503) {
            check_u64(rows[i].name, "read", source.reads, 0);
            check_int(rows[i].name, "Retry-After", reply.retry_after_s, 5);
            check_contains(rows[i].name, "says", buf_text(&reply.body), "please deliver it again");
            check_int(rows[i].name, "counted", metrics_get(f.gate.metrics, METRIC_NOT_STORED), 1);
            check_nothing_stored(rows[i].name, &f);
        }
        reply_release(&reply);
        fixture_close(&f);
        free(body);
    }
}

static size_t count_kept(struct spares *bodies)
{
    size_t count = 0;
    for (void *one; (one = spares_take(bodies)) != NULL; count++)
        free(one);
    return count;
}

static void test_memory_of_an_ordinary_body_is_kept(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t len, ends_after, kept;
        int status;
    } rows[] = {
        {"cut off", REQUEST_BODY_ROOM - 1, 5000, 1, 400},
        {"fits just so", REQUEST_BODY_ROOM - 1, 0, 1, 202},
        {"does not fit", REQUEST_BODY_ROOM, 0, 0, 202},
        {"large", DOOR_LARGE + 1, 0, 0, 202},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        struct reply reply;
        struct source source;
        struct spares bodies = SPARES_NONE;
        char *body = padded(rows[i].len);
        fixture_open(&f, "");
        post(&f,
             &(struct post){.body = body, .step = 65536, .ends_after = rows[i].ends_after, .bodies = &bodies},
             &reply, &source);
        check_int(rows[i].name, "status", reply.status, rows[i].status);
        check_u64(rows[i].name, "kept", count_kept(&bodies), rows[i].kept);
        reply_release(&reply);
        fixture_close(&f);
        free(body);
    }
}

static void test_what_a_body_leaves_behind_is_no_part_of_the_next(void **state)
{
    (void)state;
    struct fixture f;
    struct reply reply;
    struct source source;
    struct spares bodies = SPARES_NONE;
    unsigned char *room = mem_alloc(REQUEST_BODY_ROOM);
    memset(room, 'x', REQUEST_BODY_ROOM);
    assert_true(spares_give(&bodies, room));
    fixture_open(&f, "");
    post(&f, &(struct post){.bodies = &bodies}, &reply, &source);
    check_int("behind another", "status", reply.status, 202);
    check_int("behind another", "in the same memory", room[0], payload[0]);
    check_u64("behind another", "kept", count_kept(&bodies), 1);
    reply_release(&reply);
    fixture_close(&f);
}

/* Reads as read_source() does, and notes how much room is taken meanwhile. */
static struct {
    struct gate *gate;
    size_t used;
} watched;

static size_t read_and_watch(void *arg, void *to, size_t len)
{
    watched.used = atomic_load(&watched.gate->large_bodies);
    return read_source(arg, to, len);
}

static void test_room_is_taken_while_a_large_body_is_there(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t len, used;
    } rows[] = {{"large", DOOR_LARGE + 1, DOOR_LARGE + 1}, {"small", DOOR_LARGE, 0}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        struct reply reply;
        char length[32], *body = padded(rows[i].len);
        struct source source = {.at = body, .left = rows[i].len, .step = 65536};
        snprintf(length, sizeof length, "%zu", rows[i].len);
        struct request request = {.method = "POST",
                                  .path_info = "/webhook",
                                  .content_type = "application/json",
                                  .content_length = length,
                                  .read = read_and_watch,
                                  .source = &source};
        fixture_open(&f, "");
        watched.gate = &f.gate;
        reply_init(&reply);
        routes_answer(&f.gate, &request, false, &reply);
        check_int(rows[i].name, "status", reply.status, 401);
        check_u64(rows[i].name, "taken", watched.used, rows[i].used);
        check_u64(rows[i].name, "taken afterwards", atomic_load(&f.gate.large_bodies), 0);
        reply_release(&reply);
        fixture_close(&f);
        free(body);
    }
}

static void test_delivery_that_cannot_be_stored_is_to_be_sent_again(void **state)
{
    (void)state;
    static const struct post row = {
        .name = "full disk", .status = 503, .says = "deliver it again", .may_claim = true};
    struct fixture f;
    struct reply reply;
    struct source source;
    struct buf head;
    fixture_open(&f, "");
    fill_disk();
    post(&f, &row, &reply, &source);
    free_disk();
    check_reply(&row, &reply);
    check_bool(row.name, "has work", reply.has_work, false);
    check_int(row.name, "counted", metrics_get(f.gate.metrics, METRIC_NOT_STORED), 1);
    buf_init(&head);
    reply_head(&reply, &head);
    check_contains(row.name, "header", buf_text(&head), "Status: 503 Service Unavailable\r\n");
    check_contains(row.name, "header", buf_text(&head), "\r\nRetry-After: 5\r\n");
    buf_release(&head);
    reply_release(&reply);
    check_nothing_stored(row.name, &f);
    post(&f, &(struct post){.may_claim = true}, &reply, &source);
    check_int("delivered again", "status", reply.status, 202); /* no duplicate: it was not seen */
    check_bool("delivered again", "has work", reply.has_work, true);
    reply_release(&reply);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_media_type_other_than_json_is_refused_unread),
        cmocka_unit_test(test_length_that_is_missing_or_odd_is_refused_unread),
        cmocka_unit_test(test_body_that_ends_early_is_read_no_further),
        cmocka_unit_test(test_length_that_lies_is_refused),
        cmocka_unit_test(test_signature_is_asked_for_before_anything_is_believed),
        cmocka_unit_test(test_signed_nonsense_is_refused),
        cmocka_unit_test(test_what_is_of_no_concern_is_acknowledged_and_not_stored),
        cmocka_unit_test(test_change_of_rights_drops_what_was_known),
        cmocka_unit_test(test_change_of_rights_that_is_not_signed_or_malformed_drops_nothing),
        cmocka_unit_test(test_good_one_is_taken_once),
        cmocka_unit_test(test_each_of_several_secrets_is_good),
        cmocka_unit_test(test_media_type_may_have_parameters_and_any_case),
        cmocka_unit_test(test_work_goes_to_whoever_has_room_and_finds_the_claim_free),
        cmocka_unit_test(test_largest_body_is_taken),
        cmocka_unit_test(test_large_bodies_share_a_room_and_small_ones_do_not),
        cmocka_unit_test(test_memory_of_an_ordinary_body_is_kept),
        cmocka_unit_test(test_what_a_body_leaves_behind_is_no_part_of_the_next),
        cmocka_unit_test(test_room_is_taken_while_a_large_body_is_there),
        cmocka_unit_test(test_delivery_that_cannot_be_stored_is_to_be_sent_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
