package main

import (
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/diffusioninst/go/annotation"
	"github.com/diffusioninst/go/coco"
)

// outputFormats are the formats that an instanceWriter writes.
var outputFormats = []string{"coco", "results", "labelme", "labelmap", "masks", "yolo", "labels", "dsb", "cellpose", "labeltiff", "imagej", "geojson", "measurements", "html", "overlay"}

// singleFiles are the formats that are one file.
var singleFiles = []string{"coco", "results", "html"}

// singleFile returns the name of the file of such a format in a folder.
func singleFile(format string) string {
	if format == "html" {
		return "report.html"
	}
	return format + ".json"
}

// needPictures are the formats that need the pictures.
var needPictures = []string{"overlay", "dsb", "html"}

// classlessFormats are the formats without classes and scores.
var classlessFormats = []string{"labels", "dsb", "cellpose", "labeltiff"}

// measuringFormats are the formats with measurements of the pictures at the depth of their files.
var measuringFormats = []string{"measurements", "geojson", "labeltiff", "html"}

// A folderFormat is a format with files for each picture.
type folderFormat struct {
	files []string // of every picture, with %[1]s for its stem; masks and dsb have one per instance, too
	write func(w *instanceWriter, o *pictureOutput) error
}

// A pictureOutput is a picture whose files are written.
type pictureOutput struct {
	*coco.LabeledImage
	source *pictureSource
	stem   string // of the files' names
	create func(name string) (io.WriteCloser, error)
}

// file creates a file whose name is the stem with an ending, writes it and closes it.
func (o *pictureOutput) file(ending string, write func(io.Writer) error) error {
	return toFile(o.create, o.stem+ending, write)
}

// numbered writes a file that has one number per pixel; write returns how many instances others
// cover in part.
func (o *pictureOutput) numbered(w *instanceWriter, ending string, write func(io.Writer) (covered int, err error)) error {
	return o.file(ending, func(f io.Writer) error {
		covered, err := write(f)
		w.losses[coveredLoss] += covered
		return err
	})
}

const previewEnding = "_preview.png"

// preview writes a label map in colours beside the one that viewers show as black.
func (o *pictureOutput) preview() error {
	return o.file(previewEnding, func(f io.Writer) error { return annotation.WriteLabelPreview(f, o.LabeledImage) })
}

