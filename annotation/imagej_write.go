package annotation

import (
	"archive/zip"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/nilcheck"
	"github.com/diffusioninst/go/mask"
)

// madeFor says in files that do not name their picture what it is. Other programs pass over it.
type madeFor struct {
	FileName string `json:"file_name"`
	Width    int    `json:"width"`
	Height   int    `json:"height"`
	ID       int64  `json:"id,omitempty"`
}

func (m *madeFor) check() error {
	if m.Width < 1 || m.Height < 1 || float64(m.Width)*float64(m.Height) >= 1<<32 {
		return fmt.Errorf("a picture of %d×%d pixels", m.Width, m.Height)
	}
	return nil
}

// WriteImageJ writes a picture's instances as a ZIP file of regions of interest, which ImageJ's
// ROI manager opens. The regions are named by label (see LabeledImage.Labels) and run along the
// edges of the pixels, so that they cover exactly the pixels of the masks; an instance with
// holes or several parts is a composite. Class and score are properties of the region,
// with the escapes that ImageJ reads.
// Instances without pixels are left out.
func WriteImageJ(w io.Writer, p *coco.LabeledImage) error {
	if err := present(p); err != nil {
		return err
	}
	z := zip.NewWriter(nilcheck.Writer(w))
	picture, err := json.Marshal(madeFor{p.FileName, p.Width, p.Height, p.ImageID})
	if err == nil {
		err = z.SetComment(string(picture))
	}
	labels := p.Labels()
	for i := range p.Instances {
		if err != nil {
			break
		}
		v := &p.Instances[i]
		rings := ringsOf(v.Mask.Bitmap())
		if len(rings) == 0 {
			continue
		}
		r := roi{name: strconv.FormatUint(uint64(labels[i]), 10), rings: rings, properties: map[string]string{}}
		if name := className(v); name != "" {
			r.properties["class"] = name
		}
		if v.HasScore {
			r.properties["score"] = number(v.Score)
		}
		var f io.Writer
		if f, err = z.Create(r.name + ".roi"); err == nil {
			_, err = f.Write(r.encode())
		}
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		return fmt.Errorf("annotation: %s: regions of ImageJ: %w", p.FileName, err)
	}
	return nil
}

// ringsOf returns all rings of a mask.
func ringsOf(m *mask.Bitmap) [][]float64 {
	var out [][]float64
	for _, part := range m.Regions() {
		out = append(append(out, part.Outer), part.Holes...)
	}
	return out
}
