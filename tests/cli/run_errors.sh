#!/usr/bin/env bash
# Data sets and folders that a run cannot use.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

# set FILE CHANGE...: features with labels as a data set
make_set() {
    local file=$1
    shift
    make_pool "$file" --n 600 --group /train --drop logits --drop labelled --add labels "$@"
}
small=(--run out --initial 6 --batch 3 --rounds 1 --hidden 8 --train-batch 128 --quiet)

# bad NAME TEXT CHANGE...
sets=0
bad() {
    local name=$1 text=$2
    shift 2
    sets=$((sets + 1))
    make_set "bad$sets.h5" "$@"
    refuse "$name" 1 "$text" run --data "$dir/bad$sets.h5" "${small[@]}"
}

# ---- The data set -----------------------------------------------------------------------

refuse "missing file" 1 "none.h5: cannot read: No such file" run --data none.h5 "${small[@]}"
: >"$dir/empty.h5"
refuse "empty file" 1 "empty.h5: not a readable HDF5 file" run --data "$dir/empty.h5" "${small[@]}"
make_set good.h5
head -c 9000 "$dir/good.h5" >"$dir/cut.h5"
refuse "truncated" 1 "cut.h5: not a readable HDF5 file" run --data "$dir/cut.h5" "${small[@]}"
make_pool pool.h5
refuse "a pool" 1 "pool.h5: /train/images, /train/features: missing; wanted one of" \
    run --data "$dir/pool.h5" "${small[@]}"
bad "features of rank 3" "/train/features: f32 [600, 5, 1]; wanted f32 [n, d]" --rank features=3
bad "features of text" "/train/features: text [600, 5]" --type features=text
bad "labels missing" "/train/labels: missing; wanted i32 [600]" --drop labels
bad "fewer labels" "/train/labels: i32 [599]; wanted i32 [600]" --rows labels=599
bad "NaN" "/train/features: nan in column 0 of sample 590" --set features:590=nan
bad "label below -1" "/train/labels: -2 for sample 590" --set labels:590=-2
bad "label out of range" "/train/labels: the largest label is 2000000000" --set labels:590=2e9
refuse "more rounds than labels" 1 "are 615 labels; $dir/good.h5 has 600 training samples" \
    run --data "$dir/good.h5" --run out --initial 15 --batch 300 --rounds 2 --quiet
refuse "crops of features" 1 "$dir/good.h5: holds features, and only images" \
    run --data "$dir/good.h5" "${small[@]}" --augment crop-flip
refuse "none left to train on" 1 "validation holds out 1 of 1 labelled samples" \
    run --data "$dir/good.h5" "${small[@]}" --initial 1 --validation 0.5
settle

# ---- The folder -------------------------------------------------------------------------

run=(run --data "$dir/good.h5" "${small[@]}")
refuse "folder in a file" 1 "good.h5/out: cannot make the directory: Not a directory" \
    "${run[@]}" --run "$dir/good.h5/out"
refuse "folder is a file" 1 "good.h5: is no directory" "${run[@]}" --run "$dir/good.h5"
settle
mkdir "$dir/taken"
if command -v flock >/dev/null; then
    echo "process 17 on elsewhere" >"$dir/taken/lock"
    exec 9<>"$dir/taken/lock"
    flock -x 9
    refuse "another run is in it" 1 "taken: a run is under way in it (process 17 on elsewhere)" \
        "${run[@]}" --run "$dir/taken"
    settle
    exec 9<&-
    same "it is left alone" "$(ls "$dir/taken")" lock
fi

# ---- And a good one ---------------------------------------------------------------------

accept "good data set, into a folder in a new folder" "${run[@]}" --run new/out
for file in metrics.csv picks.csv; do
    check "$file is the same on 4 ranks" cmp "$work"/np[14]/files/new/out/$file
done
finish
