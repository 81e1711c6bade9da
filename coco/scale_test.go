package coco

import (
	"bufio"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/mask"
)

// val2017 draws a problem of the size of COCO val2017: images of 640 × 480, 80
// categories, about 7.2 objects per image as polygons, and so many detections per
// image, most near an object, as compressed run lengths.
func val2017(images, detections int) (*Dataset, []Result) {
	rng := rand.New(rand.NewPCG(1, 2))
	const width, height = 640, 480
	d := &Dataset{Categories: COCOClasses()}
	var results []Result
	for i := range images {
		id := int64(i + 1)
		d.Images = append(d.Images, Image{ID: id, Width: width, Height: height, FileName: fmt.Sprintf("%012d.jpg", id)})
		first := len(d.Annotations)
		for range 5 + rng.IntN(5) + i%5/4 {
			polygon := blob(rng, width, height, 20+rng.IntN(30))
			category := d.Categories[int(80*rng.Float64()*rng.Float64())].ID
			r, err := mask.FromPolygons([][]float64{polygon}, width, height)
			if err != nil {
				panic(err)
			}
			a := Annotation{ID: int64(len(d.Annotations) + 1), ImageID: id, CategoryID: category,
				Segmentation: Segmentation{Polygons: [][]float64{polygon}},
				Area:         float64(r.Area()), HasArea: true, HasBBox: true, Crowd: rng.IntN(80) == 0}
			a.BBox[0], a.BBox[1], a.BBox[2], a.BBox[3] = r.BBox()
			d.Annotations = append(d.Annotations, a)
		}
		objects := d.Annotations[first:]
		for range detections {
			a := &objects[rng.IntN(len(objects))]
			polygon := append([]float64(nil), a.Segmentation.Polygons[0]...)
			dx, dy := 12*rng.NormFloat64(), 12*rng.NormFloat64()
			for k := range polygon {
				polygon[k] += []float64{dx, dy}[k%2]
			}
			category := a.CategoryID
			if rng.IntN(2) == 0 {
				category = d.Categories[rng.IntN(80)].ID
			}
			r, err := mask.FromPolygons([][]float64{polygon}, width, height)
			if err != nil {
				panic(err)
			}
			x := Result{ImageID: id, CategoryID: category, Score: math.Round(1e6*rng.Float64()) / 1e6, HasBBox: true, Segmentation: NewSegmentation(r)}
			x.BBox[0], x.BBox[1], x.BBox[2], x.BBox[3] = r.BBox()
			results = append(results, x)
		}
	}
	return d, results
}

// blob is a wobbly ring of n points, two decimals each.
func blob(rng *rand.Rand, width, height, n int) []float64 {
	size := 6 * math.Exp(3*rng.Float64())
	x, y := float64(width)*rng.Float64(), float64(height)*rng.Float64()
	phase := 6 * rng.Float64()
	out := make([]float64, 0, 2*n)
	for i := range n {
		angle := 2 * math.Pi * float64(i) / float64(n)
		r := size * (1 + .3*math.Sin(3*angle+phase) + .05*rng.Float64())
		px, py := min(max(x+r*math.Cos(angle), 0), float64(width)), min(max(y+r*math.Sin(angle), 0), float64(height))
		out = append(out, math.Round(100*px)/100, math.Round(100*py)/100)
	}
	return out
}

// peak returns the most memory in MB that the process has held, where the
// system tells.
func peak() float64 {
	text, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmHWM:" {
			kb, _ := strconv.ParseFloat(f[1], 64)
			return kb / 1024
		}
	}
	return 0
}

