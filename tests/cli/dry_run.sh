#!/usr/bin/env bash
# --dry-run says what a job would need, makes nothing, and answers by its exit code.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

make_pool pool.h5 --n 600 --d 7 --c 4 --labelled 9 --list exclude=1,2
make_pool huge.h5 --n 20 --d 300 --c 100

# plan_says TEXT...: on both rank counts
plan_says() {
    local text np
    for text in "$@"; do
        for np in $on_ranks; do
            check "np $np: $text" grep -qE "$text" <(cat "$work/np$np/out" "$work/np$np/err")
        done
    done
}

accept "plan of select" select --pool "$dir/pool.h5" --batch 10 --dry-run
plan_says 'samples=600 features=7 classes=4 labelled=9 excluded=2 batch=10' 'D=28 ' \
    'grid=1x1' 'steps=20\+10' 'memory a rank: [0-9.]+ MB \(matrices [0-9.]+ MB'
same "nothing is made" "$(ls -A "$work/np1/files" "$work/np4/files")" \
    "$(printf '%s\n\n%s' "$work/np1/files:" "$work/np4/files:")"

touch "$work/np1/files/picks.h5" "$work/np4/files/picks.h5"
everywhere start select --pool "$dir/pool.h5" --batch 10 --dry-run
expect_success "an output that exists does not matter"

accept "plan without a search" select --pool "$dir/pool.h5" --strategy random --batch 10 --dry-run
plan_says 'samples=600 features=7' 'memory a rank: [0-9.]+ MB'
accept "a forced grid" select --pool "$dir/pool.h5" --batch 10 --grid 1x1 --dry-run
plan_says 'grid=1x1'

make_pool both.h5 --n 600 --add embeddings --add features --add logits
accept "plan of a pool with features and embeddings" \
    select --pool "$dir/both.h5" --batch 10 --dry-run
plan_says 'features=5 classes=3' '^the pool has /features and /embeddings: the features are used$'
check "inspect says it, too" grep -qx 'embeddings  *not used, since there are features' \
    <<<"$("$FMAL" inspect "$dir/both.h5")"
accept "select: the plan on standard error" select --pool "$dir/both.h5" --strategy random --batch 5
for np in $on_ranks; do
    check "np $np: on standard error" \
        grep -q ' plan the pool has /features and /embeddings' "$work/np$np/err"
done

# A plan that is refused is printed as far as it goes.
plan_first=yes
refuse "batch too large" 1 "--batch 700: the pool has 589 candidates" \
    select --quiet --pool "$dir/pool.h5" --batch 700 --dry-run
refuse "a plan that does not fit" 1 "a rank needs " \
    select --quiet --pool "$dir/huge.h5" --batch 5 --dry-run
plan_first=
refuse "a job that does not fit" 1 "and the fullest node has " \
    select --quiet --pool "$dir/huge.h5" --batch 5
settle
accept "it fits a strategy that needs no matrices" \
    select --quiet --pool "$dir/huge.h5" --strategy entropy --batch 5 --dry-run

# ---- run --------------------------------------------------------------------------------

idx_images 40 >"$dir/images"
idx_labels 40 >"$dir/labels"
"$FMAL" import --quiet --format idx --images "$dir/images" --labels "$dir/labels" \
    -o "$dir/data.h5" >/dev/null
plan=(run --data "$dir/data.h5" --run out --initial 5 --batch 3 --rounds 2 --hidden 8)
accept "plan of run" "${plan[@]}" --dry-run
plan_says 'samples=40 test=0 features=8 classes=3 parameters=[0-9]+ labels=5..11' 'D=24 ' \
    'steps=6\+3' 'memory a rank: [0-9.]+ MB'
same "run makes nothing" "$(ls -A "$work/np1/files" "$work/np4/files")" \
    "$(printf '%s\n\n%s' "$work/np1/files:" "$work/np4/files:")"
plan_first=yes
refuse "run: more labels than samples" 1 "20 rounds of 3 are 65 labels" "${plan[@]}" --quiet --rounds 20 --dry-run
refuse "run: a network that does not fit" 1 "a rank needs " "${plan[@]}" --quiet \
    --hidden 12000 --dry-run
finish
