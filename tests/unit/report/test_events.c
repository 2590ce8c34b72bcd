/* The file of events: appended to, and cut at what a checkpoint knows of. */
#include "fmal_test.h"

#include "fmal/io.h"
#include "fmal/mem.h"
#include "fmal/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An event with one field, on the root; elsewhere nothing is given. */
static fmal_status add(fmal_test *t, fmal_events *events, const char *name, int value)
{
    return fmal_events_add(
        events, name, t->ctx.rank == 0 ? json_pack("{s:i}", "value", value) : NULL);
}

/* On the root: line i of the file is event `name` with this value and a time; and there
   are `lines` lines that end at `bytes`. */
static bool has_events(fmal_test *t, const char *path, int lines, const int *values,
                       int64_t bytes)
{
    char *data = NULL, *at;
    size_t size = 0;
    bool right = true;

    if (t->ctx.rank != 0)
        return true;
    right = fmal_file_read(path, 1 << 20, &data, &size) == FMAL_OK &&
            (int64_t) size == bytes;
    at = data;
    for (int i = 0; i < lines && right; i++) {
        char *end = memchr(at, '\n', size - (size_t) (at - data));
        json_t *line = end ? json_loadb(at, (size_t) (end - at), 0, NULL) : NULL;

        right = line &&
                json_integer_value(json_object_get(line, "value")) == values[i] &&
                json_real_value(json_object_get(line, "time")) > 1.6e9 &&
                json_is_string(json_object_get(line, "event"));
        json_decref(line);
        at = end ? end + 1 : at;
    }
    right = right && at == data + size;
    fmal_free(&data);
    return right;
}

static void test_cut(fmal_test *t, const char *path)
{
    static const int values[] = { 1, 2, 3, 4 }, again[] = { 1, 2, 9 };
    fmal_events *events = NULL;
    int64_t kept = 0;
    fmal_status st = fmal_events_open(&t->ctx, path, 0, &events);

    fmal_test_ok(t, st == FMAL_OK && fmal_events_bytes(events) == 0,
                 "a new file is empty");
    for (int i = 0; i < 4 && st == FMAL_OK; i++) {
        st = add(t, events, i == 1 ? "two" : "some", values[i]);
        if (i == 1)
            kept = fmal_events_bytes(events);
    }
    if (st == FMAL_OK)
        st = fmal_events_sync(events);
    int64_t all = fmal_events_bytes(events);
    fmal_test_ok(t,
                 st == FMAL_OK && kept > 0 && all > kept &&
                     has_events(t, path, 4, values, all),
                 "four events, %d bytes", (int) all);
    fmal_events_close(&events);
    fmal_test_ok(t, !events, "closed");
    fmal_events_close(&events);

    st = fmal_events_open(&t->ctx, path, kept, &events);
    fmal_test_ok(t,
                 st == FMAL_OK && fmal_events_bytes(events) == kept &&
                     has_events(t, path, 2, values, kept),
                 "cut at what belongs to the state");
    if (st == FMAL_OK)
        st = add(t, events, "nine", 9);
    fmal_test_ok(
        t, st == FMAL_OK && has_events(t, path, 3, again, fmal_events_bytes(events)),
        "and gone on with from there");
    all = fmal_events_bytes(events);
    fmal_events_close(&events);

    /* Someone cut the file, or a checkpoint is of a longer one. */
    st = fmal_events_open(&t->ctx, path, all + 1000, &events);
    fmal_test_ok(t,
                 st == FMAL_OK && fmal_events_bytes(events) == all &&
                     has_events(t, path, 3, again, all),
                 "a shorter file stays as it is");
    fmal_events_close(&events);
}

static void test_fields(fmal_test *t, const char *path)
{
    fmal_events *events = NULL;
    fmal_status st = fmal_events_open(&t->ctx, path, 0, &events);
    char *data = NULL;
    size_t size = 0;

    if (st == FMAL_OK)
        st = fmal_events_add(events, "bare", NULL);
    fmal_events_close(&events);
    if (st == FMAL_OK && t->ctx.rank == 0)
        st = fmal_file_read(path, 1 << 20, &data, &size);
    fmal_test_ok(
        t,
        st == FMAL_OK &&
            (t->ctx.rank != 0 ||
             (size > 30 && strncmp(data, "{\"event\":\"bare\",\"time\":", 23) == 0 &&
              data[size - 1] == '\n')),
        "an event without fields");
    fmal_free(&data);
}

static void test_fails(fmal_test *t)
{
    fmal_events *events = NULL;
    const char *path = fmal_test_path(t, "no/folder/events.jsonl");

    fmal_error_set("", "");
    fmal_status st = fmal_events_open(&t->ctx, path, 0, &events);
    fmal_test_ok(
        t, st == FMAL_ERR_IO && !events && strstr(fmal_error_text(), "events.jsonl"),
        "a folder that is not there fails on all ranks");
}

/* Phases of all ranks: the slowest one's seconds, everybody's work. */
static void test_phases(fmal_test *t)
{
    fmal_phases phases = { 0 };
    int size = t->ctx.size;

    phases.seconds[FMAL_PHASE_STEP] = 1 + t->ctx.rank;
    phases.flops[FMAL_PHASE_STEP] = 100;
    json_t *all = fmal_phases_json(&t->ctx, &phases);
    json_t *step = json_object_get(all, fmal_phase_name(FMAL_PHASE_STEP));
    bool right = !all;

    if (t->ctx.rank == 0)
        right =
            json_number_value(json_object_get(step, "seconds")) == size &&
            fmal_test_close(json_number_value(json_object_get(step, "seconds_mean")),
                            (size + 1) / 2.0, 1e-14, 0) &&
            json_number_value(json_object_get(step, "flops")) == 100.0 * size &&
            !json_object_get(all, fmal_phase_name(FMAL_PHASE_TRAIN)) &&
            json_number_value(json_object_get(all, "peak_bytes")) > 0;
    fmal_test_ok(t, right, "phases of %d ranks", size);
    json_decref(all);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);
    char path[512];

    snprintf(path, sizeof path, "%s", fmal_test_path(&t, "events.jsonl"));
    test_cut(&t, path);
    test_fields(&t, path);
    test_fails(&t);
    test_phases(&t);
    fmal_h5_shutdown();
    return fmal_test_end(&t);
}
