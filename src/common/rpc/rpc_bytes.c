#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/slice.h>
#include <string.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_mem.h"
#include "common/rpc/rpc_internal.h"

/* Buffers that the library holds. Counted so that giving one away happens before its release, which
 * may be on any of the library's threads. */
static atomic_size_t lent;

static void release(void *base)
{
    (void)atomic_fetch_sub_explicit(&lent, 1, memory_order_acq_rel);
    cb_free(base);
}

grpc_byte_buffer *rpc_bytes_give(struct cb_buf *b)
{
    struct cb_buf taken = cb_buf_take(b);
    size_t len = cb_buf_len(&taken);
    grpc_slice slice;
    if (len == 0) {
        cb_buf_fini(&taken);
        slice = grpc_empty_slice();
    } else {
        (void)atomic_fetch_add_explicit(&lent, 1, memory_order_acq_rel);
        slice = grpc_slice_new_with_user_data(taken.base + taken.start, len, release, taken.base);
    }
    grpc_byte_buffer *bytes = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return bytes;
}

bool rpc_bytes_borrow(grpc_byte_buffer *bytes, grpc_slice *out)
{
    if (bytes->data.raw.compression != GRPC_COMPRESS_NONE) {
        return false;
    }
    grpc_slice_buffer *slices = &bytes->data.raw.slice_buffer;
    if (slices->count == 1) {
        *out = grpc_slice_ref(slices->slices[0]);
        return true;
    }
    grpc_byte_buffer_reader reader;
    int ok = grpc_byte_buffer_reader_init(&reader, bytes);
    CB_ASSERT(ok == 1);
    *out = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    return true;
}

struct cb_span rpc_slice_span(const grpc_slice *slice)
{
    return cb_span(GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice));
}

char *rpc_slice_str(grpc_slice slice)
{
    size_t len = GRPC_SLICE_LENGTH(slice);
    char *s = cb_malloc(len + 1);
    memcpy(s, GRPC_SLICE_START_PTR(slice), len);
    s[len] = '\0';
    return s;
}
