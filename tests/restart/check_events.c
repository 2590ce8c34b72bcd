/*
 * check_events FILE: an events.jsonl in short, one "event" or "event round" a line.
 *
 * Fails if a line is no JSON object with event and time, if the last one has no end, if
 * a round is trained or picked twice, or if picks do not follow from a search's steps.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROUNDS = 1000 };

static int complain(const char *path, int line, const char *what)
{
    fprintf(stderr, "%s:%d: %s\n", path, line, what);
    return 1;
}

/* Whether a round is seen for the first time. */
static int is_new(const char *event, json_int_t round)
{
    static char seen[2][MAX_ROUNDS];
    int which = strcmp(event, "pick") == 0;

    return round >= 0 && round < MAX_ROUNDS && !seen[which][round]++;
}

static int has(json_t *list, json_t *wanted)
{
    json_t *item;
    size_t i;

    json_array_foreach(list, i, item) if (json_equal(item, wanted)) return 1;
    return 0;
}

/* Whether picks of a search are the samples that it added and did not remove. */
static int is_sound(json_t *pick)
{
    json_t *added = json_object_get(pick, "added"), *item;
    json_t *removed = json_object_get(pick, "removed");
    json_t *index = json_object_get(pick, "index");
    size_t i;

    if (!added)
        return !json_object_get(pick, "objective_before");
    json_array_foreach(index, i,
                       item) if (!has(added, item) || has(removed, item)) return 0;
    return json_array_size(added) == json_array_size(removed) + json_array_size(index);
}

static int check_line(const char *path, int number, const char *line)
{
    json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    const char *event = json_string_value(json_object_get(object, "event"));
    json_t *round = json_object_get(object, "round");
    int bad = 0;

    if (!event || !json_is_real(json_object_get(object, "time")))
        bad = complain(path, number, "is no event");
    else if (!round)
        printf("%s\n", event);
    else if (!is_new(event, json_integer_value(round)))
        bad = complain(path, number, "repeats a round");
    else if (!is_sound(object))
        bad = complain(path, number, "has picks that were not added, or removed again");
    else
        printf("%s %lld\n", event, (long long) json_integer_value(round));
    json_decref(object);
    return bad;
}

int main(int argc, char **argv)
{
    FILE *in = argc == 2 ? fopen(argv[1], "r") : NULL;
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    int number = 0, bad = 0;

    if (!in) {
        fprintf(stderr, "usage: check_events FILE\n");
        return 2;
    }
    while ((length = getline(&line, &size, in)) > 0) {
        number++;
        if (line[length - 1] != '\n')
            bad |= complain(argv[1], number, "is cut off");
        bad |= check_line(argv[1], number, line);
    }
    free(line);
    fclose(in);
    return bad;
}