var folderFormats = map[string]folderFormat{
	"masks": {[]string{"%[1]s.json"}, func(_ *instanceWriter, o *pictureOutput) error { return coco.WriteMasks(o.create, o.LabeledImage) }},
	"labelme": {[]string{"%[1]s.json"}, func(w *instanceWriter, o *pictureOutput) error {
		local := *o.LabeledImage
		local.FileName = path.Base(strings.ReplaceAll(o.FileName, `\`, "/"))
		return o.file(".json", func(f io.Writer) error {
			return coco.WriteLabelMe(f, &local, coco.LabelMeOptions{Polygons: w.options.Polygons, Tolerance: w.options.Tolerance})
		})
	}},
	"yolo": {[]string{"%[1]s.txt"}, func(w *instanceWriter, o *pictureOutput) error {
		return o.file(".txt", func(f io.Writer) error {
			loss, err := annotation.WriteYOLO(f, o.LabeledImage, w.class)
			w.losses["parts and holes are joined to one outline per object by bridges without width, which YOLO draws as part of it"] += loss.Joined
			return err
		})
	}},
	"labels": {[]string{"%[1]s_masks.png", "%[1]s" + previewEnding}, func(w *instanceWriter, o *pictureOutput) error {
		if err := o.preview(); err != nil {
			return err
		}
		return o.numbered(w, "_masks.png", func(f io.Writer) (int, error) { return annotation.WriteLabels(f, o.LabeledImage) })
	}},
	"labelmap": {[]string{"%[1]s.json", "%[1]s.png", "%[1]s" + previewEnding}, func(_ *instanceWriter, o *pictureOutput) error {
		if err := o.preview(); err != nil {
			return err
		}
		return o.file(".png", func(picture io.Writer) error {
			return o.file(".json", func(legend io.Writer) error { return coco.WriteLabelMap(picture, legend, o.LabeledImage) })
		})
	}},
	"dsb": {[]string{"%[1]s/images/%[1]s.png"}, writeDSB},
	"cellpose": {[]string{"%[1]s_seg.npy"}, func(w *instanceWriter, o *pictureOutput) error {
		return o.numbered(w, "_seg.npy", func(f io.Writer) (int, error) { return annotation.WriteCellpose(f, o.LabeledImage) })
	}},
	"labeltiff": {[]string{"%[1]s_labels.tif", "%[1]s" + previewEnding}, func(w *instanceWriter, o *pictureOutput) error {
		size, err := o.source.sizeOfPixel()
		if err != nil {
			return err
		}
		if err := o.preview(); err != nil {
			return err
		}
		return o.numbered(w, "_labels.tif", func(f io.Writer) (int, error) { return annotation.WriteLabelTIFF(f, o.LabeledImage, size) })
	}},
	"imagej": {[]string{"%[1]s_rois.zip"}, func(_ *instanceWriter, o *pictureOutput) error {
		return o.file("_rois.zip", func(f io.Writer) error { return annotation.WriteImageJ(f, o.LabeledImage) })
	}},
	"geojson": {[]string{"%[1]s.geojson"}, func(_ *instanceWriter, o *pictureOutput) error {
		m, err := o.source.measure(o.LabeledImage)
		if err != nil {
			return err
		}
		return o.file(".geojson", func(f io.Writer) error { return annotation.WriteGeoJSON(f, o.LabeledImage, m) })
	}},
	"measurements": {[]string{"%[1]s.csv"}, writeMeasurements},
	"overlay":      {[]string{"%[1]s.png"}, writeOverlay},
}

// coveredLoss is what formats lose that have one number per pixel.
const coveredLoss = "instances are partly covered by others and lose those pixels"

// notDrawn says which pictures were left out by what draws on them.
func notDrawn(files []string) string {
	shown := make([]string, min(len(files), 5))
	for i := range shown {
		shown[i] = printable(files[i])
	}
	text := strings.Join(shown, ", ")
	if more := len(files) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return counted(len(files), "picture") + " too large to be read at once and not drawn: " + text
}

// drawable returns a picture to draw on, or nil, which is noted, if it is too large.
func (w *instanceWriter) drawable(p *coco.LabeledImage, source *pictureSource) (image.Image, error) {
	img, err := source.pixels()
	if err != nil {
		return nil, err
	}
	if inFile(img) {
		w.large = append(w.large, p.FileName)
		return nil, nil
	}
	return img, nil
}

// writeDSB writes a folder with a picture and its masks.
func writeDSB(w *instanceWriter, o *pictureOutput) error {
	for i := range o.Instances {
		if m := o.Instances[i].Mask; m.Area() > 0 {
			if err := o.file(fmt.Sprintf("/masks/%s_%03d.png", o.stem, i), func(f io.Writer) error { return png.Encode(f, m.Bitmap().Gray()) }); err != nil {
				return err
			}
		}
	}
	img, err := w.drawable(o.LabeledImage, o.source)
	if img == nil {
		return err
	}
	return o.file("/images/"+o.stem+".png", func(f io.Writer) error { return png.Encode(f, img) })
}

// removeMasks removes the masks of a picture that an earlier run has written and this one has not: who reads the folder takes all.
func removeMasks(folder, stem string, p *coco.LabeledImage) error {
	folder = filepath.Join(folder, stem, "masks")
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		digits, ours := strings.CutPrefix(strings.TrimSuffix(e.Name(), ".png"), stem+"_")
		i, err := strconv.Atoi(digits)
		if !ours || err != nil || e.Name() != fmt.Sprintf("%s_%03d.png", stem, i) || i < len(p.Instances) && p.Instances[i].Mask.Area() > 0 {
			continue
		}
		if err := os.Remove(filepath.Join(folder, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func writeOverlay(w *instanceWriter, o *pictureOutput) error {
	img, err := w.drawable(o.LabeledImage, o.source)
	if img == nil {
		return err
	}
	overlay, err := drawInstances(img, o.LabeledImage, w.options.Overlay)
	if err != nil {
		return err
	}
	return o.file(".png", func(f io.Writer) error { return png.Encode(f, overlay) })
}

func writeMeasurements(w *instanceWriter, o *pictureOutput) error {
	m, err := o.source.measure(o.LabeledImage)
	if err != nil {
		return err
	}
	return o.file(".csv", func(f io.Writer) error { return annotation.WriteMeasurements(f, o.LabeledImage, m) })
}
