#include "prgate/next.h"

#include <inttypes.h>
#include <string.h>

#include "prgate/record.h"
#include "prgate/report.h"
#include "prgate/text.h"
#include "prgate/wording.h"

static const char by_itself[] = "prgate, by itself", operator[] = "prgate's operator",
                  merger[] = "whoever may merge the pull request";

static cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static bool is_true(const cJSON *object, const char *name)
{
    return cJSON_IsTrue(member(object, name));
}

static void add(cJSON *list, const char *what, const char *who)
{
    cJSON *step = cJSON_CreateObject();
    cJSON_AddStringToObject(step, "what", what);
    cJSON_AddStringToObject(step, "who", who);
    cJSON_AddItemToArray(list, step);
}

/* "2026-11-24 17:30:05 UTC": a second that is not before it. */
static void add_second(struct buf *out, int64_t ms)
{
    char time[TEXT_TIME_SIZE];
    text_from_time((ms + 999) / 1000, time);
    buf_addf(out, "%.10s %.8s UTC", time, time + 11);
}

/* The same in minutes, as the check on GitHub says it. */
static void add_minute(struct buf *out, int64_t ms)
{
    char time[TEXT_TIME_SIZE];
    text_from_time((ms + 59999) / 60000 * 60, time);
    buf_addf(out, "%.10s %.5s UTC", time, time + 11);
}

static void add_approvers(struct buf *who, const struct policy *policy)
{
    buf_addf(who, "anybody with %s permission or more", permission_name(policy->approver_permission));
}

/* ---- what was given up, and what is queued ---------------------------------------------- */

static void next_of_dead(const cJSON *report, cJSON *list)
{
    struct buf what;
    const cJSON *letter;
    buf_init(&what);
    cJSON_ArrayForEach(letter, member(report, "dead"))
    {
        buf_clear(&what);
        if (is_true(letter, "damaged"))
            buf_adds(&what,
                     "Something that was given up cannot be read. See prgate's log, and prgatectl check.");
        else
            buf_addf(&what,
                     "Given up: %s. Once the cause is mended, prgatectl dead retry %s#%" PRId64 " %" PRId64
                     ", or dead drop.",
                     report_text(letter, "action_text"), report_text(report, "repository"),
                     report_number(report, "number"), report_number(letter, "seq"));
        add(list, buf_text(&what), operator);
    }
    buf_release(&what);
}

static int count_damaged(const cJSON *list)
{
    const cJSON *item;
    int count = 0;
    cJSON_ArrayForEach(item, list)
    {
        count += is_true(item, "damaged");
    }
    return count;
}

/* When it goes on, and why not now. */
static void tell_delay(const cJSON *report, const struct outlook *outlook, struct buf *what)
{
    int64_t failures = report_number(report, "failures"), due_ms = report_number(report, "put_off_until");
    if (is_true(report, "being_worked_on"))
        buf_adds(what, " A process is at it.");
    if (failures > 0)
        buf_addf(what, " Attempts that failed in a row: %" PRId64 ".", failures);
    else if (due_ms > outlook->now_ms && cJSON_GetArraySize(member(report, "intents")) > 0)
        buf_adds(what, " What came of a call is not known yet.");
    else if (due_ms > outlook->now_ms)
        buf_adds(what, " GitHub's answers did not agree yet.");
    if (due_ms > outlook->now_ms) {
        buf_adds(what, " The next attempt is at ");
        add_second(what, due_ms);
        buf_addc(what, '.');
    }
    if (outlook->blocked_until_ms > outlook->now_ms) {
        buf_adds(what, " GitHub asked not to be called before ");
        add_second(what, outlook->blocked_until_ms);
        buf_addc(what, '.');
    }
}

static void next_of_queues(const cJSON *report, const struct outlook *outlook, cJSON *list)
{
    const cJSON *deliveries = member(report, "deliveries"), *intents = member(report, "intents");
    int waiting = cJSON_GetArraySize(deliveries) + cJSON_GetArraySize(intents);
    int damaged = count_damaged(deliveries) + count_damaged(intents);
    struct buf what;
    if (waiting == 0 && report_number(report, "failures") == 0)
        return;
    buf_init(&what);
    buf_addf(&what, "Webhooks to decide: %d, actions to do: %d.", cJSON_GetArraySize(deliveries),
             cJSON_GetArraySize(intents));
    if (damaged > 0)
        buf_addf(&what, " Of these %d cannot be read: they are set aside, and the log says so.", damaged);
    tell_delay(report, outlook, &what);
    add(list, buf_text(&what), by_itself);
    buf_release(&what);
}

/* ---- a commit that waits --------------------------------------------------------------------- */

static enum wait_reason reason_from_name(const char *name)
{
    for (int reason = WAIT_NOTHING; reason < WAIT_REASON_END; reason++)
        if (strcmp(wait_reason_name((enum wait_reason)reason), name) == 0)
            return (enum wait_reason)reason;
    return WAIT_NOTHING;
}

