#include "modelled.h"
#include "fmal/mask.h"
#include "fmal/mem.h"
#include "fmal/train.h"
#include "fmal/weights.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define AT(member) offsetof(modelled_options, member)
const fmal_opt modelled_table[] = {
    { .name = "data",
      .letter = 'd',
      .type = FMAL_OPT_STRING,
      .offset = AT(data),
      .arg = "FILE",
      .help = "data set (fmal import) in place of a pool: its training split, as a "
              "network sees it" },
    { .name = "network", .part = network_table, .offset = AT(network) },
    { .name = "weights",
      .letter = 'w',
      .type = FMAL_OPT_STRING,
      .offset = AT(weights),
      .arg = "FILE",
      .help = "weights of the network, safetensors or HDF5 (docs/weights.md)" },
    { .name = "labelled",
      .type = FMAL_OPT_STRING,
      .offset = AT(labelled),
      .arg = "FILE",
      .help = "labelled samples of --data: an index a line, or CSV with a column "
              "'index' as picks.csv (default: those with a label in the data set)" },
    { .name = NULL },
};

fmal_status modelled_check(const fmal_opts *opts, const modelled_options *o)
{
    static const char *const ours[] = { "model", "hidden", "weights", "labelled" };

    for (int i = 0; i < FMAL_COUNT(ours) && !o->data; i++)
        if (fmal_opts_given(opts, ours[i]))
            return FMAL_FAIL(FMAL_ERR_USAGE,
                             "--%s: goes with --data; a pool has what a model said",
                             ours[i]);
    if (o->data && !o->weights)
        return FMAL_FAIL(FMAL_ERR_USAGE,
                         "--weights FILE is missing: --data wants a trained network "
                         "(fmal run --save-weights, docs/weights.md)");
    return network_check(opts, &o->network);
}

/* ---- Who is labelled ---- */

/* A list of indices as it is read; line counts from 1. */
typedef struct {
    const char *path;
    fmal_idx n; /* samples that there are */
    int column, line;
    uint8_t *listed; /* [n]: 1 where an index was read */
} list;

/* Where in a comma-separated header the column is; -1: nowhere. */
static int find_column(const char *header)
{
    const char *name = "index";

    for (int column = 0;; column++) { /* fields may be empty: pandas' first one is */
        size_t length = strcspn(header, ",\r\n");

        if (length == strlen(name) && strncmp(header, name, length) == 0)
            return column;
        if (header[length] != ',')
            return -1;
        header += length + 1;
    }
}

static bool is_blank(const char *line)
{
    return line[strspn(line, " \t\r\n")] == 0;
}

static fmal_status read_index(list *l, const char *line)
{
    const char *at = line;
    char *end;

    for (int i = 0; i < l->column && at; i++)
        at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL;
    errno = 0;
    long long index = at ? strtoll(at, &end, 10) : -1;
    bool whole = at && end != at && errno == 0;
    whole = whole && (*end == ',' ? l->column >= 0 : is_blank(end));
    if (!whole || index < 0 || index >= l->n)
        return FMAL_FAIL(FMAL_ERR_FORMAT,
                         "%s, line %d: is no index of a sample; the training split has "
                         "samples 0 to %" PRId64,
                         l->path, l->line, l->n - 1);
    if (l->listed[index]++)
        return FMAL_FAIL(FMAL_ERR_FORMAT, "%s, line %d: sample %lld is listed twice",
                         l->path, l->line, index);
    return FMAL_OK;
}

/* The first line may say which column it is. */
static fmal_status read_line(list *l, char *line)
{
    l->line++;
    if (!strchr(line, '\n') && strlen(line) > 4000)
        return FMAL_FAIL(FMAL_ERR_FORMAT,
                         "%s, line %d: is longer than 4,000 characters", l->path,
                         l->line);
    if (is_blank(line))
        return FMAL_OK;
    if (l->line > 1 || (line[0] >= '0' && line[0] <= '9'))
        return read_index(l, line);
    l->column = find_column(line);
    if (l->column < 0)
        return FMAL_FAIL(FMAL_ERR_FORMAT,
                         "%s: begins neither with an index nor with a header that has "
                         "a column 'index'",
                         l->path);
    return FMAL_OK;
}

/* Root only. */
static fmal_status read_list(list *l)
{
    char line[4100];
    FILE *file = fopen(l->path, "r");
    fmal_status st = FMAL_OK;

    if (!file)
        return FMAL_FAIL(FMAL_ERR_IO, "%s: cannot read: %s", l->path, strerror(errno));
    while (st == FMAL_OK && fgets(line, sizeof line, file))
        st = read_line(l, line);
    if (st == FMAL_OK && ferror(file))
        st = FMAL_FAIL(FMAL_ERR_IO, "%s: cannot read: %s", l->path, strerror(errno));
    fclose(file);
    return st;
}

/* Roles by a list; collective. */
static fmal_status roles_by_list(const fmal_ctx *ctx, const char *path, modelled *m)
{
    const fmal_part *part = &m->set->train.part;
    list l = { .path = path, .n = part->n, .column = -1 };
    fmal_status st = fmal_agree(ctx, FMAL_ALLOC(&l.listed, part->n));

    if (st == FMAL_OK)
        st = fmal_agree_root(ctx, ctx->rank == 0 ? read_list(&l) : FMAL_OK);
    if (st == FMAL_OK)
        fmal_bcast(ctx, l.listed, (size_t) part->n, 0);
    for (fmal_idx i = 0; i < part->count && st == FMAL_OK; i++)
        m->role[i] = l.listed[part->first + i] ? FMAL_LABELLED : FMAL_CANDIDATE;
    fmal_free(&l.listed);
    return st;
}

