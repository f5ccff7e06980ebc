# shellcheck shell=bash disable=SC2034
# The Debian packages that building and testing need, and how to get them. Sourced, not run.
#
# One idea: what is missing is named before anything is installed; who may not install gets the
# exact command.

BUILD_PACKAGES="gcc libc6-dev cmake ninja-build pkg-config git libyaml-dev libjansson-dev \
libxxhash-dev libssl-dev libfftw3-dev libsndfile1-dev libsoxr-dev libebur128-dev libpng-dev zlib1g-dev \
libhdf5-dev libfluidsynth3"
TEST_PACKAGES="g++ check locales timgm6mb-soundfont clang clang-format libkissfft-dev pmccabe python3 \
python3-h5py opus-tools openmpi-bin libopenmpi-dev"
CI_PACKAGES="clang-tidy cppcheck valgrind libclang-rt-14-dev util-linux"

# need_packages NAME...: installs those that are missing; returns 1 with one line when it may not.
need_packages() {
    local missing="" name sudo=""
    if ! command -v dpkg-query >/dev/null; then
        echo "not a Debian system: install what corresponds to: $*"
        return 0
    fi
    for name in "$@"; do
        dpkg-query -W -f '${db:Status-Status}\n' "$name" 2>/dev/null | grep -qx installed ||
            missing="$missing $name"
    done
    if [ -z "$missing" ]; then return 0; fi
    if [ "$(id -u)" -ne 0 ]; then
        if ! sudo -n true 2>/dev/null; then
            echo "missing packages; run: sudo apt-get install --no-install-recommends$missing"
            return 1
        fi
        sudo="sudo -n"
    fi
    echo "installing packages:$missing"
    # shellcheck disable=SC2086
    $sudo env DEBIAN_FRONTEND=noninteractive sh -c \
        "apt-get update -qq && apt-get install -y -qq --no-install-recommends$missing" >/dev/null || {
        echo "cannot install; try: apt-get install --no-install-recommends$missing"
        return 1
    }
}
