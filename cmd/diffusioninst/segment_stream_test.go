//go:build cgo

package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Pictures that follow each other on standard input are segmented one after the other.
func TestSegmentStream(t *testing.T) {
	dir := t.TempDir()
	var all []byte
	for seed := range uint64(3) {
		all = append(all, savePNG(t, filepath.Join(dir, "p.png"), seed)...)
	}
	stdout, stderr, err := segment(all, "--output", "-", "-")
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	require.Len(t, lines, 3, stderr)
	for i, name := range []string{"stdin.png", "stdin_2.png", "stdin_3.png"} {
		var line struct {
			ImageID    int64  `json:"image_id"`
			FileName   string `json:"file_name"`
			Width      int
			Height     int
			Detections []struct {
				ImageID int64 `json:"image_id"`
				Score   float64
			}
		}
		require.NoError(t, json.Unmarshal([]byte(lines[i]), &line))
		require.Equal(t, int64(i+1), line.ImageID)
		require.Equal(t, name, line.FileName)
		require.Equal(t, [2]int{120, 90}, [2]int{line.Width, line.Height})
		require.NotEmpty(t, line.Detections)
		require.Equal(t, int64(i+1), line.Detections[0].ImageID)
	}
	// One that is broken is an error, and the others follow.
	bad := bytes.Clone(all)
	bad[100] ^= 1
	stdout, stderr, err = segment(bad, "--output", "-", "-")
	require.ErrorContains(t, err, "1 of 3 pictures could not be segmented")
	require.Contains(t, stderr, "Error: picture:")
	require.Equal(t, 2, strings.Count(stdout, "\n"))
	_, stderr, err = segment(nil, "--output", "-", "-")
	require.ErrorContains(t, err, "1 of 1")
	require.Contains(t, stderr, "no bytes")
	_, _, err = segment(all, "--output", "-", "--trace", dir, "-")
	require.ErrorContains(t, err, "--trace needs a folder")
	out := filepath.Join(dir, "out")
	_, _, err = segment(all, "--output", out, "--format", "overlay,results", "-")
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(out, "overlay", "stdin_3.png"))
}