static void roles_by_labels(modelled *m)
{
    for (fmal_idx i = 0; i < m->set->train.part.count; i++)
        m->role[i] = m->set->train.labels[i] >= 0 ? FMAL_LABELLED : FMAL_CANDIDATE;
}

static fmal_status find_roles(const fmal_ctx *ctx, const modelled_options *o,
                              modelled *m)
{
    const fmal_part *part = &m->set->train.part;
    fmal_idx labelled = 0;

    FMAL_TRY(fmal_agree(ctx, FMAL_ALLOC(&m->role, part->count)));
    if (o->labelled)
        FMAL_TRY(roles_by_list(ctx, o->labelled, m));
    else
        roles_by_labels(m);
    for (fmal_idx i = 0; i < part->count; i++)
        labelled += m->role[i] == FMAL_LABELLED;
    m->info.labelled = fmal_sum_one(ctx, labelled);
    if (m->info.labelled == part->n && !o->labelled)
        return FMAL_FAIL(FMAL_ERR_ARG,
                         "%s: every training sample has a label, so that none is left "
                         "to pick; say by --labelled FILE which of them count",
                         m->set->path);
    return FMAL_OK;
}

/* ---- The pool ---- */

static fmal_status open_all(cli *c, const modelled_options *o, modelled *m)
{
    const fmal_ctx *ctx = &c->ctx;
    bool has_head;

    FMAL_TRY(fmal_dataset_open(ctx, o->data, &m->set));
    FMAL_TRY(network_make(ctx, &o->network, m->set, FMAL_FISHER_BATCH, &m->net));
    FMAL_TRY(fmal_weights_load(ctx, o->weights, FMAL_HEAD_REQUIRED, m->net, &has_head));
    m->info = (fmal_pool_info){ .n = m->set->train.part.n,
                                .d = fmal_net_features(m->net),
                                .c = fmal_net_classes(m->net),
                                .has_labels = true };
    return find_roles(ctx, o, m);
}

fmal_status modelled_open(cli *c, const modelled_options *o, modelled *out)
{
    modelled m = { 0 };

    fmal_phase_begin(&c->phases, FMAL_PHASE_READ);
    fmal_status st = open_all(c, o, &m);
    fmal_phase_end(&c->phases, 0,
                   st == FMAL_OK
                       ? (double) m.set->train.part.count * (double) m.set->row_bytes
                       : 0);
    if (st == FMAL_OK)
        *out = m;
    else
        modelled_clear(&m);
    return st;
}

void modelled_clear(modelled *m)
{
    fmal_free(&m->role);
    fmal_net_destroy(&m->net);
    fmal_dataset_close(&m->set);
}

static fmal_status allocate(const modelled *m, fmal_pool *pool, float **logits)
{
    fmal_idx n = m->set->train.part.count;

    pool->path = fmal_strdup(m->set->path);
    if (!pool->path)
        return FMAL_ERR_NOMEM;
    FMAL_TRY(FMAL_ALLOC(&pool->features, n * m->info.d));
    FMAL_TRY(FMAL_ALLOC(&pool->probs, n * m->info.c));
    FMAL_TRY(FMAL_ALLOC(&pool->labels, n));
    return FMAL_ALLOC(logits, n * m->info.c);
}

/* Features and probabilities follow from data and network. Collective. */
static fmal_status checksum(const fmal_ctx *ctx, modelled *m, fmal_pool *pool)
{
    char sums[3][33];

    memcpy(sums[0], m->set->checksum, sizeof sums[0]);
    fmal_net_checksum(m->net, sums[1]);
    FMAL_TRY(fmal_checksum_rows(ctx, &pool->part, pool->role, 1, sums[2]));
    fmal_checksum(sums, sizeof sums, pool->checksum);
    return FMAL_OK;
}

static fmal_status fill(const fmal_ctx *ctx, modelled *m, fmal_pool *pool)
{
    const fmal_split *train = &m->set->train;
    fmal_idx n = train->part.count;
    float *logits = NULL;
    fmal_status st = fmal_agree(ctx, allocate(m, pool, &logits));

    if (st == FMAL_OK)
        st = fmal_embed(ctx, m->net, m->set, train, pool->features, logits, NULL);
    if (st == FMAL_OK) {
        fmal_softmax(logits, n, m->info.c, pool->probs);
        if (n > 0)
            memcpy(pool->labels, train->labels, (size_t) n * sizeof *pool->labels);
        pool->role = m->role;
        m->role = NULL;
        st = checksum(ctx, m, pool);
    }
    fmal_free(&logits);
    return st;
}

fmal_status modelled_score(cli *c, modelled *m, fmal_pool **out)
{
    fmal_pool *pool = NULL;

    FMAL_TRY(fmal_agree(&c->ctx, FMAL_ALLOC(&pool, 1)));
    pool->info = m->info;
    pool->part = m->set->train.part;
    fmal_phase_begin(&c->phases, FMAL_PHASE_SCORE);
    fmal_status st = fill(&c->ctx, m, pool);
    fmal_phase_end(&c->phases, (double) pool->part.count * fmal_net_flops(m->net), 0);
    if (st != FMAL_OK)
        fmal_pool_close(&pool);
    else
        *out = pool;
    return st;
}
