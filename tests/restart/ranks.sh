#!/usr/bin/env bash
# The same tables, to the byte, on 1, 2, 3 and 4 ranks; the same picks on larger grids.
# shellcheck source=tests/restart/lib.sh
. "$(dirname "$0")/lib.sh"

make_data set data.h5 1 700 200
finish 1 np1
for np in 2 3 4; do
    finish $np np$np
    same_end np1 np$np
done
[ "$(wc -l <np1/picks.csv)" = 41 ] || die "not 40 picks"
ok "metrics.csv and picks.csv on 1, 2, 3 and 4 ranks"

# Matrices of order 220, four blocks of 64 of which the last is short, so that every rank of
# a grid has some. 2000 samples are eight blocks; 97 are less than one, and one rank's.
for n in 2000 97; do
    make_data pool pool.h5 3 $n 55 4
    for at in 1:auto 2:auto 3:auto 4:auto 2:1x2 2:2x1 4:2x2 3:1x3 4:1x2; do
        np=${at%:*} grid=${at#*:}
        launch "$np" select --pool pool.h5 --batch 20 --lambda 0.01 --grid "$grid" \
            -o picks.h5 --force
        expect_rc 0 "select on a grid of $grid"
        said " grid=${grid/auto/1x1} "
        cut -d, -f 1,2 picks.csv >picked
        [ "$at" != 1:auto ] || cp picks.csv wanted.csv
        [ "$at" != 1:auto ] || cp picked wanted
        cmp wanted picked || die "n = $n: other picks on $np ranks, grid $grid"
        [ "$grid" != auto ] || cmp wanted.csv picks.csv || die "other scores on $np ranks"
    done
done
ok "picks on grids of 1x1, 1x2, 2x1, 2x2, 1x3"
