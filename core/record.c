#include "prgate/record.h"

#include <stdlib.h>
#include <string.h>

#include "prgate/buf.h"
#include "prgate/codec.h"

void record_init(struct record *record)
{
    *record = (struct record){0};
}

void record_release(struct record *record)
{
    free(record->heads);
    record_init(record);
}

void record_copy(struct record *to, const struct record *from)
{
    struct head *heads = to->heads;
    size_t cap = to->head_cap;
    if (cap < from->head_count) {
        cap = from->head_count;
        heads = mem_grow(heads, cap * sizeof *heads);
    }
    if (from->head_count > 0)
        memcpy(heads, from->heads, from->head_count * sizeof *heads);
    *to = *from;
    to->heads = heads;
    to->head_cap = cap;
}

struct head *record_find_head(const struct record *record, const struct sha *sha)
{
    /* From the newest: nearly every question is about the present head. */
    for (size_t i = record->head_count; i-- > 0;)
        if (sha_equal(&record->heads[i].sha, sha))
            return &record->heads[i];
    return NULL;
}

void record_reserve_head(struct record *record)
{
    record->heads = mem_room(record->heads, record->head_count, &record->head_cap, sizeof *record->heads);
}

struct head *record_add_head(struct record *record, const struct sha *sha, int64_t now_ms)
{
    struct head *head = record_find_head(record, sha);
    if (head != NULL)
        return head;
    if (record->head_count >= record->head_cap)
        abort(); /* our bug: record_reserve_head() was forgotten */
    head = &record->heads[record->head_count++];
    *head = (struct head){.sha = *sha, .first_seen_ms = now_ms};
    return head;
}

bool record_has_comment(const struct record *record, uint64_t comment)
{
    for (size_t i = 0; i < RECORD_COMMENTS; i++)
        if (record->comments[i] == comment)
            return true;
    return comment < record->comments[0];
}

void record_add_comment(struct record *record, uint64_t comment)
{
    size_t at = 0;
    if (record_has_comment(record, comment))
        return;
    /* The lowest makes room. */
    for (; at + 1 < RECORD_COMMENTS && record->comments[at + 1] < comment; at++)
        record->comments[at] = record->comments[at + 1];
    record->comments[at] = comment;
}

struct head *record_find_prefix(const struct record *record, const char *prefix, bool *several)
{
    struct head *found = NULL;
    size_t len = strlen(prefix);
    *several = false;
    for (size_t i = 0; i < record->head_count; i++) {
        if (strncmp(record->heads[i].sha.hex, prefix, len) != 0)
            continue;
        *several = *several || found != NULL;
        found = &record->heads[i];
    }
    return *several ? NULL : found;
}

void record_end_back_off(struct record *record)
{
    record->failures = 0;
    record->due_ms = 0;
}

void head_set_ci(struct head *head, enum ci_state ci, int64_t now_ms)
{
    head->ci = ci;
    head->ci_at_ms = now_ms;
}

bool head_is_triggered(const struct head *head)
{
    switch (head->ci) {
    case CI_NONE:
    case CI_REFUSED:
    case CI_STATE_END:
        return false;
    case CI_DECIDED:
    case CI_SENT:
    case CI_STARTED:
    case CI_UNKNOWN:
        return true;
    }
    return true;
}

unsigned head_attempt(const struct head *head)
{
    return head == NULL ? 1 : head->reruns + 1;
}

