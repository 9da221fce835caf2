# SPDX-License-Identifier: Apache-2.0
# Part of `cmake --install`: the files below /etc (of the prefix, unless that is /usr), each only
# where there is none.
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
    set(sysconfdir "/etc")
else()
    set(sysconfdir "${CMAKE_INSTALL_PREFIX}/etc")
endif()

function(install_once file directory)
    cmake_path(GET file FILENAME name)
    if(EXISTS "$ENV{DESTDIR}${directory}/${name}")
        message(STATUS "Kept: $ENV{DESTDIR}${directory}/${name}")
    else()
        file(INSTALL DESTINATION "${directory}" TYPE FILE FILES "${file}")
    endif()
endfunction()

install_once("${GLANCEFS_CONTRIB}/glancefs.conf" "${sysconfdir}/glancefs")
install_once("${GLANCEFS_CONTRIB}/apparmor/glancefs" "${sysconfdir}/apparmor.d")
