// Package pack makes, reads and caches function packages: code, a manifest that
// says how it is to be run, and the files that it needs, in one file, addressed by
// the SHA-256 of its bytes.
//
// # Objects
//
//	Manifest   what the package is: runtime, functions, limits, what it asks of a node
//	Package    a package that is open, be it a .rfaas file, bare code or a folder
//	Digest     the address of a package
//	Code       what the code itself says: entry points, libraries that it needs
//	Cache      a node's packages by digest, each stored once
//	Installed  a package of a cache: files with paths, for a runtime to load
//
// A program that runs packages opens or receives one, puts it into its cache and
// gives Installed.ModulePath to a runtime:
//
//	p, err := pack.Open("hello.rfaas") // or hello.so, hello.wasm, a folder
//	installed, err := cache.PutPackage(p)
//	module, err := native.Open(installed.ModulePath())
//
// # The archive
//
// A package is a POSIX tar archive (ustar), so that it can be looked into with
// tar, and read while it arrives. Of the many archives that tar allows for the
// same files exactly one is accepted: content and digest belong together one to
// one, and nothing can hide in what readers would skip.
//
//   - First manifest.json, as Manifest.JSON has it: every field, in its order.
//   - Then the other files, sorted by the bytes of their names.
//   - A name is relative, of printable ASCII without a backslash, 100 bytes at
//     most; no part of it begins with a dot.
//   - Regular files only. Folders have no entries. Mode 0444, time, user and group 0.
//   - Padding is zero. Two blocks of zeros end the archive, and nothing follows.
//
// The header blocks are made and compared by this package and not by archive/tar:
// a digest must not change with a release of Go.
//
// A reader trusts nothing of this: what is different in any byte is an error that
// says where. It holds no more of a package in memory than its manifest and the
// names of its files.
//
// # Limits
//
// Functions 1 to 1023, files 4096, archive 4 GiB, manifest 4 MiB, and those of the
// Manifest's fields. A cache may be smaller than that.
package pack
