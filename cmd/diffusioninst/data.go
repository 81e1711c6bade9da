package main

import (
	"encoding/json"
	"fmt"
	"image/png"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/annotation"
	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/picture"
)

func newDataCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "data", Short: "Inspect data sets in COCO or LVIS format, or draw one"}
	cmd.AddCommand(newDataInfoCommand(), newDataShowCommand(), newDataSimulateCommand())
	return cmd
}

func newDataInfoCommand() *cobra.Command {
	var o infoOptions
	cmd := &cobra.Command{
		Use:   "info FILE|FOLDER",
		Short: "Count what is in a data set, and list its problems",
		Long: `Count what is in a data set: a file of COCO or LVIS, or a file or folder in another
format that convert reads.

--check finds every problem, also of the files themselves: what train, test and the other
commands refuse, or leave out with --on-error skip. Sizes are compared with those of the
pictures in --images or beside the annotations. Of problems that differ in names and
numbers only it prints the first few; --json lists all.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runDataInfo(cmd, o, args[0]) },
	}
	o.add(cmd)
	cmd.Flags().StringVar(&o.images, "images", "", "folder of the pictures, for sizes that the data set lacks and for --check")
	cmd.Flags().BoolVar(&o.json, "json", false, "print one JSON object")
	cmd.Flags().BoolVar(&o.check, "check", false, "also check every record and list all problems; the exit status is 1 if there are any")
	return cmd
}

type infoOptions struct {
	annotationFlags
	images      string
	json, check bool
}

func runDataInfo(cmd *cobra.Command, o infoOptions, file string) error {
	if err := o.annotationFlags.check(); err != nil {
		return err
	}
	type content struct {
		stats    coco.Stats
		problems problemList
	}
	found, err := await(cmd.Context(), func() (c content, err error) {
		options := o.options(o.images, false, warner(cmd))
		options.Skip = func(err error) { c.problems.add(strings.TrimPrefix(err.Error(), file+": "), err) }
		if o.check { // what other commands say in passing
			options.Warn = func(format string, args ...any) {
				err := fmt.Errorf(format, args...)
				c.problems.add(strings.TrimPrefix(err.Error(), file+": "), err)
			}
			options.Sizes = func(err error) { c.problems.add(err.Error(), err) }
		}
		d, err := annotation.Inspect(file, options)
		if err != nil {
			return c, err
		}
		if o.check {
			for _, p := range d.Validate() {
				c.problems.add(p.Error(), p)
			}
		}
		c.stats = d.Stats()
		return c, nil
	})
	if err != nil {
		return err
	}
	if err := writeInfo(cmd.OutOrStdout(), found.stats, found.problems, o.check, o.json); err != nil {
		return err
	}
	switch n := len(found.problems.lines); {
	case n > 0 && o.check:
		return fmt.Errorf("%s has %s", file, counted(n, "problem"))
	case n > 0:
		warner(cmd)("%s has %s in records or fields that cannot be read and are not counted: --check lists them", file, counted(n, "problem"))
	}
	return nil
}

func writeInfo(w io.Writer, s coco.Stats, problems problemList, check, asJSON bool) error {
	if asJSON {
		out := struct {
			coco.Stats
			Problems []string `json:"problems,omitempty"`
		}{s, nil}
		if check {
			out.Problems = problems.lines
		}
		e := json.NewEncoder(w)
		e.SetIndent("", " ")
		return e.Encode(out)
	}
	if err := s.WriteText(w); err != nil {
		return err
	}
	switch {
	case !check:
	case len(problems.lines) == 0:
		fmt.Fprintln(w, "\nno problems")
	default:
		fmt.Fprintln(w)
		problems.write(w)
	}
	return nil
}

type showOptions struct {
	annotationFlags
	images, out string
	ids         []int64
	n           int
	seed        uint64
	pictures    pictureFlags
	norm        string
	overlay     mask.OverlayOptions
}

func newDataShowCommand() *cobra.Command {
	var o showOptions
	cmd := &cobra.Command{
		Use:     "show FILE|FOLDER [--images FOLDER] --out FOLDER",
		Short:   "Draw pictures of a data set with their annotations",
		Example: `  diffusioninst data show instances_val2017.json --images val2017 --out samples --n 20`,
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return runShow(cmd, o, args[0]) },
	}
	o.annotationFlags.add(cmd)
	o.pictures.add(cmd, false)
	f := cmd.Flags()
	f.StringVar(&o.norm, "norm", string(picture.Auto), "how samples become the 8 bits that are drawn: auto (pictures of more than 8 bits are stretched), none, two percentiles such as 1,99.8, or two sample values such as 100,1000")
	f.StringVar(&o.images, "images", "", "folder of the data set's pictures (default: beside the annotations)")
	f.StringVar(&o.out, "out", "", "folder for the drawn pictures")
	f.Int64SliceVar(&o.ids, "ids", nil, "`ids` of the images to draw, separated by commas (default: a random choice)")
	f.IntVar(&o.n, "n", 12, "how many images to draw if --ids does not say which")
	f.Uint64Var(&o.seed, "seed", 0, "seed of the random choice")
	addOverlayFlags(cmd, &o.overlay)
	_ = cmd.MarkFlagRequired("out")
	return cmd
}

func runShow(cmd *cobra.Command, o showOptions, file string) error {
	if err := o.check(); err != nil {
		return err
	}
	choice, err := o.pictures.one()
	if err != nil {
		return err
	}
	choice.Normalize = picture.Normalize(o.norm)
	set, err := await(cmd.Context(), func() (*annotation.Set, error) {
		return annotation.Open(file, o.options(picturesOf(o.images, file), false, warner(cmd)))
	})
	if err != nil {
		return o.explain(err)
	}
	ix, err := set.Data.Index()
	if err != nil {
		return err
	}
	locks, err := lockOutputs(o.out)
	if err != nil {
		return err
	}
	defer locks.Close()
	ids := choose(set.Data, ix, o)
	var notes pictureNotes
	defer notes.print(cmd)
	warn, drawn := warner(cmd), 0
	for done, id := range ids {
		var img *picture.Picture
		p, err := set.Data.LabeledImage(ix, id)
		if err == nil {
			img, err = await(cmd.Context(), func() (*picture.Picture, error) { return openPicture(set.Folder, p, choice) })
			if err != nil && o.onError == "skip" && cmd.Context().Err() == nil {
				warn("skipped: image %d: %v", id, err)
				continue
			}
		}
		if err == nil {
			notes.add(p.FileName, img)
			drawn++
			err = o.show(cmd, id, p, img)
		}
		if err != nil {
			return stopped(err, "stopped after %d of %s", done, counted(len(ids), "picture"))
		}
	}
	if drawn == 0 && len(ids) > 0 {
		return fmt.Errorf("none of %s can be read", counted(len(ids), "picture"))
	}
	return nil
}

// show draws the annotations of a picture into it.
func (o showOptions) show(cmd *cobra.Command, id int64, p *coco.LabeledImage, img *picture.Picture) error {
	items, err := p.OverlayItems()
	if err != nil {
		return err
	}
	dst, err := mask.Overlay(img.Image, items, o.overlay)
	if err != nil {
		return err
	}
	name := filepath.Join(o.out, fmt.Sprintf("%d_%s.png", id, p.Stem()))
	if err := writeInFolder(name, func(w io.Writer) error { return png.Encode(w, dst) }); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\t%d instances\n", printable(name), len(p.Instances))
	return err
}

// choose returns the ids of --ids, or of a random choice of the annotated images.
func choose(d *coco.Dataset, ix *coco.Index, o showOptions) []int64 {
	if o.ids != nil {
		return o.ids
	}
	var ids []int64
	for _, m := range d.Images {
		if len(ix.OfImage(m.ID)) > 0 {
			ids = append(ids, m.ID)
		}
	}
	rng := rand.New(rand.NewPCG(o.seed, 0))
	rng.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	return ids[:max(0, min(o.n, len(ids)))]
}
