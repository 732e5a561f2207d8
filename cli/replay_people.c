/*
 * Who may do what in a recording: as people.json says, or as the events tell.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "prgate/text.h"
#include "replay.h"

/* ---- who they are ---- */

const struct person *replay_person(const struct recordings *recordings, const char *login)
{
    for (size_t i = 0; i < recordings->person_count; i++)
        if (text_equal_fold(recordings->people[i].login, login))
            return &recordings->people[i];
    return NULL;
}

static struct person *person_of(struct recordings *all, const char *login)
{
    for (size_t i = 0; i < all->person_count; i++)
        if (text_equal_fold(all->people[i].login, login))
            return &all->people[i];
    all->people = mem_grow(all->people, (all->person_count + 1) * sizeof *all->people);
    struct person *new = &all->people[all->person_count++];
    *new = (struct person){.permission = PERMISSION_READ};
    text_copy(new->login, sizeof new->login, login);
    return new;
}

static enum err_code add_right(struct person *person, const char *right, struct err *err)
{
    if (strcmp(right, "self") == 0) {
        person->is_gate = true;
        return ERR_OK;
    }
    if (permission_parse(right, &person->permission))
        return ERR_OK;
    if (!text_is_repo_name(right)) /* a team is written in the same way */
        return err_set(
            err, ERR_REJECT, 0,
            "%s: \"%.64s\" of %s is no permission (none, read, triage, write, maintain, admin), no "
            "team \"org/slug\" and not \"self\"",
            REPLAY_PEOPLE_FILE, right, person->login);
    person->teams = mem_grow(person->teams, (person->team_count + 1) * sizeof *person->teams);
    person->teams[person->team_count++] = mem_strdup(right);
    return ERR_OK;
}

static enum err_code add_person(struct recordings *all, const cJSON *item, struct err *err)
{
    if (!text_is_login(item->string))
        return err_set(err, ERR_REJECT, 0, "%s: \"%.64s\" is not a GitHub login", REPLAY_PEOPLE_FILE,
                       item->string);
    struct person *person = person_of(all, item->string);
    if (cJSON_IsString(item))
        return add_right(person, item->valuestring, err);
    if (!cJSON_IsArray(item))
        return err_set(err, ERR_REJECT, 0, "%s: %s has neither a string nor a list of strings",
                       REPLAY_PEOPLE_FILE, item->string);
    enum err_code code = ERR_OK;
    for (const cJSON *right = item->child; right != NULL && code == ERR_OK; right = right->next) {
        if (!cJSON_IsString(right))
            return err_set(err, ERR_REJECT, 0, "%s: %s has something that is no string", REPLAY_PEOPLE_FILE,
                           item->string);
        code = add_right(person, right->valuestring, err);
    }
    return code;
}

static enum err_code load_people(struct recordings *all, const char *dir, struct err *err)
{
    cJSON *root = NULL;
    enum err_code code = replay_read_json(dir, REPLAY_PEOPLE_FILE, &root, err);
    if (code != ERR_OK)
        return code;
    for (const cJSON *item = root->child; item != NULL && code == ERR_OK; item = item->next)
        code = add_person(all, item, err);
    cJSON_Delete(root);
    return code;
}

/* What the events themselves tell, where nobody has said more. */
static void guess_people(struct recordings *all)
{
    for (size_t i = 0; i < all->count; i++) {
        for (size_t k = 0; k < all->pulls[i].count; k++) {
            const struct event *event = &all->pulls[i].events[k].event;
            if (event->association == ASSOCIATION_INSIDER && event->pr.author.login[0] != '\0') {
                struct person *author = person_of(all, event->pr.author.login);
                author->permission = PERMISSION_WRITE;
                author->all_teams = true;
            }
            bool approves = event->action == EVENT_BUTTON ||
                            (event->action == EVENT_COMMAND && event->command == COMMAND_APPROVE);
            if ((!replay_touches_label(event) && !approves) || event->sender.login[0] == '\0')
                continue;
            struct person *sender = person_of(all, event->sender.login);
            if (sender->permission < PERMISSION_TRIAGE)
                sender->permission = PERMISSION_TRIAGE;
        }
    }
}

