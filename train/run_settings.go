package train

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/diffusioninst/go/internal/detectron2"
	"github.com/diffusioninst/go/torch"
)

// elsewhere are the starts of keys that do not change what a run learns, are replaced by flags, or are part of
// Run.Data.
var elsewhere = []string{
	"VERSION", "OUTPUT_DIR", "SEED", "CUDNN_BENCHMARK", "DATASETS.", "TEST.", "MODEL.WEIGHTS", "MODEL.DEVICE", "MODEL.MASK_ON",
	"MODEL.ROI_HEADS.NUM_CLASSES", "MODEL.DiffusionInst.NUM_CLASSES", "MODEL.DiffusionInst.MASK_SCORE", "MODEL.DiffusionInst.USE_NMS",
	"INPUT.MIN_SIZE_TEST", "INPUT.MAX_SIZE_TEST", "INPUT.TILE_TEST", "INPUT.MASK_FORMAT", "DATALOADER.NUM_WORKERS",
	"SOLVER.MAX_ITER", "SOLVER.CHECKPOINT_PERIOD", "SOLVER.IMS_PER_BATCH",
}

// learned returns the settings of a file that a run depends on, for Recipe.Settings.
func learned(d *detectron2.Config) map[string]string {
	out := d.Settings()
	maps.DeleteFunc(out, func(key, _ string) bool {
		return slices.ContainsFunc(elsewhere, func(start string) bool { return strings.HasPrefix(key, start) })
	})
	return out
}

// description is what all processes of a run must have in common, a line each.
func (r *Run) description() (string, error) {
	config, err := r.Trainer.config.MarshalJSON()
	if err != nil {
		return "", err
	}
	o := r.Trainer.options
	goal := o.Objective
	goal.Extra = nil
	objective, err := json.Marshal(goal)
	if err != nil {
		return "", err
	}
	lines := []string{
		"LibTorch " + torch.Version(), fmt.Sprintf("seed %d", o.Seed), fmt.Sprintf("steps %d of %d parts", r.Steps, max(r.Parts, 1)),
		fmt.Sprintf("saved every %d, evaluated every %d: %v", r.SaveEvery, r.EvaluateEvery, r.Evaluate != nil), fmt.Sprintf("resumed: %v", r.Resume != ""),
		"data " + r.Data,
	}
	for _, name := range slices.Sorted(maps.Keys(r.Settings)) {
		lines = append(lines, name+" "+r.Settings[name])
	}
	lines = append(lines,
		fmt.Sprintf("rates %v, %v, %v, of the backbone %v times", o.Rate*o.Schedule.Factor(0), o.Rate*o.Schedule.Factor(r.Steps/2), o.Rate*o.Schedule.Factor(r.Steps), o.BackboneRate),
		fmt.Sprintf("decay %v, of norms %v, of biases %v", o.Decay, o.NormDecay, o.BiasDecay),
		fmt.Sprintf("clip %v, average %v, own steps %v, frozen %q", o.Clip, o.EMA, o.OwnSteps, o.Frozen),
		fmt.Sprintf("synchronised batch norm %v, precision %v, optimizer %T", o.SyncBatchNorm, o.Precision, r.Trainer.optimizer),
		"objective "+string(objective))
	for _, term := range o.Objective.Extra {
		lines = append(lines, "loss "+term.Name())
	}
	return strings.Join(append(lines, "model "+string(config)), "\n"), nil
}

// sayChanges tells what is otherwise than a checkpoint's run had it.
func (r *Run) sayChanges(then map[string]string) {
	var changes []string
	for _, name := range slices.Sorted(maps.Keys(r.Settings)) {
		if old, known := then[name]; known && old != r.Settings[name] {
			changes = append(changes, fmt.Sprintf("%s was %.60s and is %.60s", name, old, r.Settings[name]))
		}
	}
	switch {
	case len(changes) == 0 || !r.Trainer.first():
	case r.OnChange != nil:
		r.OnChange(changes)
	default:
		slog.Warn("train: a run goes on with other settings", "changes", changes)
	}
}
