package main

import (
	"io"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/picture"
)

// With -race, this fails if notes are printed while they are still being counted.
func TestPictureNotesOfSeveralReaders(t *testing.T) {
	var notes pictureNotes
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 100 {
				notes.printFirst(io.Discard, "a.png", &picture.Picture{Notes: []string{"16 bits"}})
			}
		})
	}
	all.Wait()
	require.Len(t, notes.order, 1)
	require.Equal(t, 400, notes.order[0].count)
}
