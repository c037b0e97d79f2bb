/*
 * player.c - N cameras on one loop.
 * SPDX-License-Identifier: Apache-2.0
 *
 * All cameras have one rate, so their frames are one sequence: turn t is the frame t / N of camera t % N, due t / (N x
 * fps) seconds after the start. That spreads the cameras over the period of a frame, as unsynchronised ones are.
 */
#include "cli/player.h"

#include "cli/admin_call.h"

#include "base/clock.h"
#include "http/client.h"
#include "http/tls.h"

#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <string.h>

#define MAX_CONNECTIONS    1000
#define MAX_HEAD_BYTES     1024
#define MAX_WAITING_LABELS 1000 /* for a connection, besides frames */
#define STRETCH_SECONDS    10   /* of day or of dark */
#define REPORT_MS          1000
#define GOLDEN             .6180339887498949 /* multiples of it, modulo 1, fill 0..1 evenly */
#define MAX_REQUEST_ID     63
#define MAX_LAG_SECONDS    1 /* older turns are dropped at once: the machine slept */

struct camera {
    int in_flight;
    int version; /* it was assigned to last; -1 */
    bool switched;
};

/* What will be said of a frame. */
struct label {
    struct label *next;
    uint64_t due_ns;
    struct bytes *truth;
    char request_id[MAX_REQUEST_ID + 1];
};

struct player {
    const struct player_options *options;
    player_report *report;
    void *user;
    uv_loop_t loop;
    uv_timer_t clock, reporter, labeller;
    uv_signal_t interrupt, terminate; /* SIGINT, SIGTERM: the same */
    struct tls *tls;                  /* NULL: plain text */
    struct http_client *client;
    struct camera *cameras;
    struct buffer head;
    uint64_t start_ns, reported_ns, turn, turns; /* turns: 0: no end */
    int in_flight;
    struct label *labels, **labels_end; /* by due_ns */
    int label_count;
    uint64_t label_turn;
    bool stopping, interrupted, aborted, closed;
    struct histogram latency, last_latency;
    struct player_tally tally;
    enum serin_errc rc;
    struct serin_error *error;
};

/* One frame on its way. */
struct shot {
    struct player *player;
    int camera;
    struct bytes *truth; /* the footage's; NULL: the frame has no labels */
};

static void forget_labels(struct player *player)
{
    while (player->labels) {
        struct label *label = player->labels;

        player->labels = label->next;
        free(label);
    }
    player->labels_end = &player->labels;
    player->label_count = 0;
}

/* ---- the end ---- */

static void finish(struct player *player)
{
    if (player->closed)
        return;
    player->closed = true;
    player->tally.seconds = (double)(clock_now_ns() - player->start_ns) / 1e9;
    uv_close((uv_handle_t *)&player->clock, NULL);
    uv_close((uv_handle_t *)&player->reporter, NULL);
    uv_close((uv_handle_t *)&player->labeller, NULL);
    forget_labels(player);
    uv_close((uv_handle_t *)&player->interrupt, NULL);
    uv_close((uv_handle_t *)&player->terminate, NULL);
    http_client_close(player->client, NULL, NULL);
}

static void finish_if_done(struct player *player)
{
    if (player->stopping && player->in_flight == 0 && (player->label_count == 0 || player->interrupted))
        finish(player);
}

static void stop(struct player *player)
{
    player->stopping = true;
    if (player->closed)
        return;
    uv_timer_stop(&player->clock);
    finish_if_done(player);
}

static void on_interrupt(uv_signal_t *handle, int number)
{
    struct player *player = handle->data;

    (void)number;
    if (player->stopping) {
        player->aborted = true;
        finish(player);
    }
    player->interrupted = true;
    stop(player);
}

/* ---- labels ---- */

static void note_error(struct player *player, const char *who, const struct http_answer *answer)
{
    char *said = player->tally.first_error;
    size_t size = sizeof(player->tally.first_error);
    json_error_t fault;
    json_t *body = NULL, *found;
    const char *reason;

    if (said[0])
        return;
    if (answer->rc != SERIN_OK) {
        snprintf(said, size, "%s: %s", who, answer->why);
        return;
    }
    if (answer->body->size > 0)
        body = json_loadb((const char *)answer->body->data, answer->body->size, 0, &fault);
    found = json_object_get(body, "error"); /* a sentence, or {"code", "message"} */
    reason = json_string_value(json_is_object(found) ? json_object_get(found, "message") : found);
    snprintf(said, size, "%s: %d %s%s%s", who, answer->head->status, http_status_text(answer->head->status),
             reason ? ": " : "", reason ? reason : "");
    json_decref(body);
}

