#include "weights_impl.h"
#include "fmal/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

/* ---- What a file is, by its first bytes ---- */

typedef enum { HDF5, SAFETENSORS, TORCH, UNKNOWN } kind;

static kind kind_of(const unsigned char *head, ssize_t n)
{
    static const unsigned char hdf5[] = { 0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n' };

    if (n >= 8 && memcmp(head, hdf5, sizeof hdf5) == 0)
        return HDF5;
    if (n >= 9 && head[8] == '{')
        return SAFETENSORS;
    /* torch.save: a zip archive, or in older versions a pickle */
    if (n >= 4 && (memcmp(head, "PK\3\4", 4) == 0 || (head[0] == 0x80 && head[1] < 6)))
        return TORCH;
    return UNKNOWN;
}

static fmal_status look(const char *path, kind *out)
{
    unsigned char head[9];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? pread(fd, head, sizeof head, 0) : -1;
    int error = errno;

    if (fd >= 0)
        close(fd);
    if (n < 0)
        return FMAL_FAIL(FMAL_ERR_IO, "%s: cannot read: %s", path, strerror(error));
    *out = kind_of(head, n);
    return FMAL_OK;
}

bool fmal_weights_is_safetensors(const char *path)
{
    kind what = UNKNOWN;

    return look(path, &what) == FMAL_OK && what == SAFETENSORS;
}

/* ---- A file ---- */

fmal_status fmal_store_open(const char *path, fmal_store *s)
{
    kind what;

    *s = (fmal_store){ .path = path, .fd = -1 };
    FMAL_TRY(look(path, &what));
    switch (what) {
    case HDF5:
        return fmal_store_h5_open(s);
    case SAFETENSORS:
        return fmal_safetensors_open(s);
    case TORCH:
        return FMAL_FAIL(FMAL_ERR_FORMAT,
                         "%s: seems to be made by torch.save; export its state_dict as "
                         "safetensors or HDF5 (docs/weights.md)",
                         path);
    default:
        return FMAL_FAIL(FMAL_ERR_FORMAT,
                         "%s: neither HDF5 nor safetensors; %s (docs/weights.md)", path,
                         fmal_h5_is_checked(path)
                             ? "a run's weights are written by --save-weights"
                             : "export the network as one of these");
    }
}

void fmal_store_close(fmal_store *s)
{
    for (int i = 0; i < s->n; i++)
        fmal_free(&s->tensor[i].name);
    fmal_free(&s->tensor);
    fmal_h5_close(&s->h);
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    s->n = 0;
}

static fmal_status check_finite(const fmal_store *s, int i, const float *values)
{
    char label[FMAL_LABEL_BYTES];

    for (fmal_idx j = 0; j < s->tensor[i].count; j++)
        if (!isfinite(values[j]))
            return FMAL_FAIL(FMAL_ERR_FORMAT,
                             "%s: %s: element %" PRId64
                             " is %g; wanted finite numbers of single precision",
                             s->path, fmal_name_label(s->tensor[i].name, label), j,
                             (double) values[j]);
    return FMAL_OK;
}

fmal_status fmal_store_read(const fmal_store *s, int i, float *out)
{
    char label[FMAL_LABEL_BYTES];

    if (s->tensor[i].type == FMAL_STORED_OTHER)
        return FMAL_FAIL(FMAL_ERR_FORMAT,
                         "%s: %s: wanted floating-point numbers of 16, 32 or 64 bits; "
                         "export it in single precision",
                         s->path, fmal_name_label(s->tensor[i].name, label));
    FMAL_TRY(s->h ? fmal_store_h5_read(s, i, out) : fmal_safetensors_read(s, i, out));
    return check_finite(s, i, out);
}

fmal_status fmal_weights_look(const char *path, fmal_weights_info *info)
{
    fmal_store s;
    fmal_status st = fmal_store_open(path, &s);

    if (st == FMAL_OK) {
        *info = (fmal_weights_info){ .format = s.h ? "HDF5" : "safetensors",
                                     .tensors = s.n };
        for (int i = 0; i < s.n; i++)
            info->elements += s.tensor[i].count;
    }
    fmal_store_close(&s);
    return st;
}
