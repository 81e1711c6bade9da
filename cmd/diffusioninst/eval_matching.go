package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/regular"
	"github.com/diffusioninst/go/internal/utf"
)

// matchingFlags are the flags of figures at a fixed score.
type matchingFlags struct {
	wanted      bool
	score       float64
	chooseTruth string // data set on which the score is chosen
	kinds       string
	sizes       []float64
	set         func(name string) bool
}

func (f *matchingFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.wanted, "matching", false, "also print what is quoted for segmentations at a fixed score: AP as StarDist has it, TP/(TP+FP+FN), F1, precision, recall, panoptic quality, the score of the Data Science Bowl; each of the following flags does so, too")
	flags.Float64Var(&f.score, "at-score", 0.5, "the score from which detections count in these figures")
	flags.StringVar(&f.chooseTruth, "choose-score", "", "data set on which that score is chosen instead, the best for the mean AP over IoU .5 to .9: take another one than --gt, such as the training data")
	flags.StringVar(&f.kinds, "kinds", "", "print the figures of each kind of picture, too: a field of the pictures' records in --gt that names the kind, or a CSV file with the columns picture and kind")
	flags.Float64SliceVar(&f.sizes, "sizes", nil, "`borders` in pixels between the sizes of objects whose figures are printed, such as 100,300,1600 (default: 1024,9216, as COCO's)")
	f.set = flags.Changed
}

// on reports whether figures at a fixed score are wanted.
func (f *matchingFlags) on() bool {
	return f.wanted || f.set != nil && slices.ContainsFunc([]string{"at-score", "choose-score", "kinds", "sizes"}, f.set)
}

func (f *matchingFlags) check(style string) error {
	switch {
	case !f.on():
		return nil
	case coco.Style(style) == coco.LVIS:
		return errors.New("--matching with --style lvis: LVIS annotates each picture for some classes only, so that false positives cannot be counted")
	case f.set("at-score") && f.set("choose-score"):
		return errors.New("--at-score and --choose-score: give one of the two")
	case !(f.score <= 1):
		return fmt.Errorf("--at-score %v: no score exceeds 1", f.score)
	}
	for i, v := range f.sizes {
		if !(v > 0) || math.IsInf(v, 0) || i > 0 && v <= f.sizes[i-1] {
			return fmt.Errorf("--sizes %v: want ascending numbers of pixels", f.sizes)
		}
	}
	return nil
}

// above makes sure that detections from the score on are at hand if a model makes them only from
// least on.
func (f *matchingFlags) above(least float64) error {
	switch {
	case !f.on() || f.score >= least:
	case f.set("at-score"):
		return fmt.Errorf("--at-score %v is below --score %v, from which there are detections", f.score, least)
	default:
		f.score = least
	}
	return nil
}

// options returns the settings for a data set, without the score if it is to be chosen.
func (f *matchingFlags) options(data *coco.Dataset) (coco.MatchOptions, error) {
	o := coco.MatchOptions{Score: f.score}
	if o.Score == 0 {
		o.Score = -1
	}
	for i, v := range f.sizes {
		if i == 0 {
			o.Areas = append(o.Areas, coco.AreaRange{Name: "< " + number(v), Max: math.Nextafter(v, 0)})
		}
		area := coco.AreaRange{Name: "≥ " + number(v), Min: v, Max: math.Inf(1)}
		if i+1 < len(f.sizes) {
			area.Name, area.Max = number(v)+"–"+number(f.sizes[i+1]), math.Nextafter(f.sizes[i+1], 0)
		}
		o.Areas = append(o.Areas, area)
	}
	if f.kinds == "" {
		return o, nil
	}
	var err error
	if strings.EqualFold(filepath.Ext(f.kinds), ".csv") {
		o.Kind, err = readKinds(f.kinds, data)
	} else {
		o.Kind, err = data.Kinds(f.kinds)
	}
	if err != nil {
		err = fmt.Errorf("--kinds %s: %w", f.kinds, err)
	}
	return o, err
}

