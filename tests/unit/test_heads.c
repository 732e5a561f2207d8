/*
 * Commits that a pull request has left behind: the record stays small, and none of them is ever forgotten.
 * HEADS_PUSHES in the environment: how often one pull request is pushed to, 200 to 4000 (300).
 */
#include "check.h"

#include "fixture.h"
#include "prgate/codec.h"
#include "prgate/drain.h"
#include "prgate/heads.h"
#include "prgate/text.h"

enum { PUSHES_MAX = 4000, SHA_COUNT = PUSHES_MAX + 1 };

/* ---- a GitHub that shows one pull request and counts what it starts --------------- */

static struct {
    unsigned head; /* what it shows */
    int64_t updated_at;
    unsigned char started[SHA_COUNT];
} world;

static void sha_of(unsigned number, struct sha *sha)
{
    char hex[SHA_SIZE];
    snprintf(hex, sizeof hex, "%040x", number);
    assert_true(sha_parse(sha, hex));
}

static enum err_code say(struct http_reply *reply, int status, const char *body)
{
    reply->status = status;
    buf_adds(&reply->body, body);
    return ERR_OK;
}

static enum err_code show_pull(struct http_reply *reply)
{
    char at[TEXT_TIME_SIZE];
    text_from_time(world.updated_at, at);
    reply->status = 200;
    buf_addf(&reply->body,
             "{\"number\":7,\"state\":\"open\",\"draft\":false,\"title\":\"t\",\"updated_at\":\"%s\","
             "\"mergeable\":true,\"labels\":[{\"id\":9,\"name\":\"CICD\"}],"
             "\"user\":{\"id\":2,\"login\":\"ann\",\"type\":\"User\"},"
             "\"head\":{\"sha\":\"%040x\",\"ref\":\"topic\"},\"base\":{\"ref\":\"main\"}}",
             at, world.head);
    return ERR_OK;
}

static void count_start(const char *body)
{
    static const char name[] = "\"head_sha\":\"";
    const char *at = strstr(body, name);
    assert_non_null(at);
    unsigned long number = strtoul(at + sizeof name - 1, NULL, 16);
    assert_in_range(number, 1, SHA_COUNT - 1);
    world.started[number]++;
}

static enum err_code answer(const struct http_request *request, struct http_reply *reply, struct err *err)
{
    (void)err;
    bool get = strcmp(request->method, "GET") == 0;
    if (get && strstr(request->url, "/pulls/7") != NULL)
        return show_pull(reply);
    if (get && strstr(request->url, "/user") != NULL)
        return say(reply, 200, "{\"id\":99,\"login\":\"gatekeeper\",\"type\":\"User\"}");
    if (get)
        return say(reply, 200, "[]");
    if (strstr(request->url, "/dispatches") == NULL)
        return say(reply, 201, "{}");
    struct buf body;
    buf_init(&body);
    buf_add(&body, request->body, request->body_len);
    count_start(buf_text(&body));
    buf_release(&body);
    return say(reply, 204, "");
}

static void open_world(struct fixture *f)
{
    memset(&world, 0, sizeof world);
    world.updated_at = 1700000000;
    fixture_open(f, "");
    f->fake.answer = answer;
}

/* ann, who is trusted, pushes that commit while the label is there; the webhook says `told`, GitHub `shown`. */
static void push(struct fixture *f, unsigned told, unsigned shown)
{
    static unsigned count;
    char id[32];
    snprintf(id, sizeof id, "push-%u", ++count);
    struct event event = make_event(EVENT_SYNCHRONIZE, id);
    world.head = shown;
    event.pr.updated_at = ++world.updated_at;
    if (told != shown)
        world.updated_at++;
    sha_of(told, &event.pr.head);
    event.pr.labelled = true;
    event.sender = event.pr.author;
    struct receipt receipt = put_event(f, &event, true);
    assert_true(receipt.claimed);
    drain_run(&f->worker, &event.key, &receipt.claim);
    assert_int_equal(count_table(f, TABLE_INBOX), 0);
}

static size_t stored_size(struct fixture *f)
{
    struct record record = get_record(f);
    struct buf bytes;
    buf_init(&bytes);
    record_encode(&record, &bytes);
    size_t size = bytes.len;
    buf_release(&bytes);
    record_release(&record);
    return size;
}

static size_t count_heads(struct fixture *f)
{
    struct record record = get_record(f);
    size_t count = record.head_count;
    record_release(&record);
    return count;
}

static const char *ci_of(struct fixture *f, unsigned number)
{
    struct sha sha;
    struct record record = get_record(f);
    sha_of(number, &sha);
    const struct head *head = record_find_head(&record, &sha);
    const char *name = head == NULL ? "no head" : ci_state_name(head->ci);
    record_release(&record);
    return name;
}

