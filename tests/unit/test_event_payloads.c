/*
 * Whole payloads, as large and as wordy as GitHub's own, from tests/payloads:
 * what is read from each, and what becomes of them when one thing is wrong.
 */
#include "check.h"

#include <stdlib.h>

#include "payload.h"
#include "prgate/buf.h"
#include "prgate/event.h"
#include "prgate/text.h"

#define GATE_ID UINT64_C(10404216443)
#define SHA_FIRST "3f1c9ad0e27b5684c1d9f0ab37e6528d4c90b1fe"
#define SHA_SECOND "b80d41e7c53f9a26e10c7fd4582b93a6071ec5d2"

static char pattern[] = "Turning-Widgets/rotor";
static char gate_label[] = "cicd";

static struct policy policy = {.pattern = pattern, .label = gate_label};
static const struct config config = {.policies = &policy, .policy_count = 1};

/* The body moves to memory of exactly its size, so that a sanitizer sees a read behind it. */
static enum err_code parse_exactly(const struct buf *body, size_t len, struct event *event, struct err *err)
{
    unsigned char *copy = mem_alloc(len);
    memcpy(copy, body->data, len);
    enum err_code code = event_parse(event, "pull_request", copy, len, &config, err);
    free(copy);
    return code;
}

struct payload_row {
    const char *file;
    enum event_action action;
    uint64_t number;
    const char *head;
    const char *head_ref;
    const char *updated_at;
    const char *author;
    const char *sender;
    const char *label; /* of the event itself */
    uint64_t installation;
    enum mergeable mergeable;
    enum association association;
    bool draft, closed, labelled, label_is_gate, bot;
};

static const struct payload_row payload_rows[] = {
    {"opened_fork", EVENT_OPENED, 91, SHA_FIRST, "balance-rotor", "2025-11-14T09:30:12Z", "pell-ong",
     "pell-ong", "", 71234567, MERGEABLE_UNKNOWN, .association = ASSOCIATION_OUTSIDER},
    {"opened_member", EVENT_OPENED, 92, SHA_SECOND, "feature/turn-back", "2025-11-14T09:30:12Z", "mara-lind",
     "mara-lind", "", 71234567, MERGEABLE_UNKNOWN, .association = ASSOCIATION_INSIDER},
    {"opened_draft_hook", EVENT_OPENED, 93, SHA_FIRST, "balance-rotor", "2025-11-14T09:30:12Z", "pell-ong",
     "pell-ong", "", 0, MERGEABLE_UNKNOWN, .association = ASSOCIATION_OUTSIDER, .draft = true},
    {"opened_bot", EVENT_OPENED, 94, SHA_FIRST, "dependabot/npm_and_yarn/left-pad-1.3.0",
     "2025-11-14T09:30:12Z", "dependabot[bot]", "dependabot[bot]", "", 71234567, MERGEABLE_UNKNOWN,
     .association = ASSOCIATION_OUTSIDER, .bot = true},
    {"reopened", EVENT_REOPENED, 91, SHA_FIRST, "balance-rotor", "2025-11-15T10:00:00Z", "pell-ong",
     "pell-ong", "", 71234567, MERGEABLE_YES, .association = ASSOCIATION_OUTSIDER},
    {"synchronize", EVENT_SYNCHRONIZE, 91, SHA_SECOND, "balance-rotor", "2025-11-14T11:02:03Z", "pell-ong",
     "pell-ong", "", 71234567, MERGEABLE_UNKNOWN, .association = ASSOCIATION_OUTSIDER, .labelled = true},
    {"labeled_gate", EVENT_LABELED, 91, SHA_FIRST, "balance-rotor", "2025-11-14T10:12:13Z", "pell-ong",
     "mara-lind", "CICD", 71234567, MERGEABLE_YES, .association = ASSOCIATION_OUTSIDER, .labelled = true,
     .label_is_gate = true},
    {"labeled_gate_echo", EVENT_LABELED, 92, SHA_SECOND, "feature/turn-back", "2025-11-14T09:30:12Z",
     "mara-lind", "widget-gate[bot]", "CICD", 71234567, MERGEABLE_UNKNOWN, .association = ASSOCIATION_INSIDER,
     .labelled = true, .label_is_gate = true, .bot = true},
    {"labeled_emoji", EVENT_LABELED, 91, SHA_FIRST, "balance-rotor", "2025-11-14T10:20:00Z", "pell-ong",
     "mara-lind", "\xf0\x9f\x9a\x80 ship \"it\" now", 71234567, MERGEABLE_UNKNOWN,
     .association = ASSOCIATION_OUTSIDER},
    {"unlabeled_gate", EVENT_UNLABELED, 91, SHA_FIRST, "balance-rotor", "2025-11-14T10:30:00Z", "pell-ong",
     "mara-lind", "CICD", 71234567, MERGEABLE_UNKNOWN, .association = ASSOCIATION_OUTSIDER,
     .label_is_gate = true},
    {"ready_for_review", EVENT_READY_FOR_REVIEW, 93, SHA_FIRST, "balance-rotor", "2025-11-16T08:00:00Z",
     "pell-ong", "pell-ong", "", 71234567, MERGEABLE_NO, .association = ASSOCIATION_OUTSIDER},
    {"converted_to_draft", EVENT_CONVERTED_TO_DRAFT, 91, SHA_FIRST, "balance-rotor", "2025-11-16T09:00:00Z",
     "pell-ong", "pell-ong", "", 71234567, MERGEABLE_UNKNOWN, .association = ASSOCIATION_OUTSIDER,
     .draft = true},
    {"edited", EVENT_EDITED, 91, SHA_FIRST, "balance-rotor", "2025-11-16T09:10:00Z", "pell-ong", "pell-ong",
     "", 71234567, MERGEABLE_UNKNOWN, .association = ASSOCIATION_OUTSIDER},
    {"closed_merged", EVENT_CLOSED, 92, SHA_SECOND, "feature/turn-back", "2025-11-17T07:08:10Z", "mara-lind",
     "mara-lind", "", 71234567, MERGEABLE_UNKNOWN, .association = ASSOCIATION_INSIDER, .closed = true,
     .labelled = true},
    {"closed_ghost", EVENT_CLOSED, 95, SHA_FIRST, "gone", "2025-11-18T00:00:00Z", "", "mara-lind", "",
     71234567, MERGEABLE_UNKNOWN, .association = ASSOCIATION_OUTSIDER, .closed = true},
};

