# SPDX-License-Identifier: Apache-2.0
# Libraries by pkg-config. A missing one is named with the Debian package that brings it; all
# missing ones are named at once.
find_package(PkgConfig)
if(NOT PKG_CONFIG_FOUND)
    message(FATAL_ERROR "pkg-config is missing: apt-get install pkg-config")
endif()
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

set(missing_packages "")

function(require_library prefix module package)
    pkg_check_modules(${prefix} IMPORTED_TARGET ${module})
    if(NOT ${prefix}_FOUND)
        list(APPEND missing_packages ${package})
        set(missing_packages ${missing_packages} PARENT_SCOPE)
    endif()
endfunction()

require_library(FUSE3 fuse3>=3.14 libfuse3-dev)
require_library(GCRYPT libgcrypt>=1.10 libgcrypt20-dev)
require_library(CRYPTO libcrypto>=3.0 libssl-dev)
require_library(JSONC json-c>=0.16 libjson-c-dev)
require_library(CURL libcurl>=7.87 libcurl4-openssl-dev)
require_library(YAML yaml-0.1 libyaml-dev)
require_library(INIH inih libinih-dev)
require_library(GPGME gpgme>=1.18 libgpgme-dev)
require_library(ZLIB zlib zlib1g-dev)
# Debian's libbz2-dev brings no file for pkg-config.
find_package(BZip2)
if(NOT BZIP2_FOUND)
    list(APPEND missing_packages libbz2-dev)
endif()
require_library(SYSTEMD libsystemd libsystemd-dev)
require_library(SECCOMP libseccomp>=2.5 libseccomp-dev)
if(GLANCEFS_TESTS)
    require_library(CMOCKA cmocka libcmocka-dev)
endif()

if(missing_packages)
    list(JOIN missing_packages " " missing_packages)
    message(FATAL_ERROR "Libraries are missing. On Debian 12: apt-get install ${missing_packages}")
endif()
