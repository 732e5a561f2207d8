/*
 * What a list of pull requests cannot tell is when the head was pushed, and whether a label that is there
 * was set before or after that. V is the time of the record's view, U the pull request's updated_at, L
 * when the label was last set; all of GitHub's clock.
 *
 *   head as in the record, and the branch was not moved back and forth since V:
 *       no push since V        L after V: set for this head        else: told of before
 *   any other head, or not known:
 *       nothing since L (L = U): set for this head                 else: the push counts as the later
 *
 * So an approval is never taken for a commit that may have come after it. Moving a branch other
 * than forward is an event that GitHub lists; going forward never leads back to the same commit.
 */
#include "prgate/reconcile.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "prgate/clock.h"
#include "prgate/inbox.h"
#include "prgate/log.h"
#include "prgate/repos.h"
#include "prgate/tables.h"
#include "prgate/text.h"

bool reconcile_is_wanted(const struct config *config)
{
    return config->reconcile_interval_s > 0 && config_credentials(config) != CREDENTIALS_NONE;
}

/* ---- what differs ------------------------------------------------------------- */

static const struct snapshot *known_view(const struct reconcile_view *view)
{
    return view->record != NULL && view->record->view.updated_at > 0 ? &view->record->view : NULL;
}

/* As GitHub is known to show the label. In a dry run the record may say how it would be. */
static bool known_labelled(const struct reconcile_view *view)
{
    const struct record *record = view->record;
    return record->shadow_label == SHADOW_NONE ? record->view.labelled : record->shadow_label == SHADOW_OFF;
}

static const struct head *known_head(const struct reconcile_view *view)
{
    return view->record == NULL ? NULL : record_find_head(view->record, &view->pull->snapshot.head);
}

static bool has_new_head(const struct reconcile_view *view)
{
    const struct snapshot *known = known_view(view);
    return known != NULL && !sha_equal(&known->head, &view->pull->snapshot.head);
}

static bool is_triggered(const struct reconcile_view *view)
{
    const struct head *head = known_head(view);
    return head != NULL && head_is_triggered(head);
}

/* GitHub's lists lag behind its webhooks: what is older than the record says nothing. */
static bool is_outdated(const struct reconcile_view *view)
{
    const struct snapshot *known = known_view(view);
    return known != NULL && view->pull->snapshot.updated_at < known->updated_at;
}

bool reconcile_needs_label(const struct reconcile_view *view)
{
    const struct snapshot *known = known_view(view);
    const struct snapshot *now = &view->pull->snapshot;
    if (!now->labelled || now->closed || is_outdated(view))
        return false;
    if (known == NULL || !known_labelled(view))
        return true;
    if (is_triggered(view))
        return false;
    const struct head *head = known_head(view);
    if (has_new_head(view))
        return true;
    /* It may have been taken off and set again, by somebody else. */
    return now->updated_at > known->updated_at && (head == NULL || (!head->approved && !head->label_granted));
}

enum label_tale {
    LABEL_OLD,      /* nothing is new about it, or it is not there */
    LABEL_SET,      /* set for the commit that is the head now */
    LABEL_OVERTAKEN /* a push came after it, or may have */
};

/* A move in the second of the view may be what led to it; of two in one second nobody can say. */
static bool was_moved_since(const struct github_label_event *label, int64_t seen_at)
{
    return label->moved_at > seen_at || (label->moved_at == seen_at && label->moved_twice);
}

/* In the second of the view itself only if the view shows that it was not there yet. */
static bool was_set_since(const struct reconcile_view *view, const struct snapshot *known)
{
    if (view->label->set_at != known->updated_at)
        return view->label->set_at > known->updated_at;
    return !known_labelled(view) && !sha_equal(&view->record->label_removed, &known->head);
}

static enum label_tale judge_label(const struct reconcile_view *view)
{
    const struct snapshot *known = known_view(view);
    const struct snapshot *now = &view->pull->snapshot;
    const struct github_label_event *label = view->label;
    if (!reconcile_needs_label(view))
        return LABEL_OLD;
    bool head_may_be_new = known == NULL || has_new_head(view);
    /* Not asked, or it says something else than the list: nothing is known of it. */
    if (label == NULL || !label->set || label->set_at > now->updated_at)
        return head_may_be_new ? LABEL_OVERTAKEN : LABEL_OLD;
    if (!head_may_be_new && !was_moved_since(label, known->updated_at))
        return was_set_since(view, known) ? LABEL_SET : LABEL_OLD;
    if (known != NULL && label->set_at <= known->updated_at)
        return LABEL_OVERTAKEN; /* told of before, and a push came since */
    bool is_last = label->set_at == now->updated_at && label->moved_at < label->set_at;
    return is_last ? LABEL_SET : LABEL_OVERTAKEN;
}

