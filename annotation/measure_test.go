package annotation

import (
	"bytes"
	"encoding/csv"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/picture"
)

func TestWriteMeasurements(t *testing.T) {
	p := scene()
	p.Instances[0].Score, p.Instances[0].HasScore = 0.25, true
	p.Instances[2].Category, p.Instances[2].CategoryID = "", 7
	p.Instances = append(p.Instances, coco.LabeledInstance{Category: "gone", Mask: mask.NewBitmap(p.Width, p.Height).RLE()})
	ramp := picture.Channel{Name: "DAPI", Samples: func(dst []float64, x, y int) {
		for i := range dst {
			dst[i] = float64(1000*y + x + i)
		}
	}}
	for size, unit := range map[float64]string{0: "px", 0.5: "um"} {
		var text bytes.Buffer
		m := Measure(p, size, []picture.Channel{ramp})
		require.Equal(t, unit, m.Unit())
		require.NoError(t, WriteMeasurements(&text, p, m))
		lines, err := csv.NewReader(&text).ReadAll()
		require.NoError(t, err)
		require.Len(t, lines, 5, "instances without pixels have no line")
		require.Equal(t, []string{"1", "2", "3", "4"}, []string{lines[1][0], lines[2][0], lines[3][0], lines[4][0]})
		require.Equal(t, []string{"cell", "ring: \"x\"", "7"}, []string{lines[1][1], lines[2][1], lines[3][1]})
		value := func(row int, column string) string {
			for i, name := range lines[0] {
				if name == column {
					return lines[row][i]
				}
			}
			t.Fatalf("no column %s in %v", column, lines[0])
			return ""
		}
		require.Equal(t, "0.25", value(1, "score"))
		require.Equal(t, "", value(2, "score"))
		require.Equal(t, map[string]string{"px": "100", "um": "25"}[unit], value(1, "area"+map[string]string{"px": "_px", "um": "_um2"}[unit]))
		require.Equal(t, map[string]string{"px": "6.5", "um": "3.25"}[unit], value(1, "centroid_x_"+unit))
		require.Equal(t, "false", value(1, "touches_edge"))
		require.Equal(t, "true", value(4, "touches_edge"))
		sum := 0
		for y := 3; y < 13; y++ {
			for x := 2; x < 12; x++ {
				sum += 1000*y + x
			}
		}
		require.Equal(t, strconv.Itoa(sum), value(1, "sum_DAPI"))
		require.Equal(t, "3002", value(1, "min_DAPI"))
		require.Equal(t, "12011", value(1, "max_DAPI"))
	}
}

// Labels of a file stay, and are numbers from 1 otherwise.
func TestLabelsStay(t *testing.T) {
	p := scene()
	require.Equal(t, []uint32{1, 2, 3, 4}, p.Labels())
	for i, label := range []uint32{9, 3, 70000, 5} {
		p.Instances[i].Label = label
	}
	require.Equal(t, []uint32{9, 3, 70000, 5}, p.Labels())
	p.Instances[1].Label = 9
	require.Equal(t, []uint32{1, 2, 3, 4}, p.Labels())
	p.Instances[1].Label = 0
	require.Equal(t, []uint32{1, 2, 3, 4}, p.Labels())
}

func TestWriteSummary(t *testing.T) {
	var text bytes.Buffer
	p := scene()
	lines := []Summary{Summarize(p, 0.5), Summarize(&coco.LabeledImage{FileName: "none, \"x\".png", Width: 10, Height: 100}, 0)}
	require.NoError(t, WriteSummary(&text, lines))
	area := 0
	for i := range p.Instances {
		area += p.Instances[i].Mask.Area()
	}
	got := strings.Split(text.String(), "\n")
	require.Equal(t, "picture,width_px,height_px,pixel_size_um,count,density_per_Mpx,mean_area_px,density_per_mm2,mean_area_um2", got[0])
	require.Equal(t, strings.Join([]string{"a.png", "67", "41", "0.5", "4", number(4 / (67. * 41) * 1e6), number(float64(area) / 4),
		number(4 / (67. * 41 * .25) * 1e6), number(float64(area) / 16)}, ","), got[1])
	require.Equal(t, `"none, ""x"".png",10,100,,0,0,,,`, got[2])
}
