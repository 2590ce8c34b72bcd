# Targets of this project: modules, the library made of them, and tests.

# Warnings and sanitizers of our own code; an interface target, so that nothing is global.
add_library(fmal_flags INTERFACE)
target_compile_options(fmal_flags INTERFACE
  -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith
  -Wcast-qual -Wvla -Wno-psabi
  -fno-math-errno $<$<BOOL:${FMAL_WERROR}>:-Werror>)
target_compile_definitions(fmal_flags INTERFACE _GNU_SOURCE
  $<$<BOOL:${FMAL_TEST_HOOKS}>:FMAL_TEST_HOOKS>)
if(FMAL_SANITIZE)
  target_compile_options(fmal_flags INTERFACE -fsanitize=${FMAL_SANITIZE}
    -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(fmal_flags INTERFACE -fsanitize=${FMAL_SANITIZE})
endif()

# fmal_module(name [USES modules...] [LINKS libraries...])
#
# All sources of src/<name> except main.c, as objects and as the static library
# fmal_<name>. A module sees its own folder, include/, and the libraries it names; what it
# uses of other modules it must link, so that an upward call fails to link in its tests.
function(fmal_module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "USES;LINKS")
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/${name}/*.c")
  list(FILTER sources EXCLUDE REGEX "/main\\.c$")
  set(uses ${arg_USES})
  list(TRANSFORM uses PREPEND "fmal_")
  add_library(fmal_objects_${name} OBJECT ${sources})
  target_include_directories(fmal_objects_${name} PUBLIC
    "${PROJECT_SOURCE_DIR}/include" "${PROJECT_BINARY_DIR}/include")
  target_link_libraries(fmal_objects_${name} PUBLIC ${uses} ${arg_LINKS}
    PRIVATE fmal_flags)
  add_library(fmal_${name} STATIC $<TARGET_OBJECTS:fmal_objects_${name}>)
  target_include_directories(fmal_${name} PUBLIC
    "${PROJECT_SOURCE_DIR}/include" "${PROJECT_BINARY_DIR}/include")
  target_link_libraries(fmal_${name} PUBLIC ${uses} ${arg_LINKS})
endfunction()

# fmal_isa_sources(module sources...)
#
# Compile each source once more for every instruction set that the program may choose at
# run time; the source names its functions by FMAL_ISA. On other processors only the plain
# copy exists.
function(fmal_isa_sources module)
  if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    return()
  endif()
  set(flags_avx2 -mavx2 -mfma)
  set(flags_avx512 -mavx512f -mavx512dq -mavx512vl -mavx512bw -mprefer-vector-width=512)
  foreach(source IN LISTS ARGN)
    get_filename_component(stem ${source} NAME_WE)
    foreach(isa avx2 avx512)
      set(copy "${PROJECT_BINARY_DIR}/isa/${stem}_${isa}.c")
      file(CONFIGURE OUTPUT "${copy}" CONTENT
        "#define FMAL_ISA ${isa}\n#include \"${PROJECT_SOURCE_DIR}/src/${module}/${source}\"\n")
      target_sources(fmal_objects_${module} PRIVATE "${copy}")
      set_source_files_properties("${copy}" PROPERTIES COMPILE_OPTIONS "${flags_${isa}}")
    endforeach()
  endforeach()
  target_compile_definitions(fmal_objects_${module} PRIVATE FMAL_X86_ISA)
endfunction()

# fmal_real_sources(module sources...)
#
# Compile each source once more with double for float; it names what it defines by
# FMAL_REAL (src/nn/real.h).
function(fmal_real_sources module)
  foreach(source IN LISTS ARGN)
    get_filename_component(stem ${source} NAME_WE)
    set(copy "${PROJECT_BINARY_DIR}/real/${stem}_f64.c")
    file(CONFIGURE OUTPUT "${copy}" CONTENT
      "#define FMAL_REAL_F64\n#include \"${PROJECT_SOURCE_DIR}/src/${module}/${source}\"\n")
    target_sources(fmal_objects_${module} PRIVATE "${copy}")
  endforeach()
endfunction()

# fmal_library(modules...): libfmal, for programs that embed the engine.
function(fmal_library)
  add_library(fmal)
  add_library(fmal::fmal ALIAS fmal)
  foreach(name IN LISTS ARGN)
    target_sources(fmal PRIVATE $<TARGET_OBJECTS:fmal_objects_${name}>)
  endforeach()
  set_target_properties(fmal PROPERTIES VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR})
  target_include_directories(fmal PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
    $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(fmal PUBLIC MPI::MPI_C PRIVATE fmal::scalapack fmal::openblas
    fmal::hdf5 fmal::xxhash fmal::inih fmal::jansson ZLIB::ZLIB m
    $<BUILD_INTERFACE:fmal_flags>)
endfunction()

# Every test runs with one BLAS thread, may use more ranks than cores, and may run as root.
set(FMAL_TEST_ENVIRONMENT
  OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
  OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_btl_vader_single_copy_mechanism=none)
if(FMAL_SANITIZE)
  list(APPEND FMAL_TEST_ENVIRONMENT
    "ASAN_OPTIONS=fast_unwind_on_malloc=0:detect_stack_use_after_return=0"
    "LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/support/lsan.supp:print_suppressions=0"
    "UBSAN_OPTIONS=print_stacktrace=1")
endif()

# fmal_test(module unit [RANKS 1 2 ...] [LABELS ...] [TIMEOUT s])
#
# tests/unit/<module>/test_<unit>.c, linked to its module alone, as unit.<module>.<unit>.npK
# for each rank count (by default 1 to 4).
function(fmal_test module unit)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "TIMEOUT" "RANKS;LABELS")
  if(NOT arg_RANKS)
    set(arg_RANKS 1 2 3 4)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  set(exe test_${module}_${unit})
  add_executable(${exe} unit/${module}/test_${unit}.c)
  target_link_libraries(${exe} PRIVATE fmal_${module} fmal_testing fmal_flags)
  foreach(np IN LISTS arg_RANKS)
    set(test unit.${module}.${unit}.np${np})
    add_test(NAME ${test} COMMAND ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${np}
      ${MPIEXEC_PREFLAGS} $<TARGET_FILE:${exe}> ${MPIEXEC_POSTFLAGS})
    set_tests_properties(${test} PROPERTIES PROCESSORS ${np} TIMEOUT ${arg_TIMEOUT}
      LABELS "unit;${module};${arg_LABELS}" SKIP_RETURN_CODE 77
      ENVIRONMENT "${FMAL_TEST_ENVIRONMENT}")
  endforeach()
endfunction()

# fmal_cli_test(behaviour [ARGS ...] [RANKS n] [LABELS ...] [TIMEOUT s] [NAME name]
#   [DIRECTORY folder])
#
# tests/<folder>/<behaviour>.sh as <folder>.<behaviour>, where the folder is cli if none is
# given; exit code 77 means skipped.
function(fmal_cli_test behaviour)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT;RANKS;NAME;DIRECTORY"
    "LABELS;ARGS")
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  if(NOT arg_RANKS)
    set(arg_RANKS 2)
  endif()
  if(NOT arg_NAME)
    set(arg_NAME ${behaviour})
  endif()
  if(NOT arg_DIRECTORY)
    set(arg_DIRECTORY cli)
  endif()
  set(test ${arg_DIRECTORY}.${arg_NAME})
  add_test(NAME ${test} COMMAND bash
    ${CMAKE_CURRENT_SOURCE_DIR}/${arg_DIRECTORY}/${behaviour}.sh ${arg_ARGS})
  set_tests_properties(${test} PROPERTIES PROCESSORS ${arg_RANKS} TIMEOUT ${arg_TIMEOUT}
    LABELS "${arg_DIRECTORY};${arg_LABELS}" SKIP_RETURN_CODE 77
    ENVIRONMENT "${FMAL_TEST_ENVIRONMENT};FMAL=$<TARGET_FILE:fmal_program>;FMAL_SOURCE=${PROJECT_SOURCE_DIR};FMAL_BUILD=${PROJECT_BINARY_DIR};FMAL_HAS_HOOKS=$<BOOL:${FMAL_TEST_HOOKS}>;FMAL_SANITIZE=${FMAL_SANITIZE}")
endfunction()
