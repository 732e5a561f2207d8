/* URLs are taken apart by hand and narrowly: what two readers might read differently is none. */
#include "config_check.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "prgate/pr.h"
#include "prgate/text.h"

enum {
    TOKEN_MAX = 500,
    URL_MAX = 2000,
    HOST_SIZE = 256,
    LABEL_CHARACTERS_MAX = 50,
    NAME_CHARACTERS_MAX = 100
};

static bool is_printable(const char *text, size_t characters)
{
    /* text_is_label() looks for control characters and bad UTF-8, in up to 200 bytes. */
    return text_is_label(text) && text_utf8_count(text) <= characters;
}

const char *config_check_label(const char *text)
{
    return is_printable(text, LABEL_CHARACTERS_MAX)
               ? NULL
               : "must be 1 to 50 printable characters, as GitHub has it";
}

const char *config_check_name(const char *text)
{
    return is_printable(text, NAME_CHARACTERS_MAX) ? NULL
                                                   : "must be 1 to 100 printable characters; shorten it";
}

const char *config_check_login(const char *text)
{
    return text_is_login(text) ? NULL
                               : "is no GitHub login; write it like \"octocat\" or \"dependabot[bot]\"";
}

bool config_read_bot(const char *text, char login[LOGIN_SIZE], uint64_t *app_id)
{
    static const char end[] = "[bot]";
    const char *bracket = strstr(text, end);
    size_t len = bracket == NULL ? 0 : (size_t)(bracket - text) + strlen(end);
    *app_id = 0;
    if (len == 0 || len >= LOGIN_SIZE)
        return false;
    memcpy(login, text, len);
    login[len] = '\0';
    if (!text_is_login(login))
        return false;
    return text[len] == '\0' ||
           (text[len] == ':' && text_to_u64(text + len + 1, UINT32_MAX, app_id) && *app_id > 0);
}

const char *config_check_bot(const char *text)
{
    char login[LOGIN_SIZE];
    uint64_t app_id;
    return config_read_bot(text, login, &app_id)
               ? NULL
               : "is no App's login; write it like \"renovate[bot]\", or with the App's number like "
                 "\"renovate[bot]:2740\"";
}

const char *config_check_team(const char *text)
{
    return text_is_repo_name(text) ? NULL : "is no team; write it like \"organization/team-slug\"";
}

const char *config_check_ref(const char *text)
{
    return text_is_ref(text) ? NULL : "is no valid branch or tag name; write it like \"main\"";
}

const char *config_check_glob(const char *text)
{
    bool odd = text[0] == '/' || strstr(text, "//") != NULL;
    return !odd && text_is_label(text)
               ? NULL
               : "is no pattern of 1 to 200 printable bytes; write it like \"lib/**\", "
                 "without a slash in front";
}

const char *config_check_by_author(const char *text)
{
    char login[LOGIN_SIZE];
    const char *equals = strchr(text, '=');
    size_t len = equals == NULL ? sizeof login : (size_t)(equals - text);
    if (len < sizeof login) {
        memcpy(login, text, len);
        login[len] = '\0';
        if (text_is_login(login) && is_printable(equals + 1, LABEL_CHARACTERS_MAX))
            return NULL;
    }
    return "is no login and label; write it like \"dependabot[bot]=dependencies\"";
}

const char *config_check_workflow(const char *text)
{
    bool path = strchr(text, '/') != NULL || strcmp(text, "..") == 0 || strcmp(text, ".") == 0;
    return !path && text_is_label(text)
               ? NULL
               : "must be a file's name or an id, without directories, like \"ci.yml\"";
}

const char *config_check_state_dir(const char *text)
{
    if (text[0] != '/')
        return "must be an absolute path; begin it with a slash";
    return text[strspn(text, "/")] == '\0' ? "must not be the root directory; name one for prgate alone"
                                           : NULL;
}

const char *config_check_pem(const char *text)
{
    static const char begin[] = "-----BEGIN";
    return strncmp(text, begin, sizeof begin - 1) == 0
               ? NULL
               : "is no PEM file (it must start with -----BEGIN); use the key that GitHub let you download";
}

/* It becomes part of a header, so nothing in it may end one. */
const char *config_check_token(const char *text)
{
    size_t len = strnlen(text, TOKEN_MAX + 1);
    if (len == 0 || len > TOKEN_MAX)
        return "must be a token of 1 to 500 characters; is it the right file?";
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return "contains blanks or other characters that no token has; put the token alone into it";
    return NULL;
}

