//go:build cgo

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/diffusioninst"
)

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

// add adds a picture.
func (r *report) add(p *coco.LabeledImage, result *diffusioninst.Result, took time.Duration) {
	took = took.Round(time.Millisecond)
	if !r.one {
		r.picture(p, took.String())
		return
	}
	for _, in := range result.Instances {
		r.line("%s\t%.3f\t%v\t%d\n", in.Name, in.Score, in.Box, in.Area())
	}
	r.line("%s in %v\n", counted(len(result.Instances), "instance"), took)
}

// picture adds the line of one picture of several.
func (r *report) picture(p *coco.LabeledImage, took string) {
	r.line("%s\t%d×%d\t%d\t%s\n", printable(p.FileName), p.Width, p.Height, len(p.Instances), took)
}

func (r *report) flush() error { return errors.Join(r.err, r.table.Flush()) }
