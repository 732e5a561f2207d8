/*
 * Webhook JSON to an event, of each kind that is read. The input is the body.
 */
#include "fuzz.h"
#include "prgate/delivery.h"
#include "prgate/event.h"
#include "prgate/text.h"

static struct config *config;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    fuzz_setup();
    config = fuzz_config();
    return 0;
}

static bool is_sha(const struct sha *sha)
{
    struct sha copy;
    return sha_parse(&copy, sha->hex) && sha_equal(&copy, sha);
}

static bool is_user(const struct user *user)
{
    return user->id == 0 || text_is_login(user->login);
}

/* What identifies things is well-formed, so that it may go into URLs, keys and pages. */
static void check_event(const struct event *event)
{
    const struct policy *policy = config_policy(config, event->repo);
    MUST(event->key.number > 0 && event->key.repo_id > 0);
    MUST(text_is_repo_name(event->repo) && policy != NULL);
    /* A re-run shows no pull request, a command not even a commit. */
    bool shows = event_shows_pull(event), command = event->action == EVENT_COMMAND;
    MUST(command ? !sha_is_set(&event->pr.head) : is_sha(&event->pr.head));
    MUST(!shows || (text_is_ref(event->pr.head_ref) && text_is_ref(event->pr.base_ref)));
    MUST(event->attempt == 0 || event->action == EVENT_RERUN);
    MUST(shows || command || event->pr.updated_at == 0);
    MUST(command == (event->command != COMMAND_NONE) && command == (event->comment != 0));
    MUST(!command || (event->sender.id != 0 && !event->sender.bot));
    MUST(text_utf8_valid(event->pr.title, strlen(event->pr.title)));
    MUST(is_user(&event->sender) && is_user(&event->pr.author));
    MUST(event->label[0] == '\0' || text_is_label(event->label));
    MUST(!event->label_is_gate || policy_is_gate_label(policy, event->label, event->label_id));
}

/* What was parsed can be stored, and comes back the same. */
static void check_stored(const struct event *event)
{
    struct buf once, twice;
    struct event back;
    struct err err = {0};
    buf_init(&once);
    buf_init(&twice);
    delivery_encode(event, &once);
    MUST(delivery_decode(&back, once.data, once.len, &err) == ERR_OK);
    delivery_encode(&back, &twice);
    MUST(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
    buf_release(&once);
    buf_release(&twice);
}

static void parse_as(const char *name, const uint8_t *data, size_t size)
{
    struct event event = {0};
    struct err err = {0};
    enum err_code code = event_parse(&event, name, data, size, config, &err);
    if (code == ERR_OK) {
        strcpy(event.delivery, "d-1");
        check_event(&event);
        check_stored(&event);
    } else {
        MUST(code == ERR_REJECT || code == ERR_NOT_FOUND);
        MUST(err.code == code && err.text[0] != '\0');
        MUST(event.repo[0] == '\0' || text_is_repo_name(event.repo));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    parse_as("pull_request", data, size);
    parse_as("check_run", data, size);
    parse_as("check_suite", data, size);
    parse_as("merge_group", data, size);
    parse_as("issue_comment", data, size);
    return 0;
}
