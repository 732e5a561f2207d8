#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "prgate/text.h"
#include "replay.h"

enum { FILE_MAX = 32 * 1024 * 1024, SECOND_MS = 1000 };

/* ---- files ---- */

static enum err_code complain(struct err *err, const char *file, const char *what)
{
    return err_set(err, ERR_REJECT, 0, "%s: %s", file, what);
}

static enum err_code read_bytes(FILE *stream, const char *file, struct buf *out, struct err *err)
{
    struct stat st;
    if (fstat(fileno(stream), &st) == 0 && !S_ISREG(st.st_mode))
        return complain(err, file, "not a regular file");
    size_t got;
    do {
        got = fread(buf_reserve(out, BUFSIZ), 1, BUFSIZ, stream);
        out->len += got;
    } while (got > 0 && out->len <= FILE_MAX);
    if (ferror(stream))
        return err_set(err, ERR_REJECT, errno, "%s: cannot be read: %s", file, strerror(errno));
    return out->len <= FILE_MAX ? ERR_OK : complain(err, file, "over 32 MiB, which no delivery is");
}

enum err_code replay_read_json(const char *dir, const char *file, cJSON **out, struct err *err)
{
    struct buf path, text;
    buf_init(&path);
    buf_init(&text);
    buf_addf(&path, "%s/%s", dir, file);
    FILE *stream = fopen(buf_text(&path), "re");
    enum err_code code = ERR_OK;
    if (stream == NULL)
        code = err_set(err, ERR_REJECT, errno, "%s: cannot be opened: %s", file, strerror(errno));
    else
        code = read_bytes(stream, file, &text, err);
    if (stream != NULL)
        fclose(stream);
    if (code == ERR_OK) {
        const char *stop = NULL;
        const char *start = buf_text(&text);
        *out = cJSON_ParseWithOpts(start, &stop, true);
        if (*out == NULL)
            code = err_set(err, ERR_REJECT, 0, "%s: no JSON, or cut off, at byte %zu", file,
                           stop == NULL ? 0 : (size_t)(stop - start));
        else if (!cJSON_IsObject(*out)) {
            code = complain(err, file, "not a JSON object");
            cJSON_Delete(*out);
        }
    }
    buf_release(&path);
    buf_release(&text);
    return code;
}

/* ---- one delivery ---- */