/* ---- what is made of it --------------------------------------------------------- */

struct story {
    const struct reconcile_view *view;
    struct event *events;
    size_t count;
};

/* "reconcile-synchronize-1700000000-aaaaaaaaaaaa": the same difference always has the same id. */
static void name_event(struct event *event, int64_t at)
{
    snprintf(event->delivery, sizeof event->delivery, "reconcile-%s-%" PRId64 "-%.12s",
             event_action_name(event->action), at, event->pr.head.hex);
    for (char *c = event->delivery; *c != '\0'; c++)
        if (*c == '_')
            *c = '-';
}

static struct event *tell(struct story *story, enum event_action action, int64_t at)
{
    const struct github_pull *pull = story->view->pull;
    struct event *event = &story->events[story->count++];
    *event = (struct event){
        .action = action, .received_ms = story->view->now_ms, .key = pull->key, .pr = pull->snapshot};
    event->visibility = pull->visibility;
    memcpy(event->repo, pull->repo, sizeof event->repo);
    name_event(event, at);
    return event;
}

static void tell_label(struct story *story, enum event_action action, int64_t at)
{
    const struct policy *policy = story->view->policy;
    struct event *event = tell(story, action, at);
    text_copy(event->label, sizeof event->label, policy->label);
    event->label_id = policy->label_id;
    event->label_is_gate = true;
    if (action == EVENT_LABELED)
        event->sender = story->view->label->actor;
}

/*
 * It was opened before prgate was there: whoever looked after it then has seen to its CI. Were it taken for just opened,
 * all pull requests of trusted authors would start CI at once on the day that prgate is installed.
 */
static bool is_older_than_prgate(const struct reconcile_view *view)
{
    return view->pull->created_at < view->since_ms / 1000; /* GitHub's times are whole seconds */
}

/* Only of one that nothing has happened to since is the head known to be the author's own. */
static void tell_opened(struct story *story, const struct snapshot *now)
{
    struct event *event = tell(story, EVENT_OPENED, now->updated_at);
    if (now->updated_at == story->view->pull->created_at)
        event->sender = now->author;
}

static void tell_opening(struct story *story)
{
    const struct snapshot *known = known_view(story->view);
    const struct snapshot *now = &story->view->pull->snapshot;
    bool not_opened = known == NULL || !story->view->record->opened;
    if (not_opened && !is_older_than_prgate(story->view))
        tell_opened(story, now);
    else if (known == NULL)
        return;
    else if (known->closed)
        tell(story, EVENT_REOPENED, now->updated_at);
    else if (known->draft && !now->draft)
        tell(story, EVENT_READY_FOR_REVIEW, now->updated_at);
}

/* Told of as pushed to, it would lose a label that somebody has set for good reason before prgate was there. */
static bool is_strange(const struct reconcile_view *view)
{
    return known_view(view) == NULL && is_older_than_prgate(view);
}

/* A label waits for the push of its commit to tell when that came, and the push was not heard of all the time. */
static bool waits_for_push(const struct reconcile_view *view)
{
    const struct head *head = known_head(view);
    return head != NULL && head->label_at != 0 && !head->came_known && !is_triggered(view) &&
           known_labelled(view);
}

static void tell_open(struct story *story)
{
    const struct snapshot *known = known_view(story->view);
    const struct snapshot *now = &story->view->pull->snapshot;
    enum label_tale label = judge_label(story->view);
    /* An approval first: so it is nobody's turn to wait, or to take the label off. */
    if (label == LABEL_SET)
        tell_label(story, EVENT_LABELED, story->view->label->set_at);
    tell_opening(story);
    if (known != NULL && !known->draft && now->draft)
        tell(story, EVENT_CONVERTED_TO_DRAFT, now->updated_at);
    if (known != NULL && known_labelled(story->view) && !now->labelled)
        tell_label(story, EVENT_UNLABELED, now->updated_at);
    bool is_news = has_new_head(story->view) || (known == NULL && story->count == 0);
    if (label == LABEL_OVERTAKEN || (is_news && label != LABEL_SET))
        tell(story, is_strange(story->view) ? EVENT_EDITED : EVENT_SYNCHRONIZE, now->updated_at);
    /* Nobody knows then: whoever set it is asked to look again. */
    if (story->count == 0 && waits_for_push(story->view))
        tell(story, EVENT_SYNCHRONIZE, now->updated_at);
    /* Nothing to act on, but the record is to agree from here on. */
    if (story->count == 0 && known != NULL && known_labelled(story->view) != now->labelled)
        tell(story, EVENT_EDITED, now->updated_at);
}

