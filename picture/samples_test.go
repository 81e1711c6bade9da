package picture

import (
	"encoding/binary"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/tiff/tifftest"
)

// All channels of a file are measured with the values that the file has, whichever the model sees.
func TestOpenChannels(t *testing.T) {
	save := func(data []byte) string {
		path := filepath.Join(t.TempDir(), "a.tif")
		require.NoError(t, os.WriteFile(path, data, 0o666))
		return path
	}
	row := func(c Channel) []float64 {
		dst := make([]float64, 2)
		c.Samples(dst, 1, 1)
		return dst
	}
	le := binary.AppendByteOrder(binary.LittleEndian)
	var floats, words []byte
	for i := range 3 * 2 * 4 { // 3×2 pixels of 4 channels
		floats = le.AppendUint32(floats, math.Float32bits(float32(i)/2-3))
		words = le.AppendUint16(words, uint16(1000*i))
	}
	for _, o := range []Options{{}, {Channels: []string{"3"}}, {Channels: []string{"4", "2"}}, {Normalize: Auto}} {
		path := save(tifftest.Encode(le, false, tifftest.Page{Width: 3, Height: 2, Samples: 4, Bits: 32, Format: 3, Photometric: 1, Planes: [][]byte{floats}}))
		p, channels, err := OpenChannels(path, o)
		require.NoError(t, err)
		require.IsType(t, &Float{}, p.Image)
		require.Len(t, channels, 4)
		for k, c := range channels {
			require.Equal(t, []float64{float64(16+k)/2 - 3, float64(20+k)/2 - 3}, row(c))
			require.Equal(t, p.Channels[k], c.Name)
		}
	}
	_, channels, err := OpenChannels(save(tifftest.Encode(le, false, tifftest.Page{Width: 3, Height: 2, Samples: 4, Bits: 16, Photometric: 1, Planes: [][]byte{words}})), Options{})
	require.NoError(t, err)
	require.Len(t, channels, 4)
	require.Equal(t, []float64{19000, 23000}, row(channels[3]))

	grey := image.NewGray(image.Rect(0, 0, 3, 2))
	copy(grey.Pix, []uint8{0, 1, 2, 3, 4, 5})
	colour := image.NewNRGBA(image.Rect(0, 0, 3, 2))
	for i := range colour.Pix {
		colour.Pix[i] = uint8(10*i) | 1
		if i%4 == 3 {
			colour.Pix[i] = 255
		}
	}
	for name, img := range map[string]image.Image{"grey": grey, "colour": colour} {
		path := filepath.Join(t.TempDir(), "a.png")
		f, err := os.Create(path)
		require.NoError(t, err)
		require.NoError(t, png.Encode(f, img))
		require.NoError(t, f.Close())
		p, channels, err := OpenChannels(path, Options{})
		require.NoError(t, err)
		require.Len(t, p.Samples(), len(channels))
		if name == "grey" {
			require.Len(t, channels, 1)
			require.Equal(t, []float64{4, 5}, row(channels[0]))
			continue
		}
		require.Len(t, channels, 3)
		for k, c := range channels {
			at := colour.PixOffset(1, 1) + k
			require.Equal(t, []float64{float64(colour.Pix[at]), float64(colour.Pix[at+4])}, row(c))
		}
		_, channels, err = OpenChannels(path, Options{Channels: []string{"green"}})
		require.NoError(t, err)
		require.Len(t, channels, 3)
		require.Equal(t, "blue", channels[2].Name)
	}
}

// What OpenChannels reads at once are the samples that Open gives channel by channel, in every
// layout, and the picture is the one of Open.
func TestOpenChannelsIsOpen(t *testing.T) {
	le := binary.AppendByteOrder(binary.LittleEndian)
	const w, h = 5, 4
	page := func(samples, bits, format, photometric int, extra ...uint32) tifftest.Page {
		var pix []byte
		for i := range w * h * samples {
			switch {
			case format == 3:
				pix = le.AppendUint32(pix, math.Float32bits(float32(i*7%41)/2-3))
			case bits == 16:
				pix = le.AppendUint16(pix, uint16(3001*i))
			default:
				pix = append(pix, uint8(37*i))
			}
		}
		tags := map[uint16]uint32{}
		if len(extra) > 0 {
			tags[338] = extra[0]
		}
		return tifftest.Page{Width: w, Height: h, Samples: samples, Bits: bits, Format: format, Photometric: photometric, Planes: [][]byte{pix}, Tags: tags}
	}
	turned := page(4, 16, 0, 1)
	turned.Tags[274] = 6
	for name, page := range map[string]tifftest.Page{
		"grey": page(1, 8, 0, 1), "two": page(2, 16, 0, 1), "five": page(5, 8, 0, 1), "floats": page(3, 32, 3, 1), "turned": turned,
		"black is most": page(3, 16, 0, 0), "colours": page(3, 16, 0, 2),
		"colours and more": page(6, 8, 0, 2), "premultiplied": page(4, 8, 0, 2, 1), "inks": page(5, 8, 0, 5),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.tif")
			require.NoError(t, os.WriteFile(path, tifftest.Encode(le, false, page), 0o666))
			for _, wanted := range [][]string{nil, {"1"}, {"2"}, {"3", "1"}, {"2", "3", "1"}} {
				o := Options{Channels: wanted}
				want, err := Open(path, o)
				p, channels, cerr := OpenChannels(path, o)
				require.Equal(t, err, cerr)
				if err != nil {
					continue
				}
				require.Equal(t, want, p, wanted)
				require.Len(t, channels, len(p.Channels))
				b := p.Bounds()
				for i, c := range channels {
					require.Equal(t, p.Channels[i], c.Name)
					one, err := Open(path, Options{Channels: []string{strconv.Itoa(i + 1)}})
					require.NoError(t, err)
					for y := range b.Dy() {
						got, want := make([]float64, b.Dx()-1), make([]float64, b.Dx()-1)
						c.Samples(got, 1, y)
						channelRows(one.Image)[0](want, 1, y)
						require.Equal(t, want, got, "channel %d, row %d, of %v", i, y, wanted)
					}
				}
			}
		})
	}
}

// A countingFile counts what is read of a file.
type countingFile struct {
	*os.File
	n *int64
}

func (f countingFile) ReadAt(p []byte, at int64) (int, error) {
	n, err := f.File.ReadAt(p, at)
	*f.n += int64(n)
	return n, err
}

// However many channels a file has, its pixels are read once.
func TestChannelsAreDecodedOnce(t *testing.T) {
	const side, samples = 128, 9
	data := tifftest.Encode(binary.LittleEndian, false, tifftest.Page{Width: side, Height: side, Samples: samples, Photometric: 1, Planes: [][]byte{make([]byte, side*side*samples)}})
	path := filepath.Join(t.TempDir(), "a.tif")
	require.NoError(t, os.WriteFile(path, data, 0o666))
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	n := int64(0)
	_, channels, err := decodeChannels(countingFile{f, &n}, Options{})
	require.NoError(t, err)
	require.Len(t, channels, samples)
	require.Less(t, n, int64(len(data)+8192))
}
