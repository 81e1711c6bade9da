//go:build cgo

package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// A benchReport is what bench prints. Its own figures are the first row's.
type benchReport struct {
	Device   string `json:"device"`
	LibTorch string `json:"libtorch"`
	Model    string `json:"model"`
	Weights  int64  `json:"weights_bytes"`
	Pictures int    `json:"pictures"` // number of different pictures
	Width    int    `json:"width"`    // of the first picture
	Height   int    `json:"height"`
	benchRow
	Rows []benchRow `json:"rows"`
}

// A benchRow is one thing that was timed.
type benchRow struct {
	What      string             `json:"what"` // "segment" or "train"
	Steps     int                `json:"steps,omitempty"`
	Batch     int                `json:"batch"`
	Runs      int                `json:"runs"`
	Precision string             `json:"precision"` // of the model's products, and of those that are timed, which are float32 for int8
	Seconds   float64            `json:"seconds"`   // per picture, median
	Rate      float64            `json:"pictures_per_second"`
	Processor float64            `json:"processor_seconds"` // per picture, of all threads, mean
	Stages    map[string]float64 `json:"stages,omitempty"`  // seconds of each part of a picture, medians; on a GPU the host's
	// DeviceStages are those by the GPU's clock, without prepare and merge, which are the host's.
	DeviceStages map[string]float64 `json:"device_stages,omitempty"`
	PeakMemory   int64              `json:"peak_rss_bytes"`       // of the process; 0 if the system does not say
	FLOP         int64              `json:"model_flop,omitempty"` // of a picture's products and convolutions; not in training
	Product      float64            `json:"product_flop_per_second"`
	Convolution  float64            `json:"convolution_flop_per_second"`
	Floor        float64            `json:"floor_fraction,omitempty"` // time of model_flop at the higher rate, relative to seconds
	Products     float64            `json:"products_per_picture"`
}

func (r benchReport) write(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "%s, %d MB, %s, on %s, LibTorch %s, %d×%d pixels\n", r.Model, r.Weights/1e6, r.Precision, r.Device, r.LibTorch, r.Width, r.Height)
	fmt.Fprintf(w, "\tpictures/s\ttime per picture\tof the floor\tGFLOP\tproducts\tmatrix product\tconvolution\tpeak memory\truns\n")
	for _, row := range r.Rows {
		memory := "-"
		if row.PeakMemory > 0 {
			memory = fmt.Sprintf("%d MB", row.PeakMemory/1e6)
		}
		floor, flop := "-", "-"
		if row.FLOP > 0 {
			floor, flop = fmt.Sprintf("%.0f %%", 100*row.Floor), fmt.Sprintf("%.4g", float64(row.FLOP)/1e9)
		}
		fmt.Fprintf(w, "%s\t%.3g\t%v\t%s\t%s\t%.3g\t%.0f GFLOP/s\t%.0f GFLOP/s\t%s\t%d\n", row.name(), row.Rate, inSeconds(row.Seconds),
			floor, flop, row.Products, row.Product/1e9, row.Convolution/1e9, memory, row.Runs)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, row := range r.Rows {
		if row.Stages == nil {
			continue
		}
		writeParts(out, row.name(), modelParts, row.Stages)
		if len(row.DeviceStages) > 0 {
			writeParts(out, "  on the GPU", gpuParts, row.DeviceStages)
		}
	}
	return nil
}

func writeParts(out io.Writer, name string, parts []string, seconds map[string]float64) {
	fmt.Fprintf(out, "%s:", name)
	for i, part := range parts {
		if i > 0 {
			fmt.Fprint(out, ",")
		}
		fmt.Fprintf(out, " %s %v", part, inSeconds(seconds[part]))
	}
	fmt.Fprintln(out)
}

func (row benchRow) name() string {
	if row.What == "segment" {
		return "segment, " + counted(row.Steps, "step")
	}
	return fmt.Sprintf("training, batch %d", row.Batch)
}

func inSeconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Round(100 * time.Microsecond)
}
