/* What the policies' comments, checks and reviews say, in prgate's words or the repository's own. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "prgate/template.h"
#include "prgate/text.h"
#include "prgate/wording.h"

enum { NUMBER_SIZE = 24, SHORT_SHA_SIZE = 13 };

/* What a message is filled with, and where its texts lie. */
struct filling {
    struct template_values values;
    char number[NUMBER_SIZE];
    char sha[SHORT_SHA_SIZE];
};

static void fill_values(struct filling *filling, const struct policy *policy, const struct record *record,
                        const struct sha *sha)
{
    snprintf(filling->number, sizeof filling->number, "%" PRIu64, record->key.number);
    snprintf(filling->sha, sizeof filling->sha, "%.12s", sha->hex);
    filling->values = (struct template_values){.of = {[TEMPLATE_AUTHOR] = record->view.author.login,
                                                      [TEMPLATE_NUMBER] = filling->number,
                                                      [TEMPLATE_REPO] = record->repo,
                                                      [TEMPLATE_BASE] = record->view.base_ref,
                                                      [TEMPLATE_HEAD] = record->view.head_ref,
                                                      [TEMPLATE_SHA] = filling->sha,
                                                      [TEMPLATE_LABEL] = policy->label,
                                                      [TEMPLATE_WANTED_BASE] = policy->base_wanted}};
}

static bool is_given(const char *text)
{
    return text != NULL && text[0] != '\0';
}

bool wording_own(const struct policy *policy, const char *text, const struct record *record,
                 struct buf *comment)
{
    struct filling filling;
    if (!is_given(text))
        return false;
    fill_values(&filling, policy, record, &record->view.head);
    template_fill(text, &filling.values, comment);
    return true;
}

/* ---- the built-in words ---- */

static const char emergency_text[] =
    "{person} has set the label {label}, so the check that it stands in for counts as passed for the commit "
    "{sha}. This is recorded.\n\n"
    "The label is for emergencies: for changes that mend what keeps that check from passing, or that cannot "
    "wait for it. It counts for this commit alone. After another push, somebody who may looks at the new "
    "commit, takes the label off and sets it again. It does not start CI.";

static const char refused_text[] =
    "{person}, the label {label} makes a check count as passed, which takes more permission for {repo} than "
    "you have. It has been taken off again, and the check is as it was.\n\n"
    "If this is an emergency, ask somebody who has that permission.";

static const char tests_text[] =
    "{author}, this pull request changes code, but no tests.\n\n"
    "Please add a test that fails without the change and passes with it, or say in a comment why there can "
    "be none; whoever reviews it decides. Comments, formatting and deletions need none.";

static const char base_text[] =
    "This pull request was opened to be merged into {base}, and changes go to {wanted_base} first, so its "
    "base "
    "branch has been changed to that.\n\n"
    "If {base} was meant, change it back; it stays then. If there are conflicts or commits that are not "
    "yours now, rebase the branch onto {wanted_base}.";

static const char release_head_text[] =
    "This pull request comes from {head}, which is a release branch, and so was most likely opened by "
    "mistake: "
    "release branches are not merged back. It is closed.\n\n"
    "If it is no mistake, open one from a branch of another name, or reopen this one; it stays open then.";

static const char new_commit_text[] =
    "CI has run for the commit {sha} already, and does not run for the same commit again because the pull "
    "request was reopened.\n\n"
    "A new commit is needed for that; or, where the commit is to be tried once more, press *Re-run* at the "
    "gate's check.";

/* The policy's own words, or the built-in ones. NULL: it is no message of a policy's. */
static const char *text_of(const struct policy *policy, enum message message)
{
    const struct {
        enum message message;
        const char *own, *built_in;
    } texts[] = {
        {MESSAGE_EMERGENCY, policy->emergency_message, emergency_text},
        {MESSAGE_EMERGENCY_REFUSED, NULL, refused_text},
        {MESSAGE_MISSING_TESTS, policy->tests_message, tests_text},
        {MESSAGE_RETARGETED, policy->base_message, base_text},
        {MESSAGE_FROM_RELEASE_BRANCH, policy->release_head_message, release_head_text},
        {MESSAGE_NEW_COMMIT_NEEDED, policy->new_commit_message, new_commit_text},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].message == message)
            return is_given(texts[i].own) ? texts[i].own : texts[i].built_in;
    return NULL;
}

void wording_policy(const struct policy *policy, const struct record *record, const struct intent *intent,
                    struct buf *comment)
{
    struct filling filling;
    const char *text = text_of(policy, intent->message);
    if (text == NULL)
        return;
    fill_values(&filling, policy, record, &intent->sha);
    filling.values.of[TEMPLATE_PERSON] = intent->person.login;
    if (intent->message == MESSAGE_EMERGENCY || intent->message == MESSAGE_EMERGENCY_REFUSED)
        filling.values.of[TEMPLATE_LABEL] = policy->emergency_label;
    template_fill(text, &filling.values, comment);
}

void wording_guard(const struct policy *policy, const struct record *record, const struct intent *intent,
                   struct buf *title, struct buf *summary)
{
    char time[TEXT_TIME_SIZE];
    const char *login = intent->person.login[0] == '\0' ? "somebody" : intent->person.login;
    text_from_time(intent->created_ms / 1000, time);
    buf_addf(title, "Completed by the emergency label, set by %s", login);
    template_add_login(summary, intent->person.login);
    buf_adds(summary, " set the label ");
    template_add_code(summary, policy->emergency_label);
    buf_addf(summary, " for the commit `%s` of #%" PRIu64 ", at %s, having at least *%s* permission.\n\n",
             intent->sha.hex, record->key.number, time, permission_name(policy->emergency_permission));
    buf_adds(summary, "This check was not made: it counts as passed for this commit alone.");
}

void wording_review(const struct record *record, const struct intent *intent, struct buf *text)
{
    buf_adds(text, "Approved by the repository's policy: ");
    template_add_login(text, record->view.author.login);
    buf_adds(text, " may release into ");
    template_add_code(text, record->view.base_ref);
    buf_addf(text, ", and has pushed `%s`.", intent->sha.hex);
}
