// Package pages has memory for regions, and what a device does to it. The memory
// is zeroed, page-aligned and outside the Go heap, where the runtime neither
// scans nor frees it. In a build with the race detector Alloc takes it from the
// heap, where the detector sees who uses it.
package pages
