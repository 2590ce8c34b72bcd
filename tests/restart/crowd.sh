#!/usr/bin/env bash
# 64 ranks on whatever cores there are, with fewer blocks of samples than ranks and with
# fewer samples than ranks: the same answers as on one.
# shellcheck source=tests/restart/lib.sh
. "$(dirname "$0")/lib.sh"
limit=600

make_data set data.h5 1 700 200
finish 1 np1
finish 64 np64
same_end np1 np64
ok "run, 700 samples"

small=(--data tiny.h5 --hidden 3 --initial 5 --batch 4 --rounds 2 --epochs 10)
make_data set tiny.h5 1 41 7
finish 1 tiny1
finish 64 tiny64
same_end tiny1 tiny64
ok "run, 41 samples"

for n in 700 41; do
    make_data pool pool.h5 1 $n 6 3
    for np in 1 64; do
        launch $np select --pool pool.h5 --batch 8 -o p$n-$np.h5
        expect_rc 0 "select of $n on $np ranks"
    done
    cmp p$n-1.csv p$n-64.csv || die "other picks of $n on 64 ranks"
    ok "select, $n samples"
done