void head_encode(struct buf *out, const struct head *head)
{
    encode_sha(out, &head->sha);
    encode_i64(out, head->first_seen_ms);
    encode_u8(out, head->ci);
    encode_i64(out, head->ci_at_ms);
    encode_u8(out, head->check);
    encode_u8(out, head->check_reason);
    encode_bool(out, head->approved);
    encode_user(out, &head->approver);
    encode_i64(out, head->approved_at_ms);
    encode_bool(out, head->label_granted);
    encode_bool(out, head->stale_approval);
    encode_bool(out, head->refused_approval);
    encode_u8(out, head->pusher);
    encode_user(out, &head->pushed_by);
    encode_bool(out, head->own_label);
    encode_u32(out, head->reruns);
    encode_u8(out, head->ci_before);
    encode_user(out, &head->rerun_by);
    encode_bool(out, head->rerun_refused);
    encode_bool(out, head->rerun_failed);
    encode_u8(out, head->means);
    encode_u8(out, head->approver_permission);
    encode_bool(out, head->too_soon);
    encode_u32(out, head->cancelled);
    encode_i64(out, head->budget_until_ms);
    encode_bool(out, head->queued);
    encode_u32(out, head->policies_done);
    encode_i64(out, head->came_at);
    encode_bool(out, head->came_known);
    encode_i64(out, head->label_at);
    encode_u64(out, head->check_id);
}

static void decode_pusher(struct decoder *d, struct head *head)
{
    head->pusher = (enum pusher_state)decode_below(d, PUSHER_STATE_END);
    decode_user(d, &head->pushed_by);
    head->own_label = decode_bool(d);
}

static void decode_reruns(struct decoder *d, struct head *head)
{
    head->reruns = decode_u32(d);
    head->ci_before = (enum ci_state)decode_below(d, CI_STATE_END);
    decode_user(d, &head->rerun_by);
    head->rerun_refused = decode_bool(d);
    head->rerun_failed = decode_bool(d);
}

static void decode_approval(struct decoder *d, struct head *head)
{
    head->means = (enum approval_means)decode_below(d, MEANS_END);
    head->approver_permission = (enum permission)decode_below(d, PERMISSION_END);
    head->too_soon = decode_bool(d);
}

/* A yes of before there were other means than the label. */
static void guess_approval(struct head *head)
{
    head->means = head->approved ? MEANS_LABEL : MEANS_NONE;
}

void head_decode(struct decoder *d, unsigned version, struct head *head)
{
    *head = (struct head){0};
    decode_sha(d, &head->sha);
    head->first_seen_ms = decode_i64(d);
    head->ci = (enum ci_state)decode_below(d, CI_STATE_END);
    head->ci_at_ms = decode_i64(d);
    head->check = (enum check_state)decode_below(d, CHECK_STATE_END);
    head->check_reason = (enum wait_reason)decode_below(d, WAIT_REASON_END);
    head->approved = decode_bool(d);
    decode_user(d, &head->approver);
    head->approved_at_ms = decode_i64(d);
    head->label_granted = decode_bool(d);
    head->stale_approval = decode_bool(d);
    head->refused_approval = decode_bool(d);
    if (version < 2) {
        guess_approval(head);
        return;
    }
    decode_pusher(d, head);
    decode_reruns(d, head);
    if (version < 3) {
        guess_approval(head);
        return;
    }
    decode_approval(d, head);
    head->cancelled = decode_u32(d);
    head->budget_until_ms = decode_i64(d);
    head->queued = decode_bool(d);
    head->policies_done = decode_u32(d);
    head->came_at = decode_i64(d);
    head->came_known = decode_bool(d);
    head->label_at = decode_i64(d);
    head->check_id = decode_u64(d);
}

static void encode_claim(struct buf *out, const struct claim *claim)
{
    encode_bool(out, claim->held);
    encode_bytes(out, claim->owner.bytes, sizeof claim->owner.bytes);
    encode_bytes(out, claim->token, sizeof claim->token);
}

static void decode_claim(struct decoder *d, struct claim *claim)
{
    claim->held = decode_bool(d);
    decode_bytes(d, claim->owner.bytes, sizeof claim->owner.bytes);
    decode_bytes(d, claim->token, sizeof claim->token);
}

