# SPDX-License-Identifier: Apache-2.0
# Warnings, hardening and sanitizers for every target of the project.
add_compile_options(
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla
    -Wformat=2 -Wundef -Wswitch-enum)
if(GLANCEFS_WERROR)
    add_compile_options(-Werror)
endif()

add_compile_options(-fno-strict-aliasing -fstack-protector-strong)
add_compile_definitions(_GNU_SOURCE _FILE_OFFSET_BITS=64)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
add_link_options(-pie -Wl,-z,relro,-z,now,-z,noexecstack)

if(GLANCEFS_SANITIZE)
    add_compile_options(-fsanitize=${GLANCEFS_SANITIZE} -fno-omit-frame-pointer
                        -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${GLANCEFS_SANITIZE})
else()
    add_compile_options(-fstack-clash-protection)
    add_compile_definitions($<$<NOT:$<CONFIG:Debug>>:_FORTIFY_SOURCE=2>)
endif()

# Declares one layer: add_layer(NAME source... LINK target...)
function(add_layer name)
    cmake_parse_arguments(layer "" "" "LINK" ${ARGN})
    add_library(glancefs_${name} OBJECT ${layer_UNPARSED_ARGUMENTS})
    target_include_directories(glancefs_${name} PUBLIC
        ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(glancefs_${name} PUBLIC Threads::Threads ${layer_LINK})
endfunction()