static void on_label_answer(void *user, const struct http_answer *answer)
{
    struct player *player = user;

    player->in_flight--;
    if (player->aborted || player->rc != SERIN_OK)
        ; /* as for frames */
    else if (answer->rc == SERIN_OK && answer->head->status / 100 == 2)
        player->tally.labels++;
    else if (player->tally.label_errors++ == 0)
        note_error(player, "a label", answer);
    finish_if_done(player);
}

static void post_label(struct player *player, const struct label *label)
{
    char target[MAX_REQUEST_ID + 32];
    int length = snprintf(target, sizeof(target), "/v1/feedback/%s", label->request_id);
    struct serin_error error;

    buffer_clear(&player->head);
    http_write_request_line(&player->head, (struct http_slice){"POST", 4}, (struct http_slice){target, (size_t)length});
    http_write_field(&player->head, "Content-Type", "%s", "application/json");
    if (http_call_start(player->client, &player->head, label->truth, player->options->timeout_ms, on_label_answer,
                        player, NULL, &error) == SERIN_OK)
        player->in_flight++;
    else
        player->tally.label_errors++;
}

static void on_labels_due(uv_timer_t *timer)
{
    struct player *player = timer->data;
    uint64_t now = clock_now_ns();

    while (player->labels && player->labels->due_ns <= now) {
        struct label *label = player->labels;

        player->labels = label->next;
        if (!player->labels)
            player->labels_end = &player->labels;
        player->label_count--;
        post_label(player, label);
        free(label);
    }
    if (player->labels)
        uv_timer_start(timer, on_labels_due, (player->labels->due_ns - now) / 1000000 + 1, 0);
    finish_if_done(player);
}

/* Which answers: multiples of the golden ratio spread over cameras and frames alike. */
static void plan_label(struct player *player, struct bytes *truth, const struct http_answer *answer)
{
    const struct http_slice *id = http_find(answer->head, "X-Request-Id");
    struct label *label;

    if (!truth || player->interrupted || fmod((double)player->label_turn++ * GOLDEN, 1) >= player->options->label_share)
        return;
    label = player->label_count < PLAYER_MAX_LABELS ? malloc(sizeof(*label)) : NULL;
    if (!label || !id || !http_slice_copy(*id, label->request_id, sizeof(label->request_id))) {
        player->tally.label_errors++;
        free(label);
        return;
    }
    label->next = NULL;
    label->truth = truth;
    label->due_ns = clock_now_ns() + (uint64_t)(player->options->label_delay_s * 1e9);
    *player->labels_end = label;
    player->labels_end = &label->next;
    if (player->label_count++ == 0)
        uv_timer_start(&player->labeller, on_labels_due, (uint64_t)(player->options->label_delay_s * 1e3), 0);
}

/* ---- answers ---- */

static int version_index(struct player_tally *tally, const struct http_slice *tag)
{
    char text[PLAYER_MAX_TAG + 1];
    int i;

    if (!tag || !http_slice_copy(*tag, text, sizeof(text)))
        return -1;
    for (i = 0; i < tally->version_count; i++)
        if (strcmp(tally->versions[i].tag, text) == 0)
            return i;
    if (i == PLAYER_MAX_VERSIONS)
        return -1;
    memcpy(tally->versions[i].tag, text, sizeof(text));
    tally->version_count++;
    return i;
}

static void count_answer(struct player *player, struct camera *camera, const struct http_answer *answer)
{
    struct player_tally *tally = &player->tally;
    const struct http_slice *fallback = http_find(answer->head, "X-Serin-Fallback");
    int version = version_index(tally, http_find(answer->head, "X-Serin-Version"));
    int assigned = fallback ? version_index(tally, fallback) : version;

    tally->answered++;
    histogram_record(&player->latency, answer->total_ns / 1000);
    histogram_record(&player->last_latency, answer->total_ns / 1000);
    if (version >= 0)
        tally->versions[version].answers++;
    if (fallback)
        tally->fallbacks++;
    if (camera->version >= 0 && assigned >= 0 && assigned != camera->version && !camera->switched) {
        camera->switched = true;
        tally->cameras_switched++;
    }
    if (assigned >= 0)
        camera->version = assigned;
}

