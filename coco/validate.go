package coco

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Validate lists everything that is wrong with d, sorted by kind of record and
// place: ids that occur twice or lead nowhere, missing names and sizes, boxes and
// areas that are not valid, masks that are invalid, empty or of another size
// than their image, and contradictions in LVIS's lists of absent categories. It is
// nil if nothing is.
func (d *Dataset) Validate() Problems {
	ix, problems := d.index()
	places(&problems, "license", d.Licenses)
	d.validateImages(ix, &problems)
	d.validateCategories(&problems)

	const chunk = 256
	chunks, _ := forEach(context.Background(), 0, (len(d.Annotations)+chunk-1)/chunk, func(n int) (Problems, error) {
		var found Problems
		for i := n * chunk; i < min((n+1)*chunk, len(d.Annotations)); i++ {
			d.validateAnnotation(ix, i, &found)
		}
		return found, nil
	})
	for _, found := range chunks {
		problems = append(problems, found...)
	}
	if err := d.CheckCrowds(); err != nil {
		problems = append(problems, Problem{Record: "data set", Message: strings.TrimPrefix(err.Error(), "coco: ")})
	}
	return problems.sorted()
}

func (d *Dataset) validateImages(ix *Index, problems *Problems) {
	licenses := map[int64]bool{}
	for _, l := range d.Licenses {
		licenses[l.ID] = true
	}
	files := map[string]int64{}
	for i := range d.Images {
		m := &d.Images[i]
		if m.Width < 1 || m.Height < 1 {
			problems.at("image", i, m, "size %d×%d", m.Width, m.Height)
		}
		if m.FileName != "" {
			if other, twice := files[m.FileName]; twice {
				problems.at("image", i, m, "file %q is that of image %d, too", m.FileName, other)
			}
			files[m.FileName] = m.ID
		}
		if m.License != 0 && !licenses[m.License] {
			problems.at("image", i, m, "license %d is not in the data set", m.License)
		}
		for _, ids := range [][]int64{m.NegCategoryIDs, m.NotExhaustiveCategoryIDs} {
			for _, id := range ids {
				if _, ok := ix.categories[id]; !ok {
					problems.at("image", i, m, "category %d of its LVIS lists is not in the data set", id)
				}
			}
		}
		of := ix.ofImage.of(i)
		for _, id := range m.NegCategoryIDs {
			if k := slices.IndexFunc(of, func(a int32) bool { return d.Annotations[a].CategoryID == id }); k >= 0 {
				problems.at("image", i, m, "category %d is said to be absent, but annotation %d shows one", id, d.Annotations[of[k]].ID)
			}
		}
	}
}

func (d *Dataset) validateCategories(problems *Problems) {
	names := map[string]int64{}
	for i := range d.Categories {
		c := &d.Categories[i]
		if c.Name == "" {
			problems.at("category", i, c, "no name")
		} else if other, twice := names[c.Name]; twice {
			problems.at("category", i, c, "name %q is that of category %d, too", c.Name, other)
		}
		names[c.Name] = c.ID
		if c.Frequency != "" && frequencyGroup(c.Frequency) < 0 {
			problems.at("category", i, c, "frequency %q is not r, c or f", c.Frequency)
		}
	}
}

func (d *Dataset) validateAnnotation(ix *Index, i int, problems *Problems) {
	a := &d.Annotations[i]
	add := func(format string, args ...any) { problems.at("annotation", i, a, format, args...) }
	if text := a.areaProblem(); text != "" {
		add("%s", text)
	}
	box := a.HasBBox
	if text := boxProblem(a.BBox); box && text != "" {
		add("%s", text)
		box = false
	}
	place, ok := ix.images[a.ImageID]
	if !ok {
		return // said already
	}
	m := &d.Images[place]
	for _, text := range a.Segmentation.faults() {
		add("%s", text)
	}
	if m.Width < 1 || m.Height < 1 {
		return // the image's problem
	}
	if box && !meet(a.BBox, [4]float64{0, 0, float64(m.Width), float64(m.Height)}) {
		add("box %v lies outside the image of %d×%d pixels", a.BBox, m.Width, m.Height)
		box = false
	}
	broken := a.Segmentation.unread != nil
	for k, p := range a.Segmentation.Polygons {
		if err := polygonProblem(p, m.Width, m.Height); err != nil {
			add("polygon %d: %v", k, err)
			broken = true
		}
	}
	if broken {
		return
	}
	r, err := a.Segmentation.RLE(m.Width, m.Height)
	switch {
	case err != nil:
		add("%v", err)
		return
	case r.Area() == 0:
		add("the mask has no pixel")
		return
	}
	var own [4]float64
	own[0], own[1], own[2], own[3] = r.BBox()
	if box && !meet(own, a.BBox) {
		add("the mask, in the box %v, lies outside the annotation's box %v", own, a.BBox)
	}
}

// InvalidAreas returns annotations whose area is not a number from 0 up, as problems. Only
// evaluation computes with areas, and takes others for those (see Evaluate).
func (d *Dataset) InvalidAreas() Problems {
	var problems Problems
	for i := range d.Annotations {
		if text := d.Annotations[i].areaProblem(); text != "" {
			problems.at("annotation", i, &d.Annotations[i], "%s", text)
		}
	}
	return problems
}

// areaProblem says what is wrong with an area, if anything. It is a problem of evaluation
// alone, which then takes the mask's.
func (a *Annotation) areaProblem() string {
	switch {
	case kept(a.Extra, "area"):
		return fmt.Sprintf("area %.40s is not a number", a.Extra["area"])
	case a.HasArea && !validArea(a.Area):
		return fmt.Sprintf("area %v", a.Area)
	}
	return ""
}

// meet reports whether two boxes share a point.
func meet(a, b [4]float64) bool {
	return a[0] <= b[0]+b[2] && b[0] <= a[0]+a[2] && a[1] <= b[1]+b[3] && b[1] <= a[1]+a[3]
}
