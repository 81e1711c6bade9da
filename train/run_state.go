package train

import (
	"context"
	"encoding"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/diffusioninst/go/train/journal"
)

// runState is what a checkpoint says about the run, besides the trainer's state.
type runState struct {
	Data      string            `json:"data,omitempty"`
	Settings  map[string]string `json:"settings,omitempty"`
	Position  int64             `json:"position"`  // of Batches
	Evaluated int               `json:"evaluated"` // steps that were done at the last evaluation
	Metric    string            `json:"metric,omitempty"`
	Best      float64           `json:"best"` // of Metric
	At        time.Time         `json:"at"`
	Row       []journal.Scalar  `json:"row"` // the journal's, of the last step
}

func (r *Run) path(name string) string { return filepath.Join(r.Folder, name) }

// save writes a checkpoint. What the journal says of steps until then is on the disk before it.
func (r *Run) save(log *journal.Journal, state *runState, name string) error {
	if !r.Trainer.first() {
		return nil
	}
	if err := log.Sync(); err != nil {
		return err
	}
	note, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	// A cancelled run saves, too.
	return r.Trainer.Save(context.Background(), r.path(name), note)
}

// saveFailed saves what a failed step began with.
func (r *Run) saveFailed(log *journal.Journal, state *runState, draws []byte) error {
	if err := r.Trainer.restoreDraws(draws); err != nil {
		return err
	}
	return r.save(log, state, FailedCheckpoint)
}

// resume continues from a checkpoint of the run.
func (r *Run) resume(ctx context.Context) (*runState, error) {
	path := r.path(r.Resume)
	note, err := r.Trainer.Resume(ctx, path)
	if err != nil {
		return nil, err
	}
	state := &runState{}
	if err := json.Unmarshal(note, state); err != nil {
		return nil, fmt.Errorf("train: %s is not a checkpoint of a run: %w", path, err)
	}
	if state.Data != r.Data {
		then, now := differences(state.Data, r.Data)
		return nil, fmt.Errorf("train: %s is of a run on other data: %s, not %s", path, then, now)
	}
	r.sayChanges(state.Settings)
	state.Settings = r.Settings
	return state, r.Batches.SeekTo(state.Position)
}

// descriptionParts is what stands between the parts of a description of data: the parts of
// "8 pictures of 2 classes in batches of 4" are "8 pictures", "2 classes", "batches" and "4".
var (
	descriptionParts = regexp.MustCompile(`, | in | of `)
	wholeNumber      = regexp.MustCompile(`^\d+$`)
)

// differences returns the parts in which two descriptions of data differ, or all if they
// are not made alike.
func differences(a, b string) (inA, inB string) {
	partsA, partsB := descriptionParts.Split(a, -1), descriptionParts.Split(b, -1)
	if len(partsA) != len(partsB) {
		return a, b
	}
	var onlyA, onlyB []string
	for i := range partsA {
		if partsA[i] == partsB[i] {
			continue
		}
		before := ""
		if i > 0 && wholeNumber.MatchString(partsA[i]) && wholeNumber.MatchString(partsB[i]) {
			before = partsA[i-1] + " of "
		}
		onlyA, onlyB = append(onlyA, before+partsA[i]), append(onlyB, before+partsB[i])
	}
	return strings.Join(onlyA, ", "), strings.Join(onlyB, ", ")
}

// export writes the model that was trained.
func (r *Run) export(ctx context.Context) error {
	if !r.Trainer.first() {
		return nil
	}
	for _, ending := range []string{".safetensors", ".pth"} {
		name := strings.TrimSuffix(ModelFile, ".safetensors") + ending
		if err := r.Trainer.Export(ctx, r.path(name), ExportOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// drawsState is the state of the trainer's draws; nil where they have none that can be kept.
func (t *Trainer) drawsState() ([]byte, error) {
	if d, ok := t.options.Draws.(encoding.BinaryMarshaler); ok {
		return d.MarshalBinary()
	}
	return nil, nil
}

func (t *Trainer) restoreDraws(state []byte) error {
	if d, ok := t.options.Draws.(encoding.BinaryUnmarshaler); ok && state != nil {
		return d.UnmarshalBinary(state)
	}
	return nil
}
