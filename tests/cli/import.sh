#!/usr/bin/env bash
# Files of the field's formats: good ones, and what is said of bad ones.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

idx_images 40 >"$dir/images"
idx_labels 40 >"$dir/labels"
idx_images 10 >"$dir/test-images"
idx_labels 10 >"$dir/test-labels"

# idx NAME TEXT IMAGES LABELS [TEST-IMAGES TEST-LABELS]
idx() {
    local name=$1 text=$2 words=(--images "$dir/$3" --labels "$dir/$4")
    [ $# -lt 5 ] || words+=(--test-images "$dir/$5" --test-labels "$dir/$6")
    refuse "$name" 1 "$text" import --format idx "${words[@]}" -o data.h5
}

# ---- IDX --------------------------------------------------------------------------------

idx "missing images" "none: cannot read: No such file" none labels
idx "images and labels swapped" "labels: is a file of labels (magic number 0x00000801), given for images" \
    labels images
head -c 300 "$dir/images" >"$dir/images-cut"
idx "truncated images" "images-cut: truncated" images-cut labels
head -c 20 "$dir/labels" >"$dir/labels-cut"
idx "truncated labels" "labels-cut: truncated" images labels-cut
head -c 10 "$dir/images" >"$dir/images-head"
idx "truncated header" "images-head: truncated" images-head labels
: >"$dir/empty"
idx "empty" "empty: truncated" empty labels
cat "$dir/images" <(put_bytes 1) >"$dir/images-long"
idx "trailing bytes" "images-long: trailing bytes" images-long labels
idx_labels 39 >"$dir/labels-39"
idx "fewer labels" "labels-39: header at offset 4: 39 labels; expected 40" images labels-39
{ put_words 0x801 10 && put_bytes 0 1 2 0 9 2 0 1 2 0; } >"$dir/test-labels-9"
idx "a class that training has not" "test-labels-9: label 9 at offset 12; expected 0 to 2" \
    images labels test-images test-labels-9
{ put_words 0x803 10 3 4 && tail -c 120 "$dir/test-images"; } >"$dir/test-images-3"
idx "test images of another shape" "images of 3 x 4; expected 4 x 3" \
    images labels test-images-3 test-labels
{ put_words 0x803 0 4 3; } >"$dir/images-0"
idx "no images" "images-0: header at offset 4: 0 images" images-0 labels
echo "no images at all" >"$dir/text"
idx "something else" "text: magic number 0x6e6f2069 at offset 0; an IDX file of images begins with" \
    text labels
gzip -c "$dir/images" | head -c 60 >"$dir/images-cut.gz"
idx "truncated gzip" "images-cut.gz: truncated" images-cut.gz labels
if command -v xz >/dev/null; then
    xz -c "$dir/images" >"$dir/images.xz"
    idx "xz" "images.xz: is xz-compressed; xz -dk" images.xz labels
fi
idx "directory" "tmp: cannot read: Is a directory" tmp labels
refuse "labels missing" 2 "give one file of --images and one of --labels" \
    import --format idx --images "$dir/images" -o data.h5
refuse "test labels missing" 2 "give one file of --test-images and one of --test-labels" \
    import --format idx --images "$dir/images" --labels "$dir/labels" \
    --test-images "$dir/test-images" -o data.h5
refuse "unknown format" 2 "unknown format 'idy'; did you mean 'idx'?" \
    import --format idy --images "$dir/images" -o data.h5
refuse "output missing" 2 "--output FILE is missing" \
    import --format idx --images "$dir/images" --labels "$dir/labels"

# ---- CIFAR-10 ---------------------------------------------------------------------------

{ put_bytes 3 && head -c 3072 /dev/zero && put_bytes 9 && head -c 3072 /dev/zero; } >"$dir/batch"
{ put_bytes 10 && head -c 3072 /dev/zero; } >"$dir/batch-10"
head -c 4000 "$dir/batch" >"$dir/batch-cut"
refuse "cifar10: label out of range" 1 "batch-10: label 10 at offset 0; expected 0 to 9" \
    import --format cifar10 --images "$dir/batch" "$dir/batch-10" -o data.h5
refuse "cifar10: truncated" 1 "batch-cut: truncated: record at offset 3073" \
    import --format cifar10 --images "$dir/batch-cut" -o data.h5
refuse "cifar10: labels of their own" 2 "a batch holds its labels" \
    import --format cifar10 --images "$dir/batch" --labels "$dir/labels" -o data.h5
tar -cf "$dir/batch.tar" -C "$dir" batch
refuse "cifar10: tar" 1 "batch.tar: is a tar archive; tar -xf" \
    import --format cifar10 --images "$dir/batch.tar" -o data.h5
settle

# ---- Good ones --------------------------------------------------------------------------

accept "idx" import --quiet --format idx --images "$dir/images" --labels "$dir/labels" \
    --test-images "$dir/test-images" --test-labels "$dir/test-labels" -o data.h5
check "4 ranks make the same file" cmp "$work/np1/files/data.h5" \
    "$work/np4/files/data.h5"
same "shape" "$("$FMAL" inspect "$work/np4/files/data.h5" | tr -s ' ' | grep -E '^(train|test|classes)' | xargs)" \
    "train/images 40 x 1 x 4 x 3 test/images 10 x 1 x 4 x 3 classes 3"
gzip -k "$dir/images" "$dir/labels"
accept "idx, gzip" import --quiet --format idx --images "$dir/images.gz" \
    --labels "$dir/labels.gz" -o data.h5
accept "cifar10" import --quiet --format cifar10 --images "$dir/batch" "$dir/batch" -o data.h5
same "cifar10: shape" "$("$FMAL" inspect "$work/np1/files/data.h5" | tr -s ' ' | grep -E '^(train|test|classes)' | xargs)" \
    "train/images 4 x 3 x 32 x 32 classes 10"
finish
