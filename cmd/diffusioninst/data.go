package main

import (
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
	"math/rand/v2"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/mask"
)

func newDataCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "data", Short: "Inspect data sets in COCO or LVIS format, or draw one"}
	cmd.AddCommand(newDataInfoCommand(), newDataShowCommand(), newDataSimulateCommand())
	return cmd
}

func newDataInfoCommand() *cobra.Command {
	var asJSON, check bool
	cmd := &cobra.Command{
		Use:   "info FILE",
		Short: "Count what is in a data set, and list its problems",
		Args:  cobra.ExactArgs(1),
		RunE:  func(cmd *cobra.Command, args []string) error { return runDataInfo(cmd, args[0], check, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.Flags().BoolVar(&check, "check", false, "also check every record and list all problems; the exit status is 1 if there are any")
	return cmd
}

func runDataInfo(cmd *cobra.Command, file string, check, asJSON bool) error {
	type content struct {
		stats    coco.Stats
		problems coco.Problems
	}
	found, err := await(cmd.Context(), func() (c content, err error) {
		d, err := coco.Load(file)
		if err != nil {
			return c, err
		}
		if check {
			c.problems = d.Validate()
		}
		c.stats = d.Stats()
		return c, nil
	})
	if err != nil {
		return err
	}
	problems := found.problems
	if err := writeInfo(cmd.OutOrStdout(), found.stats, problems, check, asJSON); err != nil {
		return err
	}
	if n := len(problems); n > 0 {
		return fmt.Errorf("%s has %s", file, counted(n, "problem"))
	}
	return nil
}

func writeInfo(w io.Writer, s coco.Stats, problems coco.Problems, check, asJSON bool) error {
	if asJSON {
		out := struct {
			coco.Stats
			Problems []string `json:"problems,omitempty"`
		}{Stats: s}
		for _, p := range problems {
			out.Problems = append(out.Problems, p.Error())
		}
		e := json.NewEncoder(w)
		e.SetIndent("", " ")
		return e.Encode(out)
	}
	if err := s.WriteText(w); err != nil {
		return err
	}
	for i, p := range problems {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, p.Error())
	}
	if check && len(problems) == 0 {
		fmt.Fprintln(w, "\nno problems")
	}
	return nil
}

type showOptions struct {
	images, out string
	ids         []int64
	n           int
	seed        uint64
}

func newDataShowCommand() *cobra.Command {
	var o showOptions
	cmd := &cobra.Command{
		Use:     "show FILE --images FOLDER --out FOLDER",
		Short:   "Draw pictures of a data set with their annotations",
		Example: `  diffusioninst data show instances_val2017.json --images val2017 --out samples --n 20`,
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return runShow(cmd, o, args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&o.images, "images", "", "folder of the data set's pictures")
	f.StringVar(&o.out, "out", "", "folder for the drawn pictures")
	f.Int64SliceVar(&o.ids, "ids", nil, "ids of the images to draw, separated by commas (default: a random choice)")
	f.IntVar(&o.n, "n", 12, "how many images to draw if --ids does not say which")
	f.Uint64Var(&o.seed, "seed", 0, "seed of the random choice")
	_ = cmd.MarkFlagRequired("images")
	_ = cmd.MarkFlagRequired("out")
	return cmd
}

func runShow(cmd *cobra.Command, o showOptions, file string) error {
	d, err := await(cmd.Context(), func() (*coco.Dataset, error) { return coco.Load(file) })
	if err != nil {
		return err
	}
	ix, err := d.Index()
	if err != nil {
		return err
	}
	locks, err := lockOutputs(o.out)
	if err != nil {
		return err
	}
	defer locks.Close()
	ids := choose(d, ix, o)
	for done, id := range ids {
		err := cmd.Context().Err()
		if err == nil {
			err = o.show(cmd, d, ix, id)
		}
		if err != nil {
			return stopped(err, "stopped after %d of %s", done, counted(len(ids), "picture"))
		}
	}
	return nil
}

// show draws the image with an id.
func (o showOptions) show(cmd *cobra.Command, d *coco.Dataset, ix *coco.Index, id int64) error {
	p, err := d.LabeledImage(ix, id)
	if err != nil {
		return err
	}
	img, err := await(cmd.Context(), func() (image.Image, error) { return openPicture(o.images, p) })
	if err != nil {
		return err
	}
	items, err := p.OverlayItems()
	if err != nil {
		return err
	}
	dst, err := mask.Overlay(img, items, mask.OverlayOptions{})
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
