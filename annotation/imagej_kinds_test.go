package annotation

import (
	"encoding/binary"
	"fmt"
	"math"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
)

// rectROI returns the file of a rectangle, 10 to 50 by 20 to 60, with numbers at places of the
// header and of the second header.
func rectROI(first, second map[int]uint16) []byte {
	be := binary.BigEndian
	out := make([]byte, 2*roiHeader)
	copy(out, "Iout")
	be.PutUint16(out[4:], roiVersion)
	out[6] = roiRect
	for i, v := range []uint16{20, 10, 60, 50} {
		be.PutUint16(out[8+2*i:], v)
	}
	be.PutUint32(out[60:], roiHeader)
	for at, v := range first {
		be.PutUint16(out[at:], v)
	}
	for at, v := range second {
		be.PutUint16(out[roiHeader+at:], v)
	}
	return out
}

func TestKindsOfRectangles(t *testing.T) {
	const side, corner = 40.0, 20.0
	for name, c := range map[string]struct {
		header map[int]uint16
		area   float64
		err    error
	}{
		"plain":           {nil, side * side, nil},
		"text":            {map[int]uint16{48: roiText}, 0, errNoArea},
		"picture":         {map[int]uint16{48: roiImage}, 0, errNoArea},
		"rounded":         {map[int]uint16{54: corner}, side*side - (4-math.Pi)*corner*corner/4, nil},
		"rounded to disc": {map[int]uint16{54: 300}, math.Pi * side * side / 4, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := &coco.LabeledImage{FileName: "a.png", Width: 100, Height: 80}
			_, err := addROI(p, "1", rectROI(c.header, nil))
			require.ErrorIs(t, err, c.err)
			if c.err != nil {
				require.Empty(t, p.Instances)
				return
			}
			m := p.Instances[0].Mask
			require.InDelta(t, c.area, m.Area(), 8) // pixels along the arcs are in or out as a whole
			b := m.Bitmap()
			for y := range p.Height {
				for x := range p.Width {
					require.Equal(t, b.Get(x, y), b.Get(59-x, y), "%d, %d: left and right are alike", x, y)
				}
			}
		})
	}
}

// Regions on several slices or times become objects of one picture, which a warning says.
func TestPlanesOfROIs(t *testing.T) {
	slice := func(n uint16) []byte { return rectROI(map[int]uint16{58: n}, nil) }
	hyper := func(c, z, t uint16) []byte { return rectROI(nil, map[int]uint16{6: c, 10: z, 14: t}) }
	for name, c := range map[string]struct {
		regions  [][]byte
		warnings int
	}{
		"nowhere":          {[][]byte{slice(0), slice(0)}, 0},
		"one slice":        {[][]byte{slice(3), slice(3)}, 0},
		"two slices":       {[][]byte{slice(3), slice(4)}, 1},
		"two channels":     {[][]byte{hyper(1, 2, 1), hyper(2, 2, 1)}, 0},
		"hyperstack":       {[][]byte{hyper(1, 2, 1), hyper(1, 3, 1)}, 1},
		"times":            {[][]byte{hyper(1, 1, 1), hyper(1, 1, 2)}, 1},
		"a slice or none":  {[][]byte{slice(2), slice(0)}, 1},
		"one region alone": {[][]byte{hyper(1, 2, 3)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			grey(t, filepath.Join(folder, "a.png"), 100, 80)
			for i, data := range c.regions {
				write(t, filepath.Join(folder, "a", fmt.Sprintf("%d.roi", i+1)), string(data))
			}
			var said []string
			set, err := Open(folder, Options{Format: "imagej", Warn: func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }})
			require.NoError(t, err)
			require.Len(t, set.Data.Annotations, len(c.regions))
			require.Len(t, said, c.warnings, "%v", said)
		})
	}
}