/* A bot that sets or removes the gate label on somebody else's pull request. */
static enum err_code guess_gate(struct recordings *all, struct err *err)
{
    for (size_t i = 0; i < all->count; i++) {
        for (size_t k = 0; k < all->pulls[i].count; k++) {
            const struct event *event = &all->pulls[i].events[k].event;
            const struct user *sender = &event->sender;
            if (!replay_touches_label(event) || !sender->bot || sender->id == event->pr.author.id)
                continue;
            if (all->gate.login[0] != '\0' && !text_equal_fold(all->gate.login, sender->login))
                return err_set(err, ERR_REJECT, 0,
                               "%s: both %s and %s set or remove the gate label: say in %s which of them is "
                               "prgate: {\"LOGIN\": \"self\"}",
                               all->pulls[i].events[k].file, all->gate.login, sender->login,
                               REPLAY_PEOPLE_FILE);
            all->gate = *sender;
        }
    }
    return ERR_OK;
}

static enum err_code know_gate(struct recordings *all, const struct config *config, struct err *err)
{
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < all->person_count; i++) {
        if (!all->people[i].is_gate)
            continue;
        if (all->gate.login[0] != '\0')
            return err_set(err, ERR_REJECT, 0, "%s: both %s and %s are \"self\"", REPLAY_PEOPLE_FILE,
                           all->gate.login, all->people[i].login);
        text_copy(all->gate.login, sizeof all->gate.login, all->people[i].login);
    }
    if (all->gate.login[0] == '\0')
        code = guess_gate(all, err);
    if (all->gate.login[0] == '\0')
        text_copy(all->gate.login, sizeof all->gate.login, "prgate[bot]");
    size_t len = strlen(all->gate.login);
    all->gate.bot = len > 5 && strcmp(all->gate.login + len - 5, "[bot]") == 0;
    if (code == ERR_OK && config_credentials(config) == CREDENTIALS_APP && !all->gate.bot)
        return err_set(err, ERR_REJECT, 0,
                       "%s: \"self\" is %s, but the configuration has an App, whose login ends in [bot]",
                       REPLAY_PEOPLE_FILE, all->gate.login);
    if (all->gate.id == 0)
        all->gate.id = 1;
    return code;
}

static bool has_people_file(const char *dir)
{
    struct stat st;
    struct buf path;
    buf_init(&path);
    buf_addf(&path, "%s/%s", dir, REPLAY_PEOPLE_FILE);
    bool has = stat(buf_text(&path), &st) == 0 || errno != ENOENT;
    buf_release(&path);
    return has;
}

enum err_code replay_know_people(struct recordings *all, const char *dir, const struct config *config,
                                 struct err *err)
{
    enum err_code code = ERR_OK;
    if (has_people_file(dir))
        code = load_people(all, dir, err);
    else
        guess_people(all);
    return code == ERR_OK ? know_gate(all, config, err) : code;
}

/* ---- what they may ---- */

bool replay_is_member(const struct recordings *recordings, const char *login, const char *team)
{
    const struct person *person = replay_person(recordings, login);
    if (person == NULL)
        return false;
    for (size_t i = 0; i < person->team_count; i++)
        if (text_equal_fold(person->teams[i], team))
            return true;
    return person->all_teams;
}

enum permission replay_permission(const struct recordings *recordings, const char *login)
{
    const struct person *person = replay_person(recordings, login);
    return person == NULL ? PERMISSION_READ : person->permission;
}

bool replay_is_trusted(const struct recordings *recordings, const struct policy *policy, const char *login)
{
    if (login[0] == '\0')
        return false;
    if (string_list_has(&policy->trusted_users, login))
        return true;
    for (size_t i = 0; i < policy->trusted_teams.count; i++)
        if (replay_is_member(recordings, login, policy->trusted_teams.items[i]))
            return true;
    return policy->permission_trusts && replay_permission(recordings, login) >= policy->trusted_permission;
}

bool replay_may_push(const struct recordings *recordings, const struct policy *policy, const char *login)
{
    return text_equal_fold(login, recordings->gate.login) || replay_is_trusted(recordings, policy, login);
}

/* Whether or not they may. */
static bool names_commit(const struct event *event, const struct sha *sha)
{
    size_t len = strlen(event->sha_prefix);
    if (event->action == EVENT_COMMAND)
        return event->command == COMMAND_APPROVE && len >= COMMAND_SHA_MIN &&
               strncmp(sha->hex, event->sha_prefix, len) == 0;
    bool label = event->action == EVENT_LABELED && event->label_is_gate;
    return (label || event->action == EVENT_BUTTON) && sha_equal(&event->pr.head, sha);
}

bool replay_approves(const struct recordings *recordings, const struct recording *recording,
                     const struct event *event, const struct sha *sha)
{
    return names_commit(event, sha) && !text_equal_fold(event->sender.login, recordings->gate.login) &&
           replay_permission(recordings, event->sender.login) >= recording->policy->approver_permission;
}
