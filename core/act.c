#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>

#include "act_internal.h"
#include "prgate/clock.h"
#include "prgate/dead.h"
#include "prgate/key.h"
#include "prgate/text.h"
#include "prgate/wording.h"

enum {
    HOOK_KNOWS_MS = 5000, /* an own CI may still be busy with a request whose connection broke */
    ASK_AGAIN_MS = 2000,
    GITHUB_ENDS_MS = 10000 /* what takes GitHub longer it breaks off */
};

static struct act_result done(void)
{
    return (struct act_result){.outcome = ACT_DONE};
}

/* See github.h: a token or key that is refused, an App that is not installed there. */
static bool is_about_credentials(const struct err *err)
{
    return err->number == 401 || err->number == 404;
}

struct act_result act_result_of(enum err_code code, const struct err *err)
{
    struct act_result result = {.outcome = ACT_AGAIN, .err = *err};
    switch (code) {
    case ERR_OK:
        return done();
    case ERR_REJECT:
        /* Credentials that are refused are for the operator to mend; the work waits for that. */
        result.outcome = is_about_credentials(err) ? ACT_AGAIN : ACT_REFUSED;
        break;
    case ERR_NOT_FOUND:
        result.outcome = ACT_REFUSED;
        break;
    case ERR_RETRY:
        result.retry_at_ms = err->retry_at_ms;
        break;
    case ERR_UNKNOWN:
    case ERR_CONFLICT:
    case ERR_CORRUPT:
    case ERR_FATAL:
        break;
    }
    return result;
}

/* ---- label, check, comment ----------------------------------------------- */

/* To add one that is there does nothing on GitHub, and the reply tells which are there: no need to look first. */
static struct act_result act_add_label(struct worker *worker, const struct policy *policy,
                                       const struct record *record)
{
    struct err err = {0};
    return act_result_of(github_add_label(worker->github, record->key.number, policy, &err), &err);
}

static struct act_result act_remove_label(struct worker *worker, const struct policy *policy,
                                          const struct record *record)
{
    struct err err = {0};
    return act_result_of(github_remove_label(worker->github, record->key.number, policy, &err), &err);
}

/* It may have been taken out of the configuration since. */
static struct act_result act_remove_queue_label(struct worker *worker, const struct policy *policy,
                                                const struct record *record)
{
    struct err err = {0};
    enum err_code code = ERR_OK;
    if (policy->queue_label[0] != '\0')
        code = github_remove_queue_label(worker->github, record->key.number, policy, &err);
    return act_result_of(code, &err);
}

void act_add_details_url(const struct worker *worker, const struct record *record, struct buf *url)
{
    const char *base = worker->gate->config->public_url;
    if (base[0] != '\0')
        buf_addf(url, "%s/status/%s/%" PRIu64, base, record->repo, record->key.number);
}

static void add_status_url(const struct worker *worker, const struct record *record, struct buf *text)
{
    struct buf url;
    buf_init(&url);
    act_add_details_url(worker, record, &url);
    if (url.len > 0)
        buf_addf(text, "\n\n[What prgate knows of it](%s)", buf_text(&url));
    buf_release(&url);
}

/* What was given up for this commit, so that whoever looks at the check need not look for it elsewhere. */
static void add_undone(const struct worker *worker, const struct record *record, const struct sha *sha,
                       struct buf *title, struct buf *summary)
{
    struct dead_letter letter;
    struct err err;
    const struct head *head = record_find_head(record, sha);
    bool refused = head != NULL && (head->ci == CI_REFUSED || head->rerun_failed);
    enum err_code code;
    for (uint64_t seq = 0;; seq++) {
        code = dead_look(worker->gate, &record->key, &seq, &letter, &err);
        if (code != ERR_OK && code != ERR_CORRUPT)
            return;
        if (code != ERR_OK || !sha_equal(&letter.intent.sha, sha))
            continue;
        if (letter.intent.kind != INTENT_TRIGGER || refused) /* a later one may have worked */
            wording_undone(&letter, title, summary);
    }
}

