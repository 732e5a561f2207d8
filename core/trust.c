#include "prgate/trust.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "prgate/clock.h"
#include "prgate/codec.h"
#include "prgate/files.h"
#include "prgate/forget.h"
#include "prgate/log.h"
#include "prgate/text.h"

enum { QUESTION_SIZE = 320, IDENTITY_TTL_S = 3600 };

/* ---- answers kept in the store ------------------------------------------ */

struct answer {
    char question[QUESTION_SIZE]; /* "permission/42/octocat": the key */
    int64_t learnt_ms;
    struct user user; /* of identity; the number of the others is in user.id */
    bool asking;      /* others in this process wait for it */
    int64_t ttl_ms;
    bool fresh;       /* it was kept, and counts */
    bool counted;     /* else: the next is known */
    uint64_t changes; /* of rights that were heard of before GitHub is asked: see forget.h */
};

static struct bytes answer_key(const struct answer *answer)
{
    return (struct bytes){.data = answer->question, .len = strlen(answer->question)};
}

static enum err_code recall_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct answer *answer = arg;
    struct buf value;
    store_need_not_wait(txn); /* the decision does, where anything follows from it */
    buf_init(&value);
    answer->fresh = false;
    enum err_code code = store_get(txn, TABLE_TRUST, answer_key(answer), STORE_READ, &value, err);
    if (code == ERR_OK) {
        struct decoder d = decode_start(value.data, value.len);
        answer->learnt_ms = decode_i64(&d);
        decode_user(&d, &answer->user);
        int64_t age_ms = clock_now_ms() - answer->learnt_ms;
        answer->fresh = decode_done(&d) && age_ms >= 0 && age_ms < answer->ttl_ms;
    }
    buf_release(&value);
    if (code == ERR_NOT_FOUND || (code == ERR_OK && !answer->fresh))
        code = forget_count(txn, &answer->changes, err);
    return code;
}

/* Not if rights changed since it was asked for: it may be of before. */
static enum err_code keep_body(struct store_txn *txn, void *arg, struct err *err)
{
    const struct answer *answer = arg;
    struct buf value;
    uint64_t changes;
    store_need_not_wait(txn); /* lost, it is asked anew */
    enum err_code code = forget_count(txn, &changes, err);
    if (code != ERR_OK || changes != answer->changes)
        return code;
    buf_init(&value);
    encode_i64(&value, answer->learnt_ms);
    encode_user(&value, &answer->user);
    code = store_put(txn, TABLE_TRUST, answer_key(answer), buf_bytes(&value), err);
    buf_release(&value);
    return code;
}

static bool look_up(const struct gate *gate, struct answer *answer)
{
    struct err err;
    bool looked = store_txn(gate->store, recall_body, answer, &err) == ERR_OK;
    answer->counted = looked && !answer->fresh;
    return looked && answer->fresh;
}

/* False: GitHub is to be asked, and keep() to be called whatever comes of it: others may be waiting. */
static bool recall_for(const struct gate *gate, struct answer *answer, int64_t ttl_s)
{
    answer->ttl_ms = ttl_s * 1000;
    if (look_up(gate, answer))
        return true;
    if (ttl_s == 0) /* another's answer would not count */
        return false;
    answer->asking = questions_begin(gate->questions, answer->question);
    return !answer->asking && look_up(gate, answer);
}

static void end_question(const struct gate *gate, struct answer *answer)
{
    if (answer->asking)
        questions_end(gate->questions, answer->question);
    answer->asking = false;
}

static bool recall(const struct gate *gate, struct answer *answer)
{
    return recall_for(gate, answer, gate->config->trust_ttl_s);
}

/*
 * `code`: how the call ended. A failure to keep the answer costs one more call the next time, and is no reason not to
 * use it now.
 */
static void keep(const struct gate *gate, struct answer *answer, enum err_code code)
{
    struct err err;
    answer->learnt_ms = clock_now_ms();
    if (code == ERR_OK && answer->counted && store_txn(gate->store, keep_body, answer, &err) != ERR_OK)
        log_warning("an answer of GitHub was not kept", LOG_STR("question", answer->question),
                    LOG_STR("error", err.text));
    end_question(gate, answer);
}

/* ---- the questions ------------------------------------------------------- */

