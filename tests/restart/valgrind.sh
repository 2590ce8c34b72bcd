#!/usr/bin/env bash
# Two ranks under valgrind, from the first training to the last: a tiny network picks by
# FisherMask, and a residual one is trained. No wrong access, nothing uninitialised, no leak.
# shellcheck source=tests/restart/lib.sh
. "$(dirname "$0")/lib.sh"

if ! command -v valgrind >/dev/null || [ -n "$FMAL_SANITIZE" ]; then
    echo "skipped: valgrind is not installed, or this is a build with sanitizers"
    exit 77
fi
# OpenBLAS's widest kernels are beyond valgrind; these ways of Open MPI it understands.
export OPENBLAS_CORETYPE=Haswell OMPI_MCA_pml=ob1 OMPI_MCA_btl=self,vader,tcp OMPI_MCA_osc=pt2pt

make_data set data.h5 1 200 40

checked() { # DIR options...
    mpirun -np 2 valgrind --quiet --error-exitcode=9 --leak-check=full \
        --errors-for-leak-kinds=definite --show-leak-kinds=definite --keep-debuginfo=yes \
        --suppressions="$FMAL_SOURCE/tests/support/valgrind.supp" --log-file="$1.%p.valgrind" \
        "$FMAL" run --data data.h5 --run "$@" --initial 20 --batch 5 --rounds 1 --epochs 2 \
        >log.out 2>log || die "ended with $?: $(cat -- "$1".*.valgrind)"
    [ -z "$(cat -- "$1".*.valgrind)" ] || die "$(cat -- "$1".*.valgrind)"
    [ -s "$1/metrics.csv" ] || die "$1 came to no end"
    ok "$1"
}

checked masked --model mlp --hidden 4 --strategy fishermask --mask-fraction 0.2 --mask-samples 64
checked residual --model resnet18-slim --strategy entropy --augment crop-flip --validation 0.2
