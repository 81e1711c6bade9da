package evaluation

import (
	"context"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/picture"
)

// pictures is a set of n pictures of 8 + id pixels in width, with the ids 1 to n.
func pictures(t *testing.T, n int) *Set {
	folder, s := t.TempDir(), &Set{Data: &coco.Dataset{Categories: []coco.Category{{ID: 4, Name: "a"}}}}
	for id := 1; id <= n; id++ {
		path := filepath.Join(folder, fmt.Sprint(id, ".png"))
		f, err := os.Create(path)
		require.NoError(t, err)
		require.NoError(t, png.Encode(f, image.NewGray(image.Rect(0, 0, 8+id, 9))))
		require.NoError(t, f.Close())
		s.Images = append(s.Images, Image{&coco.Image{ID: int64(id), Width: 8 + id, Height: 9}, path})
	}
	require.NoError(t, s.Match([]string{"class 0"}, nil))
	return s
}

// A class that Match has not assigned is an error, not an index out of range.
func TestRunKnowsTheClasses(t *testing.T) {
	s := pictures(t, 1)
	segment := func(context.Context, image.Image, diffusioninst.Options) (*diffusioninst.Result, error) {
		return &diffusioninst.Result{Width: 9, Height: 9, Instances: []diffusioninst.Instance{{Class: 1}}}, nil
	}
	_, _, err := s.Run(context.Background(), segment, diffusioninst.Options{}, nil)
	require.ErrorContains(t, err, "an instance of class 1, and Match has assigned 1")
	s.categories = nil
	_, _, err = s.Run(context.Background(), segment, diffusioninst.Options{}, nil)
	require.ErrorContains(t, err, "Run before Match")
}

// While a picture is segmented the next one is read, and no other.
func TestRunReadsOneAhead(t *testing.T) {
	const n = 5
	s := pictures(t, n)
	var opened atomic.Int64 // the last picture that is read
	s.Pictures.Admit = func(w, _ int) error { opened.Store(int64(w - 8)); return nil }
	var remarked, segmented []int
	s.Remark = func(m Image, _ *picture.Picture) { remarked = append(remarked, int(m.ID)) }
	segment := func(_ context.Context, img image.Image, o diffusioninst.Options) (*diffusioninst.Result, error) {
		i := img.Bounds().Dx() - 8
		require.Equal(t, uint64(i), o.Seed)
		segmented = append(segmented, i)
		require.Eventually(t, func() bool { return opened.Load() == int64(min(i+1, n)) }, time.Minute, time.Millisecond)
		return &diffusioninst.Result{Width: 8 + i, Height: 9}, nil
	}
	done := 0
	_, _, err := s.Run(context.Background(), segment, diffusioninst.Options{}, func() { done++ })
	require.NoError(t, err)
	require.Equal(t, []int{1, 2, 3, 4, 5}, segmented)
	require.Equal(t, segmented, remarked)
	require.Equal(t, n, done)
}

// What is wrong with a picture is reported when it is its turn.
func TestRunNamesTheBrokenPicture(t *testing.T) {
	for _, skip := range []bool{false, true} {
		s := pictures(t, 4)
		require.NoError(t, os.WriteFile(s.Images[1].Path, []byte("no picture"), 0o666))
		var skipped []error
		if skip {
			s.skip = func(err error) { skipped = append(skipped, err) }
		}
		var segmented []int
		done := 0
		_, _, err := s.Run(context.Background(), func(_ context.Context, img image.Image, _ diffusioninst.Options) (*diffusioninst.Result, error) {
			segmented = append(segmented, img.Bounds().Dx()-8)
			return &diffusioninst.Result{Width: img.Bounds().Dx(), Height: 9}, nil
		}, diffusioninst.Options{}, func() { done++ })
		if !skip {
			require.ErrorContains(t, err, "image 2:")
			require.Equal(t, []int{1}, segmented)
			require.Equal(t, 1, done)
			continue
		}
		require.NoError(t, err)
		require.Len(t, skipped, 1)
		require.ErrorContains(t, skipped[0], "image 2:")
		require.Equal(t, []int{1, 3, 4}, segmented)
		require.Equal(t, []int64{1, 3, 4}, s.IDs())
		require.Equal(t, 4, done)
	}
}
