# Everything fmal needs from outside, each as one imported target. A missing one ends in a
# message that names the Debian package to install. The installed CMake package reads this
# file too, once for each find_package(fmal).

function(fmal_missing what package)
  message(FATAL_ERROR "fmal needs ${what}, which was not found.\n"
    "On Debian or Ubuntu: apt-get install ${package}\n"
    "Elsewhere: install its development files and pass its place by "
    "-DCMAKE_PREFIX_PATH=DIR. tools/setup.sh installs all that is needed on Debian.")
endfunction()

# fmal_find(target what package HEADER file SUFFIXES folders... LIBS names...): a header and
# a library.
function(fmal_find target what package)
  cmake_parse_arguments(PARSE_ARGV 3 arg "" "HEADER" "SUFFIXES;LIBS")
  string(MAKE_C_IDENTIFIER "FMAL_${target}" var)
  if(arg_HEADER)
    find_path(${var}_INCLUDE ${arg_HEADER} PATH_SUFFIXES ${arg_SUFFIXES})
    mark_as_advanced(${var}_INCLUDE)
  endif()
  find_library(${var}_LIBRARY NAMES ${arg_LIBS})
  mark_as_advanced(${var}_LIBRARY)
  if(NOT ${var}_LIBRARY OR (arg_HEADER AND NOT ${var}_INCLUDE))
    fmal_missing("${what}" "${package}")
  endif()
  if(TARGET fmal::${target})
    return()
  endif()
  add_library(fmal::${target} INTERFACE IMPORTED GLOBAL)
  target_link_libraries(fmal::${target} INTERFACE "${${var}_LIBRARY}")
  if(arg_HEADER)
    target_include_directories(fmal::${target} SYSTEM INTERFACE "${${var}_INCLUDE}")
  endif()
endfunction()

find_package(MPI QUIET COMPONENTS C)
if(NOT MPI_C_FOUND)
  fmal_missing("MPI" "libopenmpi-dev openmpi-bin")
endif()

set(HDF5_PREFER_PARALLEL TRUE)
find_package(HDF5 QUIET COMPONENTS C HL)
if(NOT HDF5_FOUND OR NOT HDF5_IS_PARALLEL)
  fmal_missing("HDF5 built with MPI" "libhdf5-openmpi-dev")
endif()
if(NOT TARGET fmal::hdf5)
  add_library(fmal::hdf5 INTERFACE IMPORTED GLOBAL)
  target_include_directories(fmal::hdf5 SYSTEM INTERFACE ${HDF5_C_INCLUDE_DIRS})
  target_link_libraries(fmal::hdf5 INTERFACE ${HDF5_C_HL_LIBRARIES} ${HDF5_C_LIBRARIES})
endif()

find_package(ZLIB QUIET)
if(NOT ZLIB_FOUND)
  fmal_missing("zlib" "zlib1g-dev")
endif()

# A distribution keeps OpenBLAS's cblas.h in a folder of its own, since other BLAS
# libraries have a header of that name too; openblas_config.h is found nowhere else.
fmal_find(openblas "OpenBLAS" "libopenblas-dev" HEADER openblas_config.h
  SUFFIXES openblas-pthread openblas-openmp openblas-serial openblas LIBS openblas)
# ScaLAPACK and BLACS ship no C headers; the prototypes are in src/la. Its CMake package is
# broken in Debian 12 (it points at a file that is not there).
fmal_find(scalapack "ScaLAPACK for Open MPI" "libscalapack-openmpi-dev"
  LIBS scalapack-openmpi scalapack)
fmal_find(inih "inih" "libinih-dev" HEADER ini.h LIBS inih)
fmal_find(jansson "Jansson" "libjansson-dev" HEADER jansson.h LIBS jansson)
fmal_find(xxhash "xxHash" "libxxhash-dev" HEADER xxhash.h LIBS xxhash)
