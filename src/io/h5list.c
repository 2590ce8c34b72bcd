#include "h5_impl.h"
#include "fmal/mem.h"

/* Names so far. */
typedef struct {
    char **names;
    int n, most;
    fmal_status st;
} collection;

static herr_t count(hid_t group, const char *name, const H5L_info_t *info, void *to)
{
    (void) group, (void) name, (void) info;
    return ++((collection *) to)->n > ((collection *) to)->most;
}

static herr_t collect(hid_t group, const char *name, const H5L_info_t *info, void *to)
{
    collection *c = to;

    (void) group, (void) info;
    if (c->n == c->most) /* the file has grown */
        return 1;
    if (!(c->names[c->n] = fmal_strdup(name)))
        c->st = FMAL_ERR_NOMEM;
    else
        c->n++;
    return c->st != FMAL_OK;
}

static fmal_status list_group(const fmal_h5 *h, hid_t group, const char *name, int most,
                              collection *c)
{
    *c = (collection){ .most = most };
    if (H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, count, c) < 0)
        return fmal_h5_failed(h, "list", name);
    if (c->n > most)
        return FMAL_FAIL(FMAL_ERR_FORMAT, "%s: %s: has more than %d members", h->path,
                         name, most);
    c->most = c->n;
    c->n = 0;
    FMAL_TRY(FMAL_ALLOC(&c->names, c->most));
    if (H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, collect, c) < 0)
        return fmal_h5_failed(h, "list", name);
    return c->st;
}

fmal_status fmal_h5_list(fmal_h5 *h, const char *group, int most, char ***names, int *n)
{
    collection c = { 0 };
    hid_t id = H5Lexists(h->file, group, H5P_DEFAULT) > 0
                   ? H5Gopen2(h->file, group, H5P_DEFAULT)
                   : -1;

    if (id < 0) {
        H5Eclear2(H5E_DEFAULT);
        return FMAL_FAIL(FMAL_ERR_FORMAT, "%s: has no group %s", h->path, group);
    }
    fmal_status st = list_group(h, id, group, most, &c);
    H5Gclose(id);
    if (st == FMAL_OK) {
        *names = c.names;
        *n = c.n;
        return FMAL_OK;
    }
    for (int i = 0; i < c.n && c.names; i++)
        fmal_free(&c.names[i]);
    fmal_free(&c.names);
    return st;
}
