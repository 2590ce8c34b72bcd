fmal_test(loop loop)
fmal_test(loop resume)
