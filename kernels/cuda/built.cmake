# RG_CUDA=on: the CUDA backend, compiled by nvcc, under rg_kernels. Included by the top CMakeLists.txt.
#
# One idea: a library of its own, known to CMake by its file alone, so that programs are still linked
# as C. The runtime is linked statically and every other library of NVIDIA's is opened when it is
# first needed: the program starts without any of them.
set(RG_CUDA_ARCHITECTURES 75 80 86 89 90 100 120 CACHE STRING
    "compute capabilities that the kernels are compiled for, times 10")
set(CMAKE_CUDA_ARCHITECTURES OFF)
enable_language(CUDA)
find_package(CUDAToolkit 13 REQUIRED)
find_path(CUDNN_INCLUDE cudnn.h REQUIRED PATHS ${CUDAToolkit_INCLUDE_DIRS}
          DOC "the folder of cuDNN 9's headers")

# Two sets of PTX: bf16 products exist from 8.0 on. The last one is kept for GPUs yet to come.
set(targets)
foreach(sm ${RG_CUDA_ARCHITECTURES})
  if(sm LESS 80)
    list(APPEND targets "-gencode=arch=compute_${sm},code=sm_${sm}")
  else()
    string(APPEND real "sm_${sm},")
  endif()
endforeach()
list(APPEND targets "-gencode=arch=compute_80,code=[${real}compute_80]")

file(GLOB backend CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/cuda/*.c)
list(REMOVE_ITEM backend ${CMAKE_SOURCE_DIR}/kernels/cuda/stub.c)
# NVIDIA ships NCCL's header apart from the toolkit; without it there are no processes on several GPUs.
find_path(NCCL_INCLUDE nccl.h PATHS ${CUDAToolkit_INCLUDE_DIRS})
if(NCCL_INCLUDE)
  list(REMOVE_ITEM backend ${CMAKE_SOURCE_DIR}/kernels/cuda/nccl_stub.c)
else()
  list(REMOVE_ITEM backend ${CMAKE_SOURCE_DIR}/kernels/cuda/nccl.c)
endif()
add_library(rg_cuda_backend OBJECT ${backend})
target_compile_definitions(rg_cuda_backend PRIVATE CUDNN_WARN_DEPRECATED) # a warning is an error
target_include_directories(rg_cuda_backend SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS}
                           ${CUDNN_INCLUDE} $<$<BOOL:${NCCL_INCLUDE}>:${NCCL_INCLUDE}>)
file(GLOB cuda_kernels CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/cuda/*.cu)
add_library(rg_cuda_kernels STATIC ${cuda_kernels} $<TARGET_OBJECTS:rg_cuda_backend>)
set_target_properties(rg_cuda_kernels PROPERTIES COMPILE_OPTIONS "" CUDA_STANDARD 17)
target_compile_options(rg_cuda_kernels PRIVATE ${targets} "SHELL:-Werror all-warnings")

add_library(rg_cuda STATIC IMPORTED)
set_target_properties(rg_cuda PROPERTIES
    IMPORTED_LOCATION ${CMAKE_BINARY_DIR}/librg_cuda_kernels.a
    INTERFACE_LINK_LIBRARIES "rg_base;CUDA::cudart_static;stdc++")
add_dependencies(rg_cuda rg_cuda_kernels)
target_link_libraries(rg_kernels PUBLIC rg_cuda)
