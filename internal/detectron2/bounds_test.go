package detectron2

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Numbers that no machine has the memory for are problems like others, with file and line.
func TestNumbersOutOfRange(t *testing.T) {
	for key, text := range map[string]string{
		"MODEL.DiffusionInst.NUM_PROPOSALS":    "MODEL: {DiffusionInst: {NUM_PROPOSALS: 1000000000}}",
		"MODEL.DiffusionInst.NUM_CLASSES":      "MODEL: {DiffusionInst: {NUM_CLASSES: 2000000000}}",
		"MODEL.DiffusionInst.HIDDEN_DIM":       "MODEL: {DiffusionInst: {HIDDEN_DIM: 1000000000}}",
		"MODEL.DiffusionInst.NUM_HEADS":        "MODEL: {DiffusionInst: {NUM_HEADS: 1000000}}",
		"MODEL.DiffusionInst.DIM_DYNAMIC":      "MODEL: {DiffusionInst: {DIM_DYNAMIC: 1000000000}}",
		"MODEL.DiffusionInst.DIM_FEEDFORWARD":  "MODEL: {DiffusionInst: {DIM_FEEDFORWARD: 1000000000}}",
		"MODEL.DiffusionInst.SAMPLE_STEP":      "MODEL: {DiffusionInst: {SAMPLE_STEP: 1000000000}}",
		"MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": "MODEL: {ROI_BOX_HEAD: {POOLER_RESOLUTION: 100000}}",
		"MODEL.FPN.OUT_CHANNELS":               "MODEL: {FPN: {OUT_CHANNELS: 1000000000}}",
		"MODEL.RESNETS.STEM_OUT_CHANNELS":      "MODEL: {RESNETS: {STEM_OUT_CHANNELS: 1000000000}}",
		"SOLVER.IMS_PER_BATCH":                 "SOLVER: {IMS_PER_BATCH: 1000000000}",
		"SOLVER.MAX_ITER":                      "SOLVER: {MAX_ITER: 1000000000000}",
		"INPUT.CROP.SIZE":                      "INPUT: {CROP: {TYPE: absolute, SIZE: [1.0e9, 1.0e9]}}",
		"INPUT.MIN_SIZE_TEST":                  "INPUT: {MIN_SIZE_TEST: 1000000000}",
		"INPUT.MIN_SIZE_TRAIN":                 "INPUT: {MIN_SIZE_TRAIN: [800, 1000000000]}",
		"INPUT.LARGE_SCALE_JITTER.SIZE":        "INPUT: {LARGE_SCALE_JITTER: {SIZE: 1000000000}}",
		"INPUT.LARGE_SCALE_JITTER.RANGE":       "INPUT: {LARGE_SCALE_JITTER: {RANGE: [0.1, .inf]}}",
		"INPUT.SCALE_RANGE":                    "INPUT: {SCALE_RANGE: [1.0, 1.0e9]}",
		"DATALOADER.NUM_WORKERS":               "DATALOADER: {NUM_WORKERS: 1000000000}",
		"SOLVER.BASE_LR":                       "SOLVER: {BASE_LR: .nan}",
	} {
		_, _, err := loadText("_BASE_: base.yaml\n" + text)
		require.ErrorContains(t, err, "main.yaml:2: "+key, text)
	}
}