size_t reconcile_compare(const struct reconcile_view *view, struct event events[RECONCILE_EVENTS_MAX])
{
    struct story story = {.view = view, .events = events};
    const struct snapshot *known = known_view(view);
    if (is_outdated(view))
        return 0;
    if (!view->pull->snapshot.closed)
        tell_open(&story);
    else if (known != NULL && !known->closed)
        tell(&story, EVENT_CLOSED, view->pull->snapshot.updated_at);
    return story.count;
}

/* ---- one pass -------------------------------------------------------------------- */

struct pass {
    struct worker *worker;
    struct gate *gate;
    unsigned told;
    unsigned looked_at;
    bool failed;

    /* of the repository at hand */
    char name[REPO_NAME_SIZE];
    const struct policy *policy;
    struct repo_ids ids;
    struct github_pull *pulls;
    size_t count;
    size_t cap;
    int64_t since_ms;
    bool broke_off; /* the list is not whole: what it does not show may be open all the same */
};

static bool may_go_on(const struct pass *pass)
{
    return gate_may_call(pass->gate);
}

struct known {
    struct pr_key key;
    struct record record;
    bool found;
    bool busy; /* something waits to be decided or done: the record is about to change */
};

static enum err_code is_queued(struct store_txn *txn, enum store_table queue, struct known *known,
                               struct err *err)
{
    struct pr_key next = known->key;
    enum err_code code = table_next_queued(txn, queue, &next, err);
    if (code == ERR_OK && next.repo_id == known->key.repo_id && next.number == known->key.number)
        known->busy = true;
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

static enum err_code known_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct known *known = arg;
    record_release(&known->record);
    known->found = known->busy = false;
    enum err_code code = table_get_record(txn, &known->key, STORE_READ, &known->record, err);
    /* Nothing is known of one that is damaged: what comes into the inbox for it has it made anew. */
    if (code == ERR_NOT_FOUND || code == ERR_CORRUPT)
        return ERR_OK;
    known->found = code == ERR_OK;
    if (code == ERR_OK)
        code = is_queued(txn, TABLE_INBOX, known, err);
    return code == ERR_OK ? is_queued(txn, TABLE_INTENT, known, err) : code;
}

/* An answer that says "not for you" is the operator's to mend; the label's story is then in doubt. */
static enum err_code learn_label(struct pass *pass, uint64_t number, struct github_label_event *label,
                                 bool *learnt, struct err *err)
{
    enum err_code code = github_get_label_event(pass->worker->github, number, pass->policy, label, err);
    *learnt = code == ERR_OK;
    if (code != ERR_NOT_FOUND && code != ERR_REJECT)
        return code;
    gate_heed_rate_limit(pass->gate, err);
    if (!atomic_exchange(&pass->gate->told_of_events, true))
        log_warning("who set a label cannot be learnt: that needs the permission Issues: read",
                    LOG_STR("repo", pass->name), LOG_STR("error", err->text));
    return ERR_OK;
}

static enum err_code put(struct pass *pass, const struct event *events, size_t count, struct err *err)
{
    struct receipt receipt;
    enum err_code code = inbox_put_all(pass->gate, events, count, false, &receipt, err);
    if (code != ERR_OK || receipt.duplicate)
        return code;
    pass->told++;
    metrics_add(pass->gate->metrics, METRIC_RECONCILED);
    for (size_t i = 0; i < count; i++)
        log_info("made up for a webhook that did not come", LOG_STR("repo", events[i].repo),
                 LOG_INT("number", events[i].key.number), LOG_STR("delivery", events[i].delivery));
    return ERR_OK;
}

