package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"image"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/picture"
)

type convertOptions struct {
	annotationFlags
	measure   measureFlags
	overlay   mask.OverlayOptions
	from, to  string
	truth     string
	images    string
	minScore  float64
	polygons  bool
	tolerance float64
	maxPixels int
}

func newConvertCommand() *cobra.Command {
	var o convertOptions
	cmd := &cobra.Command{
		Use:   "convert INPUT OUTPUT",
		Short: "Convert annotations or detections between the formats of other tools",
		Long: `Convert annotations or detections from one format to another:

  coco      data set file of COCO (with scores, for detections)
  results   results file of COCO, as Detectron2 writes it; reading one needs its
            data set: --gt
  labelme   folder of LabelMe files, one per picture
  labelmap  folder of 16-bit PNG label maps with JSON legends
  masks     folder of black and white PNG masks with JSON legends
  yolo      segmentation text of YOLO: data.yaml, or a folder of labels
  labels    folder of label maps without a legend (PNG, TIFF), such as NAME_masks.png
            beside the picture
  dsb       folder for each picture with its binary masks, ID/images and ID/masks, as
            in the Data Science Bowl 2018; writing it needs the pictures: --images
  cellpose  NAME_seg.npy files of Cellpose
  imagej    ZIP files of ImageJ's ROI manager, named by label; also single .roi files
  geojson   GeoJSON of QuPath: detections with classes and measurements
  labeltiff TIFF label maps of 16 bits (32 if there are more than 65535 labels), with
            the pixel size as OME-TIFF and ImageJ have it
  measurements  folder of CSV tables: shapes and, with --images, intensities, and
            summary.csv with a line per picture; can only be written
  html      a page with pictures, instances and histograms for a browser; can only be
            written, and needs the pictures: --images
  overlay   folder of pictures with the masks drawn in; can only be written, and
            needs the pictures: --images

From coco to coco all stays as the file has it: ids, areas, licences, masks in their form
(--polygons makes outlines of run lengths), fields of LVIS and unknown ones. Boxes and areas
that it lacks are computed from the masks. Where --gt gives an id that another has, one of
them gets a new one. Both are counted in a warning, with the first case.

What a format cannot hold is counted in a warning. The formats labels, dsb, cellpose
and labeltiff have no classes: their instances are of the class "object".

An OUTPUT that is one file (coco, results, html) may be "-" for standard output.`,
		Example: `  diffusioninst convert --to labelme instances_val2017.json labelme/
  diffusioninst convert --from results --gt instances_val2017.json --min-score 0.5 --to overlay --images val2017 results.json drawn/
  diffusioninst convert --from labelme --to coco labelme/ dataset.json`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error { return runConvert(cmd, &o, args[0], args[1]) },
	}
	o.add(cmd)
	o.measure.add(cmd)
	addOverlayFlags(cmd, &o.overlay)
	f := cmd.Flags()
	f.StringVar(&o.from, "from", "", "format of the input: "+strings.Join(inputFormats, ", ")+" (default: recognised by its content)")
	f.StringVar(&o.to, "to", "", "format of the output: "+strings.Join(outputFormats, ", "))
	f.StringVar(&o.truth, "gt", "", "data set whose ids the images and categories get, by their names; needed to read results")
	f.StringVar(&o.images, "images", "", "folder of the pictures; needed to write overlay and dsb, for intensities in measurements, and where the input lacks the pictures' sizes")
	f.Float64Var(&o.minScore, "min-score", 0, "leave out detections with a lower score")
	f.BoolVar(&o.polygons, "polygons", false, "write outlines instead of masks (coco, labelme)")
	f.Float64Var(&o.tolerance, "tolerance", 0, "how many pixels LabelMe outlines may be away from the mask's edge")
	f.IntVar(&o.maxPixels, "max-pixels", 0, "greatest picture that masks are drawn for, in pixels (default: 100 million; negative for no limit)")
	_ = cmd.MarkFlagRequired("to")
	return cmd
}

