# shellcheck shell=bash
# Batches in CIFAR-10's binary format, for the tests of jobs/slurm_cifar.sh; sourced.

# make_batch FILE N SEED: pictures in noise, of ten kinds in turn
make_batch() {
    LC_ALL=C awk -v n="$2" -v seed="$3" 'BEGIN {
        srand(seed)
        for (i = 0; i < n; i++) {
            label = i % 10
            printf "%c", label
            for (j = 0; j < 3072; j++)
                printf "%c", 64 + 90 * ((j * (label + 3)) % 97 < 48) + int(90 * rand())
        }
    }' >"$1"
    [ "$(stat -c %s "$1")" = $((3073 * $2)) ] || die "this awk cannot write bytes"
}

# make_batches FOLDER
make_batches() {
    mkdir "$1"
    make_batch "$1/data_batch_1.bin" 150 1
    make_batch "$1/data_batch_2.bin" 150 2
    make_batch "$1/test_batch.bin" 50 3
}

# With --hidden 8 a matter of seconds, whatever jobs/cifar10.ini says.
export FMAL_MODEL=mlp FMAL_INITIAL=20 FMAL_BATCH=10 FMAL_ROUNDS=2 FMAL_TRAIN_BATCH=8 \
    FMAL_MICRO_BATCH=4 FMAL_EPOCHS=20 FMAL_TRAIN_ACCURACY=2
