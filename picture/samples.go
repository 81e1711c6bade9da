package picture

import (
	"image"
	"io"
	"slices"

	"github.com/diffusioninst/go/internal/nilcheck"
	"github.com/diffusioninst/go/internal/tiff"
)

// A Channel is the samples of one channel of a picture, with the values that the file has.
type Channel struct {
	Name string // of Picture.Channels
	// Samples writes to dst the samples of row y from column x on, as many as dst has room for:
	// NaN where a [Source] cannot be read.
	Samples func(dst []float64, x, y int)
}

// Samples returns the channels that the picture holds, which may be fewer than its file has:
// see [OpenChannels]. A picture that was normalized has the values that this gave it.
func (p *Picture) Samples() []Channel {
	if nilcheck.Is(p.Image) {
		return nil
	}
	samples := channelRows(p.Image)
	out := make([]Channel, min(len(p.held), len(samples)))
	for i := range out {
		out[i] = Channel{p.Channels[p.held[i]], samples[i]}
	}
	return out
}

// OpenChannels reads the picture in the file at path as Open does, at the file's depth: it
// ignores o.Normalize. channels are all channels of the file, also those that o.Channels
// leaves out. The pixels are decoded once, and twice in a TIFF file that has more channels than
// its colours.
func OpenChannels(path string, o Options) (p *Picture, channels []Channel, err error) {
	o.Normalize = ""
	err = withFile(path, func(r io.Reader) error {
		p, channels, err = decodeChannels(r, o)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return p, channels, nil
}

func decodeChannels(r io.Reader, o Options) (*Picture, []Channel, error) {
	source, t, o, err := begin(r, o)
	if err != nil {
		return nil, nil, err
	}
	if t != nil {
		return t.readChannels(o)
	}
	all := o
	all.Channels = nil
	p, err := source.decode(all)
	if err != nil {
		return nil, nil, err
	}
	chosen, err := pickChannels(p.Channels, o.Channels)
	if err != nil {
		return nil, nil, err
	}
	if p, err = p.normalized(all); err != nil {
		return nil, nil, err
	}
	channels := p.Samples()
	if chosen != nil {
		p.Image, p.held = imageOf(selectChannels(rasterOf(p.Image), chosen)), chosen
	}
	return p, channels, nil
}

// heldChannels are the channels that a picture holds of those with the given names.
func heldChannels(names, wanted []string) []int {
	chosen, _ := pickChannels(names, wanted)
	switch {
	case chosen != nil:
		return chosen
	case len(names) >= 3 && slices.Equal(names[:3], colourNames):
		return []int{0, 1, 2}
	}
	return []int{0}
}

// channelRows returns what reads the samples of a grey picture, or of red, green and blue.
func channelRows(img image.Image) []func(dst []float64, x, y int) {
	switch m := img.(type) {
	case *Float:
		return eachChannel(m.Samples, func(k int) func(dst []float64, x, y int) {
			return func(dst []float64, x, y int) {
				at := ((y-m.Rect.Min.Y)*m.Rect.Dx()+x-m.Rect.Min.X)*m.Samples + k
				for i := range dst {
					dst[i] = m.Pix[at+i*m.Samples]
				}
			}
		})
	case *image.Gray16:
		return eachChannel(1, func(int) func(dst []float64, x, y int) { return deep(m.Pix, m.PixOffset, 2, 0) })
	case *image.RGBA64:
		return eachChannel(3, func(k int) func(dst []float64, x, y int) { return deep(m.Pix, m.PixOffset, 8, 2*k) })
	case *image.RGBA:
		return eachChannel(3, func(k int) func(dst []float64, x, y int) {
			return func(dst []float64, x, y int) {
				at := m.PixOffset(x, y) + k
				for i := range dst {
					dst[i] = float64(m.Pix[at+4*i])
				}
			}
		})
	case *Source:
		return eachChannel(len(channelRows(m.like)), func(k int) func(dst []float64, x, y int) {
			return func(dst []float64, x, y int) { m.samples(k, dst, x, y) }
		})
	}
	return channelRows(imageOf(rasterOf(img)))
}

func eachChannel(n int, channel func(k int) func(dst []float64, x, y int)) []func(dst []float64, x, y int) {
	out := make([]func(dst []float64, x, y int), n)
	for k := range out {
		out[k] = channel(k)
	}
	return out
}

// deep reads numbers of 16 bits that lie step bytes apart.
func deep(pix []uint8, offset func(x, y int) int, step, first int) func(dst []float64, x, y int) {
	return func(dst []float64, x, y int) {
		at := offset(x, y) + first
		for i := range dst {
			dst[i] = float64(uint16(pix[at+i*step])<<8 | uint16(pix[at+i*step+1]))
		}
	}
}

// rasterRows reads the samples of channel k of a raster.
func rasterRows(r *tiff.Raster, k int) func(dst []float64, x, y int) {
	return func(dst []float64, x, y int) {
		at := (y*r.Width+x)*r.Samples + k
		switch {
		case r.U8 != nil:
			for i := range dst {
				dst[i] = float64(r.U8[at+i*r.Samples])
			}
		case r.U16 != nil:
			for i := range dst {
				dst[i] = float64(r.U16[at+i*r.Samples])
			}
		default:
			for i := range dst {
				dst[i] = r.F64[at+i*r.Samples]
			}
		}
	}
}
