#include "ckpt_impl.h"
#include "fmal/mem.h"
#include "fmal/opts.h"

#include <string.h>

fmal_status fmal_identity_write(fmal_h5 *h, const fmal_identity *id)
{
    FMAL_TRY(fmal_h5_write_text(h, "/configuration/given", id->given,
                                "options as the user gave them, key = value lines"));
    FMAL_TRY(fmal_h5_write_text(h, "/configuration/resolved", id->resolved,
                                "every option with the value in force"));
    FMAL_TRY(fmal_h5_write_text(h, "/configuration/fixed", id->fixed,
                                "options that must be the same at every start"));
    FMAL_TRY(fmal_h5_write_text(h, "/input/path", id->input,
                                "the data set or pool this belongs to"));
    return fmal_h5_write_text(h, "/input/checksum", id->checksum,
                              "XXH3-128 of its content, over blocks of samples");
}

fmal_status fmal_identity_compare_options(fmal_h5 *h, const fmal_identity *id)
{
    char *before = NULL, message[1200];
    fmal_status st = FMAL_OK;

    FMAL_TRY(fmal_h5_read_text(h, "/configuration/fixed", &before));
    if (fmal_opts_differ(before, id->fixed, id->defaults, message, sizeof message))
        st = FMAL_FAIL(FMAL_ERR_MISMATCH,
                       "%s: belongs to another configuration: %s; start with the old "
                       "value, or write to another place",
                       fmal_h5_path(h), message);
    fmal_free(&before);
    return st;
}

fmal_status fmal_identity_compare_input(fmal_h5 *h, const fmal_identity *id)
{
    char *before = NULL, *path = NULL;
    fmal_status st = FMAL_OK;

    FMAL_TRY(fmal_h5_read_text(h, "/input/checksum", &before));
    if (strcmp(before, id->checksum) != 0)
        st = fmal_h5_read_text(h, "/input/path", &path);
    if (path)
        st = FMAL_FAIL(FMAL_ERR_MISMATCH,
                       "%s: belongs to other data: the checksum was %s, now %s; it was "
                       "made from %s, and from weights and a mask if these were given: "
                       "give them as they were, or write to another place",
                       fmal_h5_path(h), before, id->checksum, path);
    fmal_free(&before);
    fmal_free(&path);
    return st;
}