static struct act_result act_check(struct worker *worker, const struct policy *policy,
                                   const struct record *record, const struct intent *intent)
{
    struct err err = {0};
    struct buf title, summary, url;
    buf_init(&title);
    buf_init(&summary);
    buf_init(&url);
    char id[CHECK_ID_SIZE];
    const struct head *head = record_find_head(record, &intent->sha);
    check_id_make(&record->key, &intent->sha, head_attempt(head), id);
    /* What became of the trigger, which is performed before, is known only now. */
    bool refused = head != NULL && head->ci == CI_REFUSED;
    bool completed = intent->kind == INTENT_CHECK_DONE && head != NULL && !refused;
    if (completed)
        wording_done(policy, head, &title, &summary);
    else
        wording_awaiting(policy, head, refused ? WAIT_TRIGGER_FAILED : intent->reason, &title, &summary);
    add_undone(worker, record, &intent->sha, &title, &summary);
    act_add_details_url(worker, record, &url);
    /*
     * Only a check that is done may be written without a look: none that is done is ever set back to waiting,
     * be it another pull request's with the same commit. One that this very decision heard of first has none of
     * this pull request's; a crash behind the writing leaves an intent that is not untried, and is looked for.
     */
    bool is_first = head != NULL && head->first_seen_ms == intent->created_ms && head->check_id == 0;
    uint64_t written_id = 0;
    struct github_check check = {.sha = intent->sha,
                                 .id = completed ? head->check_id : 0,
                                 .untried = completed && intent->untried,
                                 .is_first = completed && intent->untried && is_first,
                                 .written_id = &written_id,
                                 .name = policy->check_name,
                                 .external_id = id,
                                 .title = buf_text(&title),
                                 .summary = buf_text(&summary),
                                 .details_url = buf_text(&url),
                                 .has_button = !completed,
                                 .completed = completed};
    enum err_code code = github_put_check(worker->github, &check, &err);
    buf_release(&title);
    buf_release(&summary);
    buf_release(&url);
    struct act_result result = act_result_of(code, &err);
    result.check_id = written_id;
    return result;
}

static struct act_result act_comment(struct worker *worker, const struct policy *policy,
                                     const struct record *record)
{
    struct err err = {0};
    struct buf text;
    buf_init(&text);
    wording_conflict(policy, record, &text);
    enum err_code code =
        github_comment_once(worker->github, record->key.number, "conflict", buf_text(&text), &err);
    buf_release(&text);
    return act_result_of(code, &err);
}

/* Somebody may have deleted the comment meanwhile: then there is nobody to answer. */
static struct act_result act_react(struct worker *worker, const struct intent *intent)
{
    static const char *const contents[REACTION_END] = {
        [REACTION_TAKEN] = "+1", [REACTION_REFUSED] = "-1", [REACTION_CONFUSED] = "confused"};
    struct err err = {0};
    const char *content = intent->reaction < REACTION_END ? contents[intent->reaction] : NULL;
    enum err_code code = content == NULL
                             ? err_set(&err, ERR_REJECT, (int)intent->reaction, "no such kind of reaction")
                             : github_react(worker->github, intent->target, content, &err);
    return code == ERR_NOT_FOUND ? done() : act_result_of(code, &err);
}

struct act_result act_say(struct worker *worker, const struct policy *policy, const struct record *record,
                          const struct intent *intent)
{
    struct err err = {0};
    enum err_code code = ERR_OK;
    struct buf text, marker, web;
    buf_init(&text);
    buf_init(&marker);
    buf_init(&web);
    github_add_web(worker->github, &web);
    wording_message(policy, record, intent, buf_text(&web), &text);
    if (intent->message == MESSAGE_STATUS)
        add_status_url(worker, record, &text);
    wording_message_marker(intent, &marker);
    if (text.len == 0)
        code = err_set(&err, ERR_REJECT, 0, "there are no words for the message %s", buf_text(&marker));
    else
        code =
            github_comment_once(worker->github, record->key.number, buf_text(&marker), buf_text(&text), &err);
    buf_release(&web);
    buf_release(&marker);
    buf_release(&text);
    return act_result_of(code, &err);
}

