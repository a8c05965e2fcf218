//go:build cgo && linux && (amd64 || arm64)

// The hot path.

#include <string.h>

#include "shim_crash.h"
#include "shim_float.h"
#include "shim_object.h"

// native_on_stack calls f(args, size, res) on the stack whose top is given. The frame
// pointer restores the stack, for the unwinder as well.
uint32_t native_on_stack(void *args, uint32_t size, void *res, native_function f, uint8_t *top);

#if defined(__x86_64__)
__asm__(".text\n"
	".globl native_on_stack\n"
	".hidden native_on_stack\n"
	".type native_on_stack, @function\n"
	"native_on_stack:\n"
	"	.cfi_startproc\n"
	"	pushq %rbp\n"
	"	.cfi_def_cfa_offset 16\n"
	"	.cfi_offset %rbp, -16\n"
	"	movq %rsp, %rbp\n"
	"	.cfi_def_cfa_register %rbp\n"
	"	movq %r8, %rsp\n"
	"	call *%rcx\n"
	"	movq %rbp, %rsp\n"
	"	popq %rbp\n"
	"	.cfi_def_cfa %rsp, 8\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size native_on_stack, . - native_on_stack\n");
#elif defined(__aarch64__)
__asm__(".text\n"
	".globl native_on_stack\n"
	".hidden native_on_stack\n"
	".type native_on_stack, %function\n"
	"native_on_stack:\n"
	"	.cfi_startproc\n"
	"	stp x29, x30, [sp, #-16]!\n"
	"	.cfi_def_cfa_offset 16\n"
	"	.cfi_offset x29, -16\n"
	"	.cfi_offset x30, -8\n"
	"	mov x29, sp\n"
	"	.cfi_def_cfa_register x29\n"
	"	mov sp, x4\n"
	"	blr x3\n"
	"	mov sp, x29\n"
	"	ldp x29, x30, [sp], #16\n"
	"	.cfi_def_cfa sp, 0\n"
	"	.cfi_restore x29\n"
	"	.cfi_restore x30\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size native_on_stack, . - native_on_stack\n");
#endif

// grow makes the memory for results as large as the capacity.
static int grow(struct native_object *o, size_t capacity)
{
	struct area larger;
	int error = area_map(&larger, capacity);

	if (error)
		return error;
	area_unmap(&o->result);
	o->result = larger;
	return 0;
}

int64_t native_call(struct native_object *o, native_function f, uint8_t *args, uint32_t size, uint8_t *out, uint64_t capacity)
{
	struct float_mode mode;
	uint8_t *res;
	uint32_t n;

	if (capacity >= o->direct_bytes) {
		res = out;
	} else {
		if (__builtin_expect(capacity > o->result.bytes, 0)) {
			int error = grow(o, capacity);
			if (error)
				return -(int64_t)error;
		}
		res = area_start(&o->result);
	}
	o->capacity = capacity;
	native_running = o;
	float_save(&mode);
	native_enter();
	n = native_on_stack(args, size, res, f, area_end(&o->stack));
	native_leave();
	native_running = NULL;
	float_restore(&mode);
	if (n <= capacity && res != out)
		memcpy(out, res, n);
	return n;
}
