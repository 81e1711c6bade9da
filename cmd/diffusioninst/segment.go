//go:build cgo

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/evaluation"
	"github.com/diffusioninst/go/internal/atomicfile"
	"github.com/diffusioninst/go/mask"
)

func init() { modelCommands = append(modelCommands, newSegmentCommand) }

type segmentOptions struct {
	annotationFlags
	model    modelFlags
	pictures pictureFlags
	measure  measureFlags
	overlay  mask.OverlayOptions
	output   string
	formats  []string
	polygons bool
	truth    string
	trace    string
	views    []string
	resume   bool
	list     string
	shard    string
	accept   bool
}

func newSegmentCommand() *cobra.Command {
	var o segmentOptions
	cmd := &cobra.Command{
		Use:   "segment PICTURE|FOLDER|GLOB...",
		Short: "Find the instances in pictures",
		Long: `Find the instances in pictures: JPEG (rotated as its EXIF data says), PNG, WebP, BMP,
TIFF, GIF, PNM, TGA, PCX, SGI, QOI, ICO. Arguments are files, folders, globs, https:// and
s3:// addresses, or "-" for standard input. Pictures of more than 100 million pixels, 65535
pixels per side or 1 GiB are refused.

On standard input pictures may follow each other without a gap, as ffmpeg's image2pipe
writes them; with --output - each gives a line of JSON as soon as it is segmented.

Of a TIFF file with several pages one is chosen with --page, or with --z, --time and --scene
by the axes that ImageJ and OME-TIFF write; --page all takes each that is left. --channel
chooses among channels. Pictures of more than 8 bits are stretched to black and white unless
--norm says something else.

--format says what is written to the output folder:
  overlay/      the pictures with contours, masks, classes and scores; with more than 20
                instances or a single class contours only (--labels, --boxes, --line-width)
  results.json  detections as a COCO results file, as Detectron2 writes it
  coco.json     a whole COCO data set, with the scores
  labelme/, labelmap/, masks/  one file per picture, in the formats of convert
  imagej/, geojson/, labeltiff/, cellpose/  one file per picture for ImageJ, QuPath,
                napari and others, Cellpose; labels are the same numbers in all formats
  report.html   a page (--format html) with pictures, instances, histograms and settings that
                a browser opens without a network
  measurements/ a table (CSV) per picture of shapes and of the intensities in the file, all
                channels, and summary.csv; lengths are in µm if the picture or
                --pixel-size says how large a pixel is

A model that sees pictures in tiles, as builtin:nuclei does, has learned objects of
some sizes in pixels: those larger than a third of a tile's side are cut or missed.
--scale 0.5 lets the network see pictures at half their size; results have the full one.

With --gt what is found is compared with true masks, and comparison/ gets pictures of
both: matched instances are green, false ones red, and missed true ones yellow.

A run that is stopped (Ctrl-C, SIGTERM, a closed terminal, a full disk) leaves complete files
of the pictures that are finished; one that was killed leaves their overlays and other files
per picture. The same command with --resume takes over what ` + segmentJournalName + ` in the output
folder remembers, and its files equal the files of an uninterrupted run. Pictures whose files
have changed are segmented again.

--list takes pictures, folders, globs and addresses from the lines of a file. --shard I/N
segments one of N equal parts of the pictures into a folder of its own in --output, and does
nothing if that is finished; one that was begun is continued. Pictures that are broken or missing
are recorded there and do not fail the command; with pictures that failed because a server,
a store, a disk or a device did, or if none could be opened, the shard is not finished, and
the same command tries them again.
diffusioninst results merge OUTPUT makes one run of the N. --shard auto takes I and N from a
Kubernetes Job (JOB_COMPLETION_INDEX and, set in its template, JOB_COMPLETION_COUNT) or from a
Slurm array.`,
		Example: `  diffusioninst segment --weights builtin:nuclei --output out/ picture.jpg
  ffmpeg -i video.mp4 -f image2pipe -c:v png - | diffusioninst segment --weights builtin:nuclei --scales 1 --output - -
  diffusioninst segment --weights model.pth --steps 4 --format overlay,labelme --output out/ pictures/ 'more/*.png'`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) == 0 && o.list == "":
				return errors.New("segment takes pictures, folders or globs, or --list FILE")
			case len(args) > 0 && o.list != "":
				return errors.New("--list FILE takes the place of arguments: name pictures in one of the two")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runSegment(cmd, &o, args) },
	}
	o.model.add(cmd)
	o.pictures.add(cmd, true)
	o.measure.add(cmd)
	addOverlayFlags(cmd, &o.overlay)
	o.annotationFlags.add(cmd)
	f := cmd.Flags()
	f.StringVarP(&o.output, "output", "o", "out", `folder for the results, or "-" for a line of JSON per picture on standard output`)
	f.StringSliceVar(&o.formats, "format", []string{"overlay", "results"}, "formats to write: "+strings.Join(outputFormats, ", "))
	f.BoolVar(&o.polygons, "polygons", false, "write outlines instead of masks (coco, labelme)")
	f.BoolVar(&o.resume, "resume", false, "keep what an earlier run into --output has found, and continue with the other pictures")
	f.StringVar(&o.list, "list", "", `text file with a picture, folder or glob in each line, or "-" for standard input`)
	f.StringVar(&o.shard, "shard", "", "segment part I of N of the pictures, with I from 0 to N-1, or auto (default: all)")
	f.BoolVar(&o.accept, "accept-failures", false, "finish a shard without pictures that a server, a store, a disk or a device kept back, and one without any")
	f.StringVar(&o.truth, "gt", "", "true masks to compare with, in a format that convert reads")
	addViewsFlag(cmd, &o.views)
	f.StringVar(&o.trace, "trace", "", "folder to write a picture of every denoising step, a contact sheet and an animated GIF to")
	return cmd
}

