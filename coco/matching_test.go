package coco

import (
	"context"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/mask"
)

// strip is the mask of an image of one row: what is not a dot is set.
func strip(pixels string) mask.RLE {
	m := mask.NewBitmap(len(pixels), 1)
	for x, c := range pixels {
		m.Set(x, 0, c != '.')
	}
	return m.RLE()
}

// strips is a data set of images of one row. An object is drawn as # in a line of its own, a
// crowd as c, objects of the second category as 2.
func strips(images ...[]string) *Dataset {
	d := &Dataset{Categories: []Category{{ID: 1, Name: "one"}, {ID: 2, Name: "two"}}}
	for i, objects := range images {
		d.Images = append(d.Images, Image{ID: int64(i + 1), Width: len(objects[0]), Height: 1})
		for _, o := range objects {
			if strings.Trim(o, ".") == "" {
				continue
			}
			a := Annotation{ID: int64(len(d.Annotations) + 1), ImageID: int64(i + 1), CategoryID: 1, Segmentation: NewSegmentation(strip(o))}
			a.Crowd = strings.Contains(o, "c")
			if strings.Contains(o, "2") {
				a.CategoryID = 2
			}
			d.Annotations = append(d.Annotations, a)
		}
	}
	return d
}

func detected(image int64, score float64, pixels string) Result {
	r := Result{ImageID: image, CategoryID: 1, Score: score, Segmentation: NewSegmentation(strip(pixels))}
	if strings.Contains(pixels, "2") {
		r.CategoryID = 2
	}
	return r
}

func matching(t *testing.T, d *Dataset, o MatchOptions, results ...Result) *Matching {
	t.Helper()
	m, err := MatchInstances(context.Background(), d, results, o)
	require.NoError(t, err)
	return m
}

func counts(g MatchGroup, iou float64) [3]int {
	c, ok := g.At(iou)
	if !ok {
		return [3]int{-1, -1, -1}
	}
	return [3]int{c.TP, c.FP, c.FN}
}

// One object is found exactly, of the other 3 of 5 pixels in common: an IoU of 0.6, which is
// enough at 0.6 for StarDist and not for the Data Science Bowl.
func TestMatchingByHand(t *testing.T) {
	d := strips([]string{"####......", ".....####."})
	m := matching(t, d, MatchOptions{}, detected(1, .9, "####......"), detected(1, .8, "......####"))
	require.Equal(t, 0.5, m.Score)
	require.Equal(t, [3]int{2, 0, 0}, counts(m.All, .5))
	require.Equal(t, [3]int{2, 0, 0}, counts(m.All, .6))
	require.Equal(t, [3]int{1, 1, 1}, counts(m.All, .65))
	require.Equal(t, [3]int{1, 1, 1}, counts(m.All, .95))
	c, _ := m.All.At(.65)
	require.InDelta(t, 1./3, c.AP(), 1e-9)
	require.InDelta(t, 1./2, c.F1(), 1e-9)
	require.InDelta(t, 1./2, c.Precision(), 1e-9)
	require.InDelta(t, 1./2, c.Recall(), 1e-9)
	require.InDelta(t, 1, c.MeanIoU(), 1e-9)
	require.InDelta(t, (3+6./3)/9, m.All.MeanAP(), 1e-9)
	require.InDelta(t, (2+8./3)/10, m.All.DSB, 1e-9)
	require.InDelta(t, 0.8, m.All.PQ, 1e-6)
	require.InDelta(t, 0.8, m.All.SQ, 1e-6)
	require.InDelta(t, 1, m.All.RQ, 1e-9)
	require.Equal(t, 2, m.All.Objects)
	require.Equal(t, 2, m.All.Detections)
}

