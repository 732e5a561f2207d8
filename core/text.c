#include "prgate/text.h"

#include <stdio.h>
#include <string.h>

#include "prgate/buf.h"

#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

enum {
    OWNER_MAX = 39,
    REPO_MAX = 100,
    LOGIN_BASE_MAX = 64,
    REF_MAX = 255,
    LABEL_MAX = 200,
    DELIVERY_MAX = 64,
    REPLACEMENT_CHARACTER = 0xfffd
};

static const char bot_suffix[] = "[bot]";

/* ---- UTF-8 ---- */

/* How many bytes the sequence that begins with `lead` has; 0: no sequence begins so. */
static size_t utf8_length(unsigned char lead)
{
    if (lead < 0x80)
        return 1;
    if (lead >= 0xc2 && lead < 0xe0)
        return 2;
    if (lead >= 0xe0 && lead < 0xf0)
        return 3;
    return lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
}

/* Decodes the sequence at `at`; returns its length, or 0 when it is not valid. */
static size_t utf8_next(const unsigned char *at, size_t left, uint32_t *code)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    static const unsigned char lead_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};

    size_t len = utf8_length(at[0]);
    if (len == 0 || len > left)
        return 0;
    uint32_t value = at[0] & lead_bits[len];
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (at[i] & 0x3fU);
    }
    if (value < smallest[len] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    *code = value;
    return len;
}

/* How many bytes from here on are ASCII, in steps of eight: nearly all of a webhook is. */
static size_t ascii_run(const unsigned char *at, size_t len)
{
    static const uint64_t high_bits = UINT64_C(0x8080808080808080);
    size_t run = 0;
    uint64_t eight;
    for (; len - run >= sizeof eight; run += sizeof eight) {
        memcpy(&eight, at + run, sizeof eight);
        if ((eight & high_bits) != 0)
            break;
    }
    return run;
}

bool text_utf8_valid(const void *bytes, size_t len)
{
    const unsigned char *at = bytes;
    while (len > 0) {
        uint32_t code;
        size_t step = ascii_run(at, len);
        if (step == 0)
            step = utf8_next(at, len, &code);
        if (step == 0)
            return false;
        at += step;
        len -= step;
    }
    return true;
}

size_t text_utf8_count(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t left = strlen(text);
    size_t count = 0;
    while (left > 0) {
        uint32_t code;
        size_t step = utf8_next(at, left, &code);
        if (step == 0)
            step = 1;
        at += step;
        left -= step;
        count++;
    }
    return count;
}

/* ---- copying ---- */

bool text_copy(char *to, size_t size, const char *from)
{
    size_t len = strlen(from);
    if (len >= size) {
        if (size > 0)
            to[0] = '\0';
        return false;
    }
    memcpy(to, from, len + 1);
    return true;
}

size_t text_cut(const char *text, size_t max)
{
    size_t len = strnlen(text, max);
    if (len < max || text[len] == '\0')
        return len;
    /* A sequence has at most three continuation bytes: going back further means that it is no UTF-8. */
    size_t cut = len;
    while (cut > 0 && len - cut < 3 && ((unsigned char)text[cut] & 0xc0) == 0x80)
        cut--;
    return ((unsigned char)text[cut] & 0xc0) == 0x80 ? len : cut;
}

void text_copy_cut(char *to, size_t size, const char *from)
{
    if (size == 0)
        return;
    size_t len = text_cut(from, size - 1);
    memcpy(to, from, len);
    to[len] = '\0';
}

/* ---- checking ---- */

/* isalnum() would follow the locale. */
static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Of ASCII letters and digits, and of `others`. */
static bool consists_of(const char *text, size_t len, const char *others)
{
    for (size_t i = 0; i < len; i++)
        if (!is_alphanumeric(text[i]) && (text[i] == '\0' || strchr(others, text[i]) == NULL))
            return false;
    return true;
}

static bool is_owner(const char *text, size_t len)
{
    return len >= 1 && len <= OWNER_MAX && consists_of(text, len, "-_");
}

