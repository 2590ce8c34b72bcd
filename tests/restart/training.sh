#!/usr/bin/env bash
# A training killed in its middle goes on to the same end, on another number of ranks,
# whatever its options: what they need to remember is in the checkpoint.
# shellcheck source=tests/restart/lib.sh
. "$(dirname "$0")/lib.sh"
need_hooks

make_data set data.h5 1 300 60
small=(--data data.h5 --strategy margin --initial 30 --batch 10 --rounds 1 --epochs 6
    --train-accuracy 2 --learning-rate 0.01 --train-batch 13 --micro-batch 4)
all=(--optimizer sgd --nesterov --weight-decay 0.001 --clamp 0.05 --augment crop-flip
    --validation 0.2)
saving=(--checkpoint-every 0.000001)

# goes_on NAME options...: killed in the fourth epoch of round 0
goes_on() {
    local name=$1
    shift
    rm -rf whole cut
    finish 2 whole "$@"
    kill_at train-epoch:4:1 2 cut "$@" "${saving[@]}"
    expect_position cut "training round 0,3"
    finish 3 cut "$@"
    same_end whole cut
    ok "$name"
}

goes_on "a network with one hidden layer" --hidden 8
goes_on "a rate that falls in steps" --hidden 8 --schedule step --step-epochs 2 --step-factor 0.3
goes_on "everything" --hidden 8 "${all[@]}" --schedule cosine --patience 3
goes_on "batch normalisation" --model resnet18-slim
goes_on "batch normalisation and everything" --model resnet18-slim "${all[@]}" --schedule cosine \
    --warm
"$FMAL" inspect cut/checkpoint.h5 | grep -q '^running statistics *2400$' ||
    die "statistics are not told"
h5dump -d /model/statistic/name cut/checkpoint.h5 | grep -q '"bn1.running_var"' ||
    die "statistics have no names"
