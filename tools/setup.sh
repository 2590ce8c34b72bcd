#!/usr/bin/env bash
# Install what is needed to build fmal; see usage below.
set -eu -o pipefail

usage() {
    cat <<'EOF'
Usage: tools/setup.sh [--tests] [--data] [--lint] [--slurm]

Installs what fmal needs and this machine lacks, with apt-get on Debian and Ubuntu.
Elsewhere, and where it is not run by root, it says what is missing.

  --tests  also what the tests need
  --data   also the Fashion-MNIST data set, unless FMAL_FASHION_MNIST names its folder
  --lint   also clang, clang-format and clang-tidy
  --slurm  also Slurm and munge, for the test of jobs under a real Slurm, which starts its
           own; nothing is configured or started here
EOF
}

packages=(gcc libc6-dev cmake ninja-build libopenmpi-dev openmpi-bin
    libscalapack-openmpi-dev libopenblas-dev libhdf5-openmpi-dev libinih-dev
    libjansson-dev libxxhash-dev zlib1g-dev)
want_tests=no want_data=no want_lint=no want_slurm=no
while [ $# -gt 0 ]; do
    case $1 in
    --tests) want_tests=yes packages+=(hdf5-tools pkg-config) ;;
    --data)
        want_data=yes
        [ -n "${FMAL_FASHION_MNIST:-}" ] || packages+=(dataset-fashion-mnist)
        ;;
    --lint) want_lint=yes packages+=(clang clang-format clang-tidy) ;;
    --slurm) want_slurm=yes packages+=(slurm-wlm munge) ;;
    -h | --help) usage && exit 0 ;;
    *) echo "setup.sh: unknown argument $1; see tools/setup.sh --help" >&2 && exit 2 ;;
    esac
    shift
done

# ---- Debian and Ubuntu ----------------------------------------------------------------

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

install_packages() {
    local missing=() package
    for package in "${packages[@]}"; do
        is_installed "$package" || missing+=("$package")
    done
    if [ ${#missing[@]} -eq 0 ]; then
        echo "setup.sh: nothing to install" >&2
        return
    fi
    if [ "$(id -u)" -ne 0 ]; then
        {
            echo "setup.sh: ${#missing[@]} packages are missing, and only root may install them:"
            echo "  sudo apt-get update"
            echo "  sudo apt-get install --no-install-recommends ${missing[*]}"
        } >&2
        return 1
    fi
    echo "setup.sh: installing ${missing[*]}" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q update >&2
    apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends \
        "${missing[@]}" </dev/null >&2
}

# ---- Other systems: look for tools, headers and libraries ----------------------------------

lacking=()

need() { # what command...: the command tells whether it is there
    local what=$1
    shift
    "$@" >/dev/null 2>&1 || lacking+=("$what")
}

has_command() { command -v "$1"; }
has_one_of() { command -v "$1" || command -v "$2"; }
has_header() { printf '#include <%s>\n' "$1" | cc -E -; }
has_library() { echo 'int main(void) { return 0; }' | cc -x c -o /dev/null - "-l$1"; }
has_package() { pkg-config --exists "$1"; }
has_openblas() {
    has_package openblas || has_header openblas_config.h ||
        has_header openblas/openblas_config.h
}
has_scalapack() {
    has_library scalapack || has_library scalapack-openmpi || has_package scalapack
}
has_hdf5() {
    has_command h5pcc || has_package hdf5-openmpi || has_package hdf5-mpich
}
has_data() { [ -n "${FMAL_FASHION_MNIST:-}" ] && [ -d "$FMAL_FASHION_MNIST" ]; }

probe() {
    need "a C compiler (cc)" has_command cc
    need "CMake 3.21 or newer" has_command cmake
    need "Ninja or make" has_one_of ninja make
    need "MPI (mpicc)" has_command mpicc
    need "MPI (mpirun)" has_command mpirun
    need "HDF5 built with MPI (h5pcc)" has_hdf5
    need "OpenBLAS with its headers" has_openblas
    need "ScaLAPACK" has_scalapack
    need "inih (ini.h)" has_header ini.h
    need "Jansson (jansson.h)" has_header jansson.h
    need "xxHash (xxhash.h)" has_header xxhash.h
    need "zlib (zlib.h)" has_header zlib.h
    if [ $want_tests = yes ]; then
        need "HDF5's command-line tools (h5dump)" has_command h5dump
        need "pkg-config" has_command pkg-config
    fi
    if [ $want_data = yes ]; then
        need "the Fashion-MNIST files (set FMAL_FASHION_MNIST to their folder)" has_data
    fi
    if [ $want_lint = yes ]; then
        need "clang" has_command clang
        need "clang-format" has_command clang-format
        need "clang-tidy" has_command clang-tidy
    fi
    if [ $want_slurm = yes ]; then
        need "Slurm (slurmctld)" has_command slurmctld
        need "munge (munged)" has_command munged
    fi
    if [ ${#lacking[@]} -eq 0 ]; then
        echo "setup.sh: nothing is missing" >&2
        return
    fi
    {
        echo "setup.sh: this system has no apt-get. Install by its own means, or load as modules:"
        printf '  %s\n' "${lacking[@]}"
    } >&2
    return 1
}

if command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then
    install_packages
else
    probe
fi
