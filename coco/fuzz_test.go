package coco

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/golden"
)

// exported makes cmp compare the exported fields of records.
var exported = cmpopts.IgnoreUnexported(License{}, Image{}, Annotation{}, Category{}, Result{}, Segmentation{}, LabeledImage{}, LabeledInstance{})

func same(t *testing.T, want, got any) {
	if !reflect.DeepEqual(want, got) { // much faster than cmp
		require.Empty(t, cmp.Diff(want, got, cmpopts.EquateEmpty(), exported))
	}
}

const sampleDataset = `{"info": {"year": 2017, "x": [1, {"y": null}]}, "licenses": [{"id": 1, "name": "n\u00fc\n", "url": "u"}],
"images": [{"id": 3, "width": 5, "height": 4, "file_name": "a.jpg", "license": 1, "neg_category_ids": [2], "not_exhaustive_category_ids": [], "more": true}],
"annotations": [{"id": 1, "image_id": 3, "category_id": 7, "iscrowd": 0, "area": 6.5, "bbox": [0, 1e0, 2.25, 3], "segmentation": [[0, 0, 2, 0, 2, 3, 0, 3]], "keypoints": [1, 2, 2]},
{"id": 2, "image_id": 3, "category_id": 7, "iscrowd": 1, "segmentation": {"size": [4, 5], "counts": [3, 2, 15]}},
{"id": 3, "image_id": 3, "category_id": 7, "segmentation": {"size": [4, 5], "counts": "32?"}, "ignore": 1}],
"categories": [{"id": 7, "name": "kite", "supercategory": "s", "frequency": "r", "synset": "kite.n.03", "synonyms": ["kite", "k"], "def": "d", "image_count": 2, "instance_count": 9}], "type": "instances"}`

const sampleResults = `[{"image_id": 3, "category_id": 7, "bbox": [0, 0, 2, 3], "score": 0.98765, "segmentation": {"size": [4, 5], "counts": "32?"}, "id": 9},
{"image_id": 3, "category_id": 7, "score": 1e-7, "bbox": []}]`

// FuzzScanner compares the scanner with encoding/json.
func FuzzScanner(f *testing.F) {
	for _, s := range []string{sampleDataset, sampleResults, `-0.5e+3`, `"\u00e4\ud83d\ude00\/"`, ` [ ] `, `{"a":{},"b":[1,2]}`, `01`, `1.`, `nul`, `truefalse`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s := newScanner(oneByte{bytes.NewReader(text)})
		raw, err := s.raw()
		if err == nil {
			err = s.end()
		}
		if valid := json.Valid(text); valid != (err == nil) {
			if valid && (strings.Contains(err.Error(), "nested too deep") || strings.Contains(err.Error(), "characters")) {
				return
			}
			t.Fatalf("valid %v, error %v", valid, err)
		}
		if err != nil {
			return
		}
		if !utf8.Valid(text) { // Latin-1 is taken for what it is, which encoding/json does not do
			return
		}
		// Numbers are compared as text: raw keeps them as written.
		same(t, decoded(t, text), decoded(t, raw))
	})
}

// oneByte reads a byte at a time, so that the window moves everywhere.
type oneByte struct{ r io.Reader }

func (o oneByte) Read(b []byte) (int, error) { return o.r.Read(b[:min(1, len(b))]) }

func decoded(t *testing.T, text []byte) any {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	require.NoError(t, d.Decode(&v))
	return v
}

// FuzzNumber compares numbers with encoding/json to the last bit.
func FuzzNumber(f *testing.F) {
	for _, s := range []string{"0", "-0", "1e5", "203.55", "0.1234567890123456789", "9007199254740993", "1e400", "123456789012345", "5e-324"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var want float64
		werr := json.Unmarshal([]byte(text), &want)
		s := newScanner(strings.NewReader(text))
		got, err := s.number()
		if err == nil {
			err = s.end()
		}
		if strings.TrimLeft(text, " \t\r\n") == "" || s.peekIsNull(text) || len(text) > maxNumber {
			return
		}
		require.Equal(t, werr == nil, err == nil, "%v, %v", werr, err)
		if err == nil {
			require.Equal(t, want, got)
		}
	})
}

func (s *scanner) peekIsNull(text string) bool { return strings.TrimSpace(text) == "null" }

func TestRoundTripOfGoldenFiles(t *testing.T) {
	golden.Each(t, golden.Evaluation, func(t *testing.T, dir string) {
		d, err := Load(filepath.Join(dir, "gt.json"))
		require.NoError(t, err)
		var out bytes.Buffer
		require.NoError(t, d.Write(&out))
		text, err := os.ReadFile(filepath.Join(dir, "gt.json"))
		require.NoError(t, err)
		var want, got any
		require.NoError(t, json.Unmarshal(text, &want))
		require.NoError(t, json.Unmarshal(out.Bytes(), &got))
		withCrowds(want)
		withCrowds(got)
		require.Empty(t, cmp.Diff(want, got, exported))
	})
}

// withCrowds writes out what files may leave out.
func withCrowds(v any) {
	for _, a := range v.(map[string]any)["annotations"].([]any) {
		if a := a.(map[string]any); a["iscrowd"] == nil {
			a["iscrowd"] = 0.
		}
	}
}

// A file may claim sizes and nesting, but it allocates by its own length.
func TestReadAllocatesByLength(t *testing.T) {
	for name, text := range map[string]string{
		"deep":       strings.Repeat(`{"a":[`, 1<<16),
		"long text":  `{"info": "` + strings.Repeat("x", 1<<20),
		"large size": `{"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": {"size": [60000, 60000], "counts": "0"}}]}`,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		d, _ := Read(strings.NewReader(text))
		if d != nil {
			d.Validate()
		}
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(2<<20+8*len(text)), name)
	}
}