/* Commits that `count` pushes need, the first of them commit number `first`. */
static uint64_t commits_of(struct fixture *f, unsigned first, unsigned count)
{
    uint64_t before = store_get_stats(f->gate.store).commits;
    for (unsigned n = first; n < first + count; n++)
        push(f, n, n);
    return store_get_stats(f->gate.store).commits - before;
}

static enum err_code count_body(struct store_txn *txn, void *arg, struct err *err)
{
    size_t *count = arg;
    struct buf key;
    buf_init(&key);
    *count = 0;
    enum err_code code;
    while ((code = store_next(txn, TABLE_HEAD, (struct bytes){0}, &key, NULL, err)) == ERR_OK) {
        ++*count;
        buf_addc(&key, '\0');
    }
    buf_release(&key);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

static size_t count_put_away(struct fixture *f)
{
    struct err err = {0};
    size_t count;
    assert_int_equal(store_txn(f->gate.store, count_body, &count, &err), ERR_OK);
    return count;
}

static void test_thousands_of_pushes_cost_no_more_each_than_the_first(void **state)
{
    (void)state;
    skip_if_run_again();
    struct fixture f;
    const char *asked = getenv("HEADS_PUSHES");
    unsigned pushes = asked == NULL ? 300 : (unsigned)atoi(asked);
    assert_in_range(pushes, 200, PUSHES_MAX);
    open_world(&f);
    uint64_t first = commits_of(&f, 1, 50);
    commits_of(&f, 51, pushes - 100);
    uint64_t last = commits_of(&f, pushes - 49, 50);
    size_t size = stored_size(&f), kept = count_heads(&f);
    print_message(
        "%u pushes: a record of %zu bytes, %zu commits in it; transactions per push: %.1f at first, %.1f "
        "at last\n",
        pushes, size, kept, (double)first / 50, (double)last / 50);
    check_u64("the last fifty", "transactions", last, first);
    check_bool("record", "commits", kept >= HEADS_KEPT && kept <= HEADS_MAX, true);
    check_bool("record", "is small", size < 12000, true);
    check_u64("the others", "put away", count_put_away(&f), pushes - kept);
    for (unsigned n = 1; n <= pushes; n++)
        check_int("each", "started", world.started[n], 1);

    /* Pushed back to, as a force push does: an old one, a middle one, one that the record still has. */
    const unsigned again[] = {1, pushes / 2, pushes - 1, 1, pushes};
    for (size_t i = 0; i < COUNT_OF(again); i++) {
        push(&f, again[i], again[i]);
        check_str("again", "CI", ci_of(&f, again[i]), "started");
    }
    for (unsigned n = 1; n <= pushes; n++)
        check_int("again", "started", world.started[n], 1);
    fixture_close(&f);
}

static void test_head_that_github_shows_is_recalled_too(void **state)
{
    (void)state;
    struct fixture f;
    open_world(&f);
    commits_of(&f, 1, HEADS_MAX + 40);
    check_str("put away", "CI", ci_of(&f, 3), "no head");
    push(&f, HEADS_MAX + 41, 3); /* its author has pushed back meanwhile */
    check_str("shown", "CI", ci_of(&f, 3), "started");
    check_int("shown", "started", world.started[3], 1);
    check_int("told of", "started", world.started[HEADS_MAX + 41], 0);
    fixture_close(&f);
}

/* ---- put away and recalled, one by one ---------------------------------------------- */

struct call {
    struct record *record;
    struct sha sha;
};

static enum err_code put_away_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct call *call = arg;
    return heads_put_away(txn, call->record, err);
}

static enum err_code recall_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct call *call = arg;
    return heads_recall(txn, call->record, &call->sha, err);
}

static void run(struct fixture *f, store_body *body, struct record *record, unsigned number)
{
    struct err err = {0};
    struct call call = {.record = record};
    sha_of(number, &call.sha);
    if (store_txn(f->gate.store, body, &call, &err) != ERR_OK)
        fail_msg("%s", err.text);
}

/* Commits 1 to `count`, the last of them the head. */
static void fill(struct record *record, unsigned count)
{
    record_init(record);
    record->key = (struct pr_key){.repo_id = 5, .number = 7};
    for (unsigned n = 1; n <= count; n++) {
        struct sha sha;
        sha_of(n, &sha);
        record_reserve_head(record);
        struct head *head = record_add_head(record, &sha, (int64_t)n);
        head->ci = CI_STARTED;
        head->check = CHECK_DONE;
        record->view.head = sha;
    }
}

