# shellcheck shell=bash
# Sourced after env.sh, and called after fmal_find, by the job scripts that make their data sets: from CIFAR-10's binary
# batches and from the four files of Fashion-MNIST. Both are set from outside:
#
#   CIFAR10            folder of data_batch_1.bin to test_batch.bin, any number of the first, or
#                      the same with .xz (default: cifar-10-batches-bin, else
#                      ../shared/data/cifar10 beside this tree)
#   FMAL_FASHION_MNIST folder of train-images-idx3-ubyte.gz and the three others (default: where
#                      the package dataset-fashion-mnist has them)

# find_folder DATA VARIABLE WHAT PLACE...: sets folder to what the variable says, or else to the
# first place that is there
find_folder() {
    local data=$1 variable=$2 what=$3
    shift 3
    [ -z "${!variable:-}" ] || set -- "${!variable}"
    for folder; do
        [ ! -d "$folder" ] || return 0
    done
    fmal_fail "neither $data nor $1 is there; set $variable to the folder of $what"
}

# find_batch NAME: sets batch to its path, in $work if it had to be unpacked, or to nothing
find_batch() {
    batch=$folder/$1
    [ ! -e "$batch" ] || return 0
    batch=''
    [ -e "$folder/$1.xz" ] || return 0
    command -v xz >/dev/null || fmal_fail "$folder/$1.xz: cannot unpack it; install xz"
    batch=$work/$1
    xz -dc "$folder/$1.xz" >"$batch" || fmal_fail "$folder/$1.xz: cannot unpack it"
}

# import_into DATA options...: the data set appears when it is complete; a job that makes the
# same meanwhile is no harm.
import_into() {
    local data=$1
    shift
    "${fmal:?fmal_find first}" import --quiet "$@" --output "$work/data.h5" </dev/null >/dev/null || exit
    mv "$work/data.h5" "$data" || exit
    rm -rf "$work"
    trap - EXIT
}

begin_import() { # DATA
    fmal_say "importing $folder into $1"
    work=$(mktemp -d "$1.import-XXXXXX") || exit 1
    trap 'rm -rf "$work"' EXIT
}

# fmal_make_cifar10 DATA: the data set, HDF5, unless it is there
fmal_make_cifar10() {
    local train=() n

    [ ! -e "$1" ] || return 0
    find_folder "$1" CIFAR10 "CIFAR-10's binary batches" cifar-10-batches-bin \
        "${BASH_SOURCE[0]%/*}/../../shared/data/cifar10"
    begin_import "$1"
    for n in 1 2 3 4 5; do
        find_batch "data_batch_$n.bin"
        [ -z "$batch" ] || train+=("$batch")
    done
    find_batch test_batch.bin
    if [ ${#train[@]} -eq 0 ] || [ -z "$batch" ]; then
        fmal_fail "$folder: no data_batch_1.bin to data_batch_5.bin, or no test_batch.bin"
    fi
    import_into "$1" --format cifar10 --images "${train[@]}" --test-images "$batch"
}

# fmal_make_fashion_mnist DATA: the data set, HDF5, unless it is there
fmal_make_fashion_mnist() {
    [ ! -e "$1" ] || return 0
    find_folder "$1" FMAL_FASHION_MNIST "Fashion-MNIST's four files" \
        /usr/share/datasets/fashion-mnist
    begin_import "$1"
    import_into "$1" --format idx --images "$folder/train-images-idx3-ubyte.gz" \
        --labels "$folder/train-labels-idx1-ubyte.gz" \
        --test-images "$folder/t10k-images-idx3-ubyte.gz" \
        --test-labels "$folder/t10k-labels-idx1-ubyte.gz"
}
