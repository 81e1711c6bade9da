//go:build cgo

package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// trainProgress tells how a run goes: on a terminal in a bar, elsewhere in a line every
// so many steps.
type trainProgress struct {
	w            io.Writer
	start, total int
	every        int
	bar          *progressbar.ProgressBar // nil for lines
	begun        time.Time                // the first step
	now          func() time.Time

	loss, weight float64 // sums that forget, see progressMemory
	seconds      float64 // likewise, of steps
	waited       float64 // of those, for pictures
	pictures     float64
	ap           float64 // of the last evaluation, NaN before it
}

// progressMemory is what is left after a step of the weight of the steps before: of 50
// steps two thirds of the mean are from the last 50.
const progressMemory = 1 - 1./50

// newTrainProgress is for a run from step start, the number of those done before, to total.
func newTrainProgress(w io.Writer, start, total, every int) *trainProgress {
	p := &trainProgress{w: w, start: start, total: total, every: max(1, every), now: time.Now, ap: math.NaN()}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.bar = trainBar(w, total)
	}
	return p
}

// trainBar has no prediction of its own: it would take the steps before a resume for this run's.
func trainBar(w io.Writer, total int) *progressbar.ProgressBar {
	return progressbar.NewOptions(total, progressbar.OptionSetWriter(w), progressbar.OptionShowCount(), progressbar.OptionSetWidth(20),
		progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false),
		progressbar.OptionShowDescriptionAtLineEnd(), progressbar.OptionClearOnFinish())
}

// step is called after each step: with the number of those done, what it learned from,
// how long it took with its data, and how much of that it waited for them.
func (p *trainProgress) step(done, pictures int, loss, rate float64, took, waited time.Duration) {
	if p.begun.IsZero() {
		p.begun = p.now().Add(-took)
	}
	p.loss, p.weight = progressMemory*p.loss+loss, progressMemory*p.weight+1
	p.waited = progressMemory*p.waited + waited.Seconds()
	p.seconds, p.pictures = progressMemory*p.seconds+took.Seconds(), progressMemory*p.pictures+float64(pictures)
	text := p.text(done, rate)
	switch {
	case p.bar != nil:
		_ = p.bar.Set(done) // an error of the terminal is no reason to stop training
		p.bar.Describe(text)
	case done%p.every == 0 || done == p.start+1 || done == p.total:
		fmt.Fprintf(p.w, "step %d/%d  %s\n", done, p.total, text)
	}
}

// text is the recent loss, the rate, the recent speed, how much of the time goes by
// waiting for pictures where it is a tenth or more, the time left at the pace since the
// start, evaluations included, and the last AP.
func (p *trainProgress) text(done int, rate float64) string {
	text := fmt.Sprintf("loss %.4g  rate %.3g  %.3g images/s", p.loss/p.weight, rate, p.pictures/p.seconds)
	if share := p.waited / p.seconds; share >= 0.1 {
		text += fmt.Sprintf(" (%.0f%% waiting for them)", 100*share)
	}
	if steps := done - p.start; steps > 0 && done < p.total {
		left := p.now().Sub(p.begun).Seconds() / float64(steps) * float64(p.total-done)
		text += "  " + roughly(time.Duration(left*float64(time.Second))) + " left"
	}
	if !math.IsNaN(p.ap) {
		text += fmt.Sprintf("  AP %.1f", 100*p.ap)
	}
	return text
}

// roughly rounds a duration to what a person wants to know.
func roughly(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.0fs", d.Seconds())
	case d < time.Hour:
		d = d.Round(time.Second)
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	d = d.Round(time.Minute)
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}

// evaluated keeps the AP, from 0 to 1, for the following lines.
func (p *trainProgress) evaluated(ap float64) { p.ap = ap }

// clear makes room for other lines; the next step shows the bar again.
func (p *trainProgress) clear() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