/* ---- the trigger ----------------------------------------------------------- */

static struct act_result send_trigger(struct worker *worker, const struct policy *policy,
                                      const struct trigger *trigger)
{
    struct err err = {0};
    enum err_code code = trigger_send(worker->github, policy, trigger, &err);
    struct act_result result = act_result_of(code, &err);
    if (code == ERR_UNKNOWN)
        result.outcome = ACT_UNSURE;
    return result;
}

/* How long after sending it a "no" of the receiver means that it never came. */
static int64_t time_to_appear(const struct policy *policy)
{
    return policy->trigger == TRIGGER_HTTP ? HOOK_KNOWS_MS : ACT_RUN_APPEARS_MS;
}

/*
 * A trigger that an earlier attempt, perhaps of a process that died in between,
 * may have sent. Where the receiver knows triggers by their key it is asked, and
 * the trigger is sent again only if the answer is no; as if for the first time, with a mark of its own, so that its
 * outcome can be unknown, too. Where it does not, the repository's setting decides between never twice and never not at all.
 */
static struct act_result repeat_trigger(struct worker *worker, const struct policy *policy,
                                        const struct trigger *trigger, const struct intent *intent)
{
    struct err err = {0};
    if (!policy->trigger_can_be_asked) {
        if (policy->guarantee == GUARANTEE_AT_LEAST_ONCE)
            return send_trigger(worker, policy, trigger);
        err_set(&err, ERR_UNKNOWN, 0, "it may have arrived, and the receiver cannot be asked");
        return (struct act_result){.outcome = ACT_LEFT, .err = err};
    }
    bool known = false;
    /* sent_ms may be of when the call was given up, and the run as old as the call. */
    int64_t since = intent->sent_ms / 1000 - worker->gate->config->request_timeout_s - ACT_CLOCK_SKEW_S;
    enum err_code code = trigger_ask(worker->github, policy, trigger, since, &known, &err);
    int64_t now_ms = clock_now_ms();
    if (code != ERR_OK)
        return (struct act_result){.outcome = ACT_UNSURE, .retry_at_ms = err.retry_at_ms, .err = err};
    if (known)
        return done();
    if (now_ms < intent->sent_ms + time_to_appear(policy)) {
        err_set(&err, ERR_UNKNOWN, 0, "the receiver does not know it yet");
        return (struct act_result){
            .outcome = ACT_UNSURE, .waits = true, .retry_at_ms = now_ms + ASK_AGAIN_MS, .err = err};
    }
    err_set(&err, ERR_RETRY, 0, "the receiver never got it");
    return (struct act_result){
        .outcome = ACT_AGAIN, .waits = true, .never_arrived = true, .retry_at_ms = now_ms, .err = err};
}

/* The commit of a merge queue's group has a branch of its own, which the intent names. */
struct trigger act_describe_trigger(const struct record *record, const struct intent *intent,
                                    unsigned attempt, struct act_trigger_text *text)
{
    struct trigger trigger = {.pr = record->key,
                              .repo = record->repo,
                              .head = intent->sha,
                              .head_ref = record->view.head_ref,
                              .base_ref = record->view.base_ref,
                              .author = record->view.author.login,
                              .key = text->key};
    trigger_key(&record->key, &intent->sha, attempt, text->key);
    uint64_t number;
    if (queue_ref_parse(intent->ref, &number, text->base_ref)) {
        trigger.head_ref = intent->ref;
        trigger.base_ref = text->base_ref;
    }
    return trigger;
}

