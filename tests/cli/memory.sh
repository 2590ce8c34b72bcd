#!/usr/bin/env bash
# Plans against what is then taken: peak memory is within 15 % of the plan. "quick": one
# small pool.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
[ -z "${FMAL_SANITIZE:-}" ] || skip "sanitizers take memory of their own"
limit=300

# megabytes FILE PATTERN: the size that follows
megabytes() {
    sed -nE "s/.*$2:? ([0-9.]+) (MB|GB).*/\\1 \\2/p" "$1" |
        awk '{ printf "%.1f\n", $2 == "GB" ? 1000 * $1 : $1 }' | tail -1
}

# planned NAME POOL ARGUMENT...: on 1 and 2 ranks
planned() {
    local name=$1 pool=$2 np plan peak
    shift 2
    for np in 1 2; do
        fresh "$np" select --pool "$dir/$pool" "$@"
        same "$name, np $np" "$(cat "$work/np$np/rc")" 0
        plan=$(megabytes "$work/np$np/err" 'plan memory a rank')
        peak=$(megabytes "$work/np$np/err" 'peak memory a rank')
        check "$name, np $np: planned $plan MB, taken $peak MB" \
            awk -v plan="$plan" -v peak="$peak" \
            'BEGIN { exit !(plan > 0 && peak <= 1.15 * plan && peak >= plan / 1.15) }'
    done
}

if [ "${1:-}" = quick ]; then
    make_pool wide.h5 --n 40000 --d 96 --c 3 --labelled 30
    planned "one class block" wide.h5 --strategy bait-binary --batch 4
    planned "all classes, sorted" wide.h5 --batch 3 --lazy exact
    planned "double precision" wide.h5 --batch 3 --precision double
    planned "features in the file" wide.h5 --strategy bait-binary --batch 4 --stream
    planned "class blocks, features in the file" wide.h5 --fisher block --batch 4 --stream
    planned "the diagonal, features in the file" wide.h5 --fisher diag --batch 4 --stream
    planned "no search" wide.h5 --strategy entropy --batch 30
    make_pool numbers.h5 --n 20000 --d 200 --add embeddings --drop features --drop logits
    planned "dense factors" numbers.h5 --batch 3
    finish
fi
make_pool a.h5 --n 200000 --d 64 --c 2 --labelled 100
planned "200,000 x 64, binary" a.h5 --strategy bait-binary --batch 50
planned "200,000 x 64, binary, features in the file" a.h5 --strategy bait-binary --batch 50 --stream
make_pool b.h5 --n 60000 --d 128 --c 10 --labelled 100
planned "60,000 x 128 x 10" b.h5 --batch 3
planned "60,000 x 128 x 10, topc" b.h5 --strategy bait-topc --batch 3
make_pool c.h5 --n 5000 --d 64 --c 50 --labelled 100
planned "5,000 x 64 x 50" c.h5 --batch 3
finish
