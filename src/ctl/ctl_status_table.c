/* What an operator looks at: the table and the JSON of `coolbeans status`. */
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "common/base/cb_assert.h"
#include "ctl/ctl_status.h"

#define SIZE_TEXT_MAX 24

void ctl_status_conclude(struct ctl_status *s)
{
    unsigned voters = 0;
    unsigned alive = 0;
    s->leader[0] = '\0';
    for (unsigned i = 0; i < s->n; i++) {
        const struct ctl_member *m = &s->members[i];
        voters += m->voter;
        alive += m->voter && m->alive;
        if (m->serving) {
            memcpy(s->leader, m->name, sizeof(s->leader));
        }
    }
    unsigned majority = voters / 2 + 1;
    s->survives = s->leader[0] != '\0' && alive > majority ? alive - majority : 0;
}

/* "812M", "12.3G": three digits are enough to see what is the matter. */
static const char *size_text(uint64_t bytes, char out[static SIZE_TEXT_MAX])
{
    static const char units[] = "BKMGT";
    unsigned unit = 0;
    uint64_t tenths = bytes * 10;
    tenths = bytes > UINT64_MAX / 10 ? UINT64_MAX : tenths;
    while (tenths >= 10240 && units[unit + 1] != '\0') {
        tenths /= 1024;
        unit++;
    }
    if (tenths < 1000 && unit > 0) {
        (void)snprintf(out, SIZE_TEXT_MAX, "%" PRIu64 ".%" PRIu64 "%c", tenths / 10, tenths % 10,
                       units[unit]);
    } else {
        (void)snprintf(out, SIZE_TEXT_MAX, "%" PRIu64 "%c", tenths / 10, units[unit]);
    }
    return out;
}

/* Why puts are refused, by the word of the one that leads. */
static void print_space(const struct ctl_status *s, const struct ctl_member *leader, FILE *out)
{
    char text[SIZE_TEXT_MAX];
    if (!leader->puts_refused) {
        return;
    }
    fprintf(out,
            "\nPuts are answered OUT_OF_MEMORY: too few members have %s (--reserve-space) free "
            "on their disks.\n",
            size_text(leader->reserve, text));
    for (unsigned i = 0; i < s->n; i++) {
        const struct ctl_member *m = &s->members[i];
        if (m->voter && !m->alive) {
            fprintf(out, "  %s is down\n", m->name);
        } else if (m->voter && m->free_known && m->free < leader->reserve + leader->reserve / 4) {
            fprintf(out, "  %s has %s\n", m->name, size_text(m->free, text));
        }
    }
    fprintf(out, "Deletes go on. Make room there, a quarter more than that; puts then go on by "
                 "themselves.\n");
}

static void print_waits(const struct ctl_status *s, FILE *out)
{
    for (unsigned i = 0; i < s->n; i++) {
        if (s->members[i].alive && s->members[i].waits[0] != '\0') {
            fprintf(out, "\n%s: %s\n", s->members[i].name, s->members[i].waits);
        }
    }
}

static void print_summary(const struct ctl_status *s, FILE *out)
{
    if (s->leader[0] == '\0') {
        fprintf(out, "\nNo leader: clients wait until a majority of the members is up and has "
                     "elected one.\n");
    } else if (s->survives == 0) {
        fprintf(out,
                "\n%s leads. One more failure stops the cluster: bring back the members that are "
                "down.\n",
                s->leader);
    } else {
        fprintf(out, "\n%s leads. The cluster survives the failure of %u more member%s.\n",
                s->leader, s->survives, s->survives == 1 ? "" : "s");
    }
}

void ctl_status_print_table(const struct ctl_status *s, FILE *out)
{
    char space[SIZE_TEXT_MAX];
    fprintf(out, "%-12s %4s  %-9s %6s %12s %12s %6s  %-10s %s\n", "MEMBER", "ID", "ROLE", "TERM",
            "COMMIT", "APPLIED", "FREE", "VERSION", "ADDRESS");
    for (unsigned i = 0; i < s->n; i++) {
        const struct ctl_member *m = &s->members[i];
        const char *name = m->name[0] != '\0' ? m->name : "?";
        if (m->alive) {
            fprintf(out,
                    "%-12s %4" PRIu64 "  %-9s %6" PRIu64 " %12" PRIu64 " %12" PRIu64
                    " %6s  %-10s %s\n",
                    name, m->id, m->role, m->term, m->commit, m->applied,
                    m->free_known ? size_text(m->free, space) : "?", m->version, m->grpc);
        } else {
            fprintf(out, "%-12s %4" PRIu64 "  %-9s %6s %12s %12s %6s  %-10s %s\n", name, m->id,
                    "down", "-", "-", "-", "-", "-", m->grpc);
        }
    }
    print_summary(s, out);
    for (unsigned i = 0; i < s->n; i++) {
        if (s->members[i].serving) {
            print_space(s, &s->members[i], out);
        }
    }
    print_waits(s, out);
}

static json_t *member_json(const struct ctl_member *m)
{
    json_t *space = m->free_known ? json_integer((json_int_t)m->free) : json_null();
    json_t *waits = m->waits[0] != '\0' ? json_string(m->waits) : json_null();
    return json_pack("{s:s, s:I, s:s, s:b, s:I, s:I, s:I, s:o, s:I, s:b, s:o, s:s, s:s}", "name",
                     m->name, "id", (json_int_t)m->id, "role", m->alive ? m->role : "down", "alive",
                     m->alive, "term", (json_int_t)m->term, "commit", (json_int_t)m->commit,
                     "applied", (json_int_t)m->applied, "free", space, "reserve",
                     (json_int_t)m->reserve, "puts_refused", m->puts_refused, "waits", waits,
                     "version", m->version, "grpc", m->grpc);
}

void ctl_status_print_json(const struct ctl_status *s, FILE *out)
{
    json_t *members = json_array();
    for (unsigned i = 0; i < s->n; i++) {
        CB_ASSERT(json_array_append_new(members, member_json(&s->members[i])) == 0);
    }
    json_t *leader = s->leader[0] != '\0' ? json_string(s->leader) : json_null();
    json_t *root = json_pack("{s:o, s:i, s:o}", "leader", leader, "survives", (int)s->survives,
                             "members", members);
    CB_ASSERT(root != NULL);
    (void)json_dumpf(root, out, JSON_INDENT(2)); /* a closed stdout is nobody's loss */
    fputc('\n', out);
    json_decref(root);
}
