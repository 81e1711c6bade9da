package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/diffusioninst/go/internal/checkpoint"
)

// A modelInfo says what a user of a model must know. It is read from the configuration in
// the checkpoint, without LibTorch; of a checkpoint without one only the number of classes
// is known.
type modelInfo struct {
	Classes    []string  `json:"classes,omitempty"` // names, in the order of the scores
	ClassCount int       `json:"class_count"`
	Proposals  int       `json:"proposals,omitempty"`  // boxes that are denoised at once
	Steps      int       `json:"steps,omitempty"`      // denoising steps
	Consensus  float64   `json:"consensus,omitempty"`  // overlap from which what several steps find is one object
	MaskScore  float64   `json:"mask_score,omitempty"` // weight of masks' quality in scores
	Short      int       `json:"short,omitempty"`      // pixels of the shorter side that pictures are resized to
	Longest    int       `json:"longest,omitempty"`    // most pixels of the longer side
	Scale      float64   `json:"scale,omitempty"`      // factor of a picture's sides, in place of Short
	Scales     []float64 `json:"scales,omitempty"`     // factors of the sizes in which a picture is seen; nil for one size
	Int8       int       `json:"int8,omitempty"`       // convolutions whose ranges are known; 0 for none
	Tile       int       `json:"tile,omitempty"`       // pixels of a tile's side; 0 for pictures in one piece
}

// describeModel returns what a checkpoint says about its model, or nil if that is nothing.
func describeModel(file *checkpoint.File) *modelInfo {
	var config struct {
		Classes   []string
		Proposals int
		MaskScore float64
		Sampling  struct{ Steps int }
		Ensemble  struct{ Consensus float64 }
		Int8      map[string]json.RawMessage
		Input     struct {
			Short, Longest, Tile int
			Scale                float64
			Scales               *struct{ Factors []float64 }
		}
	}
	if json.Unmarshal([]byte(file.Metadata[checkpoint.ConfigKey]), &config) == nil {
		m := &modelInfo{
			Classes: config.Classes, ClassCount: len(config.Classes), Proposals: config.Proposals, Steps: config.Sampling.Steps, MaskScore: config.MaskScore, Consensus: config.Ensemble.Consensus,
			Short: config.Input.Short, Longest: config.Input.Longest, Scale: config.Input.Scale, Tile: config.Input.Tile, Int8: len(config.Int8),
		}
		if s := config.Input.Scales; s != nil {
			m.Scales = s.Factors
		}
		return m
	}
	for _, t := range file.Tensors {
		if strings.HasSuffix(t.Name, ".class_logits.bias") && len(t.Shape) == 1 {
			return &modelInfo{ClassCount: int(t.Shape[0])}
		}
	}
	return nil
}

// write adds rows to a table.
func (m *modelInfo) write(w io.Writer) {
	const most = 8 // names on the line
	switch n := len(m.Classes); {
	case n == 0:
		fmt.Fprintf(w, "classes\t%d; their names are not in the file\n", m.ClassCount)
	case n > most:
		fmt.Fprintf(w, "classes\t%d: %s, …\n", n, strings.Join(m.Classes[:most], ", "))
	default:
		fmt.Fprintf(w, "classes\t%d: %s\n", n, strings.Join(m.Classes, ", "))
	}
	if m.Proposals == 0 {
		return
	}
	fmt.Fprintf(w, "proposals\t%d boxes, denoised in %s\n", m.Proposals, counted(m.Steps, "step"))
	if m.Consensus > 0 {
		fmt.Fprintf(w, "consensus\tof several steps or samples: masks that overlap by %.2g are one object, whose score is the mean\n", m.Consensus)
	}
	if m.MaskScore > 0 {
		fmt.Fprintf(w, "scores\tof classes and, with a weight of %.2g, of masks' quality\n", m.MaskScore)
	}
	switch {
	case m.Scale == 1:
		fmt.Fprintf(w, "input\tpictures at their own size\n")
	case m.Scale > 0:
		fmt.Fprintf(w, "input\tpictures with their sides multiplied by %v\n", m.Scale)
	default:
		fmt.Fprintf(w, "input\tpictures resized to %d pixels on the shorter side, at most %d on the longer\n", m.Short, m.Longest)
	}
	if len(m.Scales) > 1 {
		fmt.Fprintf(w, "sizes\tseveral, what they agree on counts: sides multiplied by %s (--scales 1 is quicker)\n", commas(m.Scales))
	}
	if m.Int8 > 0 {
		fmt.Fprintf(w, "int8\tranges of %s, for --precision int8\n", counted(m.Int8, "convolution"))
	}
	if m.Tile > 0 {
		fmt.Fprintf(w, "tiles\tlarger pictures in overlapping squares of %d pixels a side\n", m.Tile)
	} else {
		fmt.Fprintf(w, "tiles\tnone: every picture in one piece\n")
	}
}

// counted returns a number with its noun in the singular or the plural.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// commas returns numbers with commas between them.
func commas(numbers []float64) string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(numbers), "[]"), " ", ", ")
}
