// Package pages has memory for regions, and the accesses of a device to it. The
// memory is zeroed, page-aligned and outside the Go heap, where the runtime
// neither scans nor frees it. In a build with the race detector Alloc takes it
// from the heap, where the detector sees accesses.
package pages
