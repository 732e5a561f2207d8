/*
 * The configuration. The input is the file; "@DIR@" in it is a directory with secrets in it and a state directory to be.
 */
#include "fuzz.h"
#include "prgate/text.h"

static char conf[128];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    fuzz_setup();
    config_close(fuzz_config());
    scratch_write("app.pem", "-----BEGIN RSA PRIVATE KEY-----\nx\n-----END RSA PRIVATE KEY-----\n");
    snprintf(conf, sizeof conf, "%s/fuzz.conf", scratch);
    return 0;
}

static void write_conf(const uint8_t *data, size_t size)
{
    static const char name[] = "@DIR@";
    FILE *file = fopen(conf, "w");
    MUST(file != NULL);
    for (size_t i = 0; i < size;) {
        if (size - i >= sizeof name - 1 && memcmp(data + i, name, sizeof name - 1) == 0) {
            fputs(scratch, file);
            i += sizeof name - 1;
        } else {
            putc(data[i++], file);
        }
    }
    MUST(fclose(file) == 0);
}

static void check_policy(const struct policy *policy)
{
    MUST(policy->pattern != NULL && policy->workflow_ref != NULL);
    MUST(text_is_label(policy->label) && policy->check_name[0] != '\0');
    MUST(policy->trigger != TRIGGER_HTTP || policy->http_url[0] != '\0');
    MUST(policy->trigger != TRIGGER_WORKFLOW_DISPATCH || policy->workflow[0] != '\0');
    MUST(permission_name(policy->approver_permission)[0] != '?');
    MUST(policy->approver_permission > PERMISSION_NONE);
    MUST(!policy->permission_trusts || policy->trusted_permission > PERMISSION_NONE);
    for (size_t i = 0; i < policy->trusted_users.count; i++)
        MUST(text_is_login(policy->trusted_users.items[i]));
}

/* No configuration that is taken lets prgate run without a secret, or trust everybody. */
static void check_config(const struct config *config)
{
    MUST(config->state_dir[0] == '/');
    MUST(config->webhook_secret_count > 0 && config->webhook_secret_count <= CONFIG_SECRETS_MAX);
    for (size_t i = 0; i < config->webhook_secret_count; i++)
        MUST(config->webhook_secrets[i].len > 0);
    MUST(config->dry_run || config_credentials(config) != CREDENTIALS_NONE);
    MUST(strncmp(config->api_url, "http", 4) == 0);
    MUST(config->policy_count > 0);
    for (size_t i = 0; i < config->policy_count; i++)
        check_policy(&config->policies[i]);
    config_policy(config, "octo/repo");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *config = NULL, *again = NULL;
    struct err err = {0};
    /* Opening a device can do things to this machine. */
    if (memmem(data, size, "/dev", 4) != NULL)
        return 0;
    write_conf(data, size);
    enum err_code code = config_open(&config, conf, &err);
    if (code == ERR_OK) {
        check_config(config);
    } else {
        MUST(code == ERR_REJECT && config == NULL);
        MUST(strncmp(err.text, conf, strlen(conf)) == 0 && strlen(err.text) > strlen(conf) + 2);
    }
    /* libConfuse's scanner is one per process: a file that was refused leaves nothing behind for the next. */
    struct err err_again = {0};
    MUST(config_open(&again, conf, &err_again) == code);
    MUST(strcmp(err_again.text, err.text) == 0);
    config_close(again);
    config_close(config);
    return 0;
}
