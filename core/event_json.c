/*
 * One pass checks what cJSON would let through or blame on something else (bytes
 * that are no UTF-8, NULs raw or escaped, which would cut C strings short), one leaves out what nobody reads, one
 * parses, and then members are looked up by path. All of it is linear in the body.
 */
#include "event_internal.h"

#include <stdlib.h>
#include <string.h>

#include "prgate/buf.h"
#include "prgate/links.h"
#include "prgate/text.h"

/* JSON numbers are doubles to cJSON (and JavaScript): above this, neighbours are one value. */
#define ID_MAX ((UINT64_C(1) << 53) - 1)

/* ---- from bytes to a tree ---- */

/* A backslash escapes the character after it, so escapes are stepped over in pairs: "\\u0000" is none. */
static bool has_escaped_nul(const char *body, size_t len)
{
    static const char nul[] = "u0000";
    const char *end = body + len;
    const char *at = body;
    while ((at = memchr(at, '\\', (size_t)(end - at))) != NULL) {
        at++;
        if ((size_t)(end - at) >= sizeof nul - 1 && memcmp(at, nul, sizeof nul - 1) == 0)
            return true;
        if (at < end)
            at++;
    }
    return false;
}

struct shape {
    size_t deepest; /* nesting of arrays and objects */
    size_t values;  /* at least as many as there are */
    bool open;      /* ends inside of one */
};

/* Brackets inside strings do not count. */
static struct shape shape_of(const char *body, size_t len)
{
    struct shape shape = {.values = 1};
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        bool opens = !in_string && (body[i] == '[' || body[i] == '{');
        if (body[i] == '"')
            in_string = !in_string;
        else if (in_string && body[i] == '\\')
            i++;
        else if (opens)
            depth++;
        else if (!in_string && (body[i] == ']' || body[i] == '}') && depth > 0)
            depth--;
        if (opens || (!in_string && body[i] == ','))
            shape.values++;
        shape.deepest = depth > shape.deepest ? depth : shape.deepest;
    }
    shape.open = depth > 0;
    return shape;
}

static bool only_blanks(const char *at, const char *end)
{
    return text_skip_json_blanks(at, end) == end;
}

static enum err_code refuse_nesting(struct err *err)
{
    return err_set(err, ERR_REJECT, 0, "body: nested more than %d levels deep", CJSON_NESTING_LIMIT);
}

/* Before anything is allocated for it. */
static enum err_code check_values(const char *body, size_t len, struct err *err)
{
    if (len <= EVENT_VALUES_MAX)
        return ERR_OK;
    struct shape shape = shape_of(body, len);
    if (shape.deepest > CJSON_NESTING_LIMIT)
        return refuse_nesting(err);
    if (shape.values > EVENT_VALUES_MAX)
        return err_set(err, ERR_REJECT, 0,
                       "body: more than %d JSON values, a hundred times what GitHub sends", EVENT_VALUES_MAX);
    return ERR_OK;
}

/* cJSON tells only where it stopped: says why. */
static enum err_code explain_failure(const char *body, size_t len, const char *stop, struct err *err)
{
    struct shape shape = shape_of(body, len);
    if (shape.deepest > CJSON_NESTING_LIMIT)
        return refuse_nesting(err);
    if (shape.open)
        return err_set(err, ERR_REJECT, 0, "body: cut off, or no JSON, after %zu bytes", len);
    return err_set(err, ERR_REJECT, 0, "body: no JSON at byte %zu", stop == NULL ? 0 : (size_t)(stop - body));
}

/* NULL: it is to be parsed as it came, which tells what is wrong, and where. */
static cJSON *parse_without_links(const char *body, size_t len)
{
    const char *stop = NULL;
    char *text = mem_alloc(len);
    size_t rest = links_leave_out(body, len, text);
    cJSON *root = tree_parse(text, rest, &stop);
    if (root != NULL && !(only_blanks(stop, text + rest) && cJSON_IsObject(root))) {
        tree_free(root);
        root = NULL;
    }
    free(text);
    return root;
}

enum err_code json_parse(const char *body, size_t len, cJSON **out, struct err *err)
{
    const char *stop = NULL;
    if (len == 0)
        return err_set(err, ERR_REJECT, 0, "body: empty");
    if (memchr(body, '\0', len) != NULL)
        return err_set(err, ERR_REJECT, 0, "body: contains a NUL byte");
    if (!text_utf8_valid(body, len))
        return err_set(err, ERR_REJECT, 0, "body: not UTF-8");
    if (has_escaped_nul(body, len))
        return err_set(err, ERR_REJECT, 0, "body: contains an escaped NUL (\\u0000)");
    if (check_values(body, len, err) != ERR_OK)
        return ERR_REJECT;
    *out = parse_without_links(body, len);
    if (*out != NULL)
        return ERR_OK;
    cJSON *root = tree_parse(body, len, &stop);
    if (root == NULL)
        return explain_failure(body, len, stop, err);
    if (!only_blanks(stop, body + len))
        err_set(err, ERR_REJECT, 0, "body: something follows the JSON document at byte %zu",
                (size_t)(stop - body));
    else if (!cJSON_IsObject(root))
        err_set(err, ERR_REJECT, 0, "body: not a JSON object");
    else {
        *out = root;
        return ERR_OK;
    }
    tree_free(root);
    return ERR_REJECT;
}

