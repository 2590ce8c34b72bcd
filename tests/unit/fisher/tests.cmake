fmal_test(fisher diagonal)
fmal_test(fisher mask)
fmal_test(fisher mask_file)
fmal_test(fisher jacobian)
fmal_test(fisher golden RANKS 1 2 3 TIMEOUT 300)

# Networks with known answers lie beside the source tree.
target_compile_definitions(test_fisher_golden PRIVATE FMAL_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
