//go:build cgo

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/evaluation"
	"github.com/diffusioninst/go/internal/regular"
	"github.com/diffusioninst/go/internal/utf"
	"github.com/diffusioninst/go/nn"
)

// A sweepLog is the content of sweep.json: the settings that all combinations share, and the
// finished combinations.
type sweepLog struct {
	path     string
	Settings map[string]string `json:"settings"`
	Runs     []sweepRun        `json:"runs"`
}

// A sweepRun is a combination with its metrics and time.
type sweepRun struct {
	Sampler    string             `json:"sampler"`
	Steps      int                `json:"steps"`
	Proposals  int                `json:"proposals"`
	Seconds    float64            `json:"seconds_per_picture"`
	Detections int                `json:"detections"`
	Metrics    map[string]float64 `json:"metrics"` // 0 to 1; −1 if there is nothing to find
}

func newSweepRun(c combination, r *coco.Report, detections int, perPicture time.Duration) sweepRun {
	out := sweepRun{c.sampler.String(), c.steps, c.proposals, perPicture.Seconds(), detections, map[string]float64{}}
	for _, m := range r.Metrics {
		out.Metrics[m.Name] = m.Value
	}
	return out
}

// settings returns what the numbers depend on apart from the combination. It has the
// checksums of files instead of their names, so that they may be moved.
func (o *sweepOptions) settings(model *diffusioninst.Model, set *evaluation.Set) (map[string]string, error) {
	pictures, err := filepath.Abs(o.images)
	if err != nil {
		return nil, err
	}
	truth, err := truthSum(o.truth, set.Data)
	if err != nil {
		return nil, err
	}
	weights := o.model.weights
	if weights != untrained {
		if weights, err = weightsSum(weights); err != nil {
			return nil, err
		}
	}
	with := o.model.options
	out := map[string]string{
		"weights": weights, "config": sum([]byte(fmt.Sprintf("%+v", model.Config()))), "gt": truth,
		"images": pictures, "pictures": fmt.Sprint(len(set.Images)), "iou": o.iou, "style": o.style,
		"score": fmt.Sprint(with.Score), "limit": fmt.Sprint(with.Limit), "seed": fmt.Sprint(with.Seed),
		"device": model.Device().String(), "threads": fmt.Sprint(o.model.threads),
	}
	for name, value := range map[string]string{"choice": o.pictures.String(), "norm": string(with.Normalize)} {
		if value != "" {
			out[name] = value
		}
	}
	if with.Limit < 0 || with.Limit > usualDetections(o.style) {
		out["detections that count"] = "all"
	}
	if o.onError != "fail" {
		out["on-error"] = o.onError
	}
	if o.crowd != "ignore" {
		out["crowd"] = o.crowd
	}
	if o.model.tf32 {
		out["tf32"] = "true"
	}
	if with.Tile != 0 {
		out["tile"] = fmt.Sprint(with.Tile)
	}
	if with.Scales != nil {
		out["scales"] = commas(with.Scales.Factors)
	}
	if with.MaskScore != 0 {
		out["mask score"] = fmt.Sprint(max(with.MaskScore, 0))
	}
	if p := model.Precision(); p != diffusioninst.PrecisionFloat32 {
		out["precision"] = p.String()
	}
	if o.model.ema.EMAChoice != nn.EMAAuto {
		out["ema"] = o.model.ema.String()
	}
	return out, nil
}

// truthSum returns the checksum of a JSON file of annotations, and of what other forms hold, which
// have several files.
func truthSum(path string, data *coco.Dataset) (string, error) {
	if info, err := os.Stat(path); err == nil && !info.IsDir() && strings.EqualFold(filepath.Ext(path), ".json") {
		return fingerprint(path)
	}
	h := sha256.New()
	if err := data.Write(h); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

// fingerprint returns the checksum of a file.
func fingerprint(path string) (string, error) {
	f, err := regular.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return sumOf(f)
}

// weightsSum returns the checksum of a checkpoint: a file or one of builtins.
func weightsSum(weights string) (string, error) {
	r, found, err := openBuiltin(weights)
	switch {
	case err != nil:
		return "", err
	case !found:
		return fingerprint(weights)
	}
	return sumOf(r)
}

func sumOf(r io.Reader) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

func sum(text []byte) string { return fmt.Sprintf("%x", sha256.Sum256(text)) }

// openSweepLog reads a log, if it exists, and refuses one with other settings.
func openSweepLog(path string, settings map[string]string) (*sweepLog, error) {
	l := &sweepLog{path: path, Settings: settings}
	text, err := regular.ReadFile(path, 1<<30)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, err
	}
	old := &sweepLog{path: path}
	if err := json.NewDecoder(utf.NewReader(bytes.NewReader(text))).Decode(old); err != nil {
		return nil, fmt.Errorf("%s: not the log of a sweep: %w", path, err)
	}
	if err := sameSettings(path, old.Settings, settings, "choose another --out or remove the file"); err != nil {
		return nil, err
	}
	return old, nil
}

// find returns the run of a combination, or nil if it has not finished.
func (l *sweepLog) find(c combination) *sweepRun {
	for i := range l.Runs {
		if r := &l.Runs[i]; r.Sampler == c.sampler.String() && r.Steps == c.steps && r.Proposals == c.proposals {
			return r
		}
	}
	return nil
}

// add saves a run.
func (l *sweepLog) add(r sweepRun) error {
	l.Runs = append(l.Runs, r)
	return writeJSON(l.path, l)
}
