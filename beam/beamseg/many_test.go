package beamseg

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/testing/ptest"
	"github.com/stretchr/testify/require"
)

// Eight bundles at the same time find what is in many pictures, each once, with one model, as one process without
// Beam does. DIFFUSIONINST_PICTURES=10000 says how many, and the processor time of both is logged, for which
// OMP_WAIT_POLICY=passive keeps threads that wait from counting.
func TestManyPictures(t *testing.T) {
	n := 64
	if more, err := strconv.Atoi(os.Getenv("DIFFUSIONINST_PICTURES")); err == nil {
		n = more
	}
	loaded := loadTiny(t)
	folder := t.TempDir()
	drawn := draw(t, folder, n)
	begin := processTime(t)
	want := alone(t, drawn)
	took := processTime(t) - begin
	models.Clear()
	loaded.Store(0)

	const bundles, shards = 8, 16
	p, s := beam.NewPipelineWithRoot()
	var found []beam.PCollection
	for part := range slices.Chunk(drawn, (n+bundles-1)/bundles) {
		found = append(found, Segment(s, beam.CreateList(s, part), everything))
	}
	require.Len(t, found, bundles)
	prefix := filepath.Join(folder, "out", "results")
	Write(s, beam.Flatten(s, found...), "coco", prefix, shards)
	begin = processTime(t)
	require.NoError(t, ptest.Run(p))
	t.Logf("%d pictures: %v of processor time, %v without Beam", n, processTime(t)-begin, took)
	require.EqualValues(t, 1, loaded.Load())

	results, failed := written(t, prefix, shards)
	require.Empty(t, failed)
	slices.Sort(want)
	slices.Sort(results)
	require.Len(t, results, len(want))
	require.True(t, slices.Equal(want, results), "they differ from the results of one process") // too many to print
}

// processTime returns the processor time of this process.
func processTime(t *testing.T) time.Duration {
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