func runConvert(cmd *cobra.Command, o *convertOptions, input, output string) error {
	if os.Getenv("GOGC") == "" { // files of 100,000 objects: a third less memory in the same time
		defer debug.SetGCPercent(debug.SetGCPercent(25))
	}
	if !slices.Contains(outputFormats, o.to) {
		return fmt.Errorf("--to %s: not one of %s", o.to, strings.Join(outputFormats, ", "))
	}
	if o.from != "" && !slices.Contains(inputFormats, o.from) {
		return fmt.Errorf("--from %s: not one of %s", o.from, strings.Join(inputFormats, ", "))
	}
	if err := keepTruth(o.truth, output); err != nil {
		return err
	}
	if o.from == "results" && o.truth == "" {
		return errNeedsTruth(input)
	}
	if slices.Contains(needPictures, o.to) && o.images == "" {
		return fmt.Errorf("--to %s needs the pictures: add --images FOLDER", o.to)
	}
	if err := errors.Join(o.check(), o.measure.check(), checkFormatFlags(cmd, o.to)); err != nil {
		return err
	}
	ctx, warn := cmd.Context(), warner(cmd)
	locks, err := o.prepare(ctx, input, output)
	if err != nil {
		return err
	}
	defer locks.Close()
	var sizes sizeRemarks
	defer func() { sizes.warn(warn) }()
	in, err := await(ctx, func() (*instanceInput, error) {
		options := o.options(o.images, false, warn)
		options.Sizes = sizes.add
		return openInstances(input, o.from, o.truth, o.minScore, options)
	})
	if err != nil {
		return o.explain(err)
	}
	out, err := newInstanceWriter(cmd.OutOrStdout(), o.to, output, writerOptions{
		Categories: in.categories, Polygons: o.polygons, Tolerance: o.tolerance, Overlay: o.overlay, Settings: flagValuesOf(cmd), MaxPixels: o.maxPixels, Scores: true,
	})
	if err != nil {
		return err
	}
	done := 0
	for p, err := range in.pictures {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			in.name(p)
			o.measure.filter(p)
			if len(in.strange) > 0 && o.to == "results" {
				err = fmt.Errorf("%s is not in %s, so that its results have no id there", p.FileName, in.truth)
			} else {
				err = o.write(ctx, out, output, p)
			}
		}
		switch err = o.explain(err); {
		case err == nil:
			done++
		case slices.Contains(singleFiles, o.to):
			return stopped(err, "stopped after %s: nothing is written", counted(done, "picture"))
		default:
			return stopped(err, "stopped after %s, whose files are in %s", counted(done, "picture"), output)
		}
	}
	if done == 0 {
		return fmt.Errorf("%s: no annotated picture is found there", input)
	}
	for _, text := range out.warnings() {
		warn("%s", text)
	}
	if n := len(in.strange); n > 0 {
		verb := "are"
		if n == 1 {
			verb = "is"
		}
		warn("%s %s not in %s and keep ids of their own (the first: %s)", counted(n, "picture"), verb, in.truth, in.strange[0])
	}
	o.measure.warn(warn)
	return out.Close(ctx)
}

func (o *convertOptions) write(ctx context.Context, out *instanceWriter, output string, p *coco.LabeledImage) error {
	if err := o.replacesPicture(output, p); err != nil {
		return err
	}
	source := &pictureSource{pixelSize: o.measure.pixelSize}
	source.pixels = func() (image.Image, error) {
		return await(ctx, func() (image.Image, error) { return openPicture(o.images, p, picture.Options{Normalize: picture.Auto}) })
	}
	if o.images != "" {
		source.original = func() (*original, error) {
			return await(ctx, func() (*original, error) { return openOriginal(o.images, p) })
		}
	}
	return out.Write(p, source)
}

// sizeRemarks count pictures whose size is not the one of their annotations.
type sizeRemarks struct {
	first error
	count int
}

func (r *sizeRemarks) add(err error) {
	r.first = cmp.Or(r.first, err)
	r.count++
}

func (r *sizeRemarks) warn(warn func(string, ...any)) {
	switch {
	case r.count == 1:
		warn("%v: the annotations' size is used", r.first)
	case r.count > 1:
		warn("%v: the annotations' size is used (and for %s in like manner)", r.first, counted(r.count-1, "more picture"))
	}
}

// openPicture reads a picture of a data set from a folder. It must have the data set's size.
func openPicture(folder string, p *coco.LabeledImage, o picture.Options) (*picture.Picture, error) {
	return findPicture(folder, p, func(path string) (*picture.Picture, error) { return picture.Open(path, o) })
}

// openOriginal is openPicture with all channels of the file.
func openOriginal(folder string, p *coco.LabeledImage) (*original, error) {
	var o original
	_, err := findPicture(folder, p, func(path string) (_ *picture.Picture, err error) {
		o.Picture, o.channels, err = picture.OpenChannels(path, picture.Options{})
		return o.Picture, err
	})
	return &o, err
}

func findPicture(folder string, p *coco.LabeledImage, open func(path string) (*picture.Picture, error)) (*picture.Picture, error) {
	path, err := (&coco.Image{FileName: p.FileName}).Find(folder)
	if err != nil {
		return nil, err
	}
	m, err := open(path)
	if err != nil {
		return nil, err
	}
	if size := m.Bounds().Size(); size != image.Pt(p.Width, p.Height) {
		return nil, fmt.Errorf("%s has %d×%d pixels, but %d×%d in the data set", path, size.X, size.Y, p.Width, p.Height)
	}
	return m, nil
}