static const char *text_of(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

static const char *first_of(const char *a, const char *b)
{
    return a != NULL ? a : b;
}

/* Where a delivery's parts are: in prgate's own form, or in that of GitHub's API, below "request". */
struct parts {
    const char *event;
    const char *delivery;
    const cJSON *payload;
};

static enum err_code find_parts(const cJSON *root, const char *file, struct parts *out, struct err *err)
{
    const cJSON *request = cJSON_GetObjectItemCaseSensitive(root, "request");
    const cJSON *headers = cJSON_GetObjectItem(request, "headers");
    const cJSON *header = cJSON_GetObjectItem(headers, "X-GitHub-Event");
    const cJSON *guid = cJSON_GetObjectItem(headers, "X-GitHub-Delivery");
    out->event = first_of(text_of(root, "event"), cJSON_GetStringValue(header));
    out->delivery = first_of(text_of(root, "delivery"), text_of(root, "guid"));
    out->delivery = first_of(out->delivery, cJSON_GetStringValue(guid));
    out->payload = cJSON_GetObjectItemCaseSensitive(request == NULL ? root : request, "payload");
    if (out->event == NULL)
        return complain(err, file,
                        "no \"event\" and no request.headers.X-GitHub-Event: neither of the two forms");
    if (!event_is_of_concern(out->event))
        return err_set(
            err, ERR_REJECT, 0,
            "%s: is a %.64s event; a replay takes pull_request, issue_comment and check_run events", file,
            out->event);
    if (out->delivery == NULL || !text_is_delivery(out->delivery))
        return complain(err, file, "no valid \"delivery\" or \"guid\": the id in X-GitHub-Delivery");
    if (!cJSON_IsObject(out->payload) && !cJSON_IsString(out->payload))
        return complain(err, file, "no \"payload\"");
    return ERR_OK;
}

static enum err_code parse_delivery(struct event *out, const cJSON *root, const char *file,
                                    const struct config *config, struct err *err)
{
    struct parts parts;
    struct err why = {0};
    enum err_code code = find_parts(root, file, &parts, err);
    if (code != ERR_OK)
        return code;
    /* Where the hook sends forms, GitHub's API shows the payload as text. */
    char *printed = cJSON_IsString(parts.payload) ? NULL : cJSON_PrintUnformatted(parts.payload);
    const char *body = printed != NULL ? printed : parts.payload->valuestring;
    code = event_parse(out, parts.event, body, strlen(body), config, &why);
    if (code == ERR_OK)
        text_copy(out->delivery, sizeof out->delivery, parts.delivery);
    else
        err_set(err, code, 0, "%s: %s", file, why.text);
    cJSON_free(printed);
    return code;
}

/* ---- all of them ---- */

static struct recording *recording_of(struct recordings *all, const struct event *event,
                                      const struct config *config)
{
    for (size_t i = 0; i < all->count; i++)
        if (all->pulls[i].key.repo_id == event->key.repo_id && all->pulls[i].key.number == event->key.number)
            return &all->pulls[i];
    all->pulls = mem_grow(all->pulls, (all->count + 1) * sizeof *all->pulls);
    struct recording *new = &all->pulls[all->count++];
    *new = (struct recording){.key = event->key, .policy = config_policy(config, event->repo)};
    memcpy(new->repo, event->repo, sizeof new->repo);
    return new;
}

/*
 * NULL: it can be replayed. The others are passed over: of a re-run and of a cancelling the rules say that what comes of
 * it depends on what had happened by then, and a merge queue's commits are in no read of the pull request.
 */
static const char *why_left_out(const struct event *event)
{
    bool rerun =
        event->action == EVENT_RERUN || (event->action == EVENT_COMMAND && event->command == COMMAND_RERUN);
    if (rerun)
        return "a re-run counts only where CI was started before, so its order matters";
    if (event->action == EVENT_COMMAND && event->command == COMMAND_CANCEL)
        return "a cancelling finds only what was started before, so its order matters";
    if (event->action == EVENT_QUEUED || event->action == EVENT_UNQUEUED)
        return "a merge queue's commits are none that a read of the pull request shows";
    return NULL;
}

/* A comment tells its time and not how the pull request looked; a button not even that: it counts as pressed at once. */
static enum err_code place_event(const struct recording *pull, struct replay_event *one, const char *file,
                                 struct err *err)
{
    const struct replay_event *before = pull->count == 0 ? NULL : &pull->events[pull->count - 1];
    bool shows = event_shows_pull(&one->event);
    if (before == NULL && !shows)
        return complain(err, file,
                        "how its pull request looked is not known: no pull_request event before it");
    one->view = shows ? one->event.pr : before->view;
    one->at_s = one->event.pr.updated_at;
    if (one->at_s == 0 && before != NULL)
        one->at_s = before->at_s;
    one->view.updated_at = one->at_s;
    return ERR_OK;
}

static enum err_code check_place(const struct recording *pull, const struct replay_event *one,
                                 const char *file, struct err *err)
{
    if (pull->count == REPLAY_EVENTS_MAX)
        return err_set(err, ERR_REJECT, 0, "%s: the %dth event of %s#%llu: a replay takes %d of each", file,
                       REPLAY_EVENTS_MAX + 1, pull->repo, (unsigned long long)pull->key.number,
                       REPLAY_EVENTS_MAX);
    const struct replay_event *last = NULL;
    for (size_t i = 0; pull->events != NULL && i < pull->count; i++) {
        last = &pull->events[i];
        if (strcmp(last->event.delivery, one->event.delivery) == 0)
            return err_set(err, ERR_REJECT, 0, "%s: the same delivery as %s: remove one of the two", file,
                           last->file);
    }
    if (last != NULL && one->at_s < last->at_s)
        return err_set(err, ERR_REJECT, 0,
                       "%s: its %s.updated_at is before that of %s: file names must sort as things happened",
                       file, event_shows_pull(&one->event) ? "pull_request" : "issue", last->file);
    return ERR_OK;
}

static void add_note(struct recordings *all, const char *note)
{
    all->notes = mem_grow(all->notes, (all->note_count + 1) * sizeof *all->notes);
    all->notes[all->note_count++] = mem_strdup(note);
}

static void pass_over(struct recordings *all, const char *what)
{
    struct buf note;
    buf_init(&note);
    buf_addf(&note, "passed over %s", what);
    add_note(all, buf_text(&note));
    buf_release(&note);
}

/* ERR_NOT_FOUND: the text says why it is passed over. */
static enum err_code add_event(struct recordings *all, const struct event *event, const char *file,
                               const struct config *config, struct err *err)
{
    const char *left_out = why_left_out(event);
    if (left_out != NULL)
        return err_set(err, ERR_NOT_FOUND, 0, "%s: %s", file, left_out);
    struct recording *pull = recording_of(all, event, config);
    struct replay_event one = {.event = *event};
    enum err_code code = place_event(pull, &one, file, err);
    if (code == ERR_OK)
        code = check_place(pull, &one, file, err);
    if (code != ERR_OK)
        return code;
    one.file = mem_strdup(file);
    pull->events = mem_grow(pull->events, (pull->count + 1) * sizeof *pull->events);
    pull->events[pull->count++] = one;
    return ERR_OK;
}

static enum err_code add_file(struct recordings *all, const char *dir, const char *file,
                              const struct config *config, struct err *err)
{
    cJSON *root = NULL;
    struct event event;
    struct err why = {0};
    enum err_code code = replay_read_json(dir, file, &root, err);
    if (code != ERR_OK)
        return code;
    code = parse_delivery(&event, root, file, config, &why);
    cJSON_Delete(root);
    if (code == ERR_OK)
        code = add_event(all, &event, file, config, &why);
    /* The gate itself passes over an action without a rule. A repository without a section it would, too: here
     * it is a mistake. */
    if (code == ERR_NOT_FOUND && config_policy(config, event.repo) != NULL) {
        pass_over(all, why.text);
        return ERR_OK;
    }
    return code == ERR_OK ? ERR_OK : err_set(err, ERR_REJECT, 0, "%s", why.text);
}

static int is_delivery_file(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return entry->d_name[0] != '.' && len > 5 && strcmp(entry->d_name + len - 5, ".json") == 0 &&
           strcmp(entry->d_name, REPLAY_PEOPLE_FILE) != 0;
}

/* By bytes, not by locale: the same on every machine. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static enum err_code load_files(struct recordings *out, const char *dir, const struct config *config,
                                struct err *err)
{
    struct dirent **names = NULL;
    int count = scandir(dir, &names, is_delivery_file, by_name);
    if (count < 0)
        return err_set(err, ERR_REJECT, errno, "%s: cannot be read: %s", dir, strerror(errno));
    enum err_code code = ERR_OK;
    for (int i = 0; i < count; i++) {
        if (code == ERR_OK)
            code = add_file(out, dir, names[i]->d_name, config, err);
        free(names[i]);
    }
    free(names);
    if (code == ERR_OK && out->count == 0)
        return err_set(err, ERR_REJECT, 0, "%s: no file *.json in it holds a delivery to replay", dir);
    return code;
}

/* ---- what follows from the events ---- */

/* Several in one second are spread over it, in their order. */
static void set_times(struct recording *pull)
{
    for (size_t i = 0; i < pull->count;) {
        int64_t second = pull->events[i].at_s;
        size_t end = i;
        while (end < pull->count && pull->events[end].at_s == second)
            end++;
        int64_t apart = SECOND_MS / (int64_t)(end - i + 1);
        for (size_t k = i; k < end; k++)
            pull->events[k].happened_ms = second * SECOND_MS + (int64_t)(k - i) * apart;
        i = end;
    }
}

/* null in a payload: what a later one says of the same commit is what the background job found. */
static enum mergeable work_out(const struct recording *pull, size_t at)
{
    const struct snapshot *now = &pull->events[at].view;
    for (size_t i = at; i < pull->count && sha_equal(&pull->events[i].view.head, &now->head); i++)
        if (pull->events[i].view.mergeable != MERGEABLE_UNKNOWN)
            return pull->events[i].view.mergeable;
    for (size_t i = at; i-- > 0 && sha_equal(&pull->events[i].view.head, &now->head);)
        if (pull->events[i].view.mergeable != MERGEABLE_UNKNOWN)
            return pull->events[i].view.mergeable;
    return MERGEABLE_UNKNOWN;
}

bool replay_touches_label(const struct event *event)
{
    return event->label_is_gate && (event->action == EVENT_LABELED || event->action == EVENT_UNLABELED);
}

/* Something has changed since `before`, and the event is not the one that tells of it: a recording with a gap. */
static const char *find_gap(const struct replay_event *before, const struct replay_event *one)
{
    if (!sha_equal(&before->view.head, &one->view.head) && one->event.action != EVENT_SYNCHRONIZE)
        return "the head";
    if (before->view.labelled != one->view.labelled && !replay_touches_label(&one->event))
        return "the gate label";
    return NULL;
}

static void derive(struct recordings *all, struct recording *pull)
{
    set_times(pull);
    for (size_t i = 0; i < pull->count; i++) {
        struct replay_event *one = &pull->events[i];
        one->worked_out = work_out(pull, i);
        one->changes_label = i == 0 || replay_touches_label(&one->event) ||
                             one->view.labelled != pull->events[i - 1].view.labelled;
        const char *gap = i == 0 ? NULL : find_gap(&pull->events[i - 1], one);
        if (gap == NULL)
            continue;
        struct buf note;
        buf_init(&note);
        buf_addf(&note, "a gap before %s: %s has changed, and no delivery tells of it", one->file, gap);
        add_note(all, buf_text(&note));
        buf_release(&note);
    }
}

/* ---- what the rules leave open ---- */

/* By button or comment: heard of after the closing, that is refused, since nothing is left of it to see once it is reopened. */
static bool was_approved_without_label(const struct recordings *all, const struct recording *pull,
                                       size_t before)
{
    const struct sha *head = &pull->events[before].view.head;
    for (size_t i = 0; i < before; i++) {
        const struct event *event = &pull->events[i].event;
        if (!event_shows_pull(event) && replay_approves(all, pull, event, head))
            return true;
    }
    return false;
}

/*
 * Somebody takes the label off a commit that had it, goes back to a draft, or closes what was approved without a label: CI
 * may have started before, or not any more. prgate's own removal takes back nothing where the label was set for an
 * earlier commit.
 */
static bool takes_back(const struct recordings *all, const struct recording *pull, size_t at)
{
    const struct event *event = &pull->events[at].event;
    if (event->action == EVENT_CONVERTED_TO_DRAFT)
        return true;
    if (event->action == EVENT_CLOSED)
        return was_approved_without_label(all, pull, at);
    if (event->action != EVENT_UNLABELED || !event->label_is_gate)
        return false;
    bool set_for_it = !text_equal_fold(event->sender.login, all->gate.login);
    for (size_t i = 0; i < at; i++)
        set_for_it |= replay_touches_label(&pull->events[i].event) &&
                      pull->events[i].event.action == EVENT_LABELED &&
                      sha_equal(&pull->events[i].event.pr.head, &event->pr.head);
    return set_for_it;
}

/* The base branch has moved on, and what could be merged cannot any more: CI may have started before. */
static const char *find_new_conflict(const struct recording *pull)
{
    const struct replay_event *last = &pull->events[pull->count - 1];
    bool could = false;
    for (size_t i = 0; i < pull->count && last->worked_out == MERGEABLE_NO; i++) {
        const struct replay_event *one = &pull->events[i];
        if (!sha_equal(&one->view.head, &last->view.head))
            could = false;
        else if (one->worked_out != MERGEABLE_NO)
            could = true;
        else if (could)
            return one->file;
    }
    return NULL;
}

/* Allows it anew, for the commit that is the last head, in a way that a read shows. */
static bool gives_again(const struct recordings *all, const struct recording *pull, const struct event *event,
                        bool trusted)
{
    const struct snapshot *last = &pull->events[pull->count - 1].view;
    bool approved = event->action == EVENT_LABELED && replay_approves(all, pull, event, &last->head);
    bool opening = event->action == EVENT_REOPENED || event->action == EVENT_READY_FOR_REVIEW;
    return approved || (opening && trusted && !event->pr.draft);
}

static void find_taken_back(const struct recordings *all, struct recording *pull)
{
    const struct snapshot *last = &pull->events[pull->count - 1].view;
    bool trusted = replay_is_trusted(all, pull->policy, last->author.login);
    for (size_t i = 0; i < pull->count; i++) {
        const struct event *event = &pull->events[i].event;
        /* Only a trusted author's permission goes on to later commits. */
        if (takes_back(all, pull, i) && (trusted || sha_equal(&event->pr.head, &last->head)))
            pull->taken_back = pull->events[i].file;
        if (gives_again(all, pull, event, trusted))
            pull->taken_back = NULL;
    }
    if (pull->taken_back == NULL)
        pull->taken_back = find_new_conflict(pull);
}

/*
 * Draft, label, ready, draft again, push: the label is of the earlier draft and does not cover the push, but
 * whoever has not heard of what was between cannot know.
 */
static void find_redrafted(struct recording *pull)
{
    bool labelled = false, ready = false;
    for (size_t i = 0; i < pull->count; i++) {
        const struct event *event = &pull->events[i].event;
        bool draft = pull->events[i].view.draft;
        labelled |= event->action == EVENT_LABELED && replay_touches_label(event) && draft;
        ready |= labelled && !draft;
        if (ready && draft && pull->redrafted == NULL)
            pull->redrafted = pull->events[i].file;
    }
    if (!pull->events[pull->count - 1].view.draft)
        pull->redrafted = NULL;
}

/*
 * Somebody who is not trusted pushes to a trusted author's branch, and somebody who is pushes on top: the label is off by
 * then only if the first push was heard of while it was the head.
 */
static void find_overpushed(const struct recordings *all, struct recording *pull)
{
    const struct snapshot *last = &pull->events[pull->count - 1].view;
    bool trusted = replay_is_trusted(all, pull->policy, last->author.login);
    bool by_stranger = false;
    for (size_t i = 0; i < pull->count; i++) {
        const struct event *event = &pull->events[i].event;
        bool may_push = replay_may_push(all, pull->policy, event->sender.login);
        bool pushed = event->action == EVENT_SYNCHRONIZE;
        if (pushed && may_push && by_stranger && trusted)
            pull->overpushed = pull->events[i].file;
        if (pushed && !may_push) {
            by_stranger = true;
            pull->overpushed = NULL;
        }
        if (gives_again(all, pull, event, trusted))
            pull->overpushed = NULL;
    }
}

/* ---- the whole ---- */

enum err_code replay_load(struct recordings *out, const char *dir, const struct config *config,
                          struct err *err)
{
    *out = (struct recordings){0};
    enum err_code code = load_files(out, dir, config, err);
    if (code != ERR_OK)
        return code;
    for (size_t i = 0; i < out->count; i++)
        derive(out, &out->pulls[i]);
    code = replay_know_people(out, dir, config, err);
    for (size_t i = 0; i < out->count; i++) {
        find_taken_back(out, &out->pulls[i]);
        find_redrafted(&out->pulls[i]);
        find_overpushed(out, &out->pulls[i]);
    }
    return code;
}

void replay_unload(struct recordings *recordings)
{
    for (size_t i = 0; i < recordings->count; i++) {
        for (size_t k = 0; k < recordings->pulls[i].count; k++)
            free(recordings->pulls[i].events[k].file);
        free(recordings->pulls[i].events);
    }
    for (size_t i = 0; i < recordings->person_count; i++) {
        for (size_t k = 0; k < recordings->people[i].team_count; k++)
            free(recordings->people[i].teams[k]);
        free(recordings->people[i].teams);
    }
    for (size_t i = 0; i < recordings->note_count; i++)
        free(recordings->notes[i]);
    free(recordings->pulls);
    free(recordings->people);
    free(recordings->notes);
    *recordings = (struct recordings){0};
}
