//go:build cgo

package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/evaluation"
	"github.com/diffusioninst/go/picture"
)

func init() { modelCommands = append(modelCommands, newSegmentCommand) }

type segmentOptions struct {
	model    modelFlags
	output   string
	formats  []string
	polygons bool
	truth    string
	trace    string
	views    []string
}

func newSegmentCommand() *cobra.Command {
	var o segmentOptions
	cmd := &cobra.Command{
		Use:   "segment PICTURE|FOLDER|GLOB...",
		Short: "Find the instances in pictures",
		Long: `Find the instances in pictures: JPEG (rotated as its EXIF data says), PNG, WebP, BMP,
TIFF, GIF. Arguments are files, folders, globs, or "-" for standard input. Pictures of
more than 100 million pixels, 65535 pixels per side or 1 GiB are refused.

--format says what is written to the output folder:
  overlay/      the pictures with contours, masks, classes and scores
  results.json  detections as a COCO results file, as Detectron2 writes it
  coco.json     a whole COCO data set, with the scores
  labelme/, labelmap/, masks/  one file per picture, in the formats of convert

A model that sees pictures in tiles, as builtin:nuclei does, has learned objects of
some sizes in pixels: those larger than a third of a tile's side are cut or missed.
--scale 0.5 lets the network see pictures at half their size; results have the full one.

With --gt what is found is compared with true masks, and comparison/ gets pictures of
both: matched instances are green, false ones red, and missed true ones yellow.`,
		Example: `  diffusioninst segment --weights builtin:nuclei --output out/ picture.jpg
  diffusioninst segment --weights model.pth --steps 4 --format overlay,labelme --output out/ pictures/ 'more/*.png'`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runSegment(cmd, &o, args) },
	}
	o.model.add(cmd)
	f := cmd.Flags()
	f.StringVarP(&o.output, "output", "o", "out", "folder for the results")
	f.StringSliceVar(&o.formats, "format", []string{"overlay", "results"}, "formats to write: "+strings.Join(outputFormats, ", "))
	f.BoolVar(&o.polygons, "polygons", false, "write outlines instead of masks (coco, labelme)")
	f.StringVar(&o.truth, "gt", "", "true masks to compare with, in a format that convert reads")
	addViewsFlag(cmd, &o.views)
	f.StringVar(&o.trace, "trace", "", "folder to write a picture of every denoising step, a contact sheet and an animated GIF to")
	return cmd
}

func runSegment(cmd *cobra.Command, o *segmentOptions, args []string) error {
	for _, f := range o.formats {
		if !slices.Contains(outputFormats, f) {
			return fmt.Errorf("--format %s: not one of %s", f, strings.Join(outputFormats, ", "))
		}
	}
	var err error
	if o.model.options.Augment, err = parseViews(o.views); err != nil {
		return err
	}
	inputs, err := findInputs(args)
	if err != nil {
		return err
	}
	warn := warner(cmd)
	model, err := o.model.load(cmd.Context(), warn)
	if err != nil {
		return err
	}
	defer model.Close()
	classes := evaluation.Categories(model.Config().Classes)
	writers, err := o.writers(classes)
	if err != nil {
		return err
	}
	folders, err := traceFolders(o.trace, inputs)
	if err != nil {
		return err
	}
	var truth *comparison
	if o.truth != "" {
		if truth, err = newComparison(o.truth, filepath.Join(o.output, "comparison"), model.Config().Classes); err != nil {
			return err
		}
	}
	bar := progress(cmd.ErrOrStderr(), len(inputs))
	report := newReport(cmd.OutOrStdout(), len(inputs) == 1)
	sizes := newSizeHint(model.Config().Input, o.model.options)
	failed := 0
	for i, in := range inputs {
		start := time.Now()
		options := o.model.options
		var steps []*diffusioninst.StepResult
		if o.trace != "" {
			options.OnStep = func(s *diffusioninst.StepResult) { steps = append(steps, s) }
		}
		result, img, err := in.segment(cmd.Context(), cmd.InOrStdin(), model, options)
		if err == nil && o.trace != "" {
			err = writeTrace(img, steps, folders[i])
		}
		if err == nil {
			err = writeAll(writers, truth, evaluation.LabeledImage(result, int64(i+1), in.name, classes), img)
		}
		if cmd.Context().Err() != nil {
			return cmd.Context().Err()
		}
		_ = bar.Add(1)
		if err != nil {
			failed++
			_ = bar.Clear()
			fmt.Fprintln(cmd.ErrOrStderr(), "Error:", err)
			continue
		}
		report.add(in.name, result, time.Since(start))
		sizes.add(result)
	}
	_ = bar.Finish()
	for _, w := range writers {
		if err := w.Close(); err != nil {
			return err
		}
	}
	if err := report.flush(); err != nil {
		return err
	}
	if hint := sizes.String(); hint != "" {
		warn("%s", hint)
	}
	if truth != nil {
		if err := truth.write(cmd.OutOrStdout()); err != nil {
			return err
		}
	}
	if failed < len(inputs) {
		fmt.Fprintf(cmd.OutOrStdout(), "results written to %s\n", o.output)
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d pictures could not be segmented", failed, len(inputs))
	}
	return nil
}

