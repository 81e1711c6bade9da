//go:build cgo

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/diffusioninst/go/nn"
)

var emaChoices = map[string]nn.EMAChoice{"auto": nn.EMAAuto, "on": nn.EMAOn, "off": nn.EMAOff}

// An emaFlag is the flag --ema of commands that load weights.
type emaFlag struct{ nn.EMAChoice }

func (e *emaFlag) add(f *pflag.FlagSet) {
	f.Var(e, "ema", "averaged weights of a checkpoint that has several sets: on, off, or auto: on if MODEL_EMA is enabled in --config, or for a training state")
}

func (e *emaFlag) String() string {
	for name, choice := range emaChoices {
		if choice == e.EMAChoice {
			return name
		}
	}
	return ""
}

func (e *emaFlag) Set(text string) error {
	choice, ok := emaChoices[text]
	if !ok {
		return fmt.Errorf("not auto, on or off")
	}
	e.EMAChoice = choice
	return nil
}

func (e *emaFlag) Type() string { return "auto|on|off" }

// sayWeights prints which set of weights was taken of a checkpoint that has several, or
// whose averages had gaps.
func sayWeights(out io.Writer, sets []nn.WeightSet) {
	if len(sets) == 0 || len(sets) == 1 && sets[0].Filled == 0 {
		return
	}
	taken := sets[0]
	text := "weights: " + place(taken.Name)
	if taken.Averaged {
		text += ", averaged"
	}
	if taken.Filled > 0 {
		text += fmt.Sprintf(" (%s that they lack from the others)", counted(taken.Filled, "tensor"))
	}
	var others []string
	for _, s := range sets[1:] {
		other := place(s.Name)
		if s.Unnamed {
			other += " (averages without names, which cannot be taken)"
		}
		others = append(others, other)
	}
	text += "; also in the file: " + strings.Join(others, ", ")
	switch differ := func(s nn.WeightSet) bool { return s.Averaged != taken.Averaged && !s.Unnamed }; {
	case !slices.ContainsFunc(sets, differ):
	case taken.Averaged:
		text += " (--ema off)"
	default:
		text += " (--ema on)"
	}
	fmt.Fprintln(out, text)
}