/* A crash anywhere here leaves what was put, which is whole, and the rest to the next pass. */
static enum err_code look_at(struct pass *pass, const struct github_pull *pull, struct err *err)
{
    struct event events[RECONCILE_EVENTS_MAX];
    struct github_label_event label = {0};
    struct known known = {.key = pull->key};
    bool learnt = false;
    record_init(&known.record);
    pass->looked_at++;
    enum err_code code = store_txn(pass->gate->store, known_body, &known, err);
    struct reconcile_view view = {.policy = pass->policy,
                                  .record = known.found ? &known.record : NULL,
                                  .pull = pull,
                                  .since_ms = pass->since_ms,
                                  .now_ms = clock_now_ms()};
    /* Work that hangs on GitHub may be what a closing voids; all else comes when it is done. */
    bool wait = known.busy && !pull->snapshot.closed;
    if (code == ERR_OK && !wait && reconcile_needs_label(&view)) {
        code = learn_label(pass, pull->key.number, &label, &learnt, err);
        view.label = learnt ? &label : NULL;
    }
    size_t count = code == ERR_OK && !wait ? reconcile_compare(&view, events) : 0;
    for (size_t i = 0; i < count; i++)
        events[i].installation = pass->ids.installation;
    if (count > 0)
        code = put(pass, events, count, err);
    if (code == ERR_CORRUPT) /* of another version of prgate: not this one's to read */
        code = ERR_OK;
    record_release(&known.record);
    return code;
}

/* ---- those that are open on GitHub ---- */

static bool collect(void *arg, const struct github_pull *pull)
{
    struct pass *pass = arg;
    pass->pulls = mem_room(pass->pulls, pass->count, &pass->cap, sizeof *pass->pulls);
    pass->pulls[pass->count++] = *pull;
    pass->broke_off = !may_go_on(pass);
    return !pass->broke_off;
}

static int by_number(const void *a, const void *b)
{
    const struct github_pull *left = a, *right = b;
    return left->key.number < right->key.number ? -1 : left->key.number > right->key.number;
}

static bool is_listed(const struct pass *pass, uint64_t number)
{
    struct github_pull wanted = {.key = {.number = number}};
    return pass->count > 0 && bsearch(&wanted, pass->pulls, pass->count, sizeof wanted, by_number) != NULL;
}

static enum err_code look_at_listed(struct pass *pass, struct err *err)
{
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < pass->count && code == ERR_OK; i++) {
        if (!may_go_on(pass))
            return err_set(err, ERR_RETRY, 0, "interrupted");
        code = look_at(pass, &pass->pulls[i], err);
    }
    return code;
}

/* ---- those that are open in the store alone ---- */

static enum err_code next_record_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct known *known = arg;
    struct pr_key key = known->key;
    record_release(&known->record);
    enum err_code code = table_next_record(txn, &key, &known->record, err);
    if (code == ERR_OK || code == ERR_CORRUPT)
        known->key = key;
    return code;
}

/* Lists lag: what is missing in one is asked for by itself. */
static enum err_code look_at_missing(struct pass *pass, const struct record *record, struct err *err)
{
    struct github_pull pull = {.key = record->key};
    memcpy(pull.repo, record->repo, sizeof pull.repo);
    enum err_code code =
        github_get_pull(pass->worker->github, record->key.number, pass->policy, &pull.snapshot, err);
    if (code == ERR_NOT_FOUND || code == ERR_REJECT) {
        log_warning("a pull request that is open in the store alone cannot be read",
                    LOG_STR("repo", record->repo), LOG_INT("number", record->key.number));
        return ERR_OK;
    }
    return code == ERR_OK && pull.snapshot.closed ? look_at(pass, &pull, err) : code;
}