struct url {
    bool https;
    char host[HOST_SIZE];
    const char *rest; /* from the first character behind host and port */
};

static bool parse_port(const char *text, size_t len)
{
    char digits[6];
    uint64_t port;
    if (len == 0 || len >= sizeof digits)
        return false;
    memcpy(digits, text, len);
    digits[len] = '\0';
    return text_to_u64(digits, 65535, &port) && port > 0;
}

/* "host", "host:port", "[v6]:port". User names are refused: they make a host look like another. */
static bool parse_authority(struct url *url, const char *text, size_t len)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    size_t host = strspn(text, allowed);
    if (text[0] == '[') {
        host = 1 + strspn(text + 1, "0123456789abcdefABCDEF:.");
        host += text[host] == ']' ? 1 : 0;
    }
    if (host == 0 || host > len || host >= sizeof url->host)
        return false;
    memcpy(url->host, text, host);
    url->host[host] = '\0';
    return host == len || (text[host] == ':' && parse_port(text + host + 1, len - host - 1));
}

static bool parse_url(struct url *url, const char *text)
{
    static const char http[] = "http://";
    static const char https[] = "https://";
    if (strnlen(text, URL_MAX + 1) > URL_MAX)
        return false;
    for (const char *at = text; *at != '\0'; at++)
        if (*at <= ' ' || *at > '~' || *at == '\\' || *at == '"')
            return false;
    url->https = strncmp(text, https, sizeof https - 1) == 0;
    if (!url->https && strncmp(text, http, sizeof http - 1) != 0)
        return false;
    text += url->https ? sizeof https - 1 : sizeof http - 1;
    size_t authority = strcspn(text, "/?#");
    url->rest = text + authority;
    return parse_authority(url, text, authority);
}

static bool is_loopback(const char *host)
{
    struct in_addr address;
    if (inet_pton(AF_INET, host, &address) == 1)
        return ntohl(address.s_addr) >> 24 == 127;
    return text_equal_fold(host, "localhost") || strcmp(host, "[::1]") == 0;
}

const char *config_check_safe_url(const char *text)
{
    struct url url;
    if (!parse_url(&url, text) || strchr(url.rest, '#') != NULL)
        return "is no URL; write it like \"https://host/path\", without user name or fragment";
    return url.https || is_loopback(url.host) ? NULL
                                              : "must begin with https:// (http:// only for this very host)";
}

const char *config_check_api_url(const char *text)
{
    return strchr(text, '?') != NULL ? "must not have a query; write it like \"https://api.github.com\""
                                     : config_check_safe_url(text);
}

const char *config_check_public_url(const char *text)
{
    struct url url;
    return parse_url(&url, text) && strpbrk(url.rest, "?#") == NULL
               ? NULL
               : "is no URL; write it like \"https://ci.example/prgate\"";
}

const char *config_check_pattern(const char *text)
{
    char owner[REPO_NAME_SIZE];
    size_t len = strlen(text);
    if (strcmp(text, "*") == 0 || text_is_repo_name(text))
        return NULL;
    if (len > 2 && len < sizeof owner && strcmp(text + len - 2, "/*") == 0) {
        memcpy(owner, text, len - 2);
        owner[len - 2] = '\0';
        if (text_is_owner_name(owner))
            return NULL;
    }
    return "the section's name must be \"owner/name\", \"owner/*\" or \"*\"";
}

enum { COMMAND_CHARACTERS_MAX = 32 };

static bool has_only(const char *text, const char *allowed)
{
    size_t len = strlen(text);
    return len > 0 && len <= COMMAND_CHARACTERS_MAX && strspn(text, allowed) == len;
}

#define ALNUM "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

/* Nothing that Markdown could take for something else than text, and nothing that a sentence begins with. */
const char *config_check_command_prefix(const char *text)
{
    bool begins = text[0] != '\0' && strchr("/!@.%$", text[0]) != NULL;
    return begins && text[1] != '\0' && has_only(text, ALNUM "/!@.%$_-")
               ? NULL
               : "must be one of / ! @ . % $ and 1 to 31 of A-Z a-z 0-9 / ! @ . % $ _ - behind it, like "
                 "\"/ci\"; "
                 "\"\" reads no comments";
}

const char *config_check_command_word(const char *text)
{
    return has_only(text, ALNUM "_-")
               ? NULL
               : "must be one word of 1 to 32 of the characters A-Z a-z 0-9 _ -, like \"approve\"";
}