/* ---- members by path ---- */

/* "pull_request.head.sha"; NULL when any part of it is absent or null. */
const cJSON *json_find(const cJSON *object, const char *path)
{
    const cJSON *found = tree_find(object, path);
    return cJSON_IsNull(found) ? NULL : found;
}

enum err_code json_reject(struct err *err, const char *path, const char *wrong)
{
    return err_set(err, ERR_REJECT, 0, "%s: %s", path, wrong);
}

bool json_to_id(const cJSON *item, uint64_t *out)
{
    /* The comparison also refuses what no double can hold exactly: infinity and not-a-number. */
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 1 && item->valuedouble <= (double)ID_MAX))
        return false;
    uint64_t id = (uint64_t)item->valuedouble;
    if ((double)id < item->valuedouble)
        return false;
    *out = id;
    return true;
}

enum err_code json_get_id(const cJSON *root, const char *path, uint64_t *out, struct err *err)
{
    const cJSON *item = json_find(root, path);
    if (item == NULL)
        return json_reject(err, path, "missing");
    return json_to_id(item, out) ? ERR_OK : json_reject(err, path, "not a whole number from 1 to 2^53 - 1");
}

/* *out is valid as long as the tree. */
enum err_code json_get_text(const cJSON *root, const char *path, const char **out, struct err *err)
{
    const cJSON *item = json_find(root, path);
    if (item == NULL)
        return json_reject(err, path, "missing");
    if (!cJSON_IsString(item))
        return json_reject(err, path, "not a string");
    *out = item->valuestring;
    return ERR_OK;
}

/* Absent or null: "". */
enum err_code json_get_optional_text(const cJSON *root, const char *path, const char **out, struct err *err)
{
    *out = "";
    return json_find(root, path) == NULL ? ERR_OK : json_get_text(root, path, out, err);
}

/* Absent or null: false. */
enum err_code json_get_bool(const cJSON *root, const char *path, bool *out, struct err *err)
{
    const cJSON *item = json_find(root, path);
    *out = item != NULL && cJSON_IsTrue(item);
    return item == NULL || cJSON_IsBool(item) ? ERR_OK : json_reject(err, path, "not true or false");
}

const struct user_paths event_sender_paths = {"sender", "sender.id", "sender.login", "sender.type"};

/* Absent or null (a deleted account): nobody. */
enum err_code json_get_user(const cJSON *root, const struct user_paths *paths, struct user *out,
                            struct err *err)
{
    const char *login = NULL;
    const char *type = NULL;
    enum err_code code;
    if (json_find(root, paths->whole) == NULL)
        return ERR_OK;
    if ((code = json_get_id(root, paths->id, &out->id, err)) != ERR_OK ||
        (code = json_get_text(root, paths->login, &login, err)) != ERR_OK ||
        (code = json_get_optional_text(root, paths->type, &type, err)) != ERR_OK)
        return code;
    if (!text_is_login(login) || !text_copy(out->login, sizeof out->login, login))
        return json_reject(err, paths->login, "not a GitHub login");
    out->bot = strcmp(type, "Bot") == 0;
    return ERR_OK;
}

enum err_code json_get_ref(const cJSON *root, const char *path, char out[REF_SIZE], struct err *err)
{
    const char *ref = "";
    enum err_code code = json_get_text(root, path, &ref, err);
    if (code != ERR_OK)
        return code;
    return text_is_ref(ref) && text_copy(out, REF_SIZE, ref) ? ERR_OK
                                                             : json_reject(err, path, "not a valid ref name");
}

enum err_code json_get_sha(const cJSON *root, const char *path, struct sha *out, struct err *err)
{
    const char *sha = "";
    enum err_code code = json_get_text(root, path, &sha, err);
    if (code != ERR_OK)
        return code;
    return sha_parse(out, sha) ? ERR_OK : json_reject(err, path, "not 40 or 64 hex digits");
}

/* Of a member that is not there, or no id: 0, which is nobody's. */
uint64_t json_id_or_0(const cJSON *root, const char *path)
{
    uint64_t id = 0;
    json_to_id(json_find(root, path), &id);
    return id;
}