static enum err_code ask_permission(struct worker *worker, uint64_t repo_id, const char *login,
                                    enum permission *out, struct err *err)
{
    struct answer answer = {0};
    enum err_code code = ERR_OK;
    snprintf(answer.question, sizeof answer.question, "permission/%" PRIu64 "/%s", repo_id, login);
    text_fold(answer.question);
    if (!recall(worker->gate, &answer) || answer.user.id > PERMISSION_ADMIN) {
        enum permission permission = PERMISSION_NONE;
        code = github_get_permission(worker->github, login, &permission, err);
        answer.user = (struct user){.id = permission};
        keep(worker->gate, &answer, code);
    }
    *out = (enum permission)answer.user.id;
    return code;
}

static enum err_code ask_membership(struct worker *worker, const char *team, const char *login, bool *out,
                                    struct err *err)
{
    struct answer answer = {0};
    enum err_code code = ERR_OK;
    snprintf(answer.question, sizeof answer.question, "team/%s/%s", team, login);
    text_fold(answer.question);
    if (!recall(worker->gate, &answer)) {
        bool member = false;
        code = github_is_team_member(worker->github, team, login, &member, err);
        answer.user = (struct user){.id = member ? 1 : 0};
        keep(worker->gate, &answer, code);
    }
    *out = answer.user.id == 1;
    return code;
}

static enum err_code ask_app_id(struct worker *worker, const char *login, uint64_t *out, struct err *err)
{
    struct answer answer = {0};
    enum err_code code = ERR_OK;
    snprintf(answer.question, sizeof answer.question, "app/%s", login);
    text_fold(answer.question);
    if (!recall(worker->gate, &answer)) {
        uint64_t id = 0;
        code = github_get_app_id(worker->github, login, &id, err);
        answer.user = (struct user){.id = id};
        keep(worker->gate, &answer, code);
    }
    *out = answer.user.id;
    return code;
}

/* "identity/app/12345". Of a token a part of its hash, which tells tokens apart and no token. */
static void ask_who(const struct config *config, char question[QUESTION_SIZE])
{
    enum { HASH_BYTES = 8 };
    unsigned char digest[EVP_MAX_MD_SIZE] = {0};
    char hex[2 * HASH_BYTES + 1];
    if (config_credentials(config) == CREDENTIALS_APP) {
        snprintf(question, QUESTION_SIZE, "identity/app/%" PRIu64, config->app_id);
        return;
    }
    if (EVP_Digest(config->token, strlen(config->token), digest, NULL, EVP_sha256(), NULL) != 1)
        log_panic("SHA-256 fails");
    text_hex(digest, HASH_BYTES, hex);
    snprintf(question, QUESTION_SIZE, "identity/token/%s", hex);
}

/* It is no right that somebody may take away: it changes with the credentials, or if the App is renamed. */
static enum err_code ask_identity(struct worker *worker, struct user *out, struct err *err)
{
    struct answer answer = {0};
    enum err_code code = ERR_OK;
    ask_who(worker->gate->config, answer.question);
    if (!recall_for(worker->gate, &answer, IDENTITY_TTL_S)) {
        code = github_whoami(worker->github, &answer.user, err);
        keep(worker->gate, &answer, code);
    }
    *out = answer.user;
    return code;
}

/* ---- the facts ----------------------------------------------------------- */

static void say(char why[FACT_WHY_SIZE], const char *what, const char *value)
{
    char text[2 * FACT_WHY_SIZE];
    snprintf(text, sizeof text, "%s %s", what, value);
    text_copy_cut(why, FACT_WHY_SIZE, text);
}

static enum err_code learn_read(struct worker *worker, const struct policy *policy,
                                const struct record *record, const struct event *event, struct facts *facts,
                                struct err *err)
{
    facts->read_ms = clock_now_ms();
    if (!github_can_read(worker->github)) {
        /* A dry run without credentials believes the payload, or what is known where that shows nothing. */
        facts->read = event_shows_pull(event) ? event->pr : record->view;
        if (facts->read.updated_at < event->pr.updated_at)
            facts->read.updated_at = event->pr.updated_at;
        return ERR_OK;
    }
    return github_get_pull(worker->github, event->key.number, policy, &facts->read, err);
}

static enum err_code learn_identity(struct worker *worker, const struct event *event, struct facts *facts,
                                    struct err *err)
{
    struct user self = {0};
    if (github_can_read(worker->github)) {
        enum err_code code = ask_identity(worker, &self, err);
        if (code != ERR_OK)
            return code;
    }
    facts->sender_is_prgate = self.login[0] != '\0' && text_equal_fold(self.login, event->sender.login);
    return ERR_OK;
}

static const struct user *author_of(const struct record *record, const struct event *event,
                                    const struct facts *facts)
{
    if (event_shows_pull(event))
        return &event->pr.author;
    return (facts->known & FACT_READ) != 0 ? &facts->read.author : &record->view.author;
}