// warn says which pictures are of no kind. What is wrong with the options is an error.
func (f *matchingFlags) warn(data *coco.Dataset, warn func(string, ...any)) error {
	o, err := f.options(data)
	if err != nil || o.Kind == nil {
		return err
	}
	n, first := 0, ""
	for i := range data.Images {
		if o.Kind(&data.Images[i]) == "" {
			if n++; n == 1 {
				first = data.Images[i].FileName
			}
		}
	}
	if n > 0 {
		warn("--kinds %s: %s of %d without such a field, in no row: such as %s", f.kinds, counted(n, "picture"), len(data.Images), first)
	}
	return nil
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// readKinds reads the kinds of pictures in a CSV file: by name, with or without a folder and
// an ending. Pictures of the data set that are not in it are an error, which names one.
func readKinds(file string, data *coco.Dataset) (func(*coco.Image) string, error) {
	f, err := regular.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := csv.NewReader(utf.NewReader(f))
	head, err := r.Read()
	if err != nil && err != io.EOF {
		return nil, err
	}
	picture, kind := slices.Index(head, "picture"), slices.Index(head, "kind")
	if picture < 0 || kind < 0 {
		return nil, fmt.Errorf("the first line is %q: want the columns picture and kind", strings.Join(head, ","))
	}
	rows, err := r.ReadAll()
	if err != nil {
		return nil, err
	}
	kinds := map[string]string{}
	for i, row := range rows {
		if other, twice := kinds[row[picture]]; twice && other != row[kind] {
			return nil, fmt.Errorf("row %d: %s is %q, and %q before", i+2, row[picture], row[kind], other)
		}
		kinds[row[picture]] = row[kind]
	}
	// found returns the row of a picture, too.
	found := func(m *coco.Image) (row, kind string) {
		name := strings.ReplaceAll(m.FileName, `\`, "/")
		base := path.Base(name)
		for _, key := range []string{name, base, strings.TrimSuffix(base, path.Ext(base))} {
			if k, ok := kinds[key]; ok {
				return key, k
			}
		}
		return "", ""
	}
	of := func(m *coco.Image) string {
		_, kind := found(m)
		return kind
	}
	missing := ""
	n := 0
	shared := map[string]string{} // by row: the picture that it is of
	for i := range data.Images {
		name := data.Images[i].FileName
		row, kind := found(&data.Images[i])
		if kind == "" {
			missing = name
			n++
			continue
		}
		if other, twice := shared[row]; twice && other != name {
			return nil, fmt.Errorf("%s may be %s or %s: give the column picture the names of the data set", row, other, name)
		}
		shared[row] = name
	}
	if n > 0 {
		return nil, fmt.Errorf("%d of %d pictures have no kind, such as %s", n, len(data.Images), missing)
	}
	return of, nil
}

// matching computes the figures at a fixed score, or nil if they are not wanted.
func (o evalOptions) matching(ctx context.Context, data *coco.Dataset, results []coco.Result, options coco.MatchOptions) (*coco.Matching, error) {
	if !o.match.on() {
		return nil, nil
	}
	options.Images = o.images
	m, err := coco.MatchInstances(ctx, data, results, options)
	if err != nil {
		return nil, evalError(err, o)
	}
	return m, nil
}

// choose takes the best score for detections on the data set of --choose-score: of its images
// with these ids, or of all.
func (f *matchingFlags) choose(ctx context.Context, w io.Writer, data *coco.Dataset, results []coco.Result, images []int64) error {
	score, ap, err := coco.ChooseScore(ctx, data, results, coco.MatchOptions{Images: images})
	if err != nil {
		return fmt.Errorf("--choose-score %s: %w", f.chooseTruth, err)
	}
	f.score = score
	n := len(images)
	if images == nil {
		n = len(data.Images)
	}
	fmt.Fprintf(w, "score %v: it has the best mean AP over IoU .5 to .9, %.2f %%, on the %s of %s\n", score, 100*ap, counted(n, "picture"), f.chooseTruth)
	return nil
}
