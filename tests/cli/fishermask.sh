#!/usr/bin/env bash
# Strategies that look into a network: in runs and in selections from a data set and
# weights, the same on any number of ranks; what goes with what, and what is refused.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
on_ranks="1 3"

"$FMAL_BUILD/tests/restart_make_data" set "$dir/data.h5" 1 700 200 || exit 1
train=(--hidden 8 --initial 20 --epochs 20 --train-batch 8 --micro-batch 4)
"$FMAL" run --quiet --data "$dir/data.h5" --run "$dir/run" "${train[@]}" --rounds 1 --batch 5 \
    --strategy random --save-weights "$dir/model.h5" >/dev/null || exit 1
"$FMAL" mask --quiet --data "$dir/data.h5" --hidden 8 --weights "$dir/model.h5" \
    --mask-fraction 0.1 -o "$dir/mask.h5" >/dev/null || exit 1
"$FMAL" mask --quiet --data "$dir/data.h5" --hidden 8 --weights "$dir/model.h5" \
    --mask-fraction 0.0442 -o "$dir/head.h5" >/dev/null || exit 1

# ---- Runs -----------------------------------------------------------------------------------

runs=(run --data "$dir/data.h5" --run out "${train[@]}" --rounds 2 --batch 6 --lambda 0.001
    --mask-fraction 0.1)

# same_runs NAME: both rank counts wrote the same tables, and left nothing over
same_runs() {
    local file
    for file in metrics classes picks; do
        check "$1: the same $file" cmp "$work/np1/files/out/$file.csv" "$work/np3/files/out/$file.csv"
    done
    check "$1: no Jacobian stays" test ! -e "$work/np3/files/out/jacobian.part"
}

for strategy in fishermask fishent; do
    accept "run: $strategy" "${runs[@]}" --strategy "$strategy"
    same_runs "run: $strategy"
    check "run: $strategy: a mask a round" \
        test "$(grep -c ' mask masked=54 outside_of_head=30 images=700' "$work/np3/err")" = 2
    for phase in mask jacobian; do
        check "run: $strategy: how fast, $phase" grep -qE "^$phase .* GFLOP/s " "$work/np1/err"
    done
done
accept "run: unweighted" "${runs[@]}" --strategy fishermask --weighting unweighted
same_runs "run: unweighted"
accept "run: a given mask" "${runs[@]::${#runs[@]}-2}" --strategy fishermask --mask "$dir/mask.h5"
same_runs "run: a given mask"
check "run: a given mask: none is made" test "$(grep -c '^mask ' "$work/np1/err")" = 0
accept "run: a plan" "${runs[@]}" --strategy fishermask --dry-run
check "run: a plan: order, steps" grep -q '^D=54 .* steps=12+6 ' "$work/np3/out"
check "run: a plan: the mask" grep -q '^mask: 30 parameters outside of the head; their Jacobian: 0.1 MB' \
    "$work/np3/out"

# ---- Selections -----------------------------------------------------------------------------

picks=(select --data "$dir/data.h5" --hidden 8 --weights "$dir/model.h5" --batch 7)
masked=("${picks[@]}" --labelled "$dir/run/picks.csv" --lambda 0.001 --strategy fishermask)

# same_picks NAME
same_picks() { check "$1: the same picks" cmp "$work/np1/files/picks.csv" "$work/np3/files/picks.csv"; }
index() { cut -d, -f2 "$work/np1/files/picks.csv" | xargs; }

accept "select" "${masked[@]}" --mask-fraction 0.1
same_picks "select"
check "select: who is labelled" grep -q 'samples=700 features=8 classes=3 labelled=25' "$work/np3/err"
check "select: no Jacobian stays" test ! -e "$work/np1/files/picks.h5.jacobian"
made=$(index)
accept "select: a given mask" "${masked[@]}" --mask "$dir/mask.h5"
same "select: a given mask" "$(index)" "$made"
accept "select: from the file" "${masked[@]}" --mask-fraction 0.1 --jacobian-memory 0.001
same "select: from the file" "$(index)" "$made"
check "select: from the file: says so" grep -q 'in its file' "$work/np1/err"
accept "select: the head" "${masked[@]}" --mask "$dir/head.h5"
head=$(index)
accept "select: bait" "${masked[@]::${#masked[@]}-1}" bait
same "select: a mask of the head is bait" "$(index)" "$head"
check "select: and another one is not" test "$head" != "$made"
for strategy in fishent entropy bait-binary random; do
    how=()
    [ "$strategy" != fishent ] || how=(--mask-fraction 0.1)
    accept "select: $strategy" "${picks[@]}" --labelled "$dir/run/picks.csv" \
        --strategy "$strategy" "${how[@]}"
    same_picks "select: $strategy"
