// Package mpi is four programs in C under MPI, whose ranks lease cores and offload work to them; README.md says how. What
// is in Go here is their test.
package mpi
