#!/usr/bin/env bash
# From a data set and a file of weights, the program masks and picks what an independent
# computation in double precision does, on any number of ranks.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
need h5dump
on_ranks="1 2 3"
limit=300

golden=${FMAL_GOLDEN:-$FMAL_SOURCE/../shared/golden}/fishermask_cifar.h5
[ -r "$golden" ] || skip "no network with known answers in ${golden%/*} (set FMAL_GOLDEN)"
"$FMAL_BUILD/tests/fmal_make_golden" "$golden" "$dir/data.h5" "$dir/model.h5" || exit 1
h5_values "$golden" /labelled | tr ' ' '\n' >"$dir/list"

network=(--quiet --data "$dir/data.h5" --model resnet18-slim --weights "$dir/model.h5")
how=(--mask-fraction "$(h5_attribute "$golden" /expected/mask/fraction)" --mask-samples 64
    --mask-images first)

accept "mask" mask "${network[@]}" "${how[@]}" -o mask.h5
masked=$(h5_values "$golden" /expected/mask)
for np in $on_ranks; do
    same "mask, np $np" "$(h5_values "$work/np$np/files/mask.h5" /mask/index)" "$masked"
done

# compare METHOD OPTION...: against /expected/METHOD
compare() {
    local name=$1 expected=/expected/$1 np picks want got
    shift
    accept "$name" select "${network[@]}" "${how[@]}" --strategy fishermask --labelled "$dir/list" \
        --batch "$(h5_attribute "$golden" "$expected/k")" \
        --lambda "$(h5_attribute "$golden" "$expected/lambda")" "$@"
    picks=$(h5_values "$golden" "$expected/picks")
    want=$(h5_attribute "$golden" "$expected/objective")
    for np in $on_ranks; do
        same "$name, np $np: picks" "$(column "$work/np$np/files/picks.csv" index)" "$picks"
        # Logits and gradients are of single precision.
        got=$(h5_attribute "$work/np$np/files/picks.h5" /objective_after)
        check "$name, np $np: objective $got, wanted $want" close_to "$got" "$want" 1e-4
    done
}

compare fishermask
compare fishermask-unweighted --weighting unweighted
finish
