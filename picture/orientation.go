package picture

import (
	"bytes"
	"image"
	"io"

	"github.com/bep/imagemeta"
	"golang.org/x/image/riff"
)

// turning is the value of the EXIF tag Orientation: which edges of the stored
// picture are the top and the left of the one to be seen.
type turning int

const upright turning = 1

var metadataFormats = map[string]imagemeta.ImageFormat{"jpeg": imagemeta.JPEG, "png": imagemeta.PNG, "tiff": imagemeta.TIFF}

// orientation reads the EXIF orientation. Metadata that is absent or damaged means
// upright, as it does for other programs.
func orientation(r io.ReadSeeker, format string) turning {
	found := upright
	if format == "webp" {
		r, format = webpEXIF(r), "tiff" // EXIF is a TIFF without pixels
	}
	kind, ok := metadataFormats[format]
	if !ok || r == nil {
		return found
	}
	_, err := imagemeta.Decode(imagemeta.Options{
		R: r, ImageFormat: kind, Sources: imagemeta.EXIF,
		ShouldHandleTag: func(tag imagemeta.TagInfo) bool { return tag.Tag == "Orientation" && tag.Namespace == "IFD0" },
		HandleTag: func(tag imagemeta.TagInfo) error {
			var n uint32
			switch v := tag.Value.(type) {
			case uint16:
				n = uint32(v)
			case uint32: // not as EXIF has it, but Pillow takes it
				n = v
			}
			if n >= 1 && n <= 8 {
				found = turning(n)
			}
			return imagemeta.ErrStopWalking
		},
		Warnf: func(string, ...any) {},
	})
	if err != nil {
		return upright
	}
	return found
}

// webpEXIF finds the EXIF chunk of a WebP, or nil. Package imagemeta would miss it
// behind a chunk of odd length.
func webpEXIF(r io.Reader) io.ReadSeeker {
	const limit = 1 << 16 // orientation stands near the start
	_, chunks, err := riff.NewReader(r)
	for err == nil {
		var id riff.FourCC
		var data io.Reader
		if id, _, data, err = chunks.Next(); err == nil && id == (riff.FourCC{'E', 'X', 'I', 'F'}) {
			body, err := io.ReadAll(io.LimitReader(data, limit))
			if err != nil {
				return nil
			}
			return bytes.NewReader(bytes.TrimPrefix(body, []byte("Exif\x00\x00")))
		}
	}
	return nil
}

// apply draws the rows of a picture, of opaque RGBA, at bounds within frame, turned. What the
// picture does not cover (the first frame of an animation may be smaller than it) is black.
func (t turning) apply(rows func() rowReader, bounds, frame image.Rectangle) *image.RGBA {
	out := t.canvas(frame.Dx(), frame.Dy())
	for i := 3; i < len(out.Pix) && !bounds.Eq(frame); i += 4 {
		out.Pix[i] = 255
	}
	visible := bounds.Intersect(frame)
	eachBand(visible.Min.Y, visible.Max.Y, visible.Dx()*visible.Dy(), func(from, to int) { t.draw(rows(), bounds, frame, from, to, out) })
	return out
}

// canvas returns an empty picture for a stored one of w × h.
func (t turning) canvas(w, h int) *image.RGBA {
	if t > 4 {
		w, h = h, w
	}
	return image.NewRGBA(image.Rect(0, 0, w, h))
}

// draw draws the rows from … to−1, which must be visible.
func (t turning) draw(rows rowReader, bounds, frame image.Rectangle, from, to int, out *image.RGBA) {
	if t <= upright && bounds.Eq(frame) {
		for y := from; y < to; y++ {
			rows(y, out.Pix[(y-frame.Min.Y)*out.Stride:][:out.Stride])
		}
		return
	}
	origin, right, down := t.steps(frame.Dx(), frame.Dy())
	origin, right, down = 4*origin, 4*right, 4*down
	visible := bounds.Intersect(frame)
	// A few rows at a time, so that a turned picture is not written pixel by pixel all over.
	const few = 16
	stride := 4 * bounds.Dx()
	buffer := make([]uint8, few*stride)
	for ; from < to; from += few {
		n := min(few, to-from)
		for i := range n {
			rows(from+i, buffer[i*stride:][:stride])
		}
		at := origin + (visible.Min.X-frame.Min.X)*right + (from-frame.Min.Y)*down
		for x := 4 * (visible.Min.X - bounds.Min.X); x < 4*(visible.Max.X-bounds.Min.X); x += 4 {
			for i, to := 0, at; i < n; i, to = i+1, to+down {
				copy(out.Pix[to:][:4], buffer[i*stride+x:][:4])
			}
			at += right
		}
	}
}

// steps says where the pixels of a stored picture of w × h go: (x, y) becomes pixel
// origin + x·right + y·down of the turned one, counted along its rows.
func (t turning) steps(w, h int) (origin, right, down int) {
	stride := w
	if t > 4 {
		stride = h
	}
	lastX, lastY := stride-1, (w*h/stride-1)*stride
	switch t {
	case 2:
		return lastX, -1, stride
	case 3:
		return lastX + lastY, -1, -stride
	case 4:
		return lastY, 1, -stride
	case 5:
		return 0, stride, 1
	case 6:
		return lastX, stride, -1
	case 7:
		return lastX + lastY, -stride, -1
	case 8:
		return lastY, -stride, 1
	}
	return 0, 1, stride
}
