// Package manager tells clients which nodes there are and what they offer.
package manager