static bool is_repo(const char *text)
{
    size_t len = strlen(text);
    /* The two names that would climb in a path are the only ones that GitHub itself refuses. */
    if (strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
        return false;
    return len >= 1 && len <= REPO_MAX && consists_of(text, len, "._-");
}

bool text_is_repo_name(const char *text)
{
    const char *slash = strchr(text, '/');
    return slash != NULL && is_owner(text, (size_t)(slash - text)) && is_repo(slash + 1);
}

bool text_is_owner_name(const char *text)
{
    return is_owner(text, strlen(text));
}

bool text_is_login(const char *text)
{
    size_t len = strlen(text);
    size_t suffix = sizeof bot_suffix - 1;
    if (len > suffix && strcmp(text + len - suffix, bot_suffix) == 0)
        len -= suffix;
    return len >= 1 && len <= LOGIN_BASE_MAX && consists_of(text, len, "-_");
}

/* git-check-ref-format(1), the rules about one component between slashes. */
static bool is_ref_component(const char *text, size_t len)
{
    static const char lock[] = ".lock";
    size_t lock_len = sizeof lock - 1;
    if (len == 0 || text[0] == '.')
        return false;
    return len < lock_len || memcmp(text + len - lock_len, lock, lock_len) != 0;
}

/* The same manual's rules about the whole. */
static bool is_ref_text(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c <= ' ' || c == 0x7f || strchr("~^:?*[\\", c) != NULL)
            return false;
    }
    return strstr(text, "..") == NULL && strstr(text, "@{") == NULL && strcmp(text, "@") != 0;
}

bool text_is_ref(const char *text)
{
    size_t len = strnlen(text, REF_MAX + 1);
    if (len == 0 || len > REF_MAX || text[len - 1] == '.' || !text_utf8_valid(text, len) ||
        !is_ref_text(text, len))
        return false;
    for (;;) {
        size_t component = strcspn(text, "/");
        if (!is_ref_component(text, component))
            return false;
        if (text[component] == '\0')
            return true;
        text += component + 1;
    }
}

/* C0, DEL and C1. */
static bool is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0);
}

bool text_is_label(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t left = strnlen(text, LABEL_MAX + 1);
    if (left == 0 || left > LABEL_MAX)
        return false;
    while (left > 0) {
        uint32_t code;
        size_t step = utf8_next(at, left, &code);
        if (step == 0 || is_control(code))
            return false;
        at += step;
        left -= step;
    }
    return true;
}

bool text_is_delivery(const char *text)
{
    size_t len = strnlen(text, DELIVERY_MAX + 1);
    return len >= 1 && len <= DELIVERY_MAX && consists_of(text, len, "-");
}

/* tolower() would follow the locale; GitHub's names do not. */
static char fold(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    return c;
}

bool text_equal_fold(const char *a, const char *b)
{
    while (*a != '\0' && fold(*a) == fold(*b)) {
        a++;
        b++;
    }
    return fold(*a) == fold(*b);
}

void text_fold(char *text)
{
    for (; *text != '\0'; text++)
        *text = fold(*text);
}

/* ---- numbers and time ---- */