// busy returns the seconds of processor time that the process has taken, where the
// system tells: what counts on a machine with other work.
func busy() float64 {
	text, _ := os.ReadFile("/proc/self/stat")
	_, rest, _ := strings.Cut(string(text), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.ParseFloat(f[11], 64)
	system, _ := strconv.ParseFloat(f[12], 64)
	return (user + system) / 100
}

// BenchmarkEvaluate is the size of COCO val2017: 5,000 images, 36,000 objects,
// 100 detections per image, from the files to the numbers.
func BenchmarkEvaluate(b *testing.B) {
	dir := b.TempDir()
	data, results := val2017(5000, 100)
	require.NoError(b, data.Save(filepath.Join(dir, "gt.json")))
	require.NoError(b, SaveResults(filepath.Join(dir, "dets.json"), results))
	objects := len(data.Annotations)
	data, results = nil, nil
	runtime.GC()
	for _, iou := range []IoU{Segm, BBox, Boundary} {
		b.Run(string(iou), func(b *testing.B) {
			before := busy()
			for b.Loop() {
				d, err := Load(filepath.Join(dir, "gt.json"))
				require.NoError(b, err)
				r, err := LoadResults(filepath.Join(dir, "dets.json"))
				require.NoError(b, err)
				_, err = Evaluate(context.Background(), d, r, Options{IoU: iou})
				require.NoError(b, err)
			}
			b.ReportMetric(peak(), "peak-MB")
			b.ReportMetric((busy()-before)/float64(b.N), "cpu-s/op")
			b.ReportMetric(float64(objects), "objects")
		})
	}
}

// BenchmarkLoad reads a file of the size of COCO train2017's annotations: 450 MB.
func BenchmarkLoad(b *testing.B) {
	path := filepath.Join(b.TempDir(), "train.json")
	size := writeTrain2017(b, path, 450<<20)
	b.SetBytes(size)
	before := busy()
	for b.Loop() {
		d, err := Load(path)
		require.NoError(b, err)
		require.NotEmpty(b, d.Annotations)
	}
	b.ReportMetric((busy()-before)/float64(b.N), "cpu-s/op")
	b.ReportMetric(peak(), "peak-MB")
}

// writeTrain2017 streams a data set of at least so many bytes into a file.
func writeTrain2017(tb testing.TB, path string, atLeast int64) int64 {
	f, err := os.Create(path)
	require.NoError(tb, err)
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	rng := rand.New(rand.NewPCG(3, 4))
	var written int64
	put := func(format string, args ...any) {
		n, err := fmt.Fprintf(w, format, args...)
		if err != nil {
			tb.Fatal(err)
		}
		written += int64(n)
	}
	put(`{"info": {"description": "drawn"}, "licenses": [{"id": 1, "name": "none", "url": ""}], "images": [`)
	const images = 118287
	for i := range images {
		if i > 0 {
			put(", ")
		}
		put(`{"license": 1, "file_name": "%012d.jpg", "coco_url": "http://example.org/train2017/%012d.jpg", "height": 480, "width": 640, "date_captured": "2013-11-14 16:28:13", "flickr_url": "http://example.org/4084/%d_z.jpg", "id": %d}`, i+1, i+1, rng.Uint64(), i+1)
	}
	put(`], "categories": [`)
	for i, c := range COCOClasses() {
		if i > 0 {
			put(", ")
		}
		put(`{"supercategory": %q, "id": %d, "name": %q}`, c.Supercategory, c.ID, c.Name)
	}
	put(`], "annotations": [`)
	classes := COCOClasses()
	for i := 0; written < atLeast; i++ {
		if i > 0 {
			put(", ")
		}
		put(`{"segmentation": `)
		if i%100 == 0 {
			put(`{"counts": [`)
			rest := 640 * 480
			for rest > 2000 {
				n := rng.IntN(2000)
				rest -= n
				put("%d, ", n)
			}
			put(`%d], "size": [480, 640]}`, rest)
		} else {
			put("[[")
			for k, v := range blob(rng, 640, 480, 10+rng.IntN(35)) {
				if k > 0 {
					put(", ")
				}
				put("%v", v)
			}
			put("]]")
		}
		put(`, "area": %v, "iscrowd": %d, "image_id": %d, "bbox": [199.84, 190.46, 77.71, 70.88], "category_id": %d, "id": %d}`,
			1e4*rng.Float64(), map[bool]int{true: 1}[i%100 == 0], 1+rng.IntN(images), classes[rng.IntN(80)].ID, i+1)
	}
	put("]}")
	require.NoError(tb, w.Flush())
	return written
}