static void check_identity(const struct payload_row *row, const struct event *event)
{
    check_int(row->file, "action", event->action, row->action);
    check_u64(row->file, "repository", event->key.repo_id, UINT64_C(3123456789));
    check_u64(row->file, "number", event->key.number, row->number);
    check_str(row->file, "repo", event->repo, "turning-widgets/rotor");
    check_u64(row->file, "installation", event->installation, row->installation);
    check_str(row->file, "sender", event->sender.login, row->sender);
    check_bool(row->file, "sender is a bot", event->sender.bot, row->bot);
    check_int(row->file, "association", event->association, row->association);
    check_str(row->file, "label", event->label, row->label);
    check_bool(row->file, "label_is_gate", event->label_is_gate, row->label_is_gate);
}

static void check_snapshot(const struct payload_row *row, const struct snapshot *pr)
{
    check_str(row->file, "head", pr->head.hex, row->head);
    check_str(row->file, "head_ref", pr->head_ref, row->head_ref);
    check_str(row->file, "base_ref", pr->base_ref, "main");
    check_int(row->file, "updated_at", pr->updated_at, text_to_time(row->updated_at));
    check_str(row->file, "author", pr->author.login, row->author);
    check_bool(row->file, "author has an id", pr->author.id != 0, row->author[0] != '\0');
    check_bool(row->file, "draft", pr->draft, row->draft);
    check_bool(row->file, "closed", pr->closed, row->closed);
    check_bool(row->file, "labelled", pr->labelled, row->labelled);
    check_int(row->file, "mergeable", pr->mergeable, row->mergeable);
}

static void every_action_is_read_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(payload_rows); i++) {
        struct event event;
        struct err err = {0};
        struct buf body;
        read_payload(payload_rows[i].file, &body);
        if (parse_exactly(&body, body.len, &event, &err) != ERR_OK)
            fail_msg("%s: got \"%s\", want no error", payload_rows[i].file, err.text);
        check_identity(&payload_rows[i], &event);
        check_snapshot(&payload_rows[i], &event.pr);
        buf_release(&body);
    }
}

static void ids_over_2_to_the_31_are_exact(void **state)
{
    struct event event;
    struct err err = {0};
    struct buf body;
    (void)state;
    read_payload("labeled_gate", &body);
    check_int("labeled_gate", "code", parse_exactly(&body, body.len, &event, &err), ERR_OK);
    check_u64("labeled_gate", "label", event.label_id, GATE_ID);
    check_u64("labeled_gate", "author", event.pr.author.id, UINT64_C(2209114417));
    buf_release(&body);
}

