/* What an operator's tools read over HTTP: /healthz for a load balancer or a supervisor, /status
 * for people and scripts. */
#include "node/node_internal.h"

#include <jansson.h>
#include <stdlib.h>

#include "common/base/cb_mem.h"
#include "node/http/http.h"

/* Healthy: it takes part, and knows who leads. */
static void answer_health(const struct node *n, struct http_reply *reply)
{
    char text[CB_WAITS_TEXT_MAX];
    const char *waits = node_space_waits(n, text);
    const char *why = waits[0] != '\0'                     ? waits
                      : n->replica == NULL                 ? "waiting for the other members"
                      : core_view(n->core)->leader_id == 0 ? "no leader is known"
                                                           : NULL;
    reply->status = why == NULL ? 200 : 503;
    cb_buf_append_str(&reply->body, why == NULL ? "ok" : why);
    cb_buf_append_str(&reply->body, "\n");
}

static json_t *text(struct cb_span s)
{
    return json_stringn((const char *)s.ptr, s.len);
}

static void set(json_t *object, const char *key, json_t *value)
{
    CB_ASSERT(json_object_set_new(object, key, value) == 0);
}

static json_t *number(uint64_t v)
{
    return json_integer((json_int_t)v);
}

static json_t *counters_of(const struct wire_status *s)
{
    json_t *counters = json_object();
    for (uint32_t i = 0; i < s->n_counters; i++) {
        char key[128];
        size_t len =
            s->counters[i].name.len < sizeof(key) ? s->counters[i].name.len : sizeof(key) - 1;
        memcpy(key, s->counters[i].name.ptr, len);
        key[len] = '\0';
        set(counters, key, number(s->counters[i].value));
    }
    return counters;
}

static void answer_status(struct node *n, struct http_reply *reply)
{
    struct wire_status s = {.id = 0};
    node_status_fill(n, &s);
    json_t *root = json_object();
    set(root, "name", text(s.name));
    set(root, "id", number(s.id));
    set(root, "role", text(s.role));
    set(root, "serving", json_boolean(s.serving));
    set(root, "term", number(s.term));
    set(root, "leader", number(s.leader));
    set(root, "commit", number(s.commit));
    set(root, "applied", number(s.applied));
    set(root, "durable", number(s.durable));
    set(root, "free", s.free_known ? number(s.free) : json_null());
    set(root, "reserve", number(s.reserve));
    set(root, "puts_refused", json_boolean(s.puts_refused));
    set(root, "waits", s.waits.len > 0 ? text(s.waits) : json_null());
    set(root, "version", text(s.version));
    set(root, "counters", counters_of(&s));
    char *json = json_dumps(root, JSON_INDENT(2));
    CB_ASSERT(json != NULL);
    reply->status = 200;
    reply->content_type = "application/json";
    cb_buf_append_str(&reply->body, json);
    cb_buf_append_str(&reply->body, "\n");
    free(json); /* jansson's own allocator is malloc */
    json_decref(root);
    wire_status_fini(&s);
}

static void answer(void *data, const char *path, struct http_reply *reply)
{
    struct node *n = data;
    if (strcmp(path, "/healthz") == 0) {
        answer_health(n, reply);
    } else if (strcmp(path, "/status") == 0) {
        answer_status(n, reply);
    } else {
        cb_buf_append_str(&reply->body, "there are /healthz and /status\n");
    }
}

void node_http_open(struct node *n)
{
    struct cb_buf error = CB_BUF_NULL;
    if (n->options->http == NULL) {
        return;
    }
    /* It lives as long as the process, which ends by _exit. */
    if (http_open(&n->loop, n->options->http, answer, n, &error) == NULL) {
        cb_die("--http: %.*s", (int)cb_buf_len(&error), (const char *)cb_buf_span(&error).ptr);
    }
}