void record_encode(const struct record *record, struct buf *out)
{
    encode_u8(out, RECORD_VERSION);
    encode_pr_key(out, &record->key);
    encode_text(out, record->repo);
    encode_u64(out, record->installation);
    encode_snapshot(out, &record->view);
    encode_i64(out, record->read_ms);
    encode_bool(out, record->opened);
    encode_bool(out, record->opening_owed);
    encode_i64(out, record->ready_at);
    encode_i64(out, record->reopened_at);
    encode_i64(out, record->drafted_at);
    encode_i64(out, record->draft_label_at);
    encode_sha(out, &record->label_removed);
    encode_bool(out, record->conflict_commented);
    encode_claim(out, &record->claim);
    encode_u64(out, record->next_delivery);
    encode_u64(out, record->next_intent);
    encode_u64(out, record->next_ledger);
    encode_i64(out, record->due_ms);
    encode_u32(out, record->failures);
    encode_sha(out, &record->approved_head);
    encode_u32(out, record->policies_done);
    encode_user(out, &record->emergency_by);
    encode_i64(out, record->emergency_at_ms);
    encode_i64(out, record->dequeued_at);
    encode_bool(out, record->view.same_repo);
    encode_i64(out, record->unlabelled_at);
    for (size_t i = 0; i < RECORD_COMMENTS; i++)
        encode_u64(out, record->comments[i]);
    encode_u32(out, record->explained);
    encode_u8(out, record->shadow_label);
    encode_i64(out, record->shadow_at);
    encode_u32(out, (uint32_t)record->head_count);
    for (size_t i = 0; i < record->head_count; i++)
        head_encode(out, &record->heads[i]);
}

static void decode_fields(struct decoder *d, unsigned version, struct record *record)
{
    decode_pr_key(d, &record->key);
    decode_text(d, record->repo, sizeof record->repo);
    record->installation = decode_u64(d);
    decode_snapshot(d, &record->view);
    record->read_ms = decode_i64(d);
    record->opened = decode_bool(d);
    record->opening_owed = decode_bool(d);
    record->ready_at = decode_i64(d);
    record->reopened_at = decode_i64(d);
    record->drafted_at = decode_i64(d);
    record->draft_label_at = decode_i64(d);
    decode_sha(d, &record->label_removed);
    record->conflict_commented = decode_bool(d);
    decode_claim(d, &record->claim);
    record->next_delivery = decode_u64(d);
    record->next_intent = decode_u64(d);
    record->next_ledger = decode_u64(d);
    record->due_ms = decode_i64(d);
    record->failures = decode_u32(d);
    if (version < 3)
        return;
    decode_sha(d, &record->approved_head);
    record->policies_done = decode_u32(d);
    decode_user(d, &record->emergency_by);
    record->emergency_at_ms = decode_i64(d);
    record->dequeued_at = decode_i64(d);
    record->view.same_repo = decode_bool(d);
    record->unlabelled_at = decode_i64(d);
    for (size_t i = 0; i < RECORD_COMMENTS; i++)
        record->comments[i] = decode_u64(d);
    record->explained = decode_u32(d);
    if (version < 4)
        return;
    record->shadow_label = (enum shadow_label)decode_below(d, SHADOW_END);
    record->shadow_at = decode_i64(d);
}

enum err_code record_decode(struct record *record, const void *bytes, size_t len, struct err *err)
{
    struct decoder d = decode_start(bytes, len);
    unsigned version = decode_u8(&d);
    if (version < 1 || version > RECORD_VERSION) {
        record_release(record);
        return err_set(err, ERR_CORRUPT, (int)version,
                       "a pull request's record has version %u, known are 1 to %d", version, RECORD_VERSION);
    }
    /* Nothing stays of what was there before but the room for heads. */
    *record = (struct record){.heads = record->heads, .head_cap = record->head_cap};
    decode_fields(&d, version, record);
    uint32_t heads = decode_u32(&d);
    for (uint32_t i = 0; i < heads && !d.failed; i++) {
        record_reserve_head(record);
        head_decode(&d, version, &record->heads[record->head_count++]);
    }
    if (decode_done(&d))
        return ERR_OK;
    record_release(record);
    return err_set(err, ERR_CORRUPT, 0, "a pull request's record of %zu bytes is damaged", len);
}

