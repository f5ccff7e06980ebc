/*
 * The kernel calls that every level is tested on: one builder per slot, one table of shapes.
 */
#ifndef RG_TESTS_KERNEL_CASES_H
#define RG_TESTS_KERNEL_CASES_H

#include "kernel_call.h"

int32_t rg_kernel_case_count(void);
bool rg_kernel_case_has_grad(int32_t index);
const char *rg_kernel_case_slot(int32_t index);
/* Describes case `index`, its forward or its gradient call, with values in `memory`. */
void rg_kernel_case_build(int32_t index, bool grad, rg_arena *memory, rg_call *c);

#endif
