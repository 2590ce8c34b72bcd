fmal_test(la grid)
fmal_test(la dmat)
fmal_test(la lowrank)
fmal_test(la small RANKS 1)

# The copies of the hot loops are private to the module.
fmal_test(la lowrank_tile RANKS 1)
target_include_directories(test_la_lowrank_tile PRIVATE "${PROJECT_SOURCE_DIR}/src/la")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  target_compile_definitions(test_la_lowrank_tile PRIVATE FMAL_X86_ISA)
endif()