static enum err_code learn_sender(struct worker *worker, const struct policy *policy,
                                  const struct event *event, struct facts *facts, struct err *err)
{
    if (event->sender.login[0] == '\0') {
        say(facts->sender_why, "sender is", "a deleted account");
        return ERR_OK;
    }
    if (!github_can_read(worker->github)) {
        /* Whoever can set a label has triage at least; of an author it may be the only right. Anybody
         * can comment. */
        bool may_be_anybody = event->action == EVENT_COMMAND || event->sender.id == event->pr.author.id;
        facts->sender_may_approve = !may_be_anybody || event->association == ASSOCIATION_INSIDER;
        say(facts->sender_why, "assumed without credentials:", facts->sender_may_approve ? "yes" : "no");
        return ERR_OK;
    }
    enum permission permission;
    enum err_code code = ask_permission(worker, event->key.repo_id, event->sender.login, &permission, err);
    if (code != ERR_OK)
        return code;
    facts->sender_permission = permission;
    facts->sender_may_approve = permission >= policy->approver_permission;
    say(facts->sender_why, "permission", permission_name(permission));
    return ERR_OK;
}

static enum err_code learn_emergency(struct worker *worker, const struct policy *policy,
                                     const struct event *event, struct facts *facts, struct err *err)
{
    enum permission permission;
    if (event->sender.login[0] == '\0') {
        say(facts->emergency_why, "sender is", "a deleted account");
        return ERR_OK;
    }
    if (!github_can_read(worker->github)) {
        bool is_author = event->sender.id == event->pr.author.id;
        facts->sender_may_emergency = !is_author || event->association == ASSOCIATION_INSIDER;
        say(facts->emergency_why, "assumed without credentials:", facts->sender_may_emergency ? "yes" : "no");
        return ERR_OK;
    }
    enum err_code code = ask_permission(worker, event->key.repo_id, event->sender.login, &permission, err);
    if (code != ERR_OK)
        return code;
    facts->sender_may_emergency = permission >= policy->emergency_permission;
    say(facts->emergency_why, "permission", permission_name(permission));
    return ERR_OK;
}

/* Somebody who is trusted or not: the author, or who pushed. */
struct person {
    const char *login;
    bool bot;
    bool insider; /* as GitHub's author_association says */
    bool trusted;
    char why[FACT_WHY_SIZE];
};

static enum err_code ask_teams(struct worker *worker, const struct policy *policy, struct person *person,
                               struct err *err)
{
    for (size_t i = 0; i < policy->trusted_teams.count && !person->trusted; i++) {
        const char *team = policy->trusted_teams.items[i];
        enum err_code code = ask_membership(worker, team, person->login, &person->trusted, err);
        if (code != ERR_OK)
            return code;
        if (person->trusted)
            say(person->why, "member of", team);
    }
    return ERR_OK;
}

/* Where a number is given, an App of the same name that has another one, an older one's heir, does not count. */
static enum err_code judge_bot(struct worker *worker, const struct policy *policy, struct person *person,
                               struct err *err)
{
    uint64_t wanted, id = 0;
    if (!person->bot || !policy_names_bot(policy, person->login, &wanted))
        return ERR_OK;
    enum err_code code = ERR_OK;
    if (wanted != 0 && github_can_read(worker->github))
        code = ask_app_id(worker, person->login, &id, err);
    if (code != ERR_OK)
        return code;
    person->trusted = id == wanted || !github_can_read(worker->github);
    say(person->why,
        person->trusted ? "trusted_bots has" : "not the App that trusted_bots wants:", person->login);
    return ERR_OK;
}

/* Cheapest first: the configured list costs nothing, the others a call each that is kept. */
static enum err_code judge(struct worker *worker, const struct policy *policy, const struct event *event,
                           struct person *person, struct err *err)
{
    enum permission permission;
    if (string_list_has(&policy->trusted_users, person->login)) {
        person->trusted = true;
        say(person->why, "trusted_users has", person->login);
        return ERR_OK;
    }
    enum err_code code = judge_bot(worker, policy, person, err);
    if (code != ERR_OK || person->trusted)
        return code;
    if (!github_can_read(worker->github)) {
        person->trusted = person->insider;
        say(person->why, "assumed without credentials:", person->trusted ? "yes" : "no");
        return ERR_OK;
    }
    code = ask_teams(worker, policy, person, err);
    if (code != ERR_OK || person->trusted || !policy->permission_trusts)
        return code;
    code = ask_permission(worker, event->key.repo_id, person->login, &permission, err);
    if (code != ERR_OK)
        return code;
    person->trusted = permission >= policy->trusted_permission;
    say(person->why, "permission", permission_name(permission));
    return ERR_OK;
}

