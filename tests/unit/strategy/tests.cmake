fmal_test(strategy uncertainty)
fmal_test(strategy random)
fmal_test(strategy search)
fmal_test(strategy fishermask)
fmal_test(strategy golden RANKS 1 2 3 TIMEOUT 600)

# Networks with known answers lie beside the source tree.
target_compile_definitions(test_strategy_golden PRIVATE FMAL_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