static void a_pinned_id_tells_labels_of_one_name_apart(void **state)
{
    static const struct {
        const char *name;
        uint64_t pinned;
        bool is_gate;
    } rows[] = {{"not pinned", 0, true}, {"its id", GATE_ID, true}, {"another id", GATE_ID + 1, false}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct event event;
        struct err err = {0};
        struct buf body;
        read_payload("labeled_gate", &body);
        policy.label_id = rows[i].pinned;
        enum err_code code = parse_exactly(&body, body.len, &event, &err);
        policy.label_id = 0;
        check_int(rows[i].name, "code", code, ERR_OK);
        check_bool(rows[i].name, "label_is_gate", event.label_is_gate, rows[i].is_gate);
        check_bool(rows[i].name, "labelled", event.pr.labelled, rows[i].is_gate);
        buf_release(&body);
    }
}

static void a_long_title_is_cut_between_characters(void **state)
{
    struct event event;
    struct err err = {0};
    struct buf body;
    (void)state;
    read_payload("edited", &body);
    check_int("edited", "code", parse_exactly(&body, body.len, &event, &err), ERR_OK);
    size_t len = strlen(event.pr.title);
    check_bool("edited", "length", len < TITLE_SIZE && len >= TITLE_SIZE - 4, true);
    check_bool("edited", "UTF-8", text_utf8_valid(event.pr.title, len), true);
    buf_release(&body);
}