// checkFiles refuses files of all pictures that cannot be written or that hold the true masks.
func (o *segmentOptions) checkFiles() error {
	for _, format := range o.formats {
		if !slices.Contains(singleFiles, format) {
			continue
		}
		path := filepath.Join(o.output, singleFile(format))
		if err := errors.Join(keepTruth(o.truth, path), atomicfile.CheckOutput(path)); err != nil {
			return err
		}
	}
	return nil
}

func runSegment(cmd *cobra.Command, o *segmentOptions, args []string) error {
	if err := errors.Join(o.check(), o.measure.check()); err != nil {
		return err
	}
	for _, f := range o.formats {
		if !slices.Contains(outputFormats, f) {
			return fmt.Errorf("--format %s: not one of %s", f, strings.Join(outputFormats, ", "))
		}
	}
	if o.output != "-" {
		if err := checkFormatFlags(cmd, o.formats...); err != nil {
			return err
		}
	}
	var err error
	if o.truth == "" && cmd.Flags().Changed("crowd") {
		return errors.New("--crowd is for the true masks of --gt, which are not given")
	}
	if o.model.options.Augment, err = parseViews(o.views); err != nil {
		return err
	}
	if o.accept && o.shard == "" {
		return errors.New("--accept-failures is for --shard: other runs record no failures")
	}
	warn := warner(cmd)
	inputs, err := o.inputs(cmd, args, warn)
	if err != nil {
		return err
	}
	warnOfNames(inputs, warn)
	choice, all, err := o.pictures.options()
	if err != nil {
		return err
	}
	if all {
		if inputs, err = allPages(cmd.Context(), inputs, choice); err != nil {
			return err
		}
	} else {
		for i := range inputs {
			inputs[i].options = choice
		}
	}
	var part *shardRun
	if o.shard != "" {
		if part, err = o.openShard(cmd, inputs); part == nil {
			return err
		}
		inputs, o.output, o.resume = part.pictures(inputs), part.partial, true
	}
	r := &segmentRun{cmd: cmd, part: part, flying: make(chan struct{}, inFlight), inputs: inputs, allPages: all, measure: &o.measure, measures: slices.ContainsFunc(o.formats, func(f string) bool {
		return slices.Contains(measuringFormats, f)
	})}
	table := cmd.OutOrStdout()
	toLines := o.output == "-"
	if toLines {
		if err := o.onlyLines(cmd); err != nil {
			return err
		}
		r.lines, table = &lineWriter{w: cmd.OutOrStdout()}, io.Discard
	}
	if o.trace != "" {
		if r.traces, err = traceFolders(o.trace, inputs); err != nil {
			return err
		}
	}
	if !toLines {
		locks, err := lockOutputs(o.output, o.trace)
		if done, also := part.finishedMeanwhile(table); done || also != nil {
			return errors.Join(also, locks.Close())
		}
		if err != nil {
			return err
		}
		defer locks.Close()
		if err := o.checkFiles(); err != nil {
			return err
		}
	}
	if r.model, err = o.model.load(cmd); err != nil {
		return err
	}
	defer r.model.Close()
	config := r.model.Config()
	for i := range inputs {
		inputs[i].options.Normalize = o.model.normalize(config)
		inputs[i].tiles = cmp.Or(o.model.options.Tile, config.Input.Tile) > 0
	}
	r.options, r.classes = o.model.options, evaluation.Categories(config.Classes)
	if !toLines {
		if r.writers, err = o.writers(r.classes, flagValuesOf(cmd)); err != nil {
			return err
		}
	}
	if o.truth != "" {
		r.truth, err = await(cmd.Context(), func() (*comparison, error) {
			return newComparison(o.truth, filepath.Join(o.output, comparisonFolder), config.Classes, o.options(o.sizes(inputs), true, warn))
		})
		if err != nil {
			return o.explain(err)
		}
	}
	if !toLines && (len(inputs) > 1 || o.resume) {
		settings, err := segmentSettings(cmd, &o.model, r.model)
		if err != nil {
			return err
		}
		part.describe(settings, o, r.classes)
		if r.journal, err = openSegmentJournal(o.output, settings, o.resume); err != nil {
			return err
		}
		warnOfPrograms(append(r.journal.programs, programName()), warn)
	}
	r.bar = progress(cmd.ErrOrStderr(), len(inputs))
	r.report = newReport(table, len(inputs) == 1 && !o.resume)
	r.sizes = newSizeHint(config.Input, r.options)
	err = r.do(cmd.Context())
	if part != nil && err == nil {
		return part.finish(table)
	}
	if r.done > 0 {
		fmt.Fprintf(table, "results written to %s\n", o.output)
	}
	if err == nil && r.failed > 0 {
		return fmt.Errorf("%d of %d pictures could not be segmented", r.failed, r.failed+r.done)
	}
	return err
}

