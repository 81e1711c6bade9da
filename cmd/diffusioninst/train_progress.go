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

// A trainProgress shows how a run goes: with a bar on a terminal, elsewhere with a line now
// and then.
type trainProgress struct {
	w            io.Writer
	start, total int
	every        int
	bar          *progressbar.ProgressBar // nil for lines
	begun        time.Time                // the first step
	now          func() time.Time

	// Exponentially decaying sums over the steps; see progressMemory.
	loss, weight float64
	seconds      float64
	waited       float64 // seconds of waiting for pictures
	pictures     float64

	ap float64 // of the last evaluation, 0 to 1; NaN before it
}

// progressMemory is the factor by which the weight of earlier steps shrinks with each step:
// the last 50 steps make up about two thirds of a mean.
const progressMemory = 1 - 1./50

// newTrainProgress starts to show a run of total steps, of which start were done before.
func newTrainProgress(w io.Writer, start, total, every int) *trainProgress {
	p := &trainProgress{w: w, start: start, total: total, every: max(1, every), now: time.Now, ap: math.NaN()}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.bar = trainBar(w, total)
	}
	return p
}

// trainBar returns a bar without a prediction of its own, which would count the steps before
// a resume as this process's.
func trainBar(w io.Writer, total int) *progressbar.ProgressBar {
	return progressbar.NewOptions(total, progressbar.OptionSetWriter(w), progressbar.OptionShowCount(), progressbar.OptionSetWidth(20),
		progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false),
		progressbar.OptionShowDescriptionAtLineEnd(), progressbar.OptionClearOnFinish())
}

// step shows a finished step: done is the number of steps so far, took the step's time with
// its data, and waited the part of it spent waiting for pictures.
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
		_ = p.bar.Set(done) // an error of the terminal does not stop training
		p.bar.Describe(text)
	case done%p.every == 0 || done == p.start+1 || done == p.total:
		fmt.Fprintf(p.w, "step %d of %d  %s\n", done, p.total, text)
	}
}

// text returns the recent loss and speed, the learning rate, the share of time spent waiting
// for pictures if it is a tenth or more, the time left at the pace since the start with
// evaluations, and the last AP.
func (p *trainProgress) text(done int, rate float64) string {
	text := fmt.Sprintf("loss %.4g  learning rate %.3g  %.3g pictures/s", p.loss/p.weight, rate, p.pictures/p.seconds)
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

// roughly writes a duration with seconds below an hour, and without above.
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