// The example of stardist.matching: a square moved by half its side does not match at 0.5, since
// the IoU is a third.
func TestMatchingOfStarDistsExample(t *testing.T) {
	d := strips([]string{"..##########....."})
	m := matching(t, d, MatchOptions{Thresholds: []float64{1. / 3, .5}}, detected(1, 1, ".......##########"))
	require.Equal(t, [3]int{0, 1, 1}, counts(m.All, .5))
	require.Equal(t, [3]int{1, 0, 0}, counts(m.All, 1./3))
	c, _ := m.All.At(.5)
	require.Zero(t, c.AP()+c.F1()+c.Precision()+c.Recall()+c.MeanIoU()+c.Quality()+m.All.PQ+m.All.DSB)
}

// A half of an object has an IoU of exactly 0.5: a match for StarDist, none for the panoptic
// quality. Of two halves one is matched.
func TestHalves(t *testing.T) {
	d := strips([]string{"####"})
	m := matching(t, d, MatchOptions{}, detected(1, .9, "##.."), detected(1, .8, "..##"))
	require.Equal(t, [3]int{1, 1, 0}, counts(m.All, .5))
	require.Zero(t, m.All.PQ)
	require.Zero(t, m.All.DSB)
}

// The best pair (IoU 6/12) leaves the other detection without an object; two pairs of 4/10 and
// 2/10 are more.
func TestMatchingIsExact(t *testing.T) {
	d := strips([]string{"##########....", "..........####"})
	m := matching(t, d, MatchOptions{Thresholds: []float64{.2, .3}}, detected(1, .9, "....########.."), detected(1, .8, "####.........."))
	require.Equal(t, [3]int{2, 0, 0}, counts(m.All, .2))
	c, _ := m.All.At(.2)
	require.InDelta(t, .6, c.SumIoU, 1e-6)
	require.Equal(t, [3]int{1, 1, 1}, counts(m.All, .3))
}

// Where masks overlap, the best detection and the last object are seen, and what is hidden
// does not count.
func TestMatchingOfOverlaps(t *testing.T) {
	d := strips([]string{"####....", "..####..", "..##...."})
	m := matching(t, d, MatchOptions{}, detected(1, .6, "########"), detected(1, .9, "##......"), detected(1, .7, "#......."))
	require.Equal(t, 3, m.All.Objects, "##, ## and ##")
	require.Equal(t, 2, m.All.Detections)
	require.Equal(t, [3]int{1, 1, 2}, counts(m.All, .5), "the wide detection has 6 pixels, 2 of each object")
	// Below 0.5 the wide one counts only with the score.
	m = matching(t, d, MatchOptions{Score: .65}, detected(1, .6, "########"), detected(1, .9, "##......"))
	require.Equal(t, [3]int{1, 0, 2}, counts(m.All, .5))
	require.Equal(t, 1, m.All.Detections)
}

func TestMatchingByCategory(t *testing.T) {
	d := strips([]string{"###.......", "....222..."})
	m := matching(t, d, MatchOptions{}, detected(1, .9, "###......."), detected(1, .9, "....###..."), detected(1, .9, "........22"))
	require.Equal(t, [3]int{1, 2, 1}, counts(m.All, .5))
	require.Equal(t, [3]int{1, 1, 0}, counts(m.Categories[0], .5))
	require.Equal(t, [3]int{0, 1, 1}, counts(m.Categories[1], .5))
	require.InDelta(t, 2./3, m.Categories[0].PQ, 1e-9)
	require.InDelta(t, 1./3, m.All.PQ, 1e-9, "the mean of 2/3 and 0, not of the sums")
	require.InDelta(t, 1./4, m.All.DSB, 1e-9)
}

