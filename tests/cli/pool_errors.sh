#!/usr/bin/env bash
# Pools that are no good: each is named with what is wrong, on every rank count.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

# Blocks of 256 samples are dealt out, so that a sample above 768 is on the last of 4 ranks.
# bad NAME TEXT CHANGE...
pools=0
bad() {
    local name=$1 text=$2
    shift 2
    pools=$((pools + 1))
    make_pool "bad$pools.h5" --n 1000 "$@"
    refuse "$name" 1 "$text" select --quiet --pool "$dir/bad$pools.h5" --batch 5
}

# ---- No HDF5 ----------------------------------------------------------------------------

refuse "missing file" 1 "none.h5: cannot read: No such file" \
    select --pool none.h5 --batch 5
refuse "directory" 1 "$dir: cannot read: Is a directory" select --pool "$dir" --batch 5
: >"$dir/empty.h5"
refuse "empty file" 1 "empty.h5: not a readable HDF5 file" \
    select --pool "$dir/empty.h5" --batch 5
echo "features,logits" >"$dir/text.h5"
refuse "not HDF5" 1 "text.h5: not a readable HDF5 file" \
    select --pool "$dir/text.h5" --batch 5
make_pool good.h5 --n 1000
head -c 9000 "$dir/good.h5" >"$dir/cut.h5"
refuse "truncated" 1 "cut.h5: not a readable HDF5 file (truncated" \
    select --pool "$dir/cut.h5" --batch 5

# Damage inside a compressed chunk of the last rank is met by that rank alone.
make_pool damaged.h5 --n 1000 --d 64 --compress
size=$(stat -c %s "$dir/damaged.h5")
head -c 2000 /dev/zero |
    dd of="$dir/damaged.h5" bs=1 seek=$((size * 3 / 4)) conv=notrunc status=none
refuse "damaged chunk" 1 "damaged.h5: cannot read /features" \
    select --pool "$dir/damaged.h5" --batch 5

if command -v flock >/dev/null; then
    exec 9<"$dir/good.h5"
    flock -x 9
    refuse "locked file" 1 "HDF5_USE_FILE_LOCKING" select --pool "$dir/good.h5" --batch 5
    settle
    exec 9<&-
else
    echo "# locked file: flock is not installed"
fi

# ---- Datasets ---------------------------------------------------------------------------

bad "features missing" "dataset /features is missing; wanted numbers" --drop features
bad "logits missing" "dataset /logits is missing" --drop logits
bad "features of rank 1" "/features is [1000] of floats" --rank features=1
bad "features of rank 3" "/features is [1000, 5, 1] of floats" --rank features=3
bad "logits of rank 1" "/logits is [1000] of floats" --rank logits=1
bad "features of text" "/features is [1000, 5] of strings" --type features=text
bad "fewer logits" "/logits has 999 rows, the pool has 1000" --rows logits=999
bad "no samples" "/features is [0, 5] of floats; wanted numbers [samples, features], at least 1" --rows features=0 --rows logits=0
bad "one class" "/logits has one column" --c 1
bad "labels of another length" "/labels has 7 rows" --add labels --rows labels=7
bad "ids of another length" "/ids has 7 rows" --add ids --rows ids=7
bad "labelled is no list of indices" "/labelled is [4] of floats" --type labelled=f64

bad "embeddings of rank 2" "/embeddings is [1000, 10] of floats; wanted numbers [samples, rows, " \
    --add embeddings --rank embeddings=2
bad "no embeddings" "/embeddings is [0, 2, 5] of floats" --add embeddings --rows embeddings=0

# ---- Values -----------------------------------------------------------------------------

bad "NaN in features" "/features of sample 900, column 0 is NaN" --set features:900=nan
bad "Inf in features" "/features of sample 901, column 1 is infinite" \
    --set features:901=inf
bad "beyond single precision" "/features of sample 3, column 3 is infinite" \
    --type features=f64 --set features:3=1e300
bad "NaN in logits" "/logits of sample 902, column 2 is NaN" --set logits:902=nan
bad "Inf in logits" "/logits of sample 903, column 0 is infinite" --set logits:903=-inf
bad "no probability" "/probs of sample 904 are all 0" --add probs --fill probs:904=0
bad "negative probability" "/probs of sample 905, class 2 is -0.5" \
    --add probs --set probs:905=-0.5
bad "NaN in probabilities" "/probs of sample 906, class 0 is nan" \
    --add probs --set probs:906=nan
bad "NaN in embeddings" "/embeddings of sample 907, column 7 is NaN" \
    --add embeddings --set embeddings:907=nan

bad "labelled beyond the pool" "/labelled[2] is 1000; the pool has samples 0 to 999" \
    --list labelled=1,2,1000
bad "labelled below 0" "/labelled[1] is -1" --list labelled=1,-1
bad "labelled twice" "/labelled[2]: sample 900 is listed twice" --list labelled=1,900,900
bad "excluded beyond the pool" "/exclude[0] is 2000" --list exclude=2000
bad "labelled and excluded" "/exclude[1]: sample 900 is listed twice; it is already labelled" \
    --list labelled=900 --list exclude=7,900
bad "more lists than samples" "list 1001 samples, the pool has 1000" \
    --labelled 1000 --list exclude=1
bad "nothing to pick" "the pool has 0 candidates" --labelled 1000

make_pool embeddings.h5 --n 1000 --add embeddings
for strategy in entropy bait-binary; do
    refuse "$strategy of embeddings" 1 "'$strategy' needs /features and /logits" \
        select --quiet --pool "$dir/embeddings.h5" --strategy $strategy --batch 5
done
settle

# ---- The same pool, without its fault ---------------------------------------------------

accept "good pool" select --quiet --pool "$dir/good.h5" --batch 5
same "the same picks" "$(cat "$dir/np1/files/picks.csv")" "$(cat "$dir/np4/files/picks.csv")"
accept "good embeddings" select --quiet --pool "$dir/embeddings.h5" --batch 5
same "the same picks of embeddings" "$(cat "$work/np1/files/picks.csv")" \
    "$(cat "$work/np4/files/picks.csv")"
finish
