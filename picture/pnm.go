package picture

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
	"strings"

	"github.com/diffusioninst/go/internal/tiff"
)

// A pnm is the header of a picture of the Netpbm family.
type pnm struct {
	kind          byte // 1 to 7, or f and F for floating-point numbers
	width, height int
	samples       int // per pixel, with alpha
	most          int // the value of white
	scale         float64
	alpha         bool
}

func isPNM(header []byte) bool {
	return len(header) > 2 && header[0] == 'P' && strings.IndexByte("1234567fF", header[1]) >= 0 && isSpace(header[2])
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// decodePNM reads PBM, PGM, PPM (plain and raw), PAM and PFM.
func decodePNM(data []byte, o Options) (*decoded, error) {
	h, pix, err := pnmHeader(data)
	if err != nil {
		return nil, err
	}
	least, plain := h.bits(), h.kind <= '3'
	if plain {
		least = 8 * h.samples
	}
	n, err := o.pixels(h.width, h.height, h.samples, least, len(pix))
	if err != nil {
		return nil, err
	}
	d := &decoded{Raster: &tiff.Raster{Width: h.width, Height: h.height, Samples: h.samples}, bits: bits.Len(uint(h.most)), alpha: h.alpha}
	switch {
	case h.kind == 'f' || h.kind == 'F':
		d.bits = 32
		d.F64, err = h.floats(pix, n)
	case plain:
		err = h.plain(d.Raster, pix, n)
	default:
		err = h.raw(d.Raster, pix, n)
	}
	if err != nil {
		return nil, err
	}
	if !plain {
		d.rest = followingPNM(pix[h.size():])
	}
	if h.alpha {
		keep := []int{0}
		if h.samples == 4 {
			keep = []int{0, 1, 2}
		}
		d.Raster = selectChannels(d.Raster, keep)
	}
	return d, nil
}

// followingPNM returns the bytes behind a picture if they are another.
func followingPNM(rest []byte) int {
	if isPNM(rest) {
		return len(rest)
	}
	return 0
}

// bits returns the bits of a pixel of a raw picture, and size its bytes.
func (h pnm) bits() int {
	switch {
	case h.kind == 'f' || h.kind == 'F':
		return 32 * h.samples
	case h.kind == '4':
		return 1
	case h.most > 255:
		return 16 * h.samples
	}
	return 8 * h.samples
}

func (h pnm) size() int { return h.height * ((h.width*h.bits() + 7) / 8) }

// raw reads samples of 1, 8 or 16 bits.
func (h pnm) raw(r *tiff.Raster, pix []byte, n int) error {
	if len(pix) < h.size() {
		return errCut()
	}
	switch {
	case h.kind == '4':
		r.U8 = make([]uint8, 0, n)
		stride := (h.width + 7) / 8
		for y := range h.height {
			for x := range h.width {
				r.U8 = append(r.U8, ^-(pix[y*stride+x/8] >> (7 - x%8) & 1))
			}
		}
	case h.most > 255:
		r.U16 = make([]uint16, n)
		for i := range r.U16 {
			r.U16[i] = binary.BigEndian.Uint16(pix[2*i:])
		}
	default:
		r.U8 = make([]uint8, n)
		table := h.table()
		for i, v := range pix[:n] {
			r.U8[i] = table[v]
		}
	}
	return nil
}

// table brings values of up to 8 bits to 0 to 255, as PIL rounds them: half to even.
func (h pnm) table() (out [256]uint8) {
	for v := range out {
		out[v] = uint8(min(math.RoundToEven(float64(v)/float64(h.most)*255), 255))
	}
	return out
}

// plain reads numbers written as text. A bitmap's may follow without spaces.
func (h pnm) plain(r *tiff.Raster, pix []byte, n int) error {
	table := h.table()
	next := func() (int, bool) {
		var word []byte
		if word, pix = pnmWord(pix, h.kind == '1'); word == nil {
			return 0, false
		}
		v, err := strconv.Atoi(string(word))
		return v, err == nil && v >= 0 && v <= h.most
	}
	for i := range n {
		v, ok := next()
		switch {
		case !ok && len(pix) == 0:
			return errCut()
		case !ok:
			return corrupt("sample %d is not a number from 0 to %d", i+1, h.most)
		case h.kind == '1':
			r.U8 = append(r.U8, uint8(255*(1-v)))
		case h.most > 255:
			r.U16 = append(r.U16, uint16(v))
		default:
			r.U8 = append(r.U8, table[v])
		}
	}
	return nil
}

// floats reads numbers of 32 bits, whose rows begin with the lowest.
func (h pnm) floats(pix []byte, n int) ([]float64, error) {
	if len(pix) < h.size() {
		return nil, errCut()
	}
	var order binary.ByteOrder = binary.BigEndian
	if h.scale < 0 {
		order = binary.LittleEndian
	}
	out := make([]float64, n)
	row := h.width * h.samples
	for i := range out {
		at := (h.height-1-i/row)*row + i%row
		out[i] = float64(math.Float32frombits(order.Uint32(pix[4*at:])))
	}
	return out, nil
}

// pnmWord returns the next word, passing over spaces and comments, and what follows it. A digit
// is a word of its own if single is set.
func pnmWord(b []byte, single bool) (word, rest []byte) {
	for len(b) > 0 && (isSpace(b[0]) || b[0] == '#') {
		if b[0] == '#' {
			end := bytes.IndexAny(b, "\r\n")
			if end < 0 {
				return nil, nil
			}
			b = b[end:]
			continue
		}
		b = b[1:]
	}
	n := 0
	for n < len(b) && !isSpace(b[n]) && b[n] != '#' && n < 32 && !(single && n == 1) {
		n++
	}
	if n == 0 {
		return nil, nil
	}
	return b[:n], b[n:]
}

// pnmHeader reads the header, and returns the bytes behind it.
func pnmHeader(data []byte) (h pnm, pix []byte, err error) {
	h.kind, h.most, h.samples = data[1], 1, 1
	rest := data[2:]
	if h.kind == '7' {
		return h.pam(rest)
	}
	number := func() int {
		var word []byte
		word, rest = pnmWord(rest, false)
		n, bad := strconv.Atoi(string(word))
		if bad != nil || n < 1 {
			err = corrupt("a header of P%c with %q where a number above 0 should be", h.kind, word)
		}
		return n
	}
	h.width, h.height = number(), number()
	switch h.kind {
	case 'f', 'F':
		var word []byte
		word, rest = pnmWord(rest, false)
		if h.scale, _ = strconv.ParseFloat(string(word), 64); h.scale == 0 || h.scale-h.scale != 0 {
			err = corrupt("a header of P%c with %q where its scale should be", h.kind, word)
		}
	case '2', '3', '5', '6':
		h.most = number()
	}
	if h.kind == '3' || h.kind == '6' || h.kind == 'F' {
		h.samples = 3
	}
	switch {
	case err != nil:
		return h, nil, err
	case h.most > 65535:
		return h, nil, corrupt("a greatest value of %d", h.most)
	case len(rest) == 0:
		return h, nil, &Error{Kind: ErrTruncated, Reason: "no pixels"}
	}
	return h, rest[1:], nil // a single space ends the header
}

// pam reads the header of P7, which has a line per field.
func (h pnm) pam(rest []byte) (pnm, []byte, error) {
	for {
		line, after, ok := bytes.Cut(rest, []byte("\n"))
		if !ok {
			return h, nil, &Error{Kind: ErrTruncated, Reason: "the header has no end"}
		}
		rest = after
		fields := bytes.Fields(line)
		if len(fields) == 0 || fields[0][0] == '#' {
			continue
		}
		name, value := string(fields[0]), ""
		if len(fields) > 1 {
			value = string(fields[1])
		}
		if name == "ENDHDR" {
			break
		}
		if name == "TUPLTYPE" {
			h.alpha = h.alpha || strings.HasSuffix(value, "_ALPHA")
			continue
		}
		to, ok := map[string]*int{"WIDTH": &h.width, "HEIGHT": &h.height, "DEPTH": &h.samples, "MAXVAL": &h.most}[name]
		if !ok {
			continue
		}
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return h, nil, corrupt("a header of P7 with %s %q", name, value)
		}
		*to = n
	}
	h.alpha = h.alpha || h.samples == 2 || h.samples == 4
	switch {
	case h.most > 65535:
		return h, nil, corrupt("a greatest value of %d", h.most)
	case h.samples > 4 || h.alpha && h.samples%2 == 1:
		return h, nil, corrupt("a PAM picture of %d samples per pixel: save it as TIFF", h.samples)
	case h.samples == 2 && !h.alpha:
		return h, nil, corrupt("a PAM picture of 2 samples per pixel")
	}
	return h, rest, nil
}
