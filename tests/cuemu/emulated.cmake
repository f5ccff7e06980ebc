# RG_CUDA=emu: the CUDA kernels on the CPU, for tests. Included by the top CMakeLists.txt.
#
# One idea: a .cu file is C++ to g++ once tests/cuemu/inc stands before the toolkit's headers. Two
# flavours: rg_cuda_emulated, and rg_cuda_checked, compiled by clang with a call before every access.
# Only the headers of the toolkit and of cuDNN are needed; no driver, no nvcc.
enable_language(CXX)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
find_path(CUDA_INCLUDE cuda_runtime_api.h REQUIRED
          PATHS /usr/local/cuda/include $ENV{CUDA_HOME}/include /usr/include)
find_path(CUDNN_INCLUDE cudnn.h REQUIRED PATHS ${CUDA_INCLUDE})
find_program(CLANGXX clang++ REQUIRED)
set(cuemu ${CMAKE_SOURCE_DIR}/tests/cuemu)

file(GLOB cuemu_sources CONFIGURE_DEPENDS ${cuemu}/*.cpp)
list(REMOVE_ITEM cuemu_sources ${cuemu}/check.cpp)
add_library(cuemu STATIC ${cuemu_sources})
add_library(cuemu_check OBJECT ${cuemu}/check.cpp)
file(GLOB cuda_kernels CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/cuda/*.cu)
list(APPEND cuda_kernels ${cuemu}/defects.cu)
set_source_files_properties(${cuda_kernels} PROPERTIES LANGUAGE CXX)
add_library(rg_cuda_emulated STATIC ${cuda_kernels})
# vector types are read through casts, as everywhere in CUDA; pragmas are nvcc's
target_compile_options(rg_cuda_emulated PRIVATE -x c++ -fno-strict-aliasing -Wno-unknown-pragmas)
foreach(target cuemu cuemu_check rg_cuda_emulated)
  target_include_directories(${target} PRIVATE ${cuemu}/inc ${cuemu})
  target_include_directories(${target} SYSTEM PRIVATE ${CUDA_INCLUDE})
  target_compile_options(${target} PRIVATE -O2)
endforeach()
target_link_libraries(rg_cuda_emulated PUBLIC cuemu rg_base)

# The checking flavour: struct copies become calls of memcpy, which the checker is to see too.
set(checked)
foreach(path ${cuda_kernels})
  get_filename_component(name ${path} NAME_WE)
  set(object ${CMAKE_BINARY_DIR}/checked/${name}.o)
  add_custom_command(
    OUTPUT ${object}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/checked
    COMMAND ${CLANGXX} -x c++ -std=c++17 -O1 -g -fno-strict-aliasing -fsanitize=thread -fPIC
            -I ${cuemu}/inc -I ${cuemu} -I ${CMAKE_SOURCE_DIR} -I ${CMAKE_SOURCE_DIR}/src
            -isystem ${CUDA_INCLUDE} -MD -MF ${object}.d -c ${path} -o ${object}
    COMMAND ${CMAKE_OBJCOPY} --redefine-sym memcpy=cuemu_memcpy --redefine-sym
            memset=cuemu_memset --redefine-sym memmove=cuemu_memmove ${object}
    DEPENDS ${path} DEPFILE ${object}.d VERBATIM)
  list(APPEND checked ${object})
endforeach()
add_library(rg_cuda_checked STATIC ${checked} $<TARGET_OBJECTS:cuemu_check>)
set_target_properties(rg_cuda_checked PROPERTIES LINKER_LANGUAGE CXX)
target_link_libraries(rg_cuda_checked PUBLIC cuemu rg_base)

add_custom_target(emulated_tests)

# Each test of tests/cuemu is two programs: NAME, and NAME_checked with -DCUEMU_CHECK.
file(GLOB emulated_tests CONFIGURE_DEPENDS ${cuemu}/test_*.c)
foreach(path ${emulated_tests})
  get_filename_component(name ${path} NAME_WE)
  foreach(flavour emulated checked)
    set(program ${name}_${flavour})
    add_executable(${program} ${path})
    target_include_directories(${program} PRIVATE ${cuemu})
    target_include_directories(${program} SYSTEM PRIVATE ${CUDA_INCLUDE})
    target_compile_definitions(${program} PRIVATE RG_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    target_link_libraries(${program} PRIVATE rg_test_support rg_cuda_${flavour})
    set_target_properties(${program} PROPERTIES LINKER_LANGUAGE CXX)
    add_dependencies(emulated_tests ${program})
    add_test(NAME cuemu/${program} COMMAND ${program})
    set_tests_properties(cuemu/${program} PROPERTIES TIMEOUT 300)
  endforeach()
  target_compile_definitions(${name}_checked PRIVATE CUEMU_CHECK)
endforeach()

# The backend round the kernels, and its libraries' stand-ins: what rg_kernels links instead of the
# stub, so that every program of this tree has an emulated GPU.
file(GLOB backend CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/cuda/*.c ${cuemu}/emu_*.c)
list(REMOVE_ITEM backend ${CMAKE_SOURCE_DIR}/kernels/cuda/stub.c
     ${CMAKE_SOURCE_DIR}/kernels/cuda/nccl_stub.c)
add_library(rg_cuda_backend STATIC ${backend})
target_compile_definitions(rg_cuda_backend PRIVATE RG_CUDA_EMU=1 CUDNN_WARN_DEPRECATED)
target_include_directories(rg_cuda_backend SYSTEM PRIVATE ${CUDA_INCLUDE} ${CUDNN_INCLUDE})
target_link_libraries(rg_cuda_backend PUBLIC rg_cuda_emulated ${CMAKE_DL_LIBS})

# tests/cuda, in three orders of blocks and threads; whole models, which take minutes, in two.
file(GLOB backend_tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/cuda/test_*.c)
foreach(path ${backend_tests})
  get_filename_component(name ${path} NAME_WE)
  add_executable(${name} ${path})
  target_link_libraries(${name} PRIVATE rg_test_support rg_train)
  target_include_directories(${name} PRIVATE ${cuemu})
  target_include_directories(${name} SYSTEM PRIVATE ${CUDA_INCLUDE} ${CUDNN_INCLUDE})
  target_compile_definitions(${name} PRIVATE RG_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  add_dependencies(emulated_tests ${name})
  set(orders fwd rev rand:7)
  if(name MATCHES "_(models|generate|eval|selftest)$")
    list(REMOVE_ITEM orders rev)
  endif()
  foreach(order ${orders})
    string(REPLACE ":" "_" suffix ${order})
    add_test(NAME cuda/${name}_${suffix} COMMAND ${name})
    set_tests_properties(cuda/${name}_${suffix} PROPERTIES TIMEOUT 600 ENVIRONMENT
                         "CUEMU_ORDER=${order};CUEMU_STREAMS=lazy")
  endforeach()
endforeach()

# What several processes train on the CPU they train on a GPU each.
add_executable(test_cuda_ranks ${CMAKE_SOURCE_DIR}/tests/dist/test_ranks.c)
target_link_libraries(test_cuda_ranks PRIVATE rg_test_support rg_train)
target_compile_definitions(test_cuda_ranks PRIVATE RG_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                           RG_TEST_DEVICE="cuda" RG_TEST_SECONDS=600)
add_dependencies(emulated_tests test_cuda_ranks)
add_test(NAME cuda/test_cuda_ranks COMMAND test_cuda_ranks)
set_tests_properties(cuda/test_cuda_ranks PROPERTIES TIMEOUT 900 ENVIRONMENT
                     "CUEMU_STREAMS=lazy;CUEMU_MEMORY=192")

# The kernels' own tests under the checker too: its kernels come first, so no others are linked.
add_executable(test_cuda_kernels_checked ${CMAKE_SOURCE_DIR}/tests/cuda/test_cuda_kernels.c)
target_link_libraries(test_cuda_kernels_checked PRIVATE rg_test_support
                      $<LINK_LIBRARY:WHOLE_ARCHIVE,rg_cuda_checked> rg_kernels)
add_dependencies(emulated_tests test_cuda_kernels_checked)
foreach(case values_are_those_of_the_reference fp16_values_are_those_of_the_reference)
  add_test(NAME cuda/test_cuda_kernels_checked_${case} COMMAND test_cuda_kernels_checked)
  set_tests_properties(cuda/test_cuda_kernels_checked_${case} PROPERTIES TIMEOUT 900 ENVIRONMENT
                       "CK_RUN_CASE=${case};CUEMU_STREAMS=lazy")
endforeach()

# The real cuDNN's plans for GPUs that are not here (experiments/cudnn-plans/run.sh builds it): the
# backend up to where it would compute.
add_executable(cudnn_plans EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/experiments/cudnn-plans/plans.c)
target_link_libraries(cudnn_plans PRIVATE rg_train)
target_include_directories(cudnn_plans SYSTEM PRIVATE ${CUDA_INCLUDE} ${CUDNN_INCLUDE})
foreach(name rg_kernels_idle rg_dl_cudnn rg_dnn_find rg_dnn_run rg_cuda_gemm rg_cuda_enter
        rg_cuda_enter_grad rg_cuda_leave_grad rg_cuda_bias_act rg_cuda_column_sums rg_cuda_swap
        rg_cuda_repeat rg_cuda_scratch rg_cuda_weight rg_cuda_thin_forward rg_cuda_thin_dx
        rg_cuda_thin_dw)
  target_link_options(cudnn_plans PRIVATE "LINKER:--wrap=${name}")
endforeach()
