#include "node/entry/entry.h"

#include "common/base/cb_limits.h"
#include "common/base/cb_tube_name.h"

static const unsigned op_fields[JSM_OP_END] = {
    [JSM_OP_PUT] =
        ENTRY_FIELD_PRI | ENTRY_FIELD_DELAY | ENTRY_FIELD_TTR | ENTRY_FIELD_AGE | ENTRY_FIELD_BODY,
    [JSM_OP_USE] = ENTRY_FIELD_TUBE,
    [JSM_OP_WATCH] = ENTRY_FIELD_TUBE,
    [JSM_OP_IGNORE] = ENTRY_FIELD_TUBE,
    [JSM_OP_RESERVE_WITH_TIMEOUT] = ENTRY_FIELD_COUNT,
    [JSM_OP_RESERVE_JOB] = ENTRY_FIELD_ID,
    [JSM_OP_DELETE] = ENTRY_FIELD_ID,
    [JSM_OP_RELEASE] = ENTRY_FIELD_ID | ENTRY_FIELD_PRI | ENTRY_FIELD_DELAY,
    [JSM_OP_BURY] = ENTRY_FIELD_ID | ENTRY_FIELD_PRI,
    [JSM_OP_TOUCH] = ENTRY_FIELD_ID,
    [JSM_OP_KICK] = ENTRY_FIELD_COUNT,
    [JSM_OP_KICK_JOB] = ENTRY_FIELD_ID,
    [JSM_OP_PAUSE_TUBE] = ENTRY_FIELD_TUBE | ENTRY_FIELD_DELAY,
};

static const bool op_known[JSM_OP_END] = {
#define X(sym, num) [num] = true,
#include "common/base/cb_op.def"
#undef X
};

bool entry_op_fields(uint32_t op, unsigned *fields)
{
    if (op >= JSM_OP_END || !op_known[op]) {
        return false;
    }
    *fields = op_fields[op];
    return true;
}

bool entry_command_is_valid(const struct jsm_command *c)
{
    unsigned fields;
    if (!entry_op_fields((uint32_t)c->op, &fields) || c->conn == 0 || c->conn > CB_ID_MAX) {
        return false;
    }
    if ((fields & ENTRY_FIELD_TUBE) != 0 && !cb_tube_name_is_valid(c->tube)) {
        return false;
    }
    if (c->op == JSM_OP_RESERVE_WITH_TIMEOUT && c->count > CB_RESERVE_TIMEOUT_MAX) {
        return false;
    }
    return (fields & ENTRY_FIELD_BODY) == 0 || c->body.len <= CB_JOB_SIZE_MAX;
}