static void what_is_of_no_concern_is_known_by_name(void **state)
{
    static const struct {
        const char *file;
        const char *repo;
        const char *says;
    } rows[] = {
        {"assigned", "turning-widgets/rotor", "action assigned has no rule"},
        {"opened_elsewhere", "somebody-else/thing", "repository somebody-else/thing is not configured"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct event event;
        struct err err = {0};
        struct buf body;
        read_payload(rows[i].file, &body);
        check_int(rows[i].file, "code", parse_exactly(&body, body.len, &event, &err), ERR_NOT_FOUND);
        check_str(rows[i].file, "error", err.text, rows[i].says);
        check_str(rows[i].file, "repo", event.repo, rows[i].repo);
        check_u64(rows[i].file, "number", event.key.number, 91);
        buf_release(&body);
    }
}

/* ---- one thing wrong ---- */

/* Puts `by` in the place of the first `part` behind `after`. */
static void replace(struct buf *out, const char *after, const char *part, const char *by)
{
    struct buf body;
    read_payload("labeled_gate", &body);
    const char *text = buf_text(&body);
    const char *at = strstr(text, after);
    at = at == NULL ? NULL : strstr(at, part);
    if (at == NULL)
        fail_msg("the payload has no %s behind %s", part, after);
    buf_init(out);
    buf_add(out, text, (size_t)(at - text));
    buf_adds(out, by);
    buf_adds(out, at + strlen(part));
    buf_release(&body);
}

#define AUTHOR "\"user\":{\"login\":"
#define SENDER "\"sender\":{\"login\":"
#define HEAD "\"head\":{"
#define BASE "\"base\":{"
#define TITLE "\"title\":"

static void one_wrong_thing_is_named(void **state)
{
    static const struct {
        const char *name, *after, *part, *by, *says;
    } rows[] = {
        {"author who climbs", AUTHOR, "pell-ong", "../pell", "pull_request.user.login"},
        {"author without an id", AUTHOR, "\"id\":", "\"di\":", "pull_request.user.id: missing"},
        {"author as text", "\"user\":", "{\"login\"", "\"pell\",\"x\":{\"login\"", "pull_request.user.id"},
        {"sender with a line break", SENDER, "mara-lind", "mara\\r\\nX-Y: z", "sender.login"},
        {"sender's id negative", SENDER, "\"id\":", "\"id\":-", "sender.id"},
        {"head ref with a blank", HEAD, "\"ref\":\"", "\"ref\":\"a b", "pull_request.head.ref"},
        {"head ref that climbs", HEAD, "\"ref\":\"", "\"ref\":\"../", "pull_request.head.ref"},
        {"head ref missing", HEAD, "\"ref\":", "\"fer\":", "pull_request.head.ref: missing"},
        {"head null", "\"head\":", "{", "null,\"daeh\":{", "pull_request.head.sha: missing"},
        {"base ref missing", BASE, "\"ref\":", "\"fer\":", "pull_request.base.ref: missing"},
        {"SHA a number", HEAD, "\"sha\":", "\"sha\":5,\"ash\":", "pull_request.head.sha: not a string"},
        {"SHA of 41 digits", HEAD, "\"sha\":\"", "\"sha\":\"a", "pull_request.head.sha"},
        {"SHA with another letter", HEAD, "\"sha\":\"3", "\"sha\":\"g", "pull_request.head.sha"},
        {"draft as text", "\"draft\"", "false", "\"no\"", "pull_request.draft"},
        {"mergeable as a number", "\"mergeable\"", "true", "1", "pull_request.mergeable"},
        {"state missing", "\"state\"", "\"open\"", "null", "pull_request.state: missing"},
        {"labels an object", "\"labels\":", "[", "{},\"slebal\":[", "pull_request.labels"},
        {"label a number", "\"labels\":", "[", "[5,", "pull_request.labels"},
        {"label without a name", "\"labels\":", "[", "[{\"id\":5},", "pull_request.labels"},
        {"label with a control character", "\"label\":{", "\"name\":\"", "\"name\":\"\\u0007", "label.name"},
        {"label without an id", "\"label\":{", "\"id\":", "\"di\":", "label.id: missing"},
        {"installation without an id", "\"installation\":", "\"id\":", "\"di\":", "installation.id"},
        {"installation's id a fraction", "\"installation\":", "\"id\":", "\"id\":0.", "installation.id"},
        {"action a number", "{", "\"labeled\"", "5", "action: not a string"},
        {"escaped NUL", TITLE, "\"Bal", "\"\\u0000Bal", "NUL"},
        {"escaped backslash, then escaped NUL", TITLE, "\"Bal", "\"\\\\\\u0000Bal", "NUL"},
        {"lone surrogate", TITLE, "\"Bal", "\"\\ud83dBal", "no JSON"},
        {"surrogate in UTF-8", TITLE, "\"Bal", "\"\xed\xa0\x80", "UTF-8"},
        {"overlong UTF-8", TITLE, "\"Bal", "\"\xc0\xaf", "UTF-8"},
        {"comma too many", "\"locked\"", "false,", "false,,", "body:"},
        {"second document", "\"installation\"", "}}", "}}{}", "follows the JSON"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct event event;
        struct err err = {0};
        struct buf body;
        replace(&body, rows[i].after, rows[i].part, rows[i].by);
        check_int(rows[i].name, "code", parse_exactly(&body, body.len, &event, &err), ERR_REJECT);
        check_contains(rows[i].name, "error", err.text, rows[i].says);
        buf_release(&body);
    }
}

static void what_may_be_absent_may_be_null_too(void **state)
{
    static const struct {
        const char *name, *after, *part, *by;
    } rows[] = {
        {"labels missing", "\"labels\":", "\"labels\"", "\"slebal\""},
        {"labels null", "\"labels\":", "[", "null,\"slebal\":["},
        {"title null", TITLE, "\"title\":", "\"title\":null,\"eltit\":"},
        {"draft missing", "\"draft\"", "\"draft\"", "\"tfard\""},
        {"sender null", "\"sender\":", "{", "null,\"redner\":{"},
        {"installation null", "\"installation\":", "{", "null,\"noitall\":{"},
        {"association missing", "\"author_association\"", "\"author_association\"", "\"noitaicossa\""},
        {"two escaped backslashes before u0000", TITLE, "\"Bal", "\"\\\\\\\\u0000Bal"},
        {"upper case in the SHA", HEAD, "\"sha\":\"3f", "\"sha\":\"3F"},
        {"blanks around", "\"installation\"", "}}", "}} \t\r\n "},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct event event;
        struct err err = {0};
        struct buf body;
        replace(&body, rows[i].after, rows[i].part, rows[i].by);
        if (parse_exactly(&body, body.len, &event, &err) != ERR_OK)
            fail_msg("%s: got \"%s\", want no error", rows[i].name, err.text);
        check_str(rows[i].name, "head", event.pr.head.hex, SHA_FIRST);
        buf_release(&body);
    }
}

static void a_raw_nul_is_refused(void **state)
{
    struct event event;
    struct err err = {0};
    struct buf body;
    (void)state;
    read_payload("labeled_gate", &body);
    body.data[body.len / 2] = '\0';
    check_int("raw NUL", "code", parse_exactly(&body, body.len, &event, &err), ERR_REJECT);
    check_contains("raw NUL", "error", err.text, "NUL byte");
    buf_release(&body);
}

/* An odd step, so that cuts fall into names, numbers, escapes and between them. */
static void cut_anywhere_it_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(payload_rows); i++) {
        struct buf body;
        read_payload(payload_rows[i].file, &body);
        for (size_t len = 1; len + 2 < body.len; len += 211) {
            struct event event;
            struct err err = {0};
            if (parse_exactly(&body, len, &event, &err) != ERR_REJECT)
                fail_msg("%s: cut at %zu: got %s, want reject", payload_rows[i].file, len,
                         err_code_name(err.code));
        }
        buf_release(&body);
    }
}

