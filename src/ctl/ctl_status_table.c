/* What an operator looks at: the table and the JSON of `coolbeans status`. */
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "common/base/cb_assert.h"
#include "ctl/ctl_status.h"

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
    fprintf(out, "%-12s %4s  %-9s %6s %12s %12s  %-10s %s\n", "MEMBER", "ID", "ROLE", "TERM",
            "COMMIT", "APPLIED", "VERSION", "ADDRESS");
    for (unsigned i = 0; i < s->n; i++) {
        const struct ctl_member *m = &s->members[i];
        const char *name = m->name[0] != '\0' ? m->name : "?";
        if (m->alive) {
            fprintf(out,
                    "%-12s %4" PRIu64 "  %-9s %6" PRIu64 " %12" PRIu64 " %12" PRIu64 "  %-10s %s\n",
                    name, m->id, m->role, m->term, m->commit, m->applied, m->version, m->grpc);
        } else {
            fprintf(out, "%-12s %4" PRIu64 "  %-9s %6s %12s %12s  %-10s %s\n", name, m->id, "down",
                    "-", "-", "-", "-", m->grpc);
        }
    }
    print_summary(s, out);
}

static json_t *member_json(const struct ctl_member *m)
{
    return json_pack("{s:s, s:I, s:s, s:b, s:I, s:I, s:I, s:s, s:s}", "name", m->name, "id",
                     (json_int_t)m->id, "role", m->alive ? m->role : "down", "alive", m->alive,
                     "term", (json_int_t)m->term, "commit", (json_int_t)m->commit, "applied",
                     (json_int_t)m->applied, "version", m->version, "grpc", m->grpc);
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
