// Package pages allocates memory for regions: zeroed, page-aligned, outside the
// Go heap, where the runtime neither scans nor frees it. In a build with the
// race detector it is on the heap, where the detector sees who uses it.
package pages
