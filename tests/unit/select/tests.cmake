fmal_test(select plan RANKS 1)
fmal_test(select golden RANKS 1 2 3 4 7)
fmal_test(select oracle RANKS 1)
fmal_test(select random_pools)
fmal_test(select restore)
fmal_test(select invariants)
fmal_test(select fisher)
fmal_test(select mixed_picks)
fmal_test(select hard)
fmal_test(select tile RANKS 1)
fmal_test(select lazy)
fmal_test(select cut_tile RANKS 1)

# Pools with known answers lie beside the source tree.
foreach(unit golden oracle)
  target_compile_definitions(test_select_${unit} PRIVATE
    FMAL_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
endforeach()
foreach(unit oracle random_pools restore invariants lazy fisher)
  target_sources(test_select_${unit} PRIVATE support/oracle.c)
endforeach()

target_sources(test_select_hard PRIVATE support/long_oracle.c)

# What a step is made of is private to the module.
foreach(unit invariants tile lazy cut_tile)
  target_include_directories(test_select_${unit} PRIVATE "${PROJECT_SOURCE_DIR}/src/select")
endforeach()
