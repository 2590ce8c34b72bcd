/* Makes what the program reads of the network with known answers: its images as a data
   set, and its weights under the names that fmal gives them. */
#include "fmal/mem.h"
#include "fmal/par.h"
#include "fmal/weights.h"
#include "golden_net.h"
#include "write_array.h"

static const fmal_idx image_dims[4] = { GOLDEN_N, 3, 32, 32 };
static const fmal_idx label_dims[1] = { GOLDEN_N };
static const fmal_idx channel_dims[1] = { 3 };

static fmal_status copy_images(fmal_h5 *from, fmal_h5 *to)
{
    uint8_t *pixels = NULL;
    fmal_status st = FMAL_ALLOC(&pixels, GOLDEN_N * GOLDEN_INPUTS);

    if (st == FMAL_OK)
        st = fmal_h5_read(from, "/images", FMAL_U8, pixels);
    if (st == FMAL_OK)
        st = write_array(to, "/train/images", FMAL_U8, 4, image_dims, pixels);
    fmal_free(&pixels);
    return st;
}

static fmal_status copy_set(fmal_h5 *from, fmal_h5 *to)
{
    int32_t labels[GOLDEN_N];
    float mean[3], std[3];

    FMAL_TRY(fmal_h5_stamp(to, "fmal-dataset-1", "make_golden"));
    FMAL_TRY(copy_images(from, to));
    FMAL_TRY(fmal_h5_read(from, "/labels", FMAL_I32, labels));
    FMAL_TRY(fmal_h5_read(from, "/mean", FMAL_F32, mean));
    FMAL_TRY(fmal_h5_read(from, "/std", FMAL_F32, std));
    FMAL_TRY(write_array(to, "/train/labels", FMAL_I32, 1, label_dims, labels));
    FMAL_TRY(write_array(to, "/mean", FMAL_F32, 1, channel_dims, mean));
    return write_array(to, "/std", FMAL_F32, 1, channel_dims, std);
}

static fmal_status make_set(fmal_h5 *golden, const char *path)
{
    fmal_h5 *h = NULL;

    FMAL_TRY(fmal_h5_create_image(&h));
    fmal_status st = copy_set(golden, h);
    if (st == FMAL_OK)
        st = fmal_h5_save(h, path, FMAL_SAVE_PLAIN);
    fmal_h5_close(&h);
    return st;
}

static fmal_status make_weights(fmal_h5 *golden, const char *path)
{
    fmal_net *net = NULL;
    fmal_ctx ctx;
    fmal_status st;

    fmal_ctx_init(&ctx, MPI_COMM_WORLD);
    st = golden_net(golden, &net);
    if (st == FMAL_OK)
        st = fmal_weights_save(&ctx, path, net, "make_golden");
    fmal_net_destroy(&net);
    return st;
}

static fmal_status make_both(char **argv)
{
    fmal_h5 *golden = NULL;
    fmal_status st = fmal_h5_open(argv[1], &golden);

    if (st == FMAL_OK)
        st = make_set(golden, argv[2]);
    if (st == FMAL_OK)
        st = make_weights(golden, argv[3]);
    fmal_h5_close(&golden);
    return st;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: make_golden GOLDEN DATA WEIGHTS\n");
        return 2;
    }
    FMAL_MPI(MPI_Init(&argc, &argv));
    fmal_status st = make_both(argv);
    if (st != FMAL_OK)
        fprintf(stderr, "make_golden: %s\n", fmal_error_text());
    fmal_h5_shutdown();
    FMAL_MPI(MPI_Finalize());
    return st != FMAL_OK;
}
