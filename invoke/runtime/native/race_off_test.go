//go:build !race && cgo && linux && (amd64 || arm64)

package native_test

const raceDetector = false
