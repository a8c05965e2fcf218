//go:build !purego

#include "textflag.h"

// CRC-32 by folding: "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ
// Instruction", V. Gopal et al., Intel 2009. The register is a polynomial over GF(2),
// and bits that are b bits before the end count as themselves times x^b; so a block
// is added to a later one after a multiplication by x^distance modulo the polynomial,
// for each half of 64 bits on its own. A multiplication takes many cycles, but one
// begins in each: hence four accumulators of four blocks. The constants and the
// reduction at the end are the paper's, with one distance more.

// x^(distance+32) and x^(distance-32) modulo the polynomial, bits reversed, for the
// lower and the upper half of a block.
DATA fold2048<>+0(SB)/8, $0x11542778a
DATA fold2048<>+8(SB)/8, $0x1322d1430
GLOBL fold2048<>(SB), RODATA|NOPTR, $16
DATA fold512<>+0(SB)/8, $0x154442bd4
DATA fold512<>+8(SB)/8, $0x1c6e41596
GLOBL fold512<>(SB), RODATA|NOPTR, $16
DATA fold128<>+0(SB)/8, $0x1751997d0
DATA fold128<>+8(SB)/8, $0x0ccaa009e
GLOBL fold128<>(SB), RODATA|NOPTR, $16
DATA fold64<>+0(SB)/8, $0x163cd6124
GLOBL fold64<>(SB), RODATA|NOPTR, $8
// The polynomial, and its quotient for the reduction of Barrett.
DATA barrett<>+0(SB)/8, $0x1db710641
DATA barrett<>+8(SB)/8, $0x1f7011641
GLOBL barrett<>(SB), RODATA|NOPTR, $16

// BEGIN has the first 256 bytes in the accumulators Z1 to Z4, with the register added
// to its first four bytes.
#define BEGIN \
	VBROADCASTI64X2 fold2048<>(SB), Z20 \
	VBROADCASTI64X2 fold512<>(SB), Z21  \
	VMOVD     R8, X0                    \
	VMOVDQU64 (SI), Z1                  \
	VMOVDQU64 64(SI), Z2                \
	VMOVDQU64 128(SI), Z3               \
	VMOVDQU64 192(SI), Z4

// LOAD4 loads the next 256 bytes.
#define LOAD4 \
	VMOVDQU64 (SI), Z11    \
	VMOVDQU64 64(SI), Z12  \
	VMOVDQU64 128(SI), Z13 \
	VMOVDQU64 192(SI), Z14

// FOLD4 moves the accumulators by 256 bytes, and adds Z11 to Z14.
#define FOLD4 \
	VPCLMULQDQ $0x11, Z20, Z1, Z5  \
	VPCLMULQDQ $0x00, Z20, Z1, Z1  \
	VPCLMULQDQ $0x11, Z20, Z2, Z6  \
	VPCLMULQDQ $0x00, Z20, Z2, Z2  \
	VPCLMULQDQ $0x11, Z20, Z3, Z7  \
	VPCLMULQDQ $0x00, Z20, Z3, Z3  \
	VPCLMULQDQ $0x11, Z20, Z4, Z8  \
	VPCLMULQDQ $0x00, Z20, Z4, Z4  \
	VPTERNLOGD $0x96, Z11, Z5, Z1  \
	VPTERNLOGD $0x96, Z12, Z6, Z2  \
	VPTERNLOGD $0x96, Z13, Z7, Z3  \
	VPTERNLOGD $0x96, Z14, Z8, Z4

// FOLD moves the accumulator Z1 by 64 bytes, and adds NEXT.
#define FOLD(NEXT) \
	VPCLMULQDQ $0x11, Z21, Z1, Z5 \
	VPCLMULQDQ $0x00, Z21, Z1, Z1 \
	VPTERNLOGD $0x96, NEXT, Z5, Z1

// GATHER makes one accumulator of the four, Z1.
#define GATHER \
	FOLD(Z2) \
	FOLD(Z3) \
	FOLD(Z4)

