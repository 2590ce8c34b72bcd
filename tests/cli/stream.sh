#!/usr/bin/env bash
# --stream: the same picks as with features in memory, which it does not take; and a file
# that changes under it ends the job.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

pool=(--n 3001 --d 19 --c 4 --labelled 30)
make_pool plain.h5 "${pool[@]}" --list exclude=3,4
make_pool packed.h5 --compress "${pool[@]}" --list exclude=3,4
make_pool double.h5 "${pool[@]}" --list exclude=3,4 --type features=f64

# alike ARGUMENT...: the CSV and the objective are those without --stream
alike() {
    local want np file
    fresh 1 select --quiet --pool "$dir/plain.h5" --batch 9 "$@"
    same "$*" "$(cat "$work/np1/rc")" 0
    want=$(cat "$work/np1/files/picks.csv" "$work/np1/out")
    for np in 1 2 3; do
        for file in plain packed double; do
            [ "$np" -eq 2 ] || [ "$file" = plain ] || continue
            fresh "$np" select --quiet --stream --pool "$dir/$file.h5" --batch 9 "$@"
            same "$*, $file, np $np" "$(cat "$work/np$np/files/picks.csv" "$work/np$np/out")" \
                "$want"
        done
    done
}

alike --strategy bait --lazy off
alike --strategy bait --lazy exact
alike --strategy bait-topc
alike --strategy bait-binary --lazy exact
alike --strategy bait-binary --lazy off --oversample 1
alike --strategy bait --precision double
alike --fisher block
alike --fisher block --strategy bait-topc --select top
alike --fisher diag
alike --fisher diag --strategy bait-binary --oversample 1
alike --strategy entropy

# A search that was stopped without it goes on with it.
fresh 2 select --quiet --pool "$dir/plain.h5" --batch 9
want=$(cat "$work/np2/files/picks.csv")
fresh 2 select --quiet --pool "$dir/plain.h5" --batch 9 --max-time 0.001
start 2 select --quiet --stream --pool "$dir/plain.h5" --batch 9
same "what was begun without it" "$(cat "$work/np2/files/picks.csv")" "$want"

make_pool numbers.h5 --n 60 --add embeddings --drop features --drop logits
plan_first=yes
refuse "embeddings" 1 "--stream: $dir/numbers.h5 has /embeddings, which are held in memory" \
    select --quiet --stream --pool "$dir/numbers.h5" --batch 3
plan_first=
make_pool nan.h5 --n 900 --set features:700=nan
refuse "NaN" 1 "/features of sample 700, column 0 is NaN" \
    select --quiet --stream --pool "$dir/nan.h5" --batch 3
refuse "NaN, diagonal" 1 "/features of sample 700, column 0 is NaN" \
    select --quiet --stream --pool "$dir/nan.h5" --batch 3 --fisher diag
settle

# cut_while_running NP ARGUMENT...: long work, and the pool loses its end
cut_while_running() {
    local np=$1 pid
    shift
    make_pool long.h5 --n 20000 --d 64 --c 3
    fresh "$np" select --stream --pool "$dir/long.h5" --batch 9000 "$@" &
    pid=$!
    for _ in $(seq 200); do
        grep -qs 'plan memory' "$work/np$np/err" && break
        sleep 0.1
    done
    sleep 3
    truncate -s -1000 "$dir/long.h5"
    wait "$pid"
    same "cut on np $np: exit code" "$(cat "$work/np$np/rc")" 1
    check "cut on np $np: says it" grep -q 'the file was cut short while it was in use' \
        "$work/np$np/err"
    same "cut on np $np: says it once" \
        "$(grep -c 'the file was cut short' "$work/np$np/err")" 1
}
cut_while_running 1 --lazy off
cut_while_running 3 --lazy off
cut_while_running 2 --fisher block
cut_while_running 2 --fisher diag
finish