static void test_only_the_oldest_go_and_only_when_there_are_too_many(void **state)
{
    (void)state;
    struct fixture f;
    struct record record;
    fixture_open(&f, "");
    fill(&record, HEADS_MAX);
    run(&f, put_away_body, &record, 1);
    check_u64("at the limit", "kept", record.head_count, HEADS_MAX);
    check_u64("at the limit", "put away", count_put_away(&f), 0);
    record_release(&record);

    fill(&record, HEADS_MAX + 1);
    run(&f, put_away_body, &record, 1);
    check_u64("one more", "kept", record.head_count, HEADS_KEPT);
    check_u64("one more", "put away", count_put_away(&f), HEADS_MAX + 1 - HEADS_KEPT);
    for (size_t i = 0; i < record.head_count; i++)
        check_int("one more", "in order", record.heads[i].first_seen_ms,
                  (int64_t)(HEADS_MAX + 1 - HEADS_KEPT + i + 1));
    record_release(&record);
    fixture_close(&f);
}

static void test_what_is_under_way_and_the_present_head_stay(void **state)
{
    (void)state;
    struct fixture f;
    struct record record;
    fixture_open(&f, "");
    fill(&record, HEADS_MAX + 1);
    record.heads[0].ci = CI_DECIDED;
    record.heads[1].ci = CI_SENT;
    record.view.head = record.heads[2].sha;
    run(&f, put_away_body, &record, 1);
    check_u64("all", "kept", record.head_count, HEADS_KEPT);
    for (int i = 0; i < 3; i++)
        check_int("the oldest", "kept", record.heads[i].first_seen_ms, i + 1);
    check_int("the newest", "kept", record.heads[HEADS_KEPT - 1].first_seen_ms, HEADS_MAX + 1);
    record_release(&record);
    fixture_close(&f);
}

struct prefix_call {
    struct record *record;
    const char *prefix;
};

static enum err_code recall_prefix_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct prefix_call *call = arg;
    return heads_recall_prefix(txn, call->record, call->prefix, err);
}

static size_t recall_prefix(struct fixture *f, struct record *record, const char *prefix)
{
    struct err err = {0};
    struct prefix_call call = {.record = record, .prefix = prefix};
    size_t before = record->head_count;
    if (store_txn(f->gate.store, recall_prefix_body, &call, &err) != ERR_OK)
        fail_msg("%s: %s", prefix, err.text);
    return record->head_count - before;
}

/* A comment may name a commit of long ago by its first digits; two that begin alike are enough to be in doubt. */
static void test_recalled_by_a_prefix(void **state)
{
    (void)state;
    struct fixture f;
    struct record record;
    struct sha first;
    char prefix[SHA_SIZE];
    fixture_open(&f, "");
    fill(&record, HEADS_MAX + 1);
    run(&f, put_away_body, &record, 1);
    sha_of(1, &first);
    assert_null(record_find_head(&record, &first));
    check_u64("no prefix", "recalled", recall_prefix(&f, &record, ""), 0);
    snprintf(prefix, sizeof prefix, "%.6s", first.hex);
    check_u64("too short", "recalled", recall_prefix(&f, &record, prefix), 0);
    check_u64("another", "recalled", recall_prefix(&f, &record, "fffffff"), 0);
    check_u64("the whole", "recalled", recall_prefix(&f, &record, first.hex), 1);
    assert_non_null(record_find_head(&record, &first));
    check_u64("once more", "recalled", recall_prefix(&f, &record, first.hex), 0);
    check_u64("longer than any", "recalled",
              recall_prefix(&f, &record, "0123456789012345678901234567890123456789a"), 0);
    /* All begin with zeros. */
    snprintf(prefix, sizeof prefix, "%.7s", first.hex);
    record_release(&record);
    fill(&record, HEADS_MAX + 1);
    run(&f, put_away_body, &record, 1);
    check_u64("alike", "recalled", recall_prefix(&f, &record, prefix), 2);
    record_release(&record);
    /* Of a record that never put one away nothing is looked up. */
    fill(&record, HEADS_KEPT - 1);
    check_u64("small", "recalled", recall_prefix(&f, &record, first.hex), 0);
    record_release(&record);
    fixture_close(&f);
}