// FOLD128 moves the accumulator X1 by 16 bytes, and adds NEXT.
#define FOLD128(NEXT) \
	MOVOA     X1, X5        \
	PCLMULQDQ $0x00, X0, X1 \
	PCLMULQDQ $0x11, X0, X5 \
	PXOR      X5, X1        \
	PXOR      NEXT, X1

// FINISH leaves the register in AX.
#define FINISH \
	VEXTRACTF32X4 $1, Z1, X2    \
	VEXTRACTF32X4 $2, Z1, X3    \
	VEXTRACTF32X4 $3, Z1, X4    \
	VZEROUPPER                  \
	MOVOU     fold128<>(SB), X0 \
	FOLD128(X2)                 \
	FOLD128(X3)                 \
	FOLD128(X4)                 \
	PCMPEQB   X3, X3            \
	PSRLQ     $32, X3           \
	PCLMULQDQ $0x01, X1, X0     \ // 128 bits become 96
	PSRLDQ    $8, X1            \
	PXOR      X0, X1            \
	MOVOA     X1, X2            \ // 64
	PSRLDQ    $4, X2            \
	PAND      X3, X1            \
	MOVQ      fold64<>(SB), X0  \
	PCLMULQDQ $0x00, X0, X1     \
	PXOR      X2, X1            \
	MOVOA     X1, X2            \ // and 32
	MOVOU     barrett<>(SB), X0 \
	PAND      X3, X1            \
	PCLMULQDQ $0x10, X0, X1     \
	PAND      X3, X1            \
	PCLMULQDQ $0x00, X0, X1     \
	PXOR      X2, X1            \
	PEXTRD    $1, X1, AX

// func registerBlocks(r uint32, src *byte, n int) uint32
TEXT ·registerBlocks(SB), NOSPLIT, $0-28
	MOVL r+0(FP), R8
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	BEGIN
	VPXORQ Z0, Z1, Z1
	JMP next

four:
	LOAD4
	FOLD4

next:
	ADDQ $256, SI
	SUBQ $256, CX
	CMPQ CX, $256
	JGE  four
	GATHER
	JMP  rest

one:
	FOLD((SI))
	ADDQ $64, SI
	SUBQ $64, CX

rest:
	CMPQ CX, $64
	JGE  one
	FINISH
	MOVL AX, ret+24(FP)
	RET

// func registerCopyBlocks(r uint32, dst, src *byte, n int) uint32
TEXT ·registerCopyBlocks(SB), NOSPLIT, $0-36
	MOVL r+0(FP), R8
	MOVQ dst+8(FP), DI
	MOVQ src+16(FP), SI
	MOVQ n+24(FP), CX
	BEGIN
	VMOVDQU64 Z1, (DI)
	VMOVDQU64 Z2, 64(DI)
	VMOVDQU64 Z3, 128(DI)
	VMOVDQU64 Z4, 192(DI)
	VPXORQ Z0, Z1, Z1
	JMP next

four:
	PREFETCHT0 512(SI) // payloads follow each other in memory, but often on another page
	PREFETCHT0 576(SI)
	PREFETCHT0 640(SI)
	PREFETCHT0 704(SI)
	LOAD4
	VMOVDQU64 Z11, (DI)
	VMOVDQU64 Z12, 64(DI)
	VMOVDQU64 Z13, 128(DI)
	VMOVDQU64 Z14, 192(DI)
	FOLD4

next:
	ADDQ $256, SI
	ADDQ $256, DI
	SUBQ $256, CX
	CMPQ CX, $256
	JGE  four
	GATHER
	JMP  rest

one:
	VMOVDQU64 (SI), Z11
	VMOVDQU64 Z11, (DI)
	FOLD(Z11)
	ADDQ $64, SI
	ADDQ $64, DI
	SUBQ $64, CX

rest:
	CMPQ CX, $64
	JGE  one
	FINISH
	MOVL AX, ret+32(FP)
	RET
