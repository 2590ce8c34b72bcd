fmal_test(strategy uncertainty)
fmal_test(strategy random)
fmal_test(strategy search)