static void on_answer(void *user, const struct http_answer *answer)
{
    struct shot *shot = user;
    struct player *player = shot->player;
    struct camera *camera = &player->cameras[shot->camera];
    bool first = player->tally.answered == 0 && player->tally.errors == 0;
    char who[24];

    camera->in_flight--;
    player->in_flight--;
    if (player->aborted || player->rc != SERIN_OK) {
        ; /* it is over: what was cut off is nobody's error */
    } else if (answer->rc == SERIN_OK && answer->head->status / 100 == 2) {
        count_answer(player, camera, answer);
        plan_label(player, shot->truth, answer);
    } else if (first && answer->rc == SERIN_IO && !answer->sent && !answer->timed_out) {
        player->rc = error_set(player->error, SERIN_IO, "no gateway there: %s", answer->why);
        player->stopping = true;
        finish(player);
    } else {
        snprintf(who, sizeof(who), "camera c%d", shot->camera + 1);
        player->tally.errors++;
        note_error(player, who, answer);
    }
    free(shot);
    finish_if_done(player);
}

/* ---- frames ---- */

/* Which picture a camera shows: each begins at another place, and goes dark for whole stretches, so that at any time
 * about dark_share of the cameras are dark. */
static const struct footage *choose(const struct player_options *options, int camera, uint64_t frame, size_t *ret_at)
{
    uint64_t stretch = (uint64_t)((double)frame / (options->fps * STRETCH_SECONDS));
    double place = fmod((double)(stretch * (uint64_t)options->cameras + (uint64_t)camera) * GOLDEN, 1);
    const struct footage *footage = options->dark && place < options->dark_share ? options->dark : options->day;

    *ret_at = (size_t)(((uint64_t)camera * footage->count / (uint64_t)options->cameras + frame) % footage->count);
    return footage;
}

static void write_head(struct player *player, int camera, const char *type)
{
    char target[256];
    int length = snprintf(target, sizeof(target), "/v1/predict/%s", player->options->model);

    buffer_clear(&player->head);
    http_write_request_line(&player->head, (struct http_slice){"POST", 4}, (struct http_slice){target, (size_t)length});
    http_write_field(&player->head, "Content-Type", "%s", type);
    http_write_field(&player->head, "X-Camera", "c%d", camera + 1);
}

static void send_frame(struct player *player, int number, uint64_t frame)
{
    struct camera *camera = &player->cameras[number];
    const struct footage *footage;
    struct serin_error error;
    struct shot *shot;
    size_t at;

    if (camera->in_flight >= player->options->in_flight) {
        player->tally.dropped++;
        return;
    }
    footage = choose(player->options, number, frame, &at);
    write_head(player, number, footage->types[at]);
    shot = malloc(sizeof(*shot));
    if (shot)
        *shot = (struct shot){player, number, footage->truths ? footage->truths[at] : NULL};
    if (!shot || http_call_start(player->client, &player->head, footage->frames[at], player->options->timeout_ms,
                                 on_answer, shot, NULL, &error) != SERIN_OK) {
        free(shot);
        player->tally.dropped++; /* no room here: the gateway has never heard of it */
        return;
    }
    camera->in_flight++;
    player->in_flight++;
    player->tally.sent++;
}

static double due_s(const struct player *player, uint64_t turn)
{
    return (double)turn / (player->options->fps * player->options->cameras);
}

static void on_clock(uv_timer_t *timer)
{
    struct player *player = timer->data;
    double now_s = (double)(clock_now_ns() - player->start_ns) / 1e9, wait_s;
    uint64_t cameras = (uint64_t)player->options->cameras;

    while (!player->stopping) {
        if ((player->turns && player->turn >= player->turns) ||
            (player->options->seconds > 0 && due_s(player, player->turn) >= player->options->seconds)) {
            stop(player);
            return;
        }
        if (due_s(player, player->turn) > now_s)
            break;
        if (due_s(player, player->turn) < now_s - MAX_LAG_SECONDS)
            player->tally.dropped++;
        else
            send_frame(player, (int)(player->turn % cameras), player->turn / cameras);
        player->turn++;
    }
    if (player->stopping)
        return;
    wait_s = due_s(player, player->turn) - (double)(clock_now_ns() - player->start_ns) / 1e9;
    uv_timer_start(timer, on_clock, wait_s > 0 ? (uint64_t)ceil(wait_s * 1e3) : 0, 0);
}