bool text_to_u64(const char *text, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        uint64_t digit = (uint64_t)(*text - '0');
        if (digit > max || value > (max - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

struct civil {
    int64_t year;
    int64_t month;
    int64_t day;
};

/*
 * Days since 1970-01-01 in the Gregorian calendar. Years are counted from March,
 * so that the leap day is a year's last and month lengths repeat every five months.
 */
static int64_t days_from_civil(struct civil date)
{
    int64_t year = date.month > 2 ? date.year : date.year - 1;
    int64_t month = date.month > 2 ? date.month - 3 : date.month + 9;
    int64_t leap_days = year / 4 - year / 100 + year / 400;
    int64_t day_of_year = (153 * month + 2) / 5 + date.day - 1;
    return year * 365 + leap_days + day_of_year - 719468;
}

static struct civil civil_from_days(int64_t days)
{
    days += 719468;
    int64_t era = days / 146097; /* 400 years each */
    int64_t day = days % 146097;
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    int64_t day_of_year = day - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    struct civil date;
    date.day = day_of_year - (153 * month + 2) / 5 + 1;
    date.month = month < 10 ? month + 3 : month - 9;
    date.year = year + era * 400 + (date.month <= 2 ? 1 : 0);
    return date;
}

static int64_t days_in_month(int64_t year, int64_t month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

static int64_t digits_at(const char *text, size_t offset, size_t count)
{
    int64_t value = 0;
    for (size_t i = 0; i < count; i++)
        value = value * 10 + (text[offset + i] - '0');
    return value;
}

/* 'd' in the shape stands for a digit, all else for itself. */
static bool has_shape(const char *text, const char *shape)
{
    for (; *shape != '\0'; text++, shape++) {
        bool digit = *text >= '0' && *text <= '9';
        if (*shape == 'd' ? !digit : *text != *shape)
            return false;
    }
    return *text == '\0';
}

int64_t text_to_time(const char *text)
{
    if (!has_shape(text, "dddd-dd-ddTdd:dd:ddZ"))
        return -1;
    struct civil date = {digits_at(text, 0, 4), digits_at(text, 5, 2), digits_at(text, 8, 2)};
    int64_t hour = digits_at(text, 11, 2);
    int64_t minute = digits_at(text, 14, 2);
    int64_t second = digits_at(text, 17, 2);
    if (date.year < 1970 || date.month < 1 || date.month > 12 || date.day < 1 ||
        date.day > days_in_month(date.year, date.month) || hour > 23 || minute > 59 || second > 59)
        return -1;
    return ((days_from_civil(date) * 24 + hour) * 60 + minute) * 60 + second;
}

/* Where they end. */
static char *put_digits(char *at, int64_t number, int digits)
{
    for (int i = digits - 1; i >= 0; i--) {
        at[i] = (char)('0' + number % 10);
        number /= 10;
    }
    return at + digits;
}

void text_from_time(int64_t unix_seconds, char out[TEXT_TIME_SIZE])
{
    static const int64_t last = 253402300799; /* 9999-12-31T23:59:59Z */
    int64_t time = unix_seconds < 0 ? 0 : unix_seconds > last ? last : unix_seconds;
    struct civil date = civil_from_days(time / 86400);
    int64_t second = time % 86400;
    const struct {
        int64_t number;
        int digits;
        char behind;
    } parts[] = {{date.year, 4, '-'},     {date.month, 2, '-'},       {date.day, 2, 'T'},
                 {second / 3600, 2, ':'}, {second / 60 % 60, 2, ':'}, {second % 60, 2, 'Z'}};
    char *at = out;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        at = put_digits(at, parts[i].number, parts[i].digits);
        *at++ = parts[i].behind;
    }
    *at = '\0';
}

/* ---- hex ---- */

void text_hex(const void *bytes, size_t len, char *out)
{
    static const char digits[] = DIGITS "abcdef";
    const unsigned char *at = bytes;
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[at[i] >> 4];
        out[2 * i + 1] = digits[at[i] & 0xf];
    }
    out[2 * len] = '\0';
}

static unsigned hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    return (unsigned)(fold(c) - 'a') + 10;
}

bool text_unhex(const char *hex, void *out, size_t len)
{
    unsigned char *at = out;
    if (strspn(hex, DIGITS "abcdefABCDEF") != 2 * len || hex[2 * len] != '\0')
        return false;
    for (size_t i = 0; i < len; i++)
        at[i] = (unsigned char)(hex_value(hex[2 * i]) << 4 | hex_value(hex[2 * i + 1]));
    return true;
}

/* ---- escaping ---- */

void text_add_url(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr(LETTERS DIGITS "-._~", *text) != NULL)
            buf_addc(out, *text);
        else
            buf_addf(out, "%%%02X", (unsigned)(unsigned char)*text);
    }
}

/*
 * Walks through `text` by code points: `add` gets each, or the lone byte and
 * code REPLACEMENT_CHARACTER with len 0 where it is not valid.
 */