// A segmentInput is a picture to read. The path "-" is standard input.
type segmentInput struct{ path, name string }

// findInputs expands the arguments. A picture in a folder among the arguments is named by its
// path below that folder.
func findInputs(args []string) ([]segmentInput, error) {
	var out []segmentInput
	for _, arg := range args {
		if arg == "-" {
			out = append(out, segmentInput{"-", "stdin.png"})
			continue
		}
		paths, err := picture.Find([]string{arg})
		if err != nil {
			return nil, err
		}
		info, err := os.Stat(arg)
		folder := err == nil && info.IsDir()
		for _, p := range paths {
			name := filepath.Base(p)
			if folder {
				if name, err = filepath.Rel(arg, p); err != nil {
					return nil, err
				}
			}
			out = append(out, segmentInput{p, filepath.ToSlash(name)})
		}
	}
	return out, nil
}

func (in segmentInput) segment(ctx context.Context, stdin io.Reader, m *diffusioninst.Model, o diffusioninst.Options) (*diffusioninst.Result, image.Image, error) {
	var img *image.RGBA
	var err error
	if in.path == "-" {
		img, err = picture.Decode(stdin, picture.Options{})
	} else {
		img, err = picture.Open(in.path, picture.Options{})
	}
	if err != nil {
		return nil, nil, err
	}
	r, err := m.Segment(ctx, img, o)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", in.path, err)
	}
	return r, img, nil
}

// writers returns a writer for each format, to the output folder.
func (o *segmentOptions) writers(classes []coco.Category) ([]*instanceWriter, error) {
	if err := os.MkdirAll(o.output, 0o777); err != nil {
		return nil, err
	}
	var out []*instanceWriter
	for _, f := range o.formats {
		path := filepath.Join(o.output, f)
		if f == "coco" || f == "results" {
			path += ".json"
		}
		w, err := newInstanceWriter(nil, f, path, writerOptions{Categories: classes, Polygons: o.polygons})
		if err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	return out, nil
}

// writeAll writes what was found in a picture and, if truth is not nil, compares it.
func writeAll(writers []*instanceWriter, truth *comparison, p *coco.LabeledImage, img image.Image) error {
	pixels := func() (image.Image, error) { return img, nil }
	for _, w := range writers {
		if err := w.Write(p, pixels); err != nil {
			return err
		}
	}
	if truth == nil {
		return nil
	}
	return truth.add(p, img)
}

// progress returns a bar on a terminal, and a silent one elsewhere or for a single picture.
func progress(w io.Writer, n int) *progressbar.ProgressBar {
	f, ok := w.(*os.File)
	if n < 2 || !ok || !term.IsTerminal(int(f.Fd())) {
		return progressbar.DefaultSilent(int64(n))
	}
	return progressbar.NewOptions(n, progressbar.OptionSetWriter(w), progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true),
		progressbar.OptionClearOnFinish(), progressbar.OptionSetDescription("pictures"))
}

// A report is the table on the terminal: the instances of a single picture, or one line per
// picture.
type report struct {
	table *tabwriter.Writer
	one   bool
	err   error
}

func newReport(w io.Writer, one bool) *report {
	r := &report{table: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0), one: one}
	if one {
		r.line("class\tscore\tbox\tarea [px]\n")
	} else {
		r.line("picture\tsize\tinstances\ttime\n")
	}
	return r
}

func (r *report) line(format string, args ...any) {
	_, err := fmt.Fprintf(r.table, format, args...)
	r.err = errors.Join(r.err, err)
}

func (r *report) add(name string, result *diffusioninst.Result, took time.Duration) {
	if !r.one {
		r.line("%s\t%d×%d\t%d\t%v\n", name, result.Width, result.Height, len(result.Instances), took.Round(time.Millisecond))
		return
	}
	for _, in := range result.Instances {
		r.line("%s\t%.3f\t%v\t%d\n", in.Name, in.Score, in.Box, in.Area())
	}
	r.line("%s in %v\n", counted(len(result.Instances), "instance"), took.Round(time.Millisecond))
}

func (r *report) flush() error { return errors.Join(r.err, r.table.Flush()) }