// inputs returns the pictures of the arguments or of --list.
func (o *segmentOptions) inputs(cmd *cobra.Command, args []string, warn func(string, ...any)) ([]segmentInput, error) {
	if o.list != "" {
		return await(cmd.Context(), func() ([]segmentInput, error) {
			lines, err := readList(o.list, cmd.InOrStdin())
			if err != nil {
				return nil, err
			}
			return listedInputs(cmd.Context(), lines, o.pictureFolders(), warn)
		})
	}
	inputs, left, err := findInputs(cmd.Context(), args, o.pictureFolders())
	if left > 0 {
		warn("%s in folders of --output left out: this command writes there", counted(left, "picture"))
	}
	return inputs, err
}

// onlyLines refuses flags that need a folder of results.
func (o *segmentOptions) onlyLines(cmd *cobra.Command) error {
	for _, name := range []string{"format", "polygons", "resume", "gt", "trace", "pixel-size", "labels", "boxes", "line-width"} {
		if cmd.Flags().Changed(name) {
			return fmt.Errorf("--%s needs a folder for the results: --output - writes only lines of JSON", name)
		}
	}
	return nil
}

// comparisonFolder is the folder in --output for pictures of found and true instances.
const comparisonFolder = "comparison"

// pictureFolders returns the folders of --output that get pictures: those of all shards, if there are several.
func (o *segmentOptions) pictureFolders() []string {
	if o.shard != "" {
		return []string{o.output}
	}
	out := []string{filepath.Join(o.output, comparisonFolder)}
	for _, f := range o.formats {
		if !slices.Contains(singleFiles, f) {
			out = append(out, filepath.Join(o.output, f))
		}
	}
	return out
}

// writers returns a writer for each format, to the output folder. Writers of one file for all
// pictures come last, so that they have only pictures whose own files are written.
func (o *segmentOptions) writers(classes []coco.Category, settings [][2]string) ([]*instanceWriter, error) {
	var out []*instanceWriter
	formats := slices.Clone(o.formats)
	slices.SortStableFunc(formats, func(a, b string) int {
		return cmp.Compare(slices.Index(singleFiles, a), slices.Index(singleFiles, b))
	})
	for _, f := range formats {
		path := filepath.Join(o.output, f)
		if slices.Contains(singleFiles, f) {
			path = filepath.Join(o.output, singleFile(f))
		}
		w, err := newInstanceWriter(os.Stdout, f, path, writerOptions{Categories: classes, Polygons: o.polygons, Overlay: o.overlay, Settings: settings, MaxPixels: -1})
		if err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	return out, nil
}

// sizes returns the folder with the pictures whose sizes a JSON file of true masks may lack.
func (o *segmentOptions) sizes(inputs []segmentInput) string {
	if !strings.EqualFold(filepath.Ext(o.truth), ".json") || inputs[0].address != nil {
		return ""
	}
	return filepath.Dir(inputs[0].path)
}