/* Not where an approval does not help, or is there already. */
static bool takes_label(enum wait_reason reason)
{
    return reason != WAIT_CONFLICT && reason != WAIT_BUDGET && reason != WAIT_TRIGGER_FAILED;
}

static void tell_who(const struct policy *policy, enum wait_reason reason, const char *author,
                     struct buf *who)
{
    const char *name = author[0] == '\0' ? "the author" : author;
    switch (reason) {
    case WAIT_CONFLICT:
        buf_addf(who, "%s, or whoever may push to the branch", name);
        return;
    case WAIT_BUDGET:
        buf_adds(who, by_itself);
        return;
    case WAIT_DRAFT:
        buf_addf(who, "%s, or ", name);
        break;
    case WAIT_TRIGGER_FAILED:
        buf_adds(who, "whoever runs the CI system, then ");
        break;
    case WAIT_NOTHING:
    case WAIT_STALE_APPROVAL:
    case WAIT_NOT_APPROVER:
    case WAIT_UNTRUSTED:
    case WAIT_NO_LABEL:
    case WAIT_PUSHER:
    case WAIT_PUSHER_UNKNOWN:
    case WAIT_TOO_SOON:
    case WAIT_REASON_END:
        break;
    }
    add_approvers(who, policy);
}

/* A label that comes sooner than this after the push is taken off again. */
static void tell_settle_time(const cJSON *head, const struct outlook *outlook, struct buf *what)
{
    int64_t came_ms = report_number(head, "came"),
            from_ms = came_ms + outlook->policy->settle_s * INT64_C(1000);
    if (came_ms == 0 || from_ms <= outlook->now_ms || is_true(head, "pusher_trusted"))
        return;
    buf_adds(what, " A label counts from ");
    add_second(what, from_ms);
    buf_adds(what, " on: before that, nobody can have looked at the commit.");
}

static void next_of_wait(const cJSON *report, const cJSON *head, const struct outlook *outlook, cJSON *list)
{
    enum wait_reason reason = reason_from_name(report_text(report, "waits_for"));
    struct buf what, who;
    buf_init(&what);
    buf_init(&who);
    wording_next(outlook->policy, reason, &what);
    if (reason == WAIT_BUDGET && report_number(report, "until") > outlook->now_ms) {
        buf_adds(&what, " Its turn is at ");
        add_minute(&what, report_number(report, "until"));
        buf_adds(&what, " at the latest.");
    }
    if (takes_label(reason))
        tell_settle_time(head, outlook, &what);
    tell_who(outlook->policy, reason, report_text(report, "author"), &who);
    add(list, buf_text(&what), buf_text(&who));
    buf_release(&what);
    buf_release(&who);
}

/* ---- a commit that CI was started for ----------------------------------------------------------- */

static enum ci_state ci_from_name(const char *name)
{
    for (int ci = CI_NONE; ci < CI_STATE_END; ci++)
        if (strcmp(ci_state_name((enum ci_state)ci), name) == 0)
            return (enum ci_state)ci;
    return CI_NONE;
}

static void next_of_cancelled(const struct policy *policy, cJSON *list)
{
    struct buf who;
    buf_init(&who);
    if (policy->trigger == TRIGGER_NONE) {
        add(list,
            "CI for this commit was cancelled. Whoever needs the result runs the cancelled workflows again.",
            "whoever may run workflows");
    } else {
        add_approvers(&who, policy);
        add(list, "CI for this commit was cancelled. It runs again when somebody asks for a re-run.",
            buf_text(&who));
    }
    buf_release(&who);
}

static void next_of_started(const struct outlook *outlook, cJSON *list)
{
    if (outlook->dry_run)
        add(list,
            "Nothing: this commit is cleared. Were it not a dry run, CI would have been started for it.",
            "nobody has to");
    else if (outlook->policy->trigger == TRIGGER_NONE)
        add(list, "Nothing at the gate: this commit is cleared to run. Its result is CI's own check.",
            "the CI system");
    else
        add(list, "Nothing at the gate: CI was started for this commit. Its result is CI's own check.",
            "the CI system");
}

static void next_of_unknown(cJSON *list)
{
    add(list, "See whether CI runs: the request went out, and no answer came back. If it does not, start it.",
        "whoever may start CI by hand");
}

static void next_of_ci(const cJSON *head, const struct outlook *outlook, cJSON *list)
{
    enum ci_state ci = ci_from_name(report_text(head, "ci"));
    if (is_true(head, "cancelled") && ci != CI_DECIDED && ci != CI_SENT) {
        next_of_cancelled(outlook->policy, list);
        return;
    }
    switch (ci) {
    case CI_DECIDED:
        add(list, "CI is about to be started for this commit.", by_itself);
        return;
    case CI_SENT:
        add(list, "CI is being started for this commit, and no answer is known yet.", by_itself);
        return;
    case CI_UNKNOWN:
        next_of_unknown(list);
        return;
    case CI_NONE: /* of a commit that counts as triggered, nobody says so */
    case CI_REFUSED:
    case CI_STARTED:
    case CI_STATE_END:
        break;
    }
    next_of_started(outlook, list);
}

