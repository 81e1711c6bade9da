package picture

import (
	"bytes"
	"errors"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
)

// Callers are asked before pixels are decoded, whatever the format.
func TestAdmitIsAskedFirst(t *testing.T) {
	img := image.NewGray(image.Rect(0, 0, 40, 30))
	files := map[string]*bytes.Buffer{}
	into := func(name string) *bytes.Buffer { files[name] = new(bytes.Buffer); return files[name] }
	require.NoError(t, png.Encode(into("png"), img))
	require.NoError(t, jpeg.Encode(into("jpeg"), img, nil))
	require.NoError(t, gif.Encode(into("gif"), img, nil))
	require.NoError(t, bmp.Encode(into("bmp"), img))
	require.NoError(t, tiff.Encode(into("tiff"), img, nil))
	into("pnm").WriteString("P5 40 30 255\n" + string(img.Pix))
	full := errors.New("no room")
	for name, file := range files {
		var size image.Point
		admit := func(err error) Options {
			return Options{Admit: func(w, h int) error { size = image.Pt(w, h); return err }}
		}
		_, err := Decode(bytes.NewReader(file.Bytes()), admit(full))
		require.ErrorIs(t, err, full, name)
		require.ErrorIs(t, err, ErrTooLarge, name)
		require.Equal(t, image.Pt(40, 30), size, name)
		p, err := Decode(bytes.NewReader(file.Bytes()), admit(nil))
		require.NoError(t, err, name)
		require.Equal(t, size, p.Bounds().Size(), name)
	}
}
