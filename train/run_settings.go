package train

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/diffusioninst/go/internal/detectron2"
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