static void sum_up(struct player *player)
{
    uint64_t now = clock_now_ns();

    memset(&player->tally.latency, 0, sizeof(player->tally.latency));
    memset(&player->tally.last_latency, 0, sizeof(player->tally.last_latency));
    histogram_add(&player->tally.latency, &player->latency);
    histogram_add(&player->tally.last_latency, &player->last_latency);
    memset(&player->last_latency, 0, sizeof(player->last_latency));
    player->tally.last_seconds = (double)(now - player->reported_ns) / 1e9;
    player->reported_ns = now;
}

static void on_report(uv_timer_t *timer)
{
    struct player *player = timer->data;

    sum_up(player);
    player->tally.seconds = (double)(player->reported_ns - player->start_ns) / 1e9;
    player->report(player->user, &player->tally);
}

/* ---- the whole ---- */

static enum serin_errc begin(struct player *player, struct serin_error *error)
{
    const struct player_options *options = player->options;
    struct http_client_options client_options;
    int wanted = options->cameras * options->in_flight, i, code;
    enum serin_errc rc;

    player->cameras = calloc((size_t)options->cameras, sizeof(*player->cameras));
    if (!player->cameras)
        return error_set(error, SERIN_NOMEM, "no memory for %d cameras", options->cameras);
    for (i = 0; i < options->cameras; i++)
        player->cameras[i].version = -1;
    code = uv_loop_init(&player->loop);
    if (code != 0)
        return error_set(error, SERIN_IO, "no event loop: %s", uv_strerror(code));
    http_client_options_init(&client_options);
    client_options.max_connections = wanted < MAX_CONNECTIONS ? wanted : MAX_CONNECTIONS;
    client_options.max_waiting = wanted + MAX_WAITING_LABELS;
    client_options.tls = player->tls;
    rc = http_client_new(&player->loop, options->to, &client_options, &player->client, error);
    if (rc != SERIN_OK) {
        uv_loop_close(&player->loop);
        return rc;
    }
    uv_timer_init(&player->loop, &player->clock);
    uv_timer_init(&player->loop, &player->reporter);
    uv_timer_init(&player->loop, &player->labeller);
    uv_signal_init(&player->loop, &player->interrupt);
    uv_signal_init(&player->loop, &player->terminate);
    player->clock.data = player->reporter.data = player->labeller.data = player->interrupt.data =
        player->terminate.data = player;
    player->labels_end = &player->labels;
    player->start_ns = player->reported_ns = clock_now_ns();
    player->turns = options->loop ? 0 : (uint64_t)options->day->count * (uint64_t)options->cameras;
    uv_signal_start(&player->interrupt, on_interrupt, SIGINT);
    uv_signal_start(&player->terminate, on_interrupt, SIGTERM);
    uv_timer_start(&player->clock, on_clock, 0, 0);
    if (player->report)
        uv_timer_start(&player->reporter, on_report, REPORT_MS, REPORT_MS);
    return SERIN_OK;
}

enum serin_errc player_run(const struct player_options *options, player_report *report, void *user,
                           struct player_tally *ret, struct serin_error *error)
{
    struct player *player = calloc(1, sizeof(*player));
    enum serin_errc rc;

    if (!player)
        return error_set(error, SERIN_NOMEM, "no memory for the player");
    player->options = options;
    player->report = report;
    player->user = user;
    player->error = error;
    buffer_init(&player->head, MAX_HEAD_BYTES);
    rc = admin_tls(options->to, &player->tls, error);
    if (rc == SERIN_OK)
        rc = begin(player, error);
    if (rc == SERIN_OK) {
        uv_run(&player->loop, UV_RUN_DEFAULT);
        BUG_ON(uv_loop_close(&player->loop) != 0);
        rc = player->rc;
    }
    if (rc == SERIN_OK) {
        sum_up(player);
        *ret = player->tally;
    }
    buffer_done(&player->head);
    tls_free(player->tls);
    free(player->cameras);
    free(player);
    return rc;
}
