# SPDX-License-Identifier: Apache-2.0
# The Debian package: `cpack --config BUILD/CPackConfig.cmake -B OUTPUT-DIRECTORY`, best of the
# preset release. Its scripts and snippets are in contrib/packaging.
set(packaging ${PROJECT_SOURCE_DIR}/contrib/packaging)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME glancefs)
set(CPACK_PACKAGE_VENDOR "the glancefs project")
set(CPACK_PACKAGE_CONTACT "The glancefs project <glancefs@example.org>" CACHE STRING
    "Maintainer of the package that is built, as Debian writes names")
set(CPACK_PACKAGE_DESCRIPTION_FILE ${packaging}/description)
set(CPACK_STRIP_FILES ON)
# Files in /etc and files below /usr: staged with DESTDIR, whatever prefix the build was made for.
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_PRE_BUILD_SCRIPTS ${packaging}/stage_debian.cmake)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
# The libraries are found by dpkg-shlibdeps; these are programs.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS
    "fuse3 (>= 3.14), systemd | systemd-standalone-sysusers | systemd-sysusers")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "gnupg, attr, apparmor, bash-completion, zsh")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    ${packaging}/conffiles ${packaging}/postinst ${packaging}/prerm ${packaging}/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
