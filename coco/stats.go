package coco

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"

	"github.com/diffusioninst/go/internal/nilcheck"
)

// Stats holds the counts of a data set.
type Stats struct {
	Images      int `json:"images"`
	Annotations int `json:"annotations"`
	Categories  int `json:"categories"`

	Crowds      int `json:"crowds"`       // annotations of crowds
	EmptyImages int `json:"empty_images"` // images without annotations
	MostObjects int `json:"most_objects"` // of one image

	// Annotations by area, as StandardAreas has them; crowds are left out.
	Small  int `json:"small"`
	Medium int `json:"medium"`
	Large  int `json:"large"`

	// Annotations by form of mask.
	Polygons   int `json:"polygons"`
	Runs       int `json:"runs"`       // plain run lengths
	Compressed int `json:"compressed"` // compressed run lengths
	NoMask     int `json:"no_mask"`

	// Sizes of images in pixels.
	MinWidth  int `json:"min_width"`
	MaxWidth  int `json:"max_width"`
	MinHeight int `json:"min_height"`
	MaxHeight int `json:"max_height"`

	// PerCategory is in the order of Dataset.Categories.
	PerCategory []CategoryStats `json:"per_category"`
}

// CategoryStats holds the counts of one category.
type CategoryStats struct {
	ID          int64  `json:"id"`
	Key         string `json:"key,omitempty"` // the id as the file has it if that is a string
	Name        string `json:"name"`
	Annotations int    `json:"annotations"`
	Images      int    `json:"images"` // with at least one
}

// Stats counts what is in d. Annotations of images or categories that are not in d
// count in the totals only.
func (d *Dataset) Stats() Stats {
	ix, _ := d.index()
	s := Stats{Images: len(d.Images), Annotations: len(d.Annotations), Categories: len(d.Categories)}
	for i := range d.Images {
		m := &d.Images[i]
		if i == 0 {
			s.MinWidth, s.MinHeight = m.Width, m.Height
		}
		s.MinWidth, s.MaxWidth = min(s.MinWidth, m.Width), max(s.MaxWidth, m.Width)
		s.MinHeight, s.MaxHeight = min(s.MinHeight, m.Height), max(s.MaxHeight, m.Height)
		n := len(ix.ofImage.of(i))
		s.MostObjects = max(s.MostObjects, n)
		if n == 0 {
			s.EmptyImages++
		}
	}
	areas := StandardAreas()
	for i := range d.Annotations {
		a := &d.Annotations[i]
		switch seg := &a.Segmentation; {
		case seg.missing():
			s.NoMask++
		case len(seg.Polygons) > 0:
			s.Polygons++
		case seg.Counts != nil:
			s.Runs++
		default:
			s.Compressed++
		}
		switch {
		case a.Crowd:
			s.Crowds++
		case !a.HasArea || !validArea(a.Area):
		case a.Area < areas[1].Max:
			s.Small++
		case a.Area < areas[2].Max:
			s.Medium++
		default:
			s.Large++
		}
	}
	for i, c := range d.Categories {
		images := map[int64]bool{}
		of := ix.ofCategory.of(i)
		for _, a := range of {
			images[d.Annotations[a].ImageID] = true
		}
		s.PerCategory = append(s.PerCategory, CategoryStats{c.ID, c.Key(), c.Name, len(of), len(images)})
	}
	return s
}

// WriteText writes s as tables, the categories with most annotations first.
func (s Stats) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(nilcheck.Writer(w), 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "images\t%d\t(%d without annotations)\n", s.Images, s.EmptyImages)
	fmt.Fprintf(t, "sizes\t%d–%d × %d–%d\n", s.MinWidth, s.MaxWidth, s.MinHeight, s.MaxHeight)
	fmt.Fprintf(t, "annotations\t%d\t(%d of crowds, at most %d on an image)\n", s.Annotations, s.Crowds, s.MostObjects)
	fmt.Fprintf(t, "areas\tsmall %d, medium %d, large %d\n", s.Small, s.Medium, s.Large)
	fmt.Fprintf(t, "masks\tpolygons %d, run lengths %d, compressed %d, none %d\n", s.Polygons, s.Runs, s.Compressed, s.NoMask)
	fmt.Fprintf(t, "categories\t%d\n", s.Categories)
	if len(s.PerCategory) == 0 {
		return t.Flush()
	}
	fmt.Fprintln(t)
	rows := slices.Clone(s.PerCategory)
	slices.SortStableFunc(rows, func(a, b CategoryStats) int { return cmp.Compare(b.Annotations, a.Annotations) })
	fmt.Fprint(t, "id\tcategory\tannotations\timages\n")
	for _, c := range rows {
		id := cmp.Or(c.Key, strconv.FormatInt(c.ID, 10))
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\n", id, c.Name, c.Annotations, c.Images)
	}
	return t.Flush()
}
