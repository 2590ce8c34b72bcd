#!/usr/bin/env bash
# --fisher block|diag: on any number of ranks and after a kill the same picks, its own
# plan, and no word of what goes with it left unsaid.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
need h5dump

make_pool pool.h5 --n 700 --d 6 --c 5 --labelled 9 --list exclude=1,2
make_pool dense.h5 --n 600 --add embeddings --drop features --drop logits
pool=(select --quiet --pool "$dir/pool.h5" --batch 8)
on_ranks="1 3"

# alike NAME: both rank counts wrote the same bytes
alike() {
    local file
    for file in picks.csv picks.h5; do
        check "$1: $file" cmp "$work/np1/files/$file" "$work/np3/files/$file"
    done
}

for fisher in block diag; do
    for options in "--strategy bait" "--strategy bait-topc --topc 3" \
        "--labelled-fisher sum --oversample 3 --lambda 0.01" "--select top"; do
        # shellcheck disable=SC2086 # words
        accept "$fisher $options" "${pool[@]}" --fisher $fisher $options
        alike "$fisher $options"
    done
done
accept "diagonal of binary" "${pool[@]}" --strategy bait-binary --fisher diag
alike "diagonal of binary"
accept "diagonal of embeddings" select --quiet --pool "$dir/dense.h5" --batch 8 --fisher diag
alike "diagonal of embeddings"

# ---- What is picked, and said -------------------------------------------------------------

# objective_of FISHER...: before the batch, on one rank
objective_of() {
    accept "$*" "${pool[@]}" "$@"
    objective=$(h5_attribute "$work/np1/files/picks.h5" /objective_before)
}
objective_of --fisher block
block=$objective
check "the picks say so" grep -q 'fisher = block' \
    <<<"$(h5dump -d /configuration/resolved "$work/np1/files/picks.h5")"
objective_of --fisher diag
diag=$objective
objective_of --fisher full
full=$objective
objective_of
same "full is the default" "$objective" "$full"
check "they are approximations" test "$block" != "$full" -a "$diag" != "$full" -a "$block" != "$diag"

# ---- Plans ------------------------------------------------------------------------------

for fisher in block diag; do
    accept "plan of $fisher" "${pool[@]}" --fisher $fisher --dry-run
    check "plan of $fisher: what" \
        grep -qE "D=30 fisher=$fisher blocks=5 steps=16\+8" "$work/np3/out"
done
# shellcheck disable=SC2034 # read by lib.sh
plan_first=yes
make_pool huge.h5 --n 20 --d 300 --c 100
refuse "full does not fit" 1 "a rank needs " \
    select --quiet --pool "$dir/huge.h5" --batch 5 --dry-run
settle
plan_first=
for fisher in block diag; do
    accept "$fisher fits" select --quiet --pool "$dir/huge.h5" --batch 5 --fisher $fisher
done

# ---- After a kill -----------------------------------------------------------------------

if [ "$FMAL_HAS_HOOKS" = 1 ]; then
    for fisher in block diag; do
        search=(select --quiet --pool "$dir/pool.h5" --batch 10 --oversample 3 --lambda 0.001
            --fisher "$fisher" --checkpoint-every 0)
        fresh 1 "${search[@]}"
        cp "$work/np1/files/picks.csv" "$dir/whole.csv"
        export FMAL_KILL_AT=select-step:23
        fresh 3 "${search[@]}" --checkpoint-steps 5
        unset FMAL_KILL_AT
        same "$fisher: killed" "$(cat "$work/np3/rc")" 137
        cp "$work/np3/files/picks.h5.part" "$dir/part"
        start 3 "${search[@]}" --quiet
        check "$fisher: goes on to the same picks" cmp "$dir/whole.csv" "$work/np3/files/picks.csv"
        rm -r "$work/np1"
        mkdir -p "$work/np1/files"
        cp "$dir/part" "$work/np1/files/picks.h5.part"
        start 1 "${search[@]}"
        check "$fisher: and on another number of ranks" \
            cmp "$dir/whole.csv" "$work/np1/files/picks.csv"
    done
fi

# ---- Rounds -----------------------------------------------------------------------------

idx_images 60 >"$dir/images"
idx_labels 60 >"$dir/labels"
"$FMAL" import --quiet --format idx --images "$dir/images" --labels "$dir/labels" \
    -o "$dir/data.h5" >/dev/null
rounds=(run --quiet --data "$dir/data.h5" --run out --initial 5 --batch 3 --rounds 2 --hidden 4
    --epochs 20)
for fisher in block diag; do
    accept "rounds of $fisher" "${rounds[@]}" --fisher $fisher
    check "rounds of $fisher: picks" \
        cmp "$work/np1/files/out/picks.csv" "$work/np3/files/out/picks.csv"
done

# ---- Refusals ---------------------------------------------------------------------------

on_ranks="1 4"
refuse "no such thing" 2 "--fisher" "${pool[@]}" --fisher blocks
refuse "binary is one block" 2 "--fisher block: the information of 'bait-binary' is one block" \
    "${pool[@]}" --strategy bait-binary --fisher block
refuse "embeddings have no blocks" 2 "which have no class blocks; take full or diag" \
    select --quiet --pool "$dir/dense.h5" --batch 8 --fisher block
refuse "a grid" 2 "--grid: only --fisher full uses it" "${pool[@]}" --fisher block --grid 1x1
refuse "a precision" 2 "--precision: only --fisher full uses it" \
    "${pool[@]}" --fisher diag --precision mixed
refuse "no search" 2 "--fisher: the strategy 'margin' does not use it" \
    "${pool[@]}" --strategy margin --fisher diag
finish