done
tail -n +2 "$dir/run/picks.csv" | cut -d, -f3 >"$dir/list"
accept "select: a plain list" "${masked[@]/%picks.csv/..\/list}" --mask-fraction 0.1
same "select: a plain list" "$(index)" "$made"

accept "once" "${masked[@]}" --mask "$dir/mask.h5" -o twice.h5
everywhere start "${masked[@]}" --mask "$dir/mask.h5" -o twice.h5
expect_success "twice"
check "twice: says so" grep -q ' done these picks were made before' "$work/np3/err"
cp "$dir/list" "$dir/fewer" && sed -i 1d "$dir/fewer"
everywhere start "${masked[@]}" --labelled "$dir/fewer" --mask "$dir/mask.h5" -o twice.h5
expect_refusal "other labelled samples" 1 "twice.h5: exists; --force replaces it"

# ---- Refusals ---------------------------------------------------------------------------------

network="give --data FILE --model NAME --weights FILE"
refuse "a pool" 2 "$network instead" select --pool "$dir/pool.h5" --strategy fishermask
refuse "neither" 2 "--pool FILE is missing" select --strategy fishermask
refuse "both" 2 "--pool: cannot go with --data" "${picks[@]}" --pool "$dir/data.h5"
refuse "streamed" 2 "--stream: cannot go with --data" "${picks[@]}" --stream
refuse "a network without data" 2 "--model: goes with --data" select --pool x --model lenet
refuse "no weights" 2 "--weights FILE is missing" select --data "$dir/data.h5"
refuse "all labelled" 1 "say by --labelled FILE" "${picks[@]}"
refuse "another network" 1 "model.h5" "${picks[@]}" --hidden 9 --labelled "$dir/list"
refuse "no mask" 1 "model.h5: does not begin as" "${masked[@]}" --mask "$dir/model.h5"
refuse "a mask of another network" 1 "mask.h5" run --data "$dir/data.h5" --run other \
    --strategy fishermask --mask "$dir/mask.h5" --hidden 9
refuse "information cut down" 2 "--fisher: the strategy 'fishermask' does not use it" \
    "${masked[@]}" --fisher diag
refuse "a mask for others" 2 "--mask-fraction: the strategy 'bait' does not use it" \
    "${picks[@]}" --mask-fraction 0.1
refuse "how to make a given mask" 2 "--mask-samples: --mask gives a mask" "${masked[@]}" \
    --mask "$dir/mask.h5" --mask-samples 5
refuse "less than the head" 2 "give a fraction of" "${masked[@]}" --mask-fraction 0.01
refuse "the same in a run" 2 "give a fraction of" "${runs[@]}" --strategy fishermask --mask-fraction 0.01
refuse "the weights as output" 2 "model.h5: is read" "${masked[@]}" -o "$dir/model.h5" --force
refuse "more than there are" 1 "--batch 676" "${masked[@]}" --mask-fraction 0.1 --batch 676

# bad_list NAME TEXT LINE...
bad_list() {
    local name=$1 text=$2 file
    file=$dir/list$((++lists))
    shift 2
    printf '%s\n' "$@" >"$file"
    refuse "a list: $name" 1 "$text" "${picks[@]}" --labelled "$file"
}
lists=0
bad_list "words" "begins neither with an index" these words
bad_list "no such column" "has a column 'index'" order,place 0,4
bad_list "a word inside" "line 2: is no index" 4 five
bad_list "two numbers" "line 2: is no index" 4 "5 6"
bad_list "a comma without a header" "line 1: is no index" 4,5
bad_list "a missing field" "line 3: is no index" round,index 1,4 1
bad_list "too large" "line 2: is no index of a sample; the training split has samples 0 to 699" 4 700
bad_list "negative" "line 2: is no index" 4 -1
bad_list "beyond all numbers" "line 2: is no index" 4 99999999999999999999999
printf '%s\n' ,index,score 0,4,1 1,9,1 >"$dir/pandas.csv"
accept "a list: a column without a name" "${picks[@]}" --labelled "$dir/pandas.csv" --strategy entropy -o pandas.h5
check "a list: of its column" grep -qE 'labelled=2( |$)' "$work/np1/err"
bad_list "twice" "line 3: sample 4 is listed twice" 4 5 4
bad_list "a long line" "longer than 4,000 characters" "$(printf '%05000d' 4)"
refuse "a list that is not there" 1 "nowhere: cannot read" "${picks[@]}" --labelled "$dir/nowhere"
finish
