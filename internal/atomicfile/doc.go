// Package atomicfile replaces files atomically: after a crash, a kill or a full disk at
// any moment, the file has either its old content or its new one.
package atomicfile
