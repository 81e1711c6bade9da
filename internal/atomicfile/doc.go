// Package atomicfile replaces files as a whole: after a crash, a kill or a full disk at
// any moment the file is what it was before or what it should become, never in between.
package atomicfile