enum record_state record_state(const struct record *record)
{
    if (record->view.closed)
        return RECORD_CLOSED;
    const struct head *head = record_find_head(record, &record->view.head);
    if (head == NULL)
        return RECORD_NEW;
    if (head_is_triggered(head))
        return RECORD_TRIGGERED;
    return head->check_reason == WAIT_CONFLICT ? RECORD_CONFLICT : RECORD_AWAITING;
}

const char *record_state_name(enum record_state state)
{
    switch (state) {
    case RECORD_NEW:
        return "new";
    case RECORD_AWAITING:
        return "awaiting";
    case RECORD_CONFLICT:
        return "conflict";
    case RECORD_TRIGGERED:
        return "triggered";
    case RECORD_CLOSED:
        return "closed";
    }
    return "?";
}

const char *ci_state_name(enum ci_state state)
{
    switch (state) {
    case CI_NONE:
        return "none";
    case CI_DECIDED:
        return "decided";
    case CI_SENT:
        return "sent";
    case CI_STARTED:
        return "started";
    case CI_UNKNOWN:
        return "unknown";
    case CI_REFUSED:
        return "refused";
    case CI_STATE_END:
        break;
    }
    return "?";
}

const char *approval_means_name(enum approval_means means)
{
    switch (means) {
    case MEANS_NONE:
        return "none";
    case MEANS_LABEL:
        return "label";
    case MEANS_BUTTON:
        return "button";
    case MEANS_COMMAND:
        return "command";
    case MEANS_OPERATOR:
        return "operator";
    case MEANS_END:
        break;
    }
    return "?";
}

const char *wait_reason_name(enum wait_reason reason)
{
    switch (reason) {
    case WAIT_NOTHING:
        return "nothing";
    case WAIT_CONFLICT:
        return "conflict";
    case WAIT_STALE_APPROVAL:
        return "stale_approval";
    case WAIT_NOT_APPROVER:
        return "not_approver";
    case WAIT_UNTRUSTED:
        return "untrusted";
    case WAIT_DRAFT:
        return "draft";
    case WAIT_NO_LABEL:
        return "no_label";
    case WAIT_TRIGGER_FAILED:
        return "trigger_failed";
    case WAIT_PUSHER:
        return "pusher";
    case WAIT_PUSHER_UNKNOWN:
        return "pusher_unknown";
    case WAIT_TOO_SOON:
        return "too_soon";
    case WAIT_BUDGET:
        return "budget";
    case WAIT_REASON_END:
        break;
    }
    return "?";
}

const char *wait_reason_phrase(enum wait_reason reason)
{
    switch (reason) {
    case WAIT_CONFLICT:
        return "conflicts to be resolved";
    case WAIT_STALE_APPROVAL:
        return "the label: the last one was for an older commit";
    case WAIT_NOT_APPROVER:
        return "an approval: the last one was by somebody who may not";
    case WAIT_UNTRUSTED:
        return "the label: the author is not trusted";
    case WAIT_DRAFT:
        return "the label, or the end of the draft";
    case WAIT_NO_LABEL:
        return "the label: it was taken off";
    case WAIT_TRIGGER_FAILED:
        return "CI to be mended: it refused to start";
    case WAIT_PUSHER:
        return "the label: who pushed is not trusted";
    case WAIT_PUSHER_UNKNOWN:
        return "the label: who pushed is not known";
    case WAIT_TOO_SOON:
        return "the label: the last one was set before anybody could have looked";
    case WAIT_BUDGET:
        return "its turn: CI was started too often within an hour";
    case WAIT_NOTHING:
    case WAIT_REASON_END:
        break;
    }
    return "";
}