static struct act_result act_trigger(struct worker *worker, const struct policy *policy,
                                     const struct record *record, const struct intent *intent)
{
    if (policy->trigger == TRIGGER_NONE)
        return done(); /* the label, set by the next intent or by a person, starts CI */
    struct act_trigger_text text;
    /* Counted up by decide() alone, which is not asked again while a trigger stands: the same at each try. */
    unsigned attempt = head_attempt(record_find_head(record, &intent->sha));
    struct trigger trigger = act_describe_trigger(record, intent, attempt, &text);
    if (intent->sent_ms != 0)
        return repeat_trigger(worker, policy, &trigger, intent);
    return send_trigger(worker, policy, &trigger);
}

bool act_will_send(const struct policy *policy, const struct intent *intent)
{
    return intent->kind == INTENT_TRIGGER && policy->trigger != TRIGGER_NONE && intent->sent_ms == 0;
}

static struct act_result perform(struct worker *worker, const struct policy *policy,
                                 const struct record *record, const struct intent *intent)
{
    github_use(worker->github, record->repo, record->installation);
    switch (intent->kind) {
    case INTENT_TRIGGER:
        return act_trigger(worker, policy, record, intent);
    case INTENT_ADD_LABEL:
        return act_add_label(worker, policy, record);
    case INTENT_REMOVE_LABEL:
        return act_remove_label(worker, policy, record);
    case INTENT_CHECK_AWAITING:
    case INTENT_CHECK_DONE:
        return act_check(worker, policy, record, intent);
    case INTENT_COMMENT_CONFLICT:
        return act_comment(worker, policy, record);
    case INTENT_COMMENT:
        return act_say(worker, policy, record, intent);
    case INTENT_REACT:
        return act_react(worker, intent);
    case INTENT_CANCEL:
        return act_cancel(worker, policy, record, intent);
    case INTENT_RELEASE_RUNS:
        return act_release_runs(worker, policy, record, intent);
    case INTENT_REMOVE_QUEUE_LABEL:
        return act_remove_queue_label(worker, policy, record);
    case INTENT_COMPLETE_GUARD:
    case INTENT_ADD_AUTHOR_LABELS:
    case INTENT_RETARGET:
    case INTENT_CLOSE:
    case INTENT_APPROVE_REVIEW:
    case INTENT_REMOVE_EMERGENCY_LABEL:
        return act_policy(worker, policy, record, intent);
    case INTENT_KIND_END:
        break;
    }
    struct err err = {0};
    err_set(&err, ERR_REJECT, (int)intent->kind, "no such kind of intent");
    return (struct act_result){.outcome = ACT_REFUSED, .err = err};
}

/* Until when a call may have an effect that was under way when its process died, or its reply was lost; 0: there is none. */
static int64_t under_way_until_ms(const struct config *config, const struct intent *intent, int64_t now_ms)
{
    int64_t longest_ms = (int64_t)config->request_timeout_s * 1000;
    if (longest_ms > GITHUB_ENDS_MS)
        longest_ms = GITHUB_ENDS_MS;
    bool is_over = intent->sent_ms == 0 || intent->sent_ms > now_ms || intent->sent_ms + longest_ms <= now_ms;
    return intent->kind == INTENT_TRIGGER || is_over ? 0 : intent->sent_ms + longest_ms;
}

struct act_result act_perform(struct worker *worker, const struct policy *policy, const struct record *record,
                              const struct intent *intent)
{
    unsigned before = github_shown(worker->github);
    /* Asked before the look: what comes between a look and the end of the time was not seen by it. */
    github_hold(worker->github, under_way_until_ms(worker->gate->config, intent, clock_now_ms()));
    struct act_result result = perform(worker, policy, record, intent);
    result.waits |= result.outcome == ACT_AGAIN && github_held_back(worker->github);
    github_hold(worker->github, 0);
    result.shown |= github_shown(worker->github) != before;
    return result;
}
