// Package pack builds, reads and caches function packages. A package is one file with code,
// a manifest that says how to run it, and the files that it needs. Its address is the
// SHA-256 of its bytes.
//
// # Objects
//
//	Manifest   describes the package: runtime, functions, limits, what it requests of a node
//	Package    an open package: a .rfaas file, bare code or a folder
//	Digest     the address of a package
//	Code       what the code declares: entry points, libraries that it needs
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
// A package is a POSIX tar archive (ustar), so that tar can list it, and a reader can
// process it as it arrives. Of the many archives that tar allows for the same files exactly
// one is accepted. So content and digest determine each other, and nothing can hide in parts
// that readers skip.
//
//   - First manifest.json, in the form of Manifest.JSON: its fields, in their order;
//     some only if they are not the default.
//   - Then the other files, sorted by the bytes of their names.
//   - A name is relative, of printable ASCII without a backslash, 100 bytes at
//     most; no part of it begins with a dot.
//   - Regular files only. Folders have no entries. Mode 0444, time, user and group 0.
//   - Padding is zero. Two blocks of zeros end the archive, and nothing follows.
//
// This package creates and compares the header blocks itself, without archive/tar: a digest
// must not change with a release of Go.
//
// A reader checks all of this: any byte that differs is an error that says where. In memory
// it holds no more of a package than its manifest and the names of its files.
//
// # Limits
//
// Functions 1 to 1023, files 4096, archive 4 GiB, manifest 4 MiB, and those of the
// Manifest's fields. A cache may have a lower limit.
package pack