struct piece {
    const unsigned char *at;
    size_t len; /* 0: at[0] is an invalid byte */
    uint32_t code;
};

typedef void add_piece_fn(struct buf *out, const struct piece *piece);

static void add_pieces(struct buf *out, const char *text, add_piece_fn *add)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t left = strlen(text);
    while (left > 0) {
        struct piece piece = {.at = at, .code = REPLACEMENT_CHARACTER};
        piece.len = utf8_next(at, left, &piece.code);
        add(out, &piece);
        size_t step = piece.len == 0 ? 1 : piece.len;
        at += step;
        left -= step;
    }
}

static void add_replacement(struct buf *out)
{
    buf_adds(out, "\xef\xbf\xbd");
}

static void add_html_piece(struct buf *out, const struct piece *piece)
{
    switch (piece->code) {
    case '&':
        buf_adds(out, "&amp;");
        return;
    case '<':
        buf_adds(out, "&lt;");
        return;
    case '>':
        buf_adds(out, "&gt;");
        return;
    case '"':
        buf_adds(out, "&quot;");
        return;
    case '\'':
        buf_adds(out, "&#39;");
        return;
    }
    bool blank = piece->code == '\t' || piece->code == '\n' || piece->code == '\r';
    if (piece->len == 0 || (is_control(piece->code) && !blank))
        add_replacement(out);
    else
        buf_add(out, piece->at, piece->len);
}

void text_add_html(struct buf *out, const char *text)
{
    add_pieces(out, text, add_html_piece);
}

/* The letter of the two-character escape that JSON and the log share; '\0': there is none. */
static char short_escape(uint32_t code)
{
    switch (code) {
    case '"':
        return '"';
    case '\\':
        return '\\';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    }
    return '\0';
}

static void add_json_piece(struct buf *out, const struct piece *piece)
{
    char letter = short_escape(piece->code);
    if (letter != '\0')
        buf_addf(out, "\\%c", letter);
    else if (is_control(piece->code) || piece->code == 0x2028 || piece->code == 0x2029)
        buf_addf(out, "\\u%04x", (unsigned)piece->code);
    else if (piece->len == 0)
        add_replacement(out);
    else
        buf_add(out, piece->at, piece->len);
}

/* Most texts are all of what is no piece by itself. */
static size_t plain_json(const char *text)
{
    const char *at = text;
    while (*at >= ' ' && *at < 0x7f && *at != '"' && *at != '\\')
        at++;
    return (size_t)(at - text);
}

void text_add_json(struct buf *out, const char *text)
{
    size_t plain = plain_json(text);
    buf_add(out, text, plain);
    add_pieces(out, text + plain, add_json_piece);
}

/* Line and paragraph separators, and what reorders the text around it (bidirectional controls). */
static bool is_deceptive(uint32_t code)
{
    return code == 0x61c || code == 0x200e || code == 0x200f || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069);
}

static void add_printable_piece(struct buf *out, const struct piece *piece)
{
    char letter = short_escape(piece->code);
    if (piece->len == 0)
        buf_addf(out, "\\x%02x", (unsigned)piece->at[0]);
    else if (letter != '\0')
        buf_addf(out, "\\%c", letter);
    else if (is_control(piece->code) || is_deceptive(piece->code))
        buf_addf(out, "\\u%04x", (unsigned)piece->code);
    else
        buf_add(out, piece->at, piece->len);
}

void text_add_printable(struct buf *out, const char *text)
{
    add_pieces(out, text, add_printable_piece);
}

void text_add_log(struct buf *out, const char *text)
{
    size_t len = strlen(text);
    if (len > 0 && consists_of(text, len, "-_./:@#+%,[]")) {
        buf_add(out, text, len);
        return;
    }
    buf_addc(out, '"');
    text_add_printable(out, text);
    buf_addc(out, '"');
}

int64_t text_int64(double number)
{
    if (number >= (double)TEXT_INT_MAX)
        return TEXT_INT_MAX;
    if (number <= (double)-TEXT_INT_MAX)
        return -TEXT_INT_MAX;
    return number == number ? (int64_t)number : 0;
}