// The mean over images counts an empty image with its own score.
// A nucleus inside of a cell is whole, as is the cell: masks hide others of their own class. In the panoptic quality, with one label for each
// pixel, the nucleus, drawn last, hides the middle of its cell, and the cell of a better score all of its nucleus.
func TestMatchingOfClassesThatOverlap(t *testing.T) {
	d := strips([]string{"########..", "..2222...."})
	m := matching(t, d, MatchOptions{}, detected(1, .9, "########.."), detected(1, .8, "..2222...."))
	require.Equal(t, [3]int{2, 0, 0}, counts(m.All, .95))
	require.Equal(t, 1.0, m.All.MeanAP())
	require.Equal(t, 1.0, m.All.DSB)
	for _, g := range m.Categories {
		require.Equal(t, [3]int{1, 0, 0}, counts(g, .95), g.Name)
	}
	require.Equal(t, 2, m.All.Detections)
	require.Less(t, m.All.PQ, 0.5)
	score, ap, err := ChooseScore(context.Background(), d, []Result{detected(1, .9, "########.."), detected(1, .8, "..2222....")}, MatchOptions{})
	require.NoError(t, err)
	require.Equal(t, 1.0, ap)
	require.Equal(t, .8, score)
}

// Detections that count are pairs and what is left over; an area at a border is of one size.
func TestMatchingCountsEachOnce(t *testing.T) {
	m := matching(t, strips([]string{"####......", "......cccc"}), MatchOptions{}, detected(1, .9, "####......"), detected(1, .8, "......####"))
	require.Equal(t, 1, m.All.Detections)
	d := &Dataset{Images: []Image{{ID: 1, Width: 1024, Height: 9}}, Categories: []Category{{ID: 1, Name: "one"}}}
	for i := range 2 {
		b := mask.NewBitmap(1024, 9)
		for x := range 1024 {
			b.Set(x, 3*i, true)
		}
		d.Annotations = append(d.Annotations, Annotation{ID: int64(i + 1), ImageID: 1, CategoryID: 1, Segmentation: NewSegmentation(b.RLE())})
	}
	m = matching(t, d, MatchOptions{})
	require.Equal(t, [3]int{0, 2, 0}, [3]int{m.Areas[0].Objects, m.Areas[1].Objects, m.Areas[2].Objects})
}

func TestMatchingByKindAndEmptyImages(t *testing.T) {
	d := strips([]string{"###..."}, []string{"......"}, []string{"......"}, []string{"..##.."})
	for i, kind := range []string{`"dark"`, `"bright"`, `"dark"`, ``} {
		if kind != "" {
			d.Images[i].Extra = map[string]json.RawMessage{"stain": json.RawMessage(kind)}
		}
	}
	kind, err := d.Kinds("stain")
	require.NoError(t, err)
	m := matching(t, d, MatchOptions{Kind: kind}, detected(1, .9, "###..."), detected(2, .9, "..#..."))
	require.Equal(t, [3]int{1, 1, 1}, counts(m.All, .5))
	require.InDelta(t, (1+0+1+0)/4., m.All.DSB, 1e-9)
	require.Len(t, m.Kinds, 2)
	require.Equal(t, "bright", m.Kinds[0].Name)
	require.Equal(t, [3]int{0, 1, 0}, counts(m.Kinds[0], .5))
	require.Equal(t, 2, m.Kinds[1].Images)
	require.InDelta(t, 1, m.Kinds[1].DSB, 1e-9)
	_, err = d.Kinds("stains")
	require.ErrorContains(t, err, `no image has a field "stains"`)

	nothing := matching(t, strips([]string{"...."}), MatchOptions{})
	c, _ := nothing.All.At(.5)
	for _, v := range []float64{c.AP(), c.F1(), c.Precision(), c.Recall(), c.MeanIoU(), nothing.All.PQ, nothing.All.MeanAP()} {
		require.Equal(t, -1., v)
	}
	require.Equal(t, 1., nothing.All.DSB)
}

// A found object counts by its own size, whatever the size of the detection.
func TestMatchingBySize(t *testing.T) {
	d := strips([]string{"####..........", "......#####...", "............##"})
	m := matching(t, d, MatchOptions{Areas: []AreaRange{{"1–4", 1, 4}, {"5–", 5, math.Inf(1)}}},
		detected(1, .9, "#####........."), detected(1, .9, ".......####..."), detected(1, .9, "...........#.."))
	require.Equal(t, [3]int{1, 1, 1}, counts(m.Areas[0], .5))
	require.Equal(t, [3]int{1, 0, 0}, counts(m.Areas[1], .5))
	require.Equal(t, 2, m.Areas[0].Objects)
	require.Equal(t, 2, m.Areas[0].Detections)
	require.Equal(t, -1., m.Areas[0].DSB)
	require.Equal(t, [3]int{2, 1, 1}, counts(m.All, .5))
}