static enum err_code learn_author(struct worker *worker, const struct policy *policy,
                                  const struct record *record, const struct event *event, struct facts *facts,
                                  struct err *err)
{
    const struct user *who = author_of(record, event, facts);
    struct person author = {
        .login = who->login, .bot = who->bot, .insider = event->association == ASSOCIATION_INSIDER};
    enum err_code code = ERR_OK;
    if (author.login[0] == '\0')
        say(author.why, "author is", "a deleted account");
    else
        code = judge(worker, policy, event, &author, err);
    facts->author_trusted = author.trusted;
    memcpy(facts->author_why, author.why, sizeof facts->author_why);
    return code;
}

/*
 * The sender of a push is who pushed, or who pressed "Update branch": GitHub's web-flow is a committer and sends
 * nothing. So no bot stands for somebody else, and each is trusted by its own name or not at all, but for prgate.
 */
static enum err_code learn_pusher(struct worker *worker, const struct policy *policy,
                                  const struct event *event, struct facts *facts, struct err *err)
{
    bool is_author = event->sender.id != 0 && event->sender.id == event->pr.author.id;
    struct person pusher = {.login = event->sender.login,
                            .bot = event->sender.bot,
                            .insider = is_author && event->association == ASSOCIATION_INSIDER};
    enum err_code code = ERR_OK;
    if (event->sender.bot)
        code = learn_identity(worker, event, facts, err);
    if (code == ERR_OK && pusher.login[0] == '\0') {
        say(pusher.why, "sender is", "a deleted account");
    } else if (code == ERR_OK && facts->sender_is_prgate) {
        pusher.trusted = true;
        say(pusher.why, "sender is", "prgate itself");
    } else if (code == ERR_OK) {
        code = judge(worker, policy, event, &pusher, err);
    }
    facts->pusher_trusted = pusher.trusted;
    memcpy(facts->pusher_why, pusher.why, sizeof facts->pusher_why);
    return code;
}

/* Where GitHub does not tell, the label that is there is taken for the event's. */
static enum err_code learn_label(struct worker *worker, const struct policy *policy,
                                 const struct event *event, struct facts *facts, struct err *err)
{
    struct github_label_event label = {0};
    enum err_code code = ERR_OK;
    if (github_can_read(worker->github))
        code = github_get_label_event(worker->github, event->key.number, policy, &label, err);
    if (code == ERR_REJECT || code == ERR_NOT_FOUND)
        return ERR_OK;
    facts->label_is_set = label.set;
    facts->label_set_at = label.set_at;
    facts->label_set_by = label.actor;
    return code;
}

static enum err_code learn(struct worker *worker, const struct policy *policy, const struct event *event,
                           enum fact fact, struct facts *facts, struct err *err)
{
    switch (fact) {
    case FACT_READ: /* see trust_learn() */
    case FACT_AUTHOR:
        break;
    case FACT_IDENTITY:
        return learn_identity(worker, event, facts, err);
    case FACT_SENDER:
        return learn_sender(worker, policy, event, facts, err);
    case FACT_PUSHER:
        return learn_pusher(worker, policy, event, facts, err);
    case FACT_EMERGENCY:
        return learn_emergency(worker, policy, event, facts, err);
    case FACT_FILES:
        break;
    case FACT_LABEL:
        return learn_label(worker, policy, event, facts, err);
    }
    return err_set(err, ERR_FATAL, (int)fact, "no such fact");
}

enum err_code trust_learn(struct worker *worker, const struct policy *policy, const struct record *record,
                          const struct event *event, struct facts *facts, struct err *err)
{
    *facts = (struct facts){
        .policy = policy, .settle_s = policy->settle_s, .dry_run = worker->gate->config->dry_run};
    enum fact need;
    while ((need = decide_needs(record, event, facts, clock_now_ms())) != 0) {
        enum err_code code;
        if (need == FACT_READ)
            code = learn_read(worker, policy, record, event, facts, err);
        else if (need == FACT_FILES)
            code = files_learn(worker, policy, record, facts, err);
        else if (need == FACT_AUTHOR)
            code = learn_author(worker, policy, record, event, facts, err);
        else
            code = learn(worker, policy, event, need, facts, err);
        if (code != ERR_OK)
            return code;
        facts->known |= (unsigned)need;
    }
    return ERR_OK;
}
