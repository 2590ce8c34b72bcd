# Networks compute on one process; what ranks see is tested with train.
fmal_test(nn gradients RANKS 1)
fmal_test(nn net RANKS 1)
fmal_test(nn loss RANKS 1)