/* What the newest wish for a re-run came to. */
static void next_of_rerun(const cJSON *head, const struct outlook *outlook, cJSON *list)
{
    struct buf what, who;
    buf_init(&what);
    buf_init(&who);
    if (is_true(head, "rerun_failed")) {
        buf_adds(&who, "whoever runs the CI system, then ");
        add_approvers(&who, outlook->policy);
        add(list, "The CI system refused to start the re-run. Once that is mended, ask for it again.",
            buf_text(&who));
        buf_clear(&who);
    }
    add_approvers(&who, outlook->policy);
    if (report_number(head, "until") > outlook->now_ms) {
        buf_adds(&what, "For a re-run, which was asked for too often within an hour: ask again from ");
        add_minute(&what, report_number(head, "until"));
        buf_adds(&what, " on.");
        add(list, buf_text(&what), buf_text(&who));
    }
    if (is_true(head, "rerun_refused"))
        add(list, "For a re-run, which somebody asked for who may not: somebody who may asks for it.",
            buf_text(&who));
    buf_release(&what);
    buf_release(&who);
}

/* ---- a merge queue's commit ------------------------------------------------------------------------ */

static const cJSON *newest_queued(const cJSON *report)
{
    const cJSON *head, *newest = NULL;
    cJSON_ArrayForEach(head, member(report, "heads"))
    {
        if (is_true(head, "merge_queue"))
            newest = head;
    }
    return newest;
}

/* One that was started, or needs no start, has nothing to do at the gate. */
static void next_of_merge_queue(const cJSON *report, cJSON *list)
{
    const cJSON *head = newest_queued(report);
    struct buf what;
    if (head == NULL || is_true(head, "cancelled"))
        return;
    buf_init(&what);
    switch (ci_from_name(report_text(head, "ci"))) {
    case CI_DECIDED:
    case CI_SENT:
        buf_addf(&what, "CI is being started for the merge queue's commit %.10s.", report_text(head, "sha"));
        add(list, buf_text(&what), by_itself);
        break;
    case CI_UNKNOWN:
        buf_addf(
            &what,
            "See whether CI runs for the merge queue's commit %.10s: the request went out, and no answer "
            "came back. If it does not, take the pull request out of the queue, and queue it again.",
            report_text(head, "sha"));
        add(list, buf_text(&what), merger);
        break;
    case CI_REFUSED:
        buf_addf(
            &what,
            "The CI system refused to start for the merge queue's commit %.10s. Once that is mended, take "
            "the pull request out of the queue, and queue it again.",
            report_text(head, "sha"));
        add(list, buf_text(&what), merger);
        break;
    case CI_NONE:
    case CI_STARTED:
    case CI_STATE_END:
        break;
    }
    buf_release(&what);
}

/* ---- all together ------------------------------------------------------------------------------------ */

static enum record_state state_from_name(const char *name)
{
    for (int state = RECORD_NEW; state <= RECORD_CLOSED; state++)
        if (strcmp(record_state_name((enum record_state)state), name) == 0)
            return (enum record_state)state;
    return RECORD_NEW;
}

static const cJSON *find_head(const cJSON *report)
{
    const cJSON *head;
    cJSON_ArrayForEach(head, member(report, "heads"))
    {
        if (strcmp(report_text(head, "sha"), report_text(report, "head")) == 0)
            return head;
    }
    return NULL;
}

static void next_of_open(const cJSON *report, const struct outlook *outlook, cJSON *list)
{
    const cJSON *head = find_head(report);
    switch (state_from_name(report_text(report, "state"))) {
    case RECORD_NEW:
        add(list, "Nothing was decided for the present commit yet. That comes with its webhook from GitHub.",
            by_itself);
        return;
    case RECORD_TRIGGERED:
        next_of_ci(head, outlook, list);
        next_of_rerun(head, outlook, list);
        return;
    case RECORD_AWAITING:
    case RECORD_CONFLICT:
    case RECORD_CLOSED: /* not here */
        break;
    }
    next_of_wait(report, head, outlook, list);
}

void next_tell(cJSON *report, const struct outlook *outlook)
{
    cJSON *list = cJSON_AddArrayToObject(report, "next");
    next_of_dead(report, list);
    next_of_queues(report, outlook, list);
    if (strcmp(report_text(report, "state"), record_state_name(RECORD_CLOSED)) == 0) {
        add(list, "Nothing: the pull request is closed.", "whoever may reopen it");
    } else if (outlook->policy == NULL) {
        add(list, "The repository has no section in the configuration any more: nothing happens.", operator);
    } else {
        next_of_open(report, outlook, list);
        next_of_merge_queue(report, list);
        if (outlook->dry_run)
            add(list, "This is a dry run: nothing is written to GitHub, and no CI is started.",
                "prgate's operator, by setting dry_run = false and another state_dir");
    }
}