static void test_recalled_is_what_was_put_away(void **state)
{
    (void)state;
    struct fixture f;
    struct record record;
    fixture_open(&f, "");
    fill(&record, HEADS_MAX + 1);
    struct head want = {.first_seen_ms = 1,
                        .ci = CI_REFUSED,
                        .ci_at_ms = 17,
                        .check = CHECK_AWAITING,
                        .check_reason = WAIT_TRIGGER_FAILED,
                        .approved = true,
                        .approver = {.id = 3, .login = "tim"},
                        .approved_at_ms = 16,
                        .label_granted = true,
                        .stale_approval = true,
                        .refused_approval = true,
                        .pusher = PUSHER_UNTRUSTED,
                        .pushed_by = {.id = 4, .login = "bob"},
                        .own_label = true,
                        .reruns = 3,
                        .ci_before = CI_UNKNOWN,
                        .rerun_by = {.id = 4, .login = "max"},
                        .rerun_refused = true,
                        .rerun_failed = true};
    want.sha = record.heads[0].sha;
    record.heads[0] = want;
    run(&f, put_away_body, &record, 1);
    run(&f, recall_body, &record, 1);
    check_u64("recalled", "kept", record.head_count, HEADS_KEPT + 1);
    want.check = CHECK_NONE; /* looked at anew */
    want.check_reason = WAIT_NOTHING;
    struct buf got, wanted;
    buf_init(&got);
    buf_init(&wanted);
    head_encode(&got, &record.heads[0]);
    head_encode(&wanted, &want);
    check_bool("recalled", "the same", got.len == wanted.len && memcmp(got.data, wanted.data, got.len) == 0,
               true);
    buf_release(&got);
    buf_release(&wanted);
    run(&f, recall_body, &record, 1);     /* it is there */
    run(&f, recall_body, &record, 12345); /* it never was */
    check_u64("again", "kept", record.head_count, HEADS_KEPT + 1);
    record_release(&record);

    /* Another pull request's commit of the same name. */
    fill(&record, HEADS_KEPT);
    record.key.number = 8;
    record.heads[0].sha = record.heads[1].sha;
    run(&f, recall_body, &record, 1);
    check_u64("another pull request", "kept", record.head_count, HEADS_KEPT);
    record_release(&record);
    fixture_close(&f);
}

struct damage {
    struct buf key;
    const char *bytes;
    size_t len;
};

static enum err_code damage_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct damage *damage = arg;
    return store_put(txn, TABLE_HEAD, buf_bytes(&damage->key), (struct bytes){damage->bytes, damage->len},
                     err);
}

/* As a version before re-runs has put it away. */
static void test_version_1_of_an_entry_is_read(void **state)
{
    (void)state;
    static const char bytes[] = "\1\0\0\0\x28"
                                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                "\0\0\0\0\0\0\0\1\3"   /* first seen, CI started */
                                "\0\0\0\0\0\0\0\2\0\0" /* when; no check, waits for nothing */
                                "\1\0\0\0\0\0\0\0\3"   /* approved, by whom */
                                "\0\0\0\1t\0"          /* login, no bot */
                                "\0\0\0\0\0\0\0\4"     /* when */
                                "\1\0\0";              /* label_granted, the others not */
    struct head head;
    struct bytes value = {bytes, sizeof bytes - 1};
    assert_true(heads_decode(value, &head));
    check_int("version 1", "CI", head.ci, CI_STARTED);
    check_str("version 1", "approver", head.approver.login, "t");
    check_bool("version 1", "label_granted", head.label_granted, true);
    check_u64("version 1", "attempt", head_attempt(&head), 1);
    value.len--;
    assert_false(heads_decode(value, &head));
}

/* Nobody knows whether CI was started for it: it is not started again, now or later. */
static void test_damaged_entry_counts_as_started(void **state)
{
    (void)state;
    static const struct {
        const char *name, *bytes;
        size_t len;
    } rows[] = {{"empty", "", 0}, {"junk", "junk", 4}, {"another version", "\3", 1}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        struct sha sha;
        struct err err = {0};
        struct damage damage = {.bytes = rows[i].bytes, .len = rows[i].len};
        open_world(&f);
        commits_of(&f, 1, HEADS_MAX + 1);
        memset(world.started, 0, sizeof world.started);
        sha_of(1, &sha);
        encode_pr_key(&damage.key, &(struct pr_key){.repo_id = 5, .number = 7});
        buf_adds(&damage.key, sha.hex);
        assert_int_equal(store_txn(f.gate.store, damage_body, &damage, &err), ERR_OK);
        buf_release(&damage.key);
        push(&f, 1, 1);
        check_str(rows[i].name, "CI", ci_of(&f, 1), "unknown");
        check_int(rows[i].name, "started", world.started[1], 0);
        check_u64(rows[i].name, "in quarantine", count_table(&f, TABLE_QUARANTINE), 1);
        commits_of(&f, HEADS_MAX + 2, HEADS_MAX);
        push(&f, 1, 1);
        check_int(rows[i].name, "started later", world.started[1], 0);
        check_u64(rows[i].name, "in quarantine later", count_table(&f, TABLE_QUARANTINE), 1);
        fixture_close(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thousands_of_pushes_cost_no_more_each_than_the_first),
        cmocka_unit_test(test_head_that_github_shows_is_recalled_too),
        cmocka_unit_test(test_only_the_oldest_go_and_only_when_there_are_too_many),
        cmocka_unit_test(test_what_is_under_way_and_the_present_head_stay),
        cmocka_unit_test(test_recalled_is_what_was_put_away),
        cmocka_unit_test(test_recalled_by_a_prefix),
        cmocka_unit_test(test_version_1_of_an_entry_is_read),
        cmocka_unit_test(test_damaged_entry_counts_as_started),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
