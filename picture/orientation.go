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
			if n, ok := tag.Value.(uint16); ok && n >= 1 && n <= 8 {
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

// apply draws the rows of a picture at bounds within frame, turned. What the picture
// does not cover (the first frame of a GIF may be smaller than the GIF) is black.
func (t turning) apply(rows rowReader, bounds, frame image.Rectangle) *image.RGBA {
	w, h := frame.Dx(), frame.Dy()
	tw, th := w, h
	if t > 4 {
		tw, th = h, w
	}
	out := image.NewRGBA(image.Rect(0, 0, tw, th))
	for i := 3; i < len(out.Pix) && !bounds.Eq(frame); i += 4 {
		out.Pix[i] = 255
	}
	origin, right, down := t.steps(w, h)
	origin, right, down = 4*origin, 4*right, 4*down
	row := make([]uint8, 3*bounds.Dx())
	visible := bounds.Intersect(frame)
	for y := visible.Min.Y; y < visible.Max.Y; y++ {
		rows(y, row)
		at := origin + (visible.Min.X-frame.Min.X)*right + (y-frame.Min.Y)*down
		for x := visible.Min.X; x < visible.Max.X; x++ {
			from, to := row[3*(x-bounds.Min.X):][:3], out.Pix[at:][:4]
			to[0], to[1], to[2], to[3] = from[0], from[1], from[2], 255
			at += right
		}
	}
	return out
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
