#!/usr/bin/env bash
# jobs/slurm_cifar.sh by hand: how it finds and imports batches, and what may be set.
# tests/jobs/slurm.sh has the same script under Slurm.
# shellcheck source=tests/restart/lib.sh
. "$(dirname "$0")/../restart/lib.sh"
# shellcheck source=tests/jobs/batches.sh
. "$(dirname "$0")/batches.sh"

unset SLURM_JOB_ID SLURM_JOB_END_TIME SLURM_NTASKS SLURM_HINT SLURM_SUBMIT_DIR \
    SLURM_ARRAY_TASK_ID FMAL_LAUNCH FMAL_JOBS FMAL_DATA FMAL_RUN FMAL_CONFIG FMAL_SEED FMAL_STRATEGY CIFAR10
export FMAL_RANKS=2
export FMAL_STRATEGY=bait # the head of so small a network is larger than a mask of it

cifar() {
    rc=0
    timeout "$limit" bash "$FMAL_SOURCE/jobs/slurm_cifar.sh" --hidden 8 --progress never >out 2>log || rc=$?
}

# ---- Data ----

nothing_made() {
    [ -z "$(find . -name 'cifar10.h5*')" ] || die "leaves $(find . -name 'cifar10.h5*')"
}

CIFAR10=nowhere cifar
expect_rc 2 "no folder"
said "neither cifar10.h5 nor nowhere"
said "set CIFAR10"
mkdir empty
CIFAR10=empty cifar
expect_rc 2 "a folder without batches"
said "empty: no data_batch_1.bin"
nothing_made

make_batches batches
cp -r batches torn
truncate -s 4000 torn/data_batch_2.bin
CIFAR10=torn cifar
expect_rc 1 "a batch that is cut off"
said "torn/data_batch_2.bin: truncated"
nothing_made
ok "batches that are not there, or not whole"

export CIFAR10=$dir/batches
FMAL_RUN=plain cifar
expect_rc 0 "a run"
said "importing $CIFAR10 into cifar10.h5"
[ -z "$(find . -name '*.import-*')" ] || die "leaves what it imported from"
mv cifar10.h5 plain.h5
ok "batches are imported"

if command -v xz >/dev/null; then
    xz batches/data_batch_2.bin batches/test_batch.bin
    FMAL_RUN=packed cifar
    expect_rc 0 "a run"
    h5diff -q plain.h5 cifar10.h5 /train /train || die "packed batches give other images"
    h5diff -q plain.h5 cifar10.h5 /test /test || die "packed batches give other test images"
    same_tables plain packed
    ok "packed batches are the same"
else
    mv plain.h5 cifar10.h5
fi

# From here on the data set is enough.
export CIFAR10=nowhere

# ---- Settings ----


FMAL_STRATEGY=random SLURM_ARRAY_TASK_ID=3 cifar
expect_rc 0 "a task of an array"
[ -s runs/cifar10-mlp-random-3/metrics.csv ] || die "the run is in $(ls runs)"
said "seed=3"
said "strategy=random"
said "train-batch=8"
ok "settings from outside"

FMAL_RUN=plain cifar
expect_rc 0 "the same again"
FMAL_RUN=plain FMAL_LEARNING_RATE=0.01 cifar
expect_rc 1 "another setting in the same run"
said "learning-rate was 0.001, now 0.01"
ok "a run goes on with the same settings only"

FMAL_RUN=bad FMAL_BATCH=many cifar
expect_rc 2 "a setting that is no number"
said "--batch"
FMAL_CONFIG=none.ini cifar
expect_rc 2 "no configuration"
said "none.ini: cannot read"
printf '[run]\nmodel = mlp\nbatches = 10\n' >typo.ini
FMAL_CONFIG=typo.ini FMAL_RUN=bad cifar
expect_rc 2 "an option that is not known"
said "did you mean 'batch'?"
ok "bad settings"

# What is committed asks for what there is.
env -u FMAL_MODEL -u FMAL_INITIAL -u FMAL_BATCH -u FMAL_ROUNDS -u FMAL_TRAIN_BATCH -u FMAL_MICRO_BATCH \
    -u FMAL_EPOCHS -u FMAL_TRAIN_ACCURACY "$FMAL" run --config "$FMAL_SOURCE/jobs/cifar10.ini" \
    --data cifar10.h5 --run paper --print-config >out 2>log || die "jobs/cifar10.ini is refused"
ok "the paper's setting"