/* Whatever the outcome: no read or write out of bounds, and an error always has a text. */
static void changed_bytes_are_survived(void **state)
{
    static const unsigned char bytes[] = {'"', '\\', '{', '}', '[', ']', ',', '0', '-', 0x80, 0xff, 'u'};
    struct buf body;
    (void)state;
    read_payload("labeled_emoji", &body);
    for (size_t at = 0; at < body.len; at += 37) {
        unsigned char saved = body.data[at];
        struct event event;
        struct err err = {0};
        body.data[at] = bytes[at % COUNT_OF(bytes)];
        if (parse_exactly(&body, body.len, &event, &err) != ERR_OK)
            check_bool("changed byte", "has a text", err.text[0] != '\0', true);
        body.data[at] = saved;
    }
    buf_release(&body);
}

static void nesting_is_limited(void **state)
{
    static const struct {
        const char *name, *open, *close;
        int depth;
        const char *says;
    } rows[] = {
        {"arrays", "[", "]", 10000, "nested more than"},
        {"arrays never closed", "[", "", 10000, "nested more than"},
        {"objects", "{\"a\":", "}", 10000, "nested more than"},
        {"one too deep", "[", "]", 1001, "nested more than"},
        {"as deep as allowed", "[", "]", 1000, "not a JSON object"},
        {"a million", "[", "]", 1000000, "nested more than"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct event event;
        struct err err = {0};
        struct buf body;
        buf_init(&body);
        for (int depth = 0; depth < rows[i].depth; depth++)
            buf_adds(&body, rows[i].open);
        buf_adds(&body, strcmp(rows[i].open, "[") == 0 ? "" : "1");
        for (int depth = 0; depth < rows[i].depth; depth++)
            buf_adds(&body, rows[i].close);
        check_int(rows[i].name, "code", parse_exactly(&body, body.len, &event, &err), ERR_REJECT);
        check_contains(rows[i].name, "error", err.text, rows[i].says);
        buf_release(&body);
    }
}

/* As many as values are allowed: GitHub itself allows 100. Quadratic anything would be noticed here. */
static void very_many_labels_are_no_trouble(void **state)
{
    struct event event;
    struct err err = {0};
    struct buf labels, body;
    (void)state;
    buf_init(&labels);
    buf_adds(&labels, "[");
    for (int i = 1; i <= 16000; i++)
        buf_addf(&labels, "{\"id\":%d,\"name\":\"\\\\\\\\label %d\"},", i, i);
    replace(&body, "\"labels\":", "[", buf_text(&labels));
    check_int("16,000 labels", "code", parse_exactly(&body, body.len, &event, &err), ERR_OK);
    check_bool("16,000 labels", "labelled", event.pr.labelled, true);
    buf_release(&body);
    buf_release(&labels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_action_is_read_whole),
        cmocka_unit_test(ids_over_2_to_the_31_are_exact),
        cmocka_unit_test(a_pinned_id_tells_labels_of_one_name_apart),
        cmocka_unit_test(a_long_title_is_cut_between_characters),
        cmocka_unit_test(what_is_of_no_concern_is_known_by_name),
        cmocka_unit_test(one_wrong_thing_is_named),
        cmocka_unit_test(what_may_be_absent_may_be_null_too),
        cmocka_unit_test(a_raw_nul_is_refused),
        cmocka_unit_test(cut_anywhere_it_is_refused),
        cmocka_unit_test(changed_bytes_are_survived),
        cmocka_unit_test(nesting_is_limited),
        cmocka_unit_test(very_many_labels_are_no_trouble),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
