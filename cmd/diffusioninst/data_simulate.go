package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/atomicfile"
	"github.com/diffusioninst/go/internal/simulate"
)

type simulateOptions struct {
	draw    simulate.Options
	count   int
	nuclei  bool
	labelMe bool

	maxPixels int
}

func newDataSimulateCommand() *cobra.Command {
	var o simulateOptions
	cmd := &cobra.Command{
		Use:   "simulate FOLDER",
		Short: "Draw a data set to try things on: coloured shapes or cell nuclei, with exact masks",
		Long: `Draw pictures 0001.png, 0002.png, … into a folder, with a COCO data set of what is on
them in instances.json, or with --labelme a LabelMe file beside each. The same flags
give the same pictures on every machine.`,
		Example: `  diffusioninst data simulate shapes
  diffusioninst data simulate --nuclei --count 20 --width 256 --height 256 --objects 30 nuclei`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.count < 1 || o.draw.Width < 1 || o.draw.Height < 1 || o.draw.Count < 1 {
				return errors.New("--count, --width, --height and --objects must be at least 1")
			}
			if err := o.checkSize(); err != nil {
				return err
			}
			if err := simulateData(cmd.Context(), args[0], o); err != nil {
				return err
			}
			with := filepath.Join(args[0], "instances.json")
			if o.labelMe {
				with = "a LabelMe file beside each"
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s drawn, with %s\n", counted(o.count, "picture"), with)
			return err
		},
	}
	cmd.Flags().IntVar(&o.count, "count", 100, "number of pictures")
	cmd.Flags().IntVar(&o.draw.Width, "width", 160, "width of a picture in pixels")
	cmd.Flags().IntVar(&o.draw.Height, "height", 128, "height of a picture in pixels")
	cmd.Flags().IntVar(&o.draw.Count, "objects", 8, "most objects in a picture")
	cmd.Flags().IntVar(&o.maxPixels, "max-pixels", 0, "greatest picture, in pixels, and 80 bytes of memory for each (default: 100 million; negative for no limit)")
	cmd.Flags().Uint64Var(&o.draw.Seed, "seed", 1, "seed of the first picture; each next one has the next seed")
	cmd.Flags().BoolVar(&o.nuclei, "nuclei", false, "draw nuclei as a fluorescence microscope shows them, in place of shapes")
	cmd.Flags().BoolVar(&o.labelMe, "labelme", false, "write a LabelMe file per picture in place of instances.json")
	return cmd
}

// checkSize refuses pictures that the other commands could not read, and those for which memory
// would run out: their planes take about 64 bytes per pixel, an object a bit per pixel for its mask.
// Together they may take what masks may (see maskBits).
func (o simulateOptions) checkSize() error {
	const maxSide = 65535
	if o.draw.Width > maxSide || o.draw.Height > maxSide {
		return fmt.Errorf("--width %d --height %d: at most %d pixels per side", o.draw.Width, o.draw.Height, maxSide)
	}
	if o.maxPixels < 0 {
		return nil
	}
	most := float64(cmp.Or(o.maxPixels, defaultMaxPixels))
	pixels := float64(o.draw.Width) * float64(o.draw.Height)
	if pixels > most {
		return fmt.Errorf("--width %d --height %d: a picture of %.0f pixels, the limit is %.0f: raise it with --max-pixels", o.draw.Width, o.draw.Height, pixels, most)
	}
	limit := maskBits / 8 * most
	if need := 64*pixels + float64(o.draw.Count)*(pixels/8+256); need > limit {
		return fmt.Errorf("--objects %d on %d×%d pixels take about %.1f GB of memory, the limit is %.1f GB: raise it with --max-pixels",
			o.draw.Count, o.draw.Width, o.draw.Height, need/1e9, limit/1e9)
	}
	return nil
}

func simulateData(ctx context.Context, folder string, o simulateOptions) error {
	locks, err := lockOutputs(folder)
	if err != nil {
		return err
	}
	defer locks.Close()
	names, scene := simulate.ShapeNames, simulate.Shapes
	if o.nuclei {
		names, scene = []string{"nucleus"}, simulate.Nuclei
	}
	var categories []coco.Category
	for i, name := range names {
		categories = append(categories, coco.Category{ID: int64(i + 1), Name: name})
	}
	set := coco.NewBuilder(categories)
	var stop error
	for i := range o.count {
		if err := ctx.Err(); err != nil {
			stop = stopped(err, "stopped after %d of %s", i, counted(o.count, "picture"))
			break
		}
		img, objects := scene(o.draw)
		o.draw.Seed++
		p := &coco.LabeledImage{FileName: fmt.Sprintf("%04d.png", i+1), Width: o.draw.Width, Height: o.draw.Height}
		for _, object := range objects {
			p.Instances = append(p.Instances, coco.LabeledInstance{
				CategoryID: categories[object.Class].ID, Category: names[object.Class], Mask: object.Mask.RLE(),
			})
		}
		if err := savePicture(folder, p, img, o.labelMe); err != nil {
			stop = stopped(err, "stopped after %d of %s", i, counted(o.count, "picture"))
			break
		}
		if err := set.Add(p); err != nil {
			return err
		}
	}
	if o.labelMe || stop != nil && len(set.Dataset.Images) == 0 {
		return stop
	}
	return errors.Join(stop, atomicfile.Output(ctx, filepath.Join(folder, "instances.json"), set.Dataset.Write))
}

// savePicture writes a picture and, with labelMe, its LabelMe file.
func savePicture(folder string, p *coco.LabeledImage, img image.Image, labelMe bool) error {
	if err := writeInFolder(filepath.Join(folder, p.FileName), func(w io.Writer) error { return png.Encode(w, img) }); err != nil || !labelMe {
		return err
	}
	return writeInFolder(filepath.Join(folder, p.Stem()+".json"), func(w io.Writer) error { return coco.WriteLabelMe(w, p, coco.LabelMeOptions{Polygons: true}) })
}