// A detection that finds an object at some thresholds is false at higher ones, where its own size is another: the sizes add up to all.
func TestSizesAddUp(t *testing.T) {
	d := strips([]string{"#####....."}, []string{"##........", "...22222.."})
	m := matching(t, d, MatchOptions{Areas: []AreaRange{{"1–4", 1, 4}, {"5–", 5, math.Inf(1)}}},
		detected(1, .9, "####......"), detected(2, .9, "##........"), detected(2, .9, "...2222..."))
	for _, c := range m.All.Counts {
		sum := [3]int{}
		for _, a := range m.Areas {
			for i, n := range counts(a, c.IoU) {
				sum[i] += n
			}
		}
		require.Equal(t, [3]int{c.TP, c.FP, c.FN}, sum, c.IoU)
	}
	require.Equal(t, 1, m.Areas[0].Images, "in the first image the smaller size is there at high thresholds only")
}

// What overlaps has a smaller area in the panoptic quality, which is in some row all the same.
func TestSizesOfWhatOverlaps(t *testing.T) {
	d := strips([]string{"########..", "..22222..."})
	m := matching(t, d, MatchOptions{Areas: []AreaRange{{"1–4", 1, 4}, {"5–7", 5, 7}, {"8–", 8, math.Inf(1)}}}, detected(1, .8, "########.."), detected(1, .9, "..22222..."))
	require.InDelta(t, 1, m.Areas[0].PQ, 1e-9, "3 pixels are left")
	require.Zero(t, m.Areas[0].Images)
	require.Equal(t, 1, m.Areas[2].Objects)
}

// More than half on a crowd is not wrong.
func TestMatchingWithCrowds(t *testing.T) {
	d := strips([]string{"###.......", "....cccc.."})
	m := matching(t, d, MatchOptions{}, detected(1, .9, "###......."), detected(1, .8, ".....###.."), detected(1, .7, "........##"), detected(1, .9, "...22....."))
	require.Equal(t, 1, m.All.Objects)
	require.Equal(t, [3]int{1, 2, 0}, counts(m.All, .5), "the second category has no crowd")
}

func TestChooseScore(t *testing.T) {
	d := strips([]string{"####......", ".....####."})
	results := []Result{detected(1, .9, "####......"), detected(1, .8, ".....####."), detected(1, .6, ".........#")}
	score, ap, err := ChooseScore(context.Background(), d, results, MatchOptions{})
	require.NoError(t, err)
	require.Equal(t, .7, score, "0.61 to 0.80 are equally good")
	require.InDelta(t, 1, ap, 1e-9)
	score, _, err = ChooseScore(context.Background(), d, results[:1], MatchOptions{})
	require.NoError(t, err)
	require.Equal(t, .9, score, "nothing is known of lower scores")
	_, _, err = ChooseScore(context.Background(), d, results[2:], MatchOptions{})
	require.ErrorContains(t, err, "none of the 1 detections finds an object")
}

func TestMatchingRefuses(t *testing.T) {
	d := strips([]string{"####"})
	for want, c := range map[string]struct {
		o MatchOptions
		r Result
	}{
		"no mask":                {r: Result{ImageID: 1, CategoryID: 1, Score: 1, HasBBox: true}},
		"is not in the data set": {r: detected(9, 1, "####")},
		"segmentation of":        {r: detected(1, 1, "###")},
		"no score exceeds 1":     {MatchOptions{Score: 2}, detected(1, 1, "####")},
		"is not above 0":         {MatchOptions{Thresholds: []float64{0}}, detected(1, 1, "####")},
	} {
		_, err := MatchInstances(context.Background(), d, []Result{c.r}, c.o)
		require.ErrorContains(t, err, want)
	}
}