static enum err_code look_at_unlisted(struct pass *pass, struct err *err)
{
    struct known known = {.key = {.repo_id = pass->ids.repo}};
    record_init(&known.record);
    enum err_code code = ERR_OK;
    while (code == ERR_OK && pass->ids.repo != 0) {
        if (!may_go_on(pass)) {
            code = err_set(err, ERR_RETRY, 0, "interrupted");
            break;
        }
        code = store_txn(pass->gate->store, next_record_body, &known, err);
        if (known.key.repo_id != pass->ids.repo)
            break;
        const struct snapshot *view = &known.record.view;
        if (code == ERR_OK && view->updated_at > 0 && !view->closed && !is_listed(pass, known.key.number))
            code = look_at_missing(pass, &known.record, err);
        if (code == ERR_CORRUPT)
            code = ERR_OK; /* a record that cannot be read is not this pass's to mend */
        known.key.number++;
    }
    record_release(&known.record);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

/* ---- repositories ---- */

/* The list may be of another repository by now: of one that has the name, or that the old name leads to. */
static bool is_itself(struct pass *pass)
{
    if (pass->count == 0)
        return true;
    pass->ids.repo = pass->pulls[0].key.repo_id;
    return text_equal_fold(pass->pulls[0].repo, pass->name);
}

static enum err_code look_at_repo(struct pass *pass, struct err *err)
{
    pass->count = 0;
    pass->broke_off = false;
    pass->policy = config_policy(pass->gate->config, pass->name);
    pass->ids = repos_ids(pass->gate, pass->name);
    enum err_code code = repos_known_since(pass->gate, pass->name, &pass->since_ms, err);
    if (code != ERR_OK)
        return code;
    github_use(pass->worker->github, pass->name, pass->ids.installation);
    code = github_each_open_pull(pass->worker->github, pass->policy, collect, pass, err);
    if (code == ERR_OK && pass->broke_off)
        code = err_set(err, ERR_RETRY, 0, "interrupted");
    if (code != ERR_OK)
        return code;
    if (!is_itself(pass)) {
        log_debug("a repository goes by another name now", LOG_STR("repo", pass->name),
                  LOG_STR("name", pass->pulls[0].repo));
        return ERR_OK;
    }
    if (pass->count > 0)
        qsort(pass->pulls, pass->count, sizeof *pass->pulls, by_number);
    code = look_at_listed(pass, err);
    return code == ERR_OK ? look_at_unlisted(pass, err) : code;
}

/*
 * The round's next one after `name`: to the end, and then those as far as where it began. ERR_NOT_FOUND: it has
 * come round, whether or not there still is a repository of that name.
 */
static enum err_code next_of_round(struct gate *gate, const char *begun, char name[REPO_NAME_SIZE],
                                   struct err *err)
{
    bool is_again = strcmp(name, begun) < 0;
    enum err_code code = repos_next(gate, name, err);
    if (code == ERR_NOT_FOUND && !is_again) {
        is_again = true;
        name[0] = '\0';
        code = repos_next(gate, name, err);
    }
    if (code == ERR_OK && is_again && strcmp(name, begun) > 0)
        return err_set(err, ERR_NOT_FOUND, 0, "the round is over");
    return code;
}

static bool may_work_later(enum err_code code)
{
    return code != ERR_OK && code != ERR_NOT_FOUND && code != ERR_REJECT;
}

/* A repository that fails holds up no other. False: nothing more can be done now. */
static bool note_end(struct pass *pass, enum err_code code, const struct err *err)
{
    if (code == ERR_OK)
        return true;
    gate_heed_rate_limit(pass->gate, err);
    pass->failed = pass->failed || may_work_later(code);
    if (may_go_on(pass))
        log_warning("open pull requests were not compared with GitHub", LOG_STR("repo", pass->name),
                    LOG_STR("error", err->text));
    return may_go_on(pass);
}

/*
 * True: it has come round. A crash leaves the repository at hand to who takes the turn next. One that failed is passed
 * over, and who takes up the rest does not know of it: the round then counts as begun there.
 */
static bool look_at_round(struct pass *pass, struct turn *turn)
{
    struct err err = {0};
    char begun[REPO_NAME_SIZE];
    text_copy(pass->name, sizeof pass->name, turn->cursor);
    text_copy(begun, sizeof begun, turn->begun);
    while (may_go_on(pass)) {
        enum err_code code = next_of_round(pass->gate, begun, pass->name, &err);
        if (code != ERR_OK)
            return code == ERR_NOT_FOUND;
        code = look_at_repo(pass, &err);
        if (!note_end(pass, code, &err))
            return false;
        if (strcmp(pass->name, begun) == 0)
            return true;
        if (may_work_later(code))
            text_copy(turn->begun, sizeof turn->begun, pass->name);
        if (!pace_note(pass->gate, turn, pass->name))
            return false;
    }
    return false;
}

bool reconcile_pass(struct worker *worker, struct turn *turn, unsigned *told)
{
    struct pass pass = {.worker = worker, .gate = worker->gate};
    bool whole = look_at_round(&pass, turn);
    free(pass.pulls);
    if (whole) {
        turn->begun[0] = '\0';
        pace_note(pass.gate, turn, "");
    }
    if (whole && pass.looked_at > 0)
        log_info("open pull requests compared with GitHub", LOG_INT("pull_requests", pass.looked_at),
                 LOG_INT("differed", pass.told));
    *told = pass.told;
    return whole && !pass.failed;
}
