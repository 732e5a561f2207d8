/*
 * Stored bytes: the first byte of the input chooses record (r), delivery (d) or intent (i), the rest is what the store
 * is said to hold. What decodes, encodes to as many bytes, and these decode and encode to themselves: nothing was
 * misread, and nothing gets lost when it is written back. (The first round may turn a commit's hex digits to lower case.)
 */
#include "fuzz.h"
#include "prgate/delivery.h"
#include "prgate/intent.h"
#include "prgate/record.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    fuzz_setup();
    return 0;
}

static enum err_code decode_record(const uint8_t *data, size_t size, struct buf *out, struct err *err)
{
    struct record record, copy;
    record_init(&record);
    record_init(&copy);
    enum err_code code = record_decode(&record, data, size, err);
    if (code == ERR_OK) {
        record_copy(&copy, &record);
        MUST(record_state_name(record_state(&copy)) != NULL);
        record_encode(&copy, out);
    } else {
        MUST(record.head_count == 0 && record.repo[0] == '\0');
    }
    record_release(&copy);
    record_release(&record);
    return code;
}

static enum err_code decode_delivery(const uint8_t *data, size_t size, struct buf *out, struct err *err)
{
    struct event event;
    enum err_code code = delivery_decode(&event, data, size, err);
    if (code == ERR_OK)
        delivery_encode(&event, out);
    return code;
}

static enum err_code decode_intent(const uint8_t *data, size_t size, struct buf *out, struct err *err)
{
    struct intent intent;
    enum err_code code = intent_decode(&intent, data, size, err);
    if (code == ERR_OK)
        intent_encode(&intent, out);
    return code;
}

typedef enum err_code decode_fn(const uint8_t *data, size_t size, struct buf *out, struct err *err);

static decode_fn *choose(uint8_t kind)
{
    switch (kind) {
    case 'r':
        return decode_record;
    case 'd':
        return decode_delivery;
    case 'i':
        return decode_intent;
    default:
        return NULL;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf once, twice;
    struct err err = {0};
    decode_fn *decode = size == 0 ? NULL : choose(data[0]);
    if (decode == NULL)
        return 0;
    buf_init(&once);
    buf_init(&twice);
    enum err_code code = decode(data + 1, size - 1, &once, &err);
    if (code == ERR_OK) {
        /* What an older version wrote is written back in the newest, which has more to say. */
        MUST(once.len == size - 1 || (once.data[0] > data[1] && once.len > size - 1));
        MUST(decode(once.data, once.len, &twice, &err) == ERR_OK);
        MUST(twice.len == once.len && memcmp(twice.data, once.data, once.len) == 0);
    } else {
        MUST(code == ERR_CORRUPT && err.code == code && err.text[0] != '\0');
    }
    buf_release(&once);
    buf_release(&twice);
    return 0;
}
