package coco

import "encoding/json"

// A Dataset is an annotation file of COCO or LVIS in memory.
type Dataset struct {
	// Info is the file's description of itself, as written; nil if it has none.
	Info json.RawMessage

	Licenses    []License
	Images      []Image
	Annotations []Annotation
	Categories  []Category

	// Extra holds the other top-level fields, as written.
	Extra map[string]json.RawMessage
}

// A License is an entry of a file's list of licences.
type License struct {
	ID    int64
	Name  string
	URL   string
	Extra map[string]json.RawMessage // other fields, as written
	fieldBits
	record
}

// An Image is a picture of a data set.
type Image struct {
	ID            int64
	Width, Height int
	FileName      string

	License      int64 // a License.ID, 0 for none
	COCOURL      string
	FlickrURL    string
	DateCaptured string

	// LVIS annotates each picture for some categories only: the categories
	// NegCategoryIDs were looked for and are absent, and of NotExhaustiveCategoryIDs
	// not every instance is annotated. Both are nil in files of COCO.
	NegCategoryIDs           []int64
	NotExhaustiveCategoryIDs []int64

	Extra map[string]json.RawMessage // other fields, as written
	fieldBits
	record
}

// An Annotation is one object, or one crowd of objects, of an image.
type Annotation struct {
	ID         int64
	ImageID    int64
	CategoryID int64

	// Segmentation is the mask; empty if the file has none.
	Segmentation Segmentation

	// BBox is x, y, width, height in pixels, and HasBBox is false if the file
	// has none.
	BBox    [4]float64
	HasBBox bool

	// Area is the file's own figure in pixels, which sorts objects into small,
	// medium and large, and HasArea is false if it has none. It may be any number, also
	// NaN: only evaluation computes with it (see Evaluate).
	Area    float64
	HasArea bool

	// Crowd marks a region of many objects (iscrowd), on which detections count
	// neither way. LVIS has none.
	Crowd bool

	// Ignore marks an object that LVIS evaluation leaves out. COCO evaluation
	// takes no notice of it.
	Ignore bool
	fieldBits
	record

	Extra map[string]json.RawMessage // other fields, as written
}

// A Category is a class of objects.
type Category struct {
	ID            int64
	Name          string
	Supercategory string

	// Fields of LVIS. Frequency is "r" (rare: at most 10 training pictures), "c"
	// (common: at most 100) or "f" (frequent); the counts are of the
	// training set.
	Frequency     string
	Synset        string
	Synonyms      []string
	Definition    string
	ImageCount    int
	InstanceCount int

	Extra map[string]json.RawMessage // other fields, as written
	fieldBits
	record
}
