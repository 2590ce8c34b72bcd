fmal_test(weights weights RANKS 1 2 3)
fmal_test(weights hostile RANKS 1 2)
