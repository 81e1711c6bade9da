// Package fliptest damages files at random for the tests of readers.
package fliptest

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// Largest is the size of files that are damaged, in bytes: larger ones only take longer.
const Largest = 64 << 10

// Run calls read with copies of the files that match the patterns, each with 1 to 8 bits
// flipped, or with its end cut off. There are at least few copies in all, or as many as
// the environment variable DIFFUSIONINST_ROUNDS says. read fails the test or returns.
func Run(t *testing.T, few int, read func(t *testing.T, data []byte), patterns ...string) {
	t.Helper()
	if n, err := strconv.Atoi(os.Getenv("DIFFUSIONINST_ROUNDS")); err == nil {
		few = n
	}
	var names []string
	var files [][]byte
	for _, pattern := range patterns {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if len(data) > 0 && len(data) <= Largest {
				names, files = append(names, path), append(files, data)
			}
		}
	}
	if len(files) == 0 {
		t.Fatal("no files of", patterns)
	}
	for round := range few {
		seed := uint64(round)
		i := round % len(files)
		if !t.Run(filepath.Base(names[i])+"/"+strconv.Itoa(round), func(t *testing.T) { read(t, damaged(files[i], seed)) }) {
			return
		}
	}
	t.Logf("%d damaged copies of %d files", few, len(files))
}

// damaged returns a copy of data with some bits flipped or the end missing.
func damaged(data []byte, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	out := append([]byte(nil), data...)
	if r.IntN(8) == 0 {
		return out[:r.IntN(len(out))]
	}
	// Half of the flips hit the beginning, where most formats say what follows.
	reach := len(out)
	if r.IntN(2) == 0 {
		reach = min(reach, 512)
	}
	for range 1 + r.IntN(8) {
		out[r.IntN(reach)] ^= 1 << r.IntN(8)
	}
	return out
}
